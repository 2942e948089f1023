//! Training and held-out rows from one file.

mod by_column;
mod by_text;
mod folds;
pub mod random;

use std::collections::BTreeMap;

use crate::dataset::Example;
pub use by_column::{column_times, column_values, group_split, time_split};
pub(crate) use by_text::fingerprint;
pub use by_text::hash_split;
pub use folds::stratified_folds;
use random::Random;

/// A division of examples, as ascending indices.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Split {
    /// Examples to learn from.
    pub train: Vec<usize>,
    /// Examples to judge by.
    pub held_out: Vec<usize>,
}

impl Split {
    /// The division of `count` examples that holds out those with the indices of `held`.
    fn holding(count: usize, held: &[usize]) -> Split {
        let mut is_held = vec![false; count];
        held.iter().for_each(|&index| is_held[index] = true);
        let (held_out, train) = (0..count).partition(|index| is_held[*index]);
        Split { train, held_out }
    }
}

/// Holds out a share of every class.
///
/// `fraction` of the rows of each class go to the held-out side, rounded to the nearest row, and at least one where the
/// class has two different texts or more; the training side always keeps one text of the class. Texts that are equal
/// but for case and white space stay on one side, with the class of the first of them, so that nothing is learnt by
/// heart and then asked. Examples with several labels are divided by their first, those without label among themselves.
///
/// The same examples, fraction and seed give the same split on every machine and in every version.
///
/// # Panics
/// When `fraction` is not between 0 and 1.
pub fn stratified_split(examples: &[Example], fraction: f64, seed: u64) -> Split {
    assert!((0.0..=1.0).contains(&fraction), "a fraction lies between 0 and 1, this one is {fraction}");
    let mut random = Random::new(seed);
    let mut held = Vec::new();
    for mut groups in strata(examples).into_values() {
        random.shuffle(&mut groups);
        held.extend(take(&groups, fraction));
    }
    Split::holding(examples.len(), &held)
}

/// A text with case, white space and ways to write an accent taken out of the comparison.
pub fn comparable(text: &str) -> String {
    crate::labels::tidy(&crate::labels::folded(text))
}

/// Per class, its groups of equal texts in order of appearance.
fn strata(examples: &[Example]) -> BTreeMap<Option<usize>, Vec<Vec<usize>>> {
    let mut members: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, example) in examples.iter().enumerate() {
        members.entry(comparable(&example.text)).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = members.into_values().collect();
    groups.sort_unstable();
    let mut strata: BTreeMap<Option<usize>, Vec<Vec<usize>>> = BTreeMap::new();
    for group in groups {
        let class = examples[group[0]].target.as_ref().and_then(|target| target.first());
        strata.entry(class).or_default().push(group);
    }
    strata
}

/// The rows to hold out: whole groups, in their order, until the share is reached; the last group is always left.
fn take(groups: &[Vec<usize>], fraction: f64) -> Vec<usize> {
    let rows: usize = groups.iter().map(Vec::len).sum();
    let wanted = (rows as f64 * fraction).round() as usize;
    let wanted = if fraction > 0.0 { wanted.max(1) } else { 0 };
    let mut held = Vec::new();
    for group in groups.iter().take(groups.len().saturating_sub(1)) {
        // A big group of copies is passed over rather than overshooting, unless nothing else was found yet.
        if held.len() < wanted && (held.len() + group.len() <= wanted || held.is_empty()) {
            held.extend_from_slice(group);
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Target;

    fn examples(rows: &[(&str, usize)]) -> Vec<Example> {
        let example = |(line, (text, class)): (usize, &(&str, usize))| Example {
            text: (*text).to_owned(),
            target: Some(Target::Class(*class)),
            line: line as u64 + 2,
            columns: Vec::new(),
            chat: None,
        };
        rows.iter().enumerate().map(example).collect()
    }

    fn numbered(count: usize, class: impl Fn(usize) -> usize) -> Vec<Example> {
        let texts: Vec<String> = (0..count).map(|index| format!("text {index}")).collect();
        let rows: Vec<(&str, usize)> =
            texts.iter().enumerate().map(|(index, text)| (text.as_str(), class(index))).collect();
        examples(&rows)
    }

    #[test]
    fn every_class_gives_its_share() {
        let examples = numbered(100, |index| usize::from(index % 10 == 0));
        let split = stratified_split(&examples, 0.2, 7);
        assert_eq!((split.train.len(), split.held_out.len()), (80, 20));
        assert_eq!(split.held_out.iter().filter(|index| **index % 10 == 0).count(), 2);
    }

    #[test]
    fn a_class_of_two_is_on_both_sides_and_a_class_of_one_is_learnt() {
        let examples = examples(&[("a", 0), ("b", 0), ("c", 1), ("d", 2), ("e", 2)]);
        let split = stratified_split(&examples, 0.01, 1);
        assert_eq!(split.held_out.len(), 2);
        assert!(split.train.contains(&2));
        let split = stratified_split(&examples, 0.99, 1);
        assert_eq!(split.train.len(), 3);
    }

    #[test]
    fn equal_texts_stay_together() {
        let examples = examples(&[("Fine", 0), ("fine ", 0), ("FINE", 0), ("bad", 0), ("worse", 0), ("fair", 0)]);
        for seed in 0..50 {
            let split = stratified_split(&examples, 0.3, seed);
            let copies = split.held_out.iter().filter(|index| **index < 3).count();
            assert!(copies == 0 || copies == 3, "seed {seed}: {split:?}");
        }
    }

    #[test]
    fn a_seed_is_a_promise() {
        let examples = numbered(12, |_| 0);
        assert_eq!(stratified_split(&examples, 0.25, 42), stratified_split(&examples, 0.25, 42));
        let different = (0..20).map(|seed| stratified_split(&examples, 0.25, seed).held_out);
        assert!(different.collect::<std::collections::BTreeSet<_>>().len() > 10);
    }
}
