//! Interpolation with neighbours: what a model says about a text, mixed with the labels of the texts nearest to it.
//!
//! Labelled texts near another one have a similarity `s_i` to it each. The `k` nearest vote for their classes, the more similar
//! the louder, and a share `λ` of the answer is theirs, as
//! [Khandelwal et al. 2020](https://arxiv.org/abs/1911.00172) have it for the next token of a language model:
//!
//! ```text
//! w_i   = exp(s_i / τ) / Σ_j exp(s_j / τ)       over the k nearest
//! v(c)  = Σ_i w_i · [c is a class of i]
//! p′(c) = (1 − λ) · p(c) + λ · v(c)
//! ```
//!
//! Two answers that are as sure as they should be are less sure than they should be when they are mixed, so a [`Temperature`]
//! may follow. Rules for decisions come after all of this.

use serde::{Deserialize, Serialize};

use crate::metrics::log_loss;
use crate::spread::{mean, standard_deviation};
use crate::{EvaluateError, Predictions, Temperature};

/// Numbers `k` of neighbours that a fit tries.
const COUNTS: [usize; 5] = [4, 8, 16, 32, 64];

/// Temperatures `τ` that a fit tries, for similarities up to one: from the nearest alone to all alike.
const VOTE_TEMPERATURES: [f64; 4] = [0.03, 0.1, 0.3, 1.0];

/// Shares that a fit tries: multiples of one over this number.
const SHARES: usize = 20;

/// Less than this is no gain but rounding.
const LEAST_GAIN: f64 = 1e-9;

/// A labelled text near another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vote<'a> {
    /// How similar both are.
    pub similarity: f32,
    /// Its classes.
    pub classes: &'a [usize],
}

/// How a model's answers are mixed with those of neighbours; see the module.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Interpolation {
    /// λ, from 0 for the model alone to below 1.
    share: f64,
    /// k, at least 1.
    neighbours: usize,
    /// τ, above 0.
    vote_temperature: f64,
    /// What follows, above 0; 1 changes nothing.
    temperature: f64,
}

/// An interpolation as a file has it, before it is believed.
#[derive(Deserialize)]
struct Written {
    share: f64,
    neighbours: usize,
    vote_temperature: f64,
    temperature: f64,
}

impl TryFrom<Written> for Interpolation {
    type Error = EvaluateError;

    fn try_from(Written { share, neighbours, vote_temperature, temperature }: Written) -> Result<Self, EvaluateError> {
        let above_zero = |value: f64| value > 0.0 && value.is_finite();
        let sound = (0.0..1.0).contains(&share) && neighbours > 0;
        if !sound || !above_zero(vote_temperature) || !above_zero(temperature) {
            return Err(EvaluateError::Option("there is no such interpolation with neighbours".to_owned()));
        }
        Ok(Self { share, neighbours, vote_temperature, temperature })
    }
}

impl Default for Interpolation {
    /// The model alone.
    fn default() -> Self {
        Self { share: 0.0, neighbours: COUNTS[0], vote_temperature: VOTE_TEMPERATURES[0], temperature: 1.0 }
    }
}

/// The interpolation that labelled texts ask for, and what it does to them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InterpolationFit {
    /// It. Its share is 0 where neighbours do not help by more than chance.
    pub interpolation: Interpolation,
    /// Texts that it was fitted on.
    pub texts: usize,
    /// Log-loss of the model alone.
    pub loss_alone: f64,
    /// The least log-loss of any interpolation that was tried, also of one that is not taken.
    pub loss_with: f64,
}

impl Interpolation {
    /// The most neighbours that a fit looks at.
    pub const MOST_NEIGHBOURS: usize = COUNTS[COUNTS.len() - 1];

