//! Which token follows: the most probable one, or one drawn among the probable ones.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use finetone_data::split::random::Random;

use crate::error::GenerateError;

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// What logits are divided by; at 0 the most probable token is taken, of equals the first.
    pub temperature: f64,
    /// The share of probability that the tokens have among which one is drawn, the most probable ones
    /// (<https://arxiv.org/abs/1904.09751>); at 1 all of them.
    pub top_p: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Sampling {
    /// Always the most probable token.
    pub const GREEDY: Self = Self { temperature: 0.0, top_p: 1.0, seed: 0 };

    /// Checks the ranges.
    ///
    /// # Errors
    /// A temperature or share out of its range.
    pub fn check(&self) -> Result<(), GenerateError> {
        let setting = |name, value, wanted| Err(GenerateError::Setting { name, value, wanted });
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return setting("temperature", self.temperature, "a number from 0 on");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return setting("top_p", self.top_p, "a number above 0 and at most 1");
        }
        Ok(())
    }

    /// One of the tokens, which have these logarithms of probabilities at a temperature of 1.
    pub(crate) fn choose(&self, tokens: &[(u32, f64)], random: &mut Random) -> u32 {
        let better = |best: (u32, f64), token: &(u32, f64)| if token.1 > best.1 { *token } else { best };
        let best = tokens.iter().fold(tokens[0], better);
        if self.temperature == 0.0 {
            return best.0;
        }
        let scaled = |token: &(u32, f64)| (token.0, ((token.1 - best.1) / self.temperature).exp());
        let mut weights: Vec<(u32, f64)> = tokens.iter().map(scaled).collect();
        if self.top_p < 1.0 {
            keep_nucleus(&mut weights, self.top_p);
        }
        let mut place = random.share() * weights.iter().map(|entry| entry.1).sum::<f64>();
        let drawn = weights.iter().find(|entry| {
            place -= entry.1;
            place < 0.0
        });
        // Rounding may leave a crumb behind the last one.
        drawn.map_or(best.0, |entry| entry.0)
    }
}

/// Keeps the greatest weights that together have at least the share `top_p`, the greatest first.
///
/// A whole vocabulary need not be put in order for that: weights below `(1 - top_p) / V` of the sum have less than the share
/// `1 - top_p` together, so none of them is among the others.
fn keep_nucleus(weights: &mut Vec<(u32, f64)>, top_p: f64) {
    let sum = weights.iter().map(|entry| entry.1).sum::<f64>();
    let least = (1.0 - top_p) * sum / weights.len() as f64;
    weights.retain(|entry| entry.1 >= least);
    by_probability(weights);
    let mut kept = 0.0;
    let nucleus = weights.iter().position(|entry| {
        kept += entry.1;
        kept >= top_p * sum
    });
    weights.truncate(nucleus.map_or(weights.len(), |last| last + 1));
}

/// What makes tokens more or less probable than the model has them, before one is chosen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Penalties {
    /// What is taken from a token's logit for each time that it was written.
    pub frequency: f64,
    /// What is taken from it once it was written at all.
    pub presence: f64,
    /// What is added to the logits of some tokens.
    pub bias: Vec<(u32, f64)>,
}

impl Penalties {
    /// Whether they change nothing.
    fn is_none(&self) -> bool {
        self.frequency == 0.0 && self.presence == 0.0 && self.bias.is_empty()
    }

    /// The logarithms, which ascend by token, after what was written.
    pub(crate) fn applied<'t>(&self, tokens: &'t [(u32, f64)], written: &[u32]) -> Cow<'t, [(u32, f64)]> {
        if self.is_none() {
            return Cow::Borrowed(tokens);
        }
        let mut changed = tokens.to_vec();
        let mut add = |id: u32, value: f64| {
            if let Ok(place) = changed.binary_search_by_key(&id, |entry| entry.0) {
                changed[place].1 += value;
            }
        };
        let mut counts = BTreeMap::new();
        written.iter().for_each(|&id| *counts.entry(id).or_insert(0.0) += 1.0);
        counts.into_iter().for_each(|(id, count): (u32, f64)| add(id, -count * self.frequency - self.presence));
        self.bias.iter().for_each(|&(id, value)| add(id, value));
        Cow::Owned(changed)
    }
}

/// The most probable tokens first, and of equals the first one.
fn by_probability(tokens: &mut [(u32, f64)]) {
    tokens.sort_unstable_by(more_probable);
}

