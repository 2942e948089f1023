//! When a model should leave a text to a person.
//!
//! An answer is given where the confidence reaches a threshold, and otherwise the text goes to a person. The confidence is
//! the probability of the class, or with several labels for a text that of its least certain decision; an answer is right if
//! all its labels are. The threshold is found on texts that the model has not learnt from, for one of two aims:
//!
//! * **A cost.** A wrong answer costs 1 and a text for a person costs `c`. The threshold is the one with the least cost on
//!   these texts, of equals the lowest. With exact probabilities that is Chow's rule, to answer from a confidence of `1 − c`
//!   on ([Chow 1970](https://doi.org/10.1109/TIT.1970.1054406)). Nothing is promised about other texts.
//! * **A precision.** Of the answers at least the share `P` shall be right, on texts like these and with 95 % certainty. The
//!   threshold is found by selection with guaranteed risk
//!   ([Geifman and El-Yaniv 2017](https://arxiv.org/abs/1705.08500)): a search by halves over the number of answers, which
//!   takes a threshold only if the one-sided bound of Clopper and Pearson for its precision reaches `P`. The bounds share
//!   the 5 % between them, one part for each step that the search can take.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

use crate::interval::wilson;
use crate::predictions::confidence;
use crate::{Estimate, EvaluateError, Predictions};

/// How often a promised precision may not hold.
const DOUBT: f64 = 0.05;

/// What an abstention is for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// The least cost, where a text for a person costs this share of a wrong answer.
    Cost(f64),
    /// At least this share of the answers is right.
    Precision(f64),
}

impl Aim {
    /// Refuses a number that is no aim.
    ///
    /// # Errors
    /// A cost or a precision that is not above 0 and below 1.
    pub fn check(self) -> Result<(), EvaluateError> {
        let (Self::Cost(number) | Self::Precision(number)) = self;
        if number > 0.0 && number < 1.0 {
            return Ok(());
        }
        let what = if matches!(self, Self::Cost(_)) { "the cost of a text for a person" } else { "a precision" };
        Err(EvaluateError::Option(format!("{what} must be above 0 and below 1, not {number}")))
    }
}

/// The threshold of a model, and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Abstention {
    /// An answer is given from this confidence on; without one, none is.
    pub least_confidence: Option<f64>,
    /// What the threshold is for.
    pub aim: Aim,
}

impl Abstention {
    /// The threshold for an aim, by texts that the model has not learnt from.
    ///
    /// # Errors
    /// See [`Aim::check`].
    pub fn fit(predictions: &Predictions, aim: Aim) -> Result<Self, EvaluateError> {
        aim.check()?;
        let curve = RiskCoverage::new(predictions);
        let answers = match aim {
            Aim::Cost(cost) => curve.cheapest(cost),
            Aim::Precision(precision) => curve.precise(precision),
        };
        let least_confidence = match answers {
            None => None,
            // Whoever answers all of these texts answers any.
            Some(last) if last.answered == curve.texts => Some(0.0),
            Some(last) => Some(last.confidence),
        };
        Ok(Self { least_confidence, aim })
    }

    /// Whether the text that these probabilities are about is left to a person.
    pub fn abstains(&self, probabilities: &[f32], multi_label: bool) -> bool {
        self.least_confidence.is_none_or(|least| confidence(probabilities, multi_label) < least)
    }

    /// How many texts are answered, and how many of these rightly.
    pub fn outcome(&self, predictions: &Predictions) -> Answered {
        let answers = |row: &usize| !self.abstains(predictions.row(*row), predictions.is_multi_label());
        let answered: Vec<usize> = (0..predictions.rows()).filter(answers).collect();
        let right = answered.iter().filter(|&&row| predictions.is_right(row)).count();
        Answered { texts: predictions.rows(), answered: answered.len(), right }
    }
}

/// What became of texts where some go to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// All of them.
    pub texts: usize,
    /// How many were answered.
    pub answered: usize,
    /// How many of these rightly.
    pub right: usize,
}

impl Answered {
    /// The share of the texts that is answered, with Wilson's interval of 95 %.
    pub fn coverage(&self) -> Estimate {
        wilson(self.answered as f64 / self.texts as f64, self.texts, 0.95)
    }

    /// The share of the answers that is right, with Wilson's interval of 95 %; none without answers.
    pub fn precision(&self) -> Option<Estimate> {
        Estimate::of_share(self.right, self.answered, 0.95)
    }