    /// The interpolation with the least log-loss on `predictions`, which should be about texts that neither the model nor the
    /// neighbours know. `near` has for each of these texts its neighbours, at least one and of all as many, the nearest first.
    ///
    /// Of a grid of `λ`, `k` and `τ` the best is taken, of equals the one with fewer neighbours and the smaller share. The grid
    /// finds something in any noise, so the gain has to be more than twice its own standard error over the texts, or else the
    /// share is 0: the rule of one standard error ([Breiman et al. 1984](https://doi.org/10.1201/9781315139470)) is about a few
    /// candidates, not hundreds.
    pub fn fit(predictions: &Predictions, near: &[Vec<Vote<'_>>]) -> InterpolationFit {
        let alone = losses(predictions);
        let (mut best, mut least) = (Self::default(), (mean(&alone), alone.clone()));
        for neighbours in counts(near) {
            for vote_temperature in VOTE_TEMPERATURES {
                let voting = Self { neighbours, vote_temperature, ..Self::default() };
                let votes = voting.all_votes(near, predictions.classes());
                for share in (1..SHARES).map(|part| part as f64 / SHARES as f64) {
                    let tried = Self { share, ..voting };
                    let found = losses(&tried.applied(predictions, &votes));
                    if mean(&found) < least.0 - LEAST_GAIN {
                        (best, least) = (tried, (mean(&found), found));
                    }
                }
            }
        }
        let gains: Vec<f64> = alone.iter().zip(&least.1).map(|(alone, with)| alone - with).collect();
        let share = if mean(&gains) > 2.0 * standard_error(&gains) { best.share } else { 0.0 };
        let (loss_alone, loss_with) = (mean(&alone), least.0);
        InterpolationFit { interpolation: Self { share, ..best }, texts: predictions.rows(), loss_alone, loss_with }
    }

    /// The same with the temperature behind it that fits what it makes of `predictions`; nothing new for the model alone.
    pub fn calibrated(self, predictions: &Predictions, near: &[Vec<Vote<'_>>]) -> Self {
        if self.share == 0.0 {
            return self;
        }
        let plain = Self { temperature: 1.0, ..self };
        let mixed = plain.applied(predictions, &plain.all_votes(near, predictions.classes()));
        Self { temperature: Temperature::fit(&mixed).value(), ..self }
    }

    /// The share of the answer that is the neighbours', λ.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// How many neighbours vote, k.
    pub fn neighbours(&self) -> usize {
        self.neighbours
    }

    /// What their similarities are divided by, τ.
    pub fn vote_temperature(&self) -> f64 {
        self.vote_temperature
    }

    /// The temperature of both together.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// What the first k of `near`, the nearest first, say about a text: the share of their votes that each of `classes` has.
    ///
    /// # Panics
    /// For a class that is none of them.
    pub fn votes(&self, near: &[Vote<'_>], classes: usize) -> Vec<f32> {
        let near = &near[..near.len().min(self.neighbours)];
        let top = near.first().map_or(0.0, |vote| f64::from(vote.similarity));
        let weights: Vec<f64> =
            near.iter().map(|vote| ((f64::from(vote.similarity) - top) / self.vote_temperature).exp()).collect();
        let (sum, mut votes) = (weights.iter().sum::<f64>(), vec![0.0; classes]);
        for (vote, weight) in near.iter().zip(weights) {
            vote.classes.iter().for_each(|&class| votes[class] += weight / sum);
        }
        // Sums of weights may exceed one by a rounding.
        votes.into_iter().map(|share| share.min(1.0) as f32).collect()
    }

    /// Mixes row-major probabilities `[n, C]` with votes of the same shape.
    ///
    /// # Panics
    /// When the shapes differ, or do not fill rows of `classes`.
    pub fn apply(&self, probabilities: &mut [f32], votes: &[f32], (classes, multi_label): (usize, bool)) {
        let (numbers, given) = (probabilities.len(), votes.len());
        assert!(numbers == given, "{given} votes for {numbers} probabilities");
        if self.share == 0.0 {
            return;
        }
        for (p, &vote) in probabilities.iter_mut().zip(votes) {
            *p = ((1.0 - self.share) * f64::from(*p) + self.share * f64::from(vote)) as f32;
        }
        if self.temperature != 1.0 {
            Temperature::of(self.temperature).apply(probabilities, classes, multi_label);
        }
    }

    fn applied(&self, predictions: &Predictions, votes: &[f32]) -> Predictions {
        let mut probabilities = predictions.probabilities().to_vec();
        self.apply(&mut probabilities, votes, (predictions.classes(), predictions.is_multi_label()));
        predictions.with_probabilities(probabilities)
    }

    fn all_votes(&self, near: &[Vec<Vote<'_>>], classes: usize) -> Vec<f32> {
        near.iter().flat_map(|near| self.votes(near, classes)).collect()
    }
}

/// The numbers of neighbours to try: no more than there are, and all where these are few.
fn counts(near: &[Vec<Vote<'_>>]) -> Vec<usize> {
    let there = near.iter().map(Vec::len).min().unwrap_or(0);
    let fitting: Vec<usize> = COUNTS.into_iter().filter(|&count| count <= there).collect();
    if fitting.is_empty() && there > 0 { vec![there] } else { fitting }
}

fn losses(predictions: &Predictions) -> Vec<f64> {
    (0..predictions.rows()).map(|row| log_loss::of_row(predictions, row)).collect()
}

/// Of a mean of these values; no number is sure where there is one value.
fn standard_error(values: &[f64]) -> f64 {
    standard_deviation(values).map_or(f64::INFINITY, |deviation| deviation / (values.len() as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Truth;

    const SINGLE: (usize, bool) = (2, false);

    fn interpolation(share: f64, neighbours: usize) -> Interpolation {
        Interpolation { share, neighbours, vote_temperature: 0.5, temperature: 1.0 }
    }

    fn vote(similarity: f32, classes: &[usize]) -> Vote<'_> {
        Vote { similarity, classes }
    }

    fn unsure(truth: &[usize]) -> Predictions {
        let labels = vec!["no".into(), "yes".into()];
        Predictions::new(labels, Truth::Single(truth.to_vec()), vec![0.5; 2 * truth.len()]).expect("valid")
    }

    #[test]
    fn the_nearest_vote_as_loudly_as_they_are_near() {
        let near = [vote(0.9, &[1]), vote(0.4, &[0]), vote(0.4, &[1])];
        let weight = (-1.0_f64).exp();
        let votes = interpolation(0.5, 2).votes(&near, 2);
        assert!((f64::from(votes[1]) - 1.0 / (1.0 + weight)).abs() < 1e-7 && (votes[0] + votes[1] - 1.0).abs() < 1e-6);
        assert_eq!(interpolation(0.5, 1).votes(&near, 2), [0.0, 1.0]);
        let many = interpolation(0.5, 9).votes(&[vote(0.1, &[0, 1]), vote(0.1, &[]), vote(0.1, &[1])], 2);
        assert!((many[0] - 1.0 / 3.0).abs() < 1e-6 && (many[1] - 2.0 / 3.0).abs() < 1e-6, "{many:?}");
    }

    #[test]
    fn a_share_of_the_answer_is_theirs_and_a_temperature_follows() {
        let mut mixed = [0.9_f32, 0.1];
        interpolation(0.25, 1).apply(&mut mixed, &[0.0, 1.0], SINGLE);
        assert!((mixed[0] - 0.675).abs() < 1e-6 && (mixed[1] - 0.325).abs() < 1e-6, "{mixed:?}");
        let mut cooled = [0.9_f32, 0.1];
        Interpolation { temperature: 0.5, ..interpolation(0.25, 1) }.apply(&mut cooled, &[0.0, 1.0], SINGLE);
        let expected = 0.675_f32.powi(2) / (0.675_f32.powi(2) + 0.325_f32.powi(2));
        assert!((cooled[0] - expected).abs() < 1e-6, "{cooled:?}");
        let mut alone = [0.3_f32, 0.7];
        Interpolation { temperature: 3.0, ..interpolation(0.0, 1) }.apply(&mut alone, &[1.0, 0.0], SINGLE);
        assert_eq!(alone, [0.3, 0.7], "a share of nothing changes no bit");
    }

    #[test]
    fn neighbours_that_know_get_a_share_and_neighbours_by_chance_none() {
        let truth: Vec<usize> = (0..40).map(|row| row % 2).collect();
        let classes = [[0], [1]];
        let knowing: Vec<Vec<Vote<'_>>> = truth.iter().map(|&class| vec![vote(0.9, &classes[class]); 5]).collect();
        let found = Interpolation::fit(&unsure(&truth), &knowing);
        assert!(
            (found.interpolation.share() - 0.95).abs() < 1e-9 && found.interpolation.neighbours() == 4,
            "{found:?}"
        );
        assert!(found.loss_with < 0.05 && (found.loss_alone - 2.0_f64.ln()).abs() < 1e-6, "{found:?}");
        // Right for 22 texts and wrong for 18: a small share gains a little, less than chance would.
        let chance = |(row, class): (usize, &usize)| vec![vote(0.9, &classes[(class + usize::from(row > 21)) % 2])];
        let by_chance: Vec<Vec<Vote<'_>>> = truth.iter().enumerate().map(chance).collect();
        let found = Interpolation::fit(&unsure(&truth), &by_chance);
        assert!(found.interpolation.share() == 0.0 && found.loss_with < found.loss_alone, "{found:?}");
        assert_eq!(
            Interpolation::fit(&unsure(&truth[..1]), &knowing[..1]).interpolation.share(),
            0.0,
            "one text shows nothing"
        );
    }

    #[test]
    fn the_temperature_of_both_makes_them_as_sure_as_they_are_right() {
        let truth: Vec<usize> = (0..400).map(|row| row % 2).collect();
        let classes = [[0], [1]];
        let near: Vec<Vec<Vote<'_>>> = truth.iter().map(|&class| vec![vote(0.9, &classes[class])]).collect();
        let half = interpolation(0.5, 1);
        let calibrated = half.calibrated(&unsure(&truth), &near);
        assert!(calibrated.temperature() < 0.5, "all are right, with a confidence of 0.75: {calibrated:?}");
        assert_eq!(interpolation(0.0, 1).calibrated(&unsure(&truth), &near), interpolation(0.0, 1));
    }

    #[test]
    fn what_a_file_says_is_checked() {
        let sound = serde_json::to_value(interpolation(0.25, 8)).expect("JSON");
        assert_eq!(serde_json::from_value::<Interpolation>(sound.clone()).expect("sound"), interpolation(0.25, 8));
        for (key, wrong) in
            [("share", 1.0), ("share", -0.1), ("neighbours", 0.0), ("vote_temperature", 0.0), ("temperature", -1.0)]
        {
            let mut damaged = sound.clone();
            damaged[key] = if key == "neighbours" { serde_json::json!(wrong as u64) } else { serde_json::json!(wrong) };
            assert!(serde_json::from_value::<Interpolation>(damaged).is_err(), "{key} = {wrong}");
        }
    }
}
