//! How strongly a regression is regularised, by cross-validation inside its training texts.

use std::collections::BTreeMap;

use finetone_data::split::random::Random;
use rayon::prelude::*;

use super::logistic::{Examples, Logistic};

/// The strengths that are tried, the most regularised first.
const STRENGTHS: [f64; 4] = [0.1, 1.0, 10.0, 100.0];
/// With fewer texts than twice as many, nothing is tried and the usual strength taken.
pub(super) const FOLDS: usize = 5;
const USUAL: f64 = 1.0;

/// The strength with the best macro F1 over the texts that were held out; of equals the most regularised.
///
/// F1 is that of all answers together: a class of ten texts has no F1 worth the name in a fold of two.
pub(super) fn choose(examples: &Examples<'_>, seed: u64) -> f64 {
    if examples.targets.len() < 2 * FOLDS {
        return USUAL;
    }
    let tried = cross_validate(examples, seed);
    let scores: Vec<f64> = tried.iter().map(|(_, answers)| macro_f1(examples, answers)).collect();
    let best = (1..scores.len()).fold(0, |best, next| if scores[next] > scores[best] { next } else { best });
    tried[best].0
}

/// Each strength, and what models that are so regularised say about all texts, row-major `[n, C]`.
///
/// The texts of each class are dealt into five folds, and each fold is answered by a model of the others.
pub(super) fn cross_validate(examples: &Examples<'_>, seed: u64) -> Vec<(f64, Vec<f32>)> {
    let rows = examples.targets.len();
    let folds = deal(examples, seed);
    let answers: Vec<Vec<Vec<f32>>> = (0..FOLDS).into_par_iter().map(|fold| answers(examples, &folds, fold)).collect();
    let together = |strength: usize| {
        let mut all = vec![0.0; rows * examples.classes];
        for (fold, answers) in answers.iter().enumerate() {
            let held_out = (0..rows).filter(|&row| folds[row] == fold);
            for (row, answer) in held_out.zip(answers[strength].chunks_exact(examples.classes)) {
                all[row * examples.classes..][..examples.classes].copy_from_slice(answer);
            }
        }
        all
    };
    STRENGTHS.iter().enumerate().map(|(index, &strength)| (strength, together(index))).collect()
}

/// The fold of each text. The texts of a class are shuffled and dealt in turn, those of the next class from where the last
/// one ended, so that folds are as even in size as in classes.
fn deal(examples: &Examples<'_>, seed: u64) -> Vec<usize> {
    let mut classes: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (row, target) in examples.targets.iter().enumerate() {
        classes.entry(target.first()).or_default().push(row);
    }
    let mut random = Random::new(seed);
    let mut folds = vec![0; examples.targets.len()];
    let mut next = 0;
    for mut rows in classes.into_values() {
        random.shuffle(&mut rows);
        for row in rows {
            folds[row] = next % FOLDS;
            next += 1;
        }
    }
    folds
}

/// What the models of the other folds say about the texts of `fold`, for each strength. A model starts where the one before
/// it ended.
fn answers(examples: &Examples<'_>, folds: &[usize], fold: usize) -> Vec<Vec<f32>> {
    let (held_out, others): (Vec<usize>, Vec<usize>) = (0..folds.len()).partition(|&row| folds[row] == fold);
    let mut model = None;
    let answer = |c| {
        let fitted = Logistic::fit(examples, &others, c, model.as_ref());
        let probabilities = fitted.probabilities(examples.matrix, held_out.iter().copied());
        model = Some(fitted);
        probabilities
    };
    STRENGTHS.map(answer).to_vec()
}

