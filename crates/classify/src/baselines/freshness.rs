//! How well a linear model tells fresh vectors from those of a reference.
//!
//! It is the regression of the baselines, on vectors scaled as theirs. Both sets are halved: the model of one half is asked about
//! the other, so that no vector is judged by a model that has seen it.

use finetone_data::Target;
use finetone_data::split::random::Random;
use finetone_evaluate::FreshnessScores;

use super::embeddings::Scale;
use super::logistic::{Examples, Logistic};
use super::matrix::Matrix;

/// Strength of the regularisation; with scaled vectors as good as any that cross-validation would choose.
const C: f64 = 1.0;
/// Vectors of each set that are looked at.
const MOST_VECTORS: usize = 1_000;
/// Fewer of either set do not teach anything.
const LEAST_VECTORS: usize = 20;

/// Scores of both halves of two sets of vectors `[n, width]` and `[m, width]`; at most 1,000 of each are drawn. None where a
/// set has fewer than 20.
pub fn freshness_scores(reference: &[f32], fresh: &[f32], width: usize, seed: u64) -> Vec<FreshnessScores> {
    let mut random = Random::of(&[seed]);
    let sets = [reference, fresh].map(|vectors| halves(vectors, width, &mut random));
    if sets.iter().flatten().any(|half| half.len() < width * LEAST_VECTORS / 2) {
        return Vec::new();
    }
    let [[reference, other_reference], [fresh, other_fresh]] = sets;
    let (one, other) = ([reference, fresh], [other_reference, other_fresh]);
    vec![judged(&one, &other, width), judged(&other, &one, width)]
}

/// Two halves of the vectors, dealt at random.
fn halves(vectors: &[f32], width: usize, random: &mut Random) -> [Vec<f64>; 2] {
    let mut rows: Vec<&[f32]> = vectors.chunks_exact(width).collect();
    random.shuffle(&mut rows);
    rows.truncate(MOST_VECTORS);
    let (one, other) = rows.split_at(rows.len() / 2);
    [one, other].map(|half| half.iter().copied().flatten().map(|&value| f64::from(value)).collect())
}

/// What the model of one half of both sets says about the other.
fn judged(learnt: &[Vec<f64>; 2], asked: &[Vec<f64>; 2], width: usize) -> FreshnessScores {
    let scale = Scale::of(&learnt.concat(), width);
    let scaled = |sets: &[Vec<f64>; 2]| {
        let mut values = sets.concat();
        scale.apply(&mut values);
        Matrix::Dense { width, values }
    };
    let (matrix, asked_matrix) = (scaled(learnt), scaled(asked));
    let sizes = learnt.each_ref().map(|set| set.len() / width);
    let targets: Vec<Target> =
        (0..sizes[0] + sizes[1]).map(|row| Target::Class(usize::from(row >= sizes[0]))).collect();
    let examples = Examples { matrix: &matrix, targets: &targets, classes: 2, multi_label: false };
    let rows: Vec<usize> = (0..targets.len()).collect();
    let model = Logistic::fit(&examples, &rows, C, None);
    let [references, all] = [asked[0].len() / width, (asked[0].len() + asked[1].len()) / width];
    let probabilities = model.probabilities(&asked_matrix, 0..all);
    let mut scores: Vec<f64> = probabilities.chunks_exact(2).map(|row| f64::from(row[1])).collect();
    let fresh = scores.split_off(references);
    FreshnessScores { reference: scores, fresh }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of four numbers between 0 and 1, the first of them moved.
    fn vectors(random: &mut Random, count: usize, moved: f32) -> Vec<f32> {
        (0..4 * count).map(|i| random.share() as f32 + if i % 4 == 0 { moved } else { 0.0 }).collect()
    }

    /// Share of pairs that are in the right order.
    fn area(scores: &FreshnessScores) -> f64 {
        let right = scores.fresh.iter().map(|fresh| scores.reference.iter().filter(|other| fresh > other).count());
        right.sum::<usize>() as f64 / (scores.fresh.len() * scores.reference.len()) as f64
    }

    #[test]
    fn moved_vectors_are_told_apart_and_others_are_not() {
        let mut random = Random::new(4);
        let reference = vectors(&mut random, 200, 0.0);
        // Four deviations of the area under chance, which is √(n + m + 1) / √(12 n m) with n = 100 and m = 75.
        for (moved, least, most) in [(0.0, 0.32, 0.68), (0.5, 0.8, 0.95), (2.0, 0.999, 1.0)] {
            let fresh = vectors(&mut random, 150, moved);
            let halves = freshness_scores(&reference, &fresh, 4, 0);
            assert_eq!(
                halves.iter().map(|half| (half.reference.len(), half.fresh.len())).collect::<Vec<_>>(),
                [(100, 75); 2]
            );
            assert!(
                halves.iter().all(|half| (least..=most).contains(&area(half))),
                "{moved}: {:?}",
                halves.iter().map(area).collect::<Vec<_>>()
            );
            assert_eq!(halves, freshness_scores(&reference, &fresh, 4, 0));
        }
    }

    #[test]
    fn a_few_vectors_are_not_enough() {
        let mut random = Random::new(5);
        let (many, few) = (vectors(&mut random, 50, 0.0), vectors(&mut random, 19, 0.0));
        assert!(freshness_scores(&many, &few, 4, 0).is_empty() && freshness_scores(&few, &many, 4, 0).is_empty());
        assert!(freshness_scores(&many, &[], 4, 0).is_empty());
        assert_eq!(freshness_scores(&many, &many, 4, 0).len(), 2);
    }
}
