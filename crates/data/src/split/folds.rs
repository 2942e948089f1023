//! Folds for cross-validation: every example is held out once.

use super::random::Random;
use super::{Split, strata};
use crate::dataset::Example;
use crate::error::DataError;
use crate::labels::{LabelSet, Target};

/// Divides examples into `folds` parts, each of which is held out once while the others are learnt from.
///
/// Every class gives each fold as many rows as any other fold, give or take one, and so do all classes together: the
/// sizes are those of scikit-learn's `StratifiedKFold`. Texts that are equal but for case and white space stay in one
/// fold, with the class of the first of them; many copies of one text therefore make its fold larger. Examples with
/// several labels are divided by their first, those without label among themselves.
///
/// The same examples, number of folds and seed give the same folds on every machine and in every version.
///
/// # Errors
/// [`DataError::FewerThanFolds`] when a class has fewer different texts than there are folds. Where a text can have
/// several labels, a rare one is no error: it is missing from some folds.
///
/// # Panics
/// With fewer than two folds.
pub fn stratified_folds(
    examples: &[Example],
    labels: &LabelSet,
    folds: usize,
    seed: u64,
) -> Result<Vec<Split>, DataError> {
    assert!(folds >= 2, "there are at least two folds, not {folds}");
    let mut random = Random::new(seed);
    let mut place = vec![0; examples.len()];
    let mut sizes = vec![0; folds];
    for mut groups in strata(examples).into_values() {
        if let Some(Target::Class(class)) = examples[groups[0][0]].target
            && groups.len() < folds
        {
            return Err(DataError::FewerThanFolds { class: labels.name(class).to_owned(), texts: groups.len(), folds });
        }
        random.shuffle(&mut groups);
        // The large groups go first, so that single texts can even out what they leave uneven.
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let mut of_class = vec![0; folds];
        for group in groups {
            let fold = (0..folds).min_by_key(|&fold| (of_class[fold], sizes[fold])).expect("there are folds");
            of_class[fold] += group.len();
            sizes[fold] += group.len();
            group.into_iter().for_each(|index| place[index] = fold);
        }
    }
    let split = |fold| {
        let (held_out, train) = (0..examples.len()).partition(|&index| place[index] == fold);
        Split { train, held_out }
    };
    Ok((0..folds).map(split).collect())
}