fn more_probable(a: &(u32, f64), b: &(u32, f64)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// So many of the most probable tokens, the most probable first.
pub(crate) fn most_probable(mut tokens: Vec<(u32, f64)>, count: usize) -> Vec<(u32, f64)> {
    if (1..tokens.len()).contains(&count) {
        tokens.select_nth_unstable_by(count - 1, more_probable);
    }
    tokens.truncate(count);
    by_probability(&mut tokens);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(p: &[f64]) -> Vec<(u32, f64)> {
        p.iter().enumerate().map(|(id, p)| (id as u32, p.ln())).collect()
    }

    /// How often each token is drawn in 20,000 draws.
    fn shares(sampling: Sampling, p: &[f64]) -> Vec<f64> {
        let (tokens, mut random, mut counts) = (logs(p), Random::new(sampling.seed), vec![0.0; p.len()]);
        for _ in 0..20_000 {
            counts[sampling.choose(&tokens, &mut random) as usize] += 1.0 / 20_000.0;
        }
        counts
    }

    #[track_caller]
    fn assert_near(shares: &[f64], wanted: &[f64]) {
        // Four deviations of a share of a half.
        shares.iter().zip(wanted).for_each(|(a, b)| assert!((a - b).abs() < 0.015, "{shares:?}, not {wanted:?}"));
    }

    #[test]
    fn draws_have_the_probabilities_of_the_model_of_the_temperature_and_of_the_nucleus() {
        let p = [0.1, 0.5, 0.15, 0.25];
        let plain = Sampling { temperature: 1.0, top_p: 1.0, seed: 5 };
        assert_near(&shares(plain, &p), &p);
        let squares: f64 = p.iter().map(|p| p * p).sum();
        let colder = shares(Sampling { temperature: 0.5, ..plain }, &p);
        assert_near(&colder, &p.map(|p| p * p / squares));
        // 0.5 and 0.25 make up 0.7; 0.5 alone makes up a half.
        assert_near(&shares(Sampling { top_p: 0.7, ..plain }, &p), &[0.0, 2.0 / 3.0, 0.0, 1.0 / 3.0]);
        assert_eq!(shares(Sampling { top_p: 0.5, ..plain }, &p)[1].round(), 1.0);
        assert_eq!(shares(Sampling { temperature: 1e-6, ..plain }, &p)[1].round(), 1.0);
    }

    #[test]
    fn greedy_takes_the_first_of_equals_and_settings_out_of_range_are_refused() {
        let choice = Sampling::GREEDY.choose(&logs(&[0.2, 0.4, 0.4]), &mut Random::new(0));
        assert_eq!(choice, 1);
        for (temperature, top_p) in [(-0.1, 1.0), (f64::NAN, 1.0), (f64::INFINITY, 1.0), (1.0, 0.0), (1.0, 1.1)] {
            let error = Sampling { temperature, top_p, seed: 0 }.check().unwrap_err();
            assert!(error.hint().is_some(), "{error}");
        }
    }

    #[test]
    fn a_nucleus_is_the_greatest_weights_whatever_the_order_and_ties() {
        let mut random = Random::new(9);
        for top_p in [0.01, 0.3, 0.9, 0.999] {
            let weights: Vec<(u32, f64)> = (0..500).map(|id| (id, (random.below(40) as f64).exp2())).collect();
            let mut kept = weights.clone();
            keep_nucleus(&mut kept, top_p);
            let mut sorted = weights;
            by_probability(&mut sorted);
            assert_eq!(kept, sorted[..kept.len()], "{top_p}");
            let (sum, of_all) = (|part: &[(u32, f64)]| part.iter().map(|w| w.1).sum::<f64>(), sorted.len());
            assert!(sum(&kept) >= top_p * sum(&sorted) && kept.len() <= of_all);
            assert!(sum(&kept[..kept.len() - 1]) < top_p * sum(&sorted), "{top_p}");
        }
    }

    #[test]
    fn penalties_count_what_was_written_and_a_bias_forbids_or_forces() {
        let tokens = logs(&[0.1, 0.6, 0.3]);
        let penalties = |frequency, presence| Penalties { frequency, presence, bias: Vec::new() };
        assert!(matches!(penalties(0.0, 0.0).applied(&tokens, &[1, 1]), Cow::Borrowed(_)));
        let changed = penalties(0.5, 0.25).applied(&tokens, &[1, 0, 1]).into_owned();
        let off: Vec<f64> = changed.iter().zip(&tokens).map(|(a, b)| a.1 - b.1).collect();
        assert!(off.iter().zip([-0.75, -1.25, 0.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{off:?}");
        let forced = Penalties { bias: vec![(0, 100.0), (1, -100.0), (77, 5.0)], ..Penalties::default() };
        assert_eq!(Sampling::GREEDY.choose(&forced.applied(&tokens, &[]), &mut Random::new(0)), 0);
    }

    #[test]
    fn the_most_probable_are_those_that_a_full_order_has_first() {
        let tokens = logs(&[0.2, 0.1, 0.4, 0.1, 0.2]);
        let ids = |count| most_probable(tokens.clone(), count).iter().map(|entry| entry.0).collect::<Vec<_>>();
        assert_eq!((ids(0), ids(2), ids(4), ids(9)), (vec![], vec![2, 0], vec![2, 0, 4, 1], vec![2, 0, 4, 1, 3]));
    }
}
