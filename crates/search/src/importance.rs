//! How much of the difference between trials goes with each dimension alone.
//!
//! The measure is ε² (Kelley 1935): the share of the variance of the scores that lies between groups of the dimension's values,
//! less what so many groups would have by chance. Choices are their own groups, numbers are cut into four groups of as many
//! trials each. The scores are those of the first rung, which all trials have of the same rows. What two dimensions do only
//! together is in neither.

use std::collections::BTreeMap;

use toml::Value;

use crate::space::{Dimension, Space};
use crate::store::Trial;

/// Groups of numbers.
const GROUPS: usize = 4;

/// Name and share of each dimension, the greatest first; nothing where too few trials tell.
pub fn importance(space: &Space, trials: &[Trial]) -> Vec<(String, f64)> {
    let share = |dimension: &Dimension| {
        let known = trials.iter().filter_map(|trial| {
            let value = trial.assignment.get(&dimension.name)?;
            Some((value, *trial.scores.first()?))
        });
        Some((dimension.name.clone(), epsilon_squared(&grouped(dimension, &known.collect::<Vec<_>>()))?))
    };
    let mut shares: Vec<_> = space.dimensions().iter().filter_map(share).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

/// The scores of each group of values.
fn grouped(dimension: &Dimension, known: &[(&Value, f64)]) -> Vec<Vec<f64>> {
    if dimension.is_listed() {
        let mut groups: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        known.iter().for_each(|(value, score)| groups.entry(value.to_string()).or_default().push(*score));
        return groups.into_values().collect();
    }
    let mut placed: Vec<(f64, f64)> =
        known.iter().filter_map(|(value, score)| Some((dimension.place(value)?, *score))).collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let of_group = placed.len().div_ceil(GROUPS).max(1);
    placed.chunks(of_group).map(|group| group.iter().map(|(_, score)| *score).collect()).collect()
}

/// `(between − (k − 1) · within / (n − k)) / (between + within)`, sums of squares of k groups and n scores, at least 0; none where
/// scores or groups are too few, or all scores are equal.
fn epsilon_squared(groups: &[Vec<f64>]) -> Option<f64> {
    let count: usize = groups.iter().map(Vec::len).sum();
    if groups.len() < 2 || count <= groups.len() {
        return None;
    }
    let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let whole = mean(&groups.concat());
    let between: f64 = groups.iter().map(|group| group.len() as f64 * (mean(group) - whole).powi(2)).sum();
    let within: f64 = groups.iter().flat_map(|group| group.iter().map(|score| (score - mean(group)).powi(2))).sum();
    if between + within == 0.0 {
        return None;
    }
    let by_chance = (groups.len() - 1) as f64 * within / (count - groups.len()) as f64;
    Some(((between - by_chance) / (between + within)).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_worked_out_by_hand() {
        // Mean 2.5; between 2 · 2 · 1 = 4, within 4 · 0.25 = 1; (4 − 1 · 1 / 2) / 5.
        assert_eq!(epsilon_squared(&[vec![1.0, 2.0], vec![3.0, 4.0]]), Some(0.7));
        assert_eq!(epsilon_squared(&[vec![1.0, 2.0], vec![1.0, 2.0]]), Some(0.0));
        assert_eq!(epsilon_squared(&[vec![1.0, 1.0], vec![1.0]]), None);
        assert_eq!(epsilon_squared(&[vec![1.0], vec![2.0]]), None);
    }
}