    /// One sentence.
    pub fn told(&self) -> String {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let Some(precision) = self.precision() else { return "answers none of the texts, all go to a person".into() };
        let Estimate { value, low, high } = precision;
        let answered = self.coverage().value;
        format!(
            "answers {} of the texts at {} precision ({} to {}), {} go to a person",
            percent(answered),
            percent(value),
            percent(low),
            percent(high),
            percent(1.0 - answered)
        )
    }
}

/// Where some number of the surest answers are given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// The confidence of the least sure of them.
    pub confidence: f64,
    /// How many they are.
    pub answered: usize,
    /// How many of them are right.
    pub right: usize,
}

/// How many answers are wrong when only the surest are given: a point for each threshold that makes a difference, the
/// highest first ([El-Yaniv and Wiener 2010](https://jmlr.org/papers/v11/el-yaniv10a.html)).
#[derive(Debug, Clone, PartialEq)]
pub struct RiskCoverage {
    texts: usize,
    points: Vec<Point>,
}

impl RiskCoverage {
    /// The curve of all rows.
    pub fn new(predictions: &Predictions) -> Self {
        let texts = predictions.rows();
        let mut decisions: Vec<(f64, bool)> =
            (0..texts).map(|row| (predictions.confidence(row), predictions.is_right(row))).collect();
        decisions.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut points, mut answered, mut right) = (Vec::new(), 0, 0);
        for equals in decisions.chunk_by(|a, b| a.0 == b.0) {
            answered += equals.len();
            right += equals.iter().filter(|(_, right)| *right).count();
            points.push(Point { confidence: equals[0].0, answered, right });
        }
        Self { texts, points }
    }

    /// Share of the texts that is answered, and share of these answers that is wrong, from the highest threshold on.
    pub fn shares(&self) -> Vec<(f64, f64)> {
        let share = |point: &Point| {
            let answered = point.answered as f64;
            (answered / self.texts as f64, 1.0 - point.right as f64 / answered)
        };
        self.points.iter().map(share).collect()
    }

    fn cheapest(&self, cost: f64) -> Option<Point> {
        let of = |point: &Point| (point.answered - point.right) as f64 + cost * (self.texts - point.answered) as f64;
        // `min_by` keeps the first of equals, which from behind is the lowest threshold.
        let best = self.points.iter().rev().min_by(|a, b| of(a).total_cmp(&of(b)))?;
        (of(best) <= cost * self.texts as f64).then_some(*best)
    }

    fn precise(&self, precision: f64) -> Option<Point> {
        let steps = (self.points.len() + 1).next_power_of_two().trailing_zeros();
        let doubt = DOUBT / f64::from(steps.max(1));
        let (mut low, mut high) = (0, self.points.len() + 1);
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            let Point { answered, right, .. } = self.points[middle - 1];
            let end = if least_share(right, answered, doubt) >= precision { &mut low } else { &mut high };
            *end = middle;
        }
        low.checked_sub(1).map(|last| self.points[last])
    }
}