/// The mean over the classes of `2 · hits / (answers + texts)`, zero for a class without either. A class is answered where it
/// is the most probable, or with several labels where it has at least one half.
fn macro_f1(examples: &Examples<'_>, probabilities: &[f32]) -> f64 {
    let classes = examples.classes;
    let (mut hits, mut both) = (vec![0_usize; classes], vec![0_usize; classes]);
    for (row, probabilities) in probabilities.chunks_exact(classes).enumerate() {
        let top = probabilities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let most = probabilities.iter().position(|p| *p == top);
        for class in 0..classes {
            let answered = if examples.multi_label { probabilities[class] >= 0.5 } else { most == Some(class) };
            let labelled = examples.has(row, class);
            hits[class] += usize::from(answered && labelled);
            both[class] += usize::from(answered) + usize::from(labelled);
        }
    }
    let f1 = hits.iter().zip(&both).map(|(hits, both)| 2.0 * *hits as f64 / (*both).max(1) as f64);
    f1.sum::<f64>() / classes as f64
}

#[cfg(test)]
mod tests {
    use finetone_data::Target;

    use super::*;
    use crate::baselines::matrix::Matrix;

    fn single(classes: &[usize]) -> Vec<Target> {
        classes.iter().map(|&class| Target::Class(class)).collect()
    }

    #[test]
    fn folds_are_even_in_size_and_in_classes() {
        let targets = single(&(0..53).map(|row| usize::from(row % 4 == 0) + usize::from(row == 7)).collect::<Vec<_>>());
        let matrix = Matrix::Dense { width: 1, values: vec![0.0; 53] };
        let examples = Examples { matrix: &matrix, targets: &targets, classes: 2, multi_label: false };
        let folds = deal(&examples, 3);
        for class in [None, Some(0), Some(1)] {
            let counted =
                |fold| (0..53).filter(|&row| folds[row] == fold && class.is_none_or(|c| examples.has(row, c))).count();
            let counts: Vec<usize> = (0..FOLDS).map(counted).collect();
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{class:?}: {counts:?}");
        }
        assert_ne!(folds, deal(&examples, 4));
    }

    #[test]
    fn macro_f1_is_the_mean_of_the_classes() {
        let matrix = Matrix::Dense { width: 1, values: vec![0.0; 4] };
        let targets = single(&[0, 0, 1, 1]);
        let examples = Examples { matrix: &matrix, targets: &targets, classes: 3, multi_label: false };
        // Answers 0, 1, 1, 0: one hit of each class among two answers and two texts. The third class has nothing.
        let said = [0.6, 0.4, 0.0, 0.1, 0.8, 0.1, 0.3, 0.4, 0.3, 0.5, 0.3, 0.2];
        assert!((macro_f1(&examples, &said) - (0.5 + 0.5) / 3.0).abs() < 1e-12);
        let targets = [vec![0, 1], vec![1], vec![], vec![0]].map(Target::Classes);
        let examples = Examples { matrix: &matrix, targets: &targets, classes: 2, multi_label: true };
        // Label 0: one hit, two answers, two texts. Label 1: two hits, three answers, two texts.
        let said = [0.5, 0.5, 0.7, 0.9, 0.4, 0.6, 0.1, 0.2];
        assert!((macro_f1(&examples, &said) - (0.5 + 0.8) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn noise_is_regularised_and_a_fine_difference_is_not() {
        // The first number decides, in steps far smaller than the noise of the second.
        let targets = single(&(0..60).map(|row| row % 2).collect::<Vec<_>>());
        let mut random = Random::new(5);
        let mut noise = || random.below(1_000) as f64 / 1_000.0 - 0.5;
        let fine = (0..60).flat_map(|row| [(row % 2) as f64 * 0.1, noise()]).collect();
        let fine = Matrix::Dense { width: 2, values: fine };
        let examples = |matrix| Examples { matrix, targets: &targets, classes: 2, multi_label: false };
        assert_eq!(choose(&examples(&fine), 0), 100.0);
        let wild = Matrix::Dense {
            width: 40,
            values: (0..60 * 40).map(|i| noise() + if i % 40 < 12 { (i / 40 % 2) as f64 * 0.2 } else { 0.0 }).collect(),
        };
        assert!(choose(&examples(&wild), 0) < 100.0);
        let few = Matrix::Dense { width: 1, values: vec![0.0; 9] };
        let of_few = Examples { matrix: &few, targets: &targets[..9], classes: 2, multi_label: false };
        assert_eq!(choose(&of_few, 0), USUAL);
    }
}