/// The one-sided lower bound of Clopper and Pearson (1934) for a share of which `right` of `n` were seen; it is above the
/// true share in at most the share `doubt` of such cases.
fn least_share(right: usize, n: usize, doubt: f64) -> f64 {
    if right == 0 {
        return 0.0;
    }
    let beta = Beta::new(right as f64, (n - right) as f64 + 1.0).expect("both numbers are above zero");
    beta.inverse_cdf(doubt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Truth;
    use crate::random::SplitMix64;

    /// Answers of class 0 with these confidences, of which some are right.
    fn answers(decisions: &[(f32, bool)]) -> Predictions {
        let truth = decisions.iter().map(|(_, right)| usize::from(!right)).collect();
        let probabilities = decisions.iter().flat_map(|&(p, _)| [p, 1.0 - p]).collect();
        Predictions::new(vec!["a".into(), "b".into()], Truth::Single(truth), probabilities).expect("valid")
    }

    fn fit(decisions: &[(f32, bool)], aim: Aim) -> Option<f64> {
        Abstention::fit(&answers(decisions), aim).expect("an aim").least_confidence
    }

    /// Values of `scipy.stats.beta.ppf(doubt, right, n - right + 1)`.
    #[test]
    fn the_bound_is_the_one_of_clopper_and_pearson() {
        let cases = [(97, 100, 0.05, 0.924_289_206_3), (50, 50, 0.05, 0.941_844_920_9), (1, 20, 0.01, 0.000_502_390_6)];
        for (right, n, doubt, expected) in cases {
            let bound = least_share(right, n, doubt);
            assert!((bound - expected).abs() < 1e-8, "{right} of {n}: {bound}, not {expected}");
        }
        assert_eq!(least_share(0, 7, 0.05), 0.0);
    }

    #[test]
    fn the_cheapest_threshold_by_hand() {
        let decisions = [(0.99, true), (0.9, true), (0.8, false), (0.7, true), (0.6, false)];
        // Costs of 0.4 a text: 1.2 with two answers, 1.8 with four, 2 with all.
        assert_eq!(fit(&decisions, Aim::Cost(0.4)), Some(f64::from(0.9_f32)));
        // 0.9 each: 2.7 with two, 1.9 with four, 2 with all.
        assert_eq!(fit(&decisions, Aim::Cost(0.9)), Some(f64::from(0.7_f32)));
        assert_eq!(fit(&[(0.9, true), (0.8, true)], Aim::Cost(0.5)), Some(0.0), "all are right");
        assert_eq!(fit(&[(0.9, false), (0.8, false)], Aim::Cost(0.5)), None, "none is right");
        assert_eq!(fit(&[(0.9, true), (0.9, false)], Aim::Cost(0.5)), Some(0.0), "of equals the lowest");
    }

    #[test]
    fn a_precision_takes_enough_right_answers() {
        let all_right = |n| vec![(0.9_f32, true); n];
        assert_eq!(fit(&all_right(20), Aim::Precision(0.95)), None, "one chance in three of 20 right at 95 %");
        assert_eq!(fit(&all_right(200), Aim::Precision(0.95)), Some(0.0));
        let sure = (0..400).map(|i| (0.99 - 0.0001 * i as f32, i != 7));
        let unsure = (0..100).map(|i| (0.8 - 0.001 * i as f32, i % 2 == 0));
        let decisions: Vec<(f32, bool)> = sure.chain(unsure).collect();
        let abstention = Abstention::fit(&answers(&decisions), Aim::Precision(0.95)).expect("an aim");
        let outcome = abstention.outcome(&answers(&decisions));
        assert!((390..430).contains(&outcome.answered), "{outcome:?}");
        assert!(abstention.abstains(&[0.29, 0.71], false) && !abstention.abstains(&[0.98, 0.02], false));
        assert!(abstention.abstains(&[0.98, 0.3], true), "as sure as the least certain decision");
    }

    #[test]
    fn a_promised_precision_is_broken_in_fewer_than_one_case_of_twenty() {
        let mut random = SplitMix64::new(3);
        let mut uniform = || random.below(1 << 20) as f64 / f64::from(1 << 20);
        // The chance to be right is the confidence squared, so that above a threshold t it is (1 + t + t²) / 3.
        let (mut kept, mut answering) = (0, 0);
        for _ in 0..300 {
            let decisions: Vec<(f32, bool)> = (0..1_000)
                .map(|_| {
                    let p = uniform();
                    (0.5 + p as f32 / 2.0, uniform() < p * p)
                })
                .collect();
            if let Some(least) = fit(&decisions, Aim::Precision(0.75)) {
                let t = (2.0 * least - 1.0).max(0.0);
                kept += usize::from((1.0 + t + t * t) / 3.0 >= 0.75);
                answering += 1;
            }
        }
        assert!(answering > 150 && kept * 20 >= answering * 19, "{kept} of {answering}");
    }

    #[test]
    fn what_is_no_aim_is_refused() {
        for aim in [Aim::Cost(0.0), Aim::Cost(1.0), Aim::Precision(f64::NAN), Aim::Precision(-0.5)] {
            assert!(Abstention::fit(&answers(&[(0.9, true)]), aim).is_err(), "{aim:?} was accepted");
        }
    }

    #[test]
    fn an_outcome_is_told_in_a_sentence() {
        let outcome = Answered { texts: 100, answered: 92, right: 89 };
        assert_eq!(
            outcome.told(),
            "answers 92.0 % of the texts at 96.7 % precision (90.8 % to 98.9 %), 8.0 % go to a person"
        );
        assert!(Answered { texts: 3, answered: 0, right: 0 }.told().ends_with("all go to a person"));
    }
}
