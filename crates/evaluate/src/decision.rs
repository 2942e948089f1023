//! Rules that move probabilities before a decision is read from them.
//!
//! A rule is one number for each class, its offset `o_c`, which is added on the logarithmic scale:
//!
//! ```text
//! one class for a text       p′(c) = p(c) · exp(o_c) / Σ_k p(k) · exp(o_k)
//! several labels for a text  logit p′(c) = logit p(c) + o_c
//! ```
//!
//! The result is probabilities again, so everything behind a rule (the most probable class, a label from one half on,
//! confidences, metrics) stays as it is. There are two ways to a rule:
//!
//! * **Another prior.** A model learns the class shares `π` of its training texts along with everything else. Where it is
//!   asked about texts with the shares `q`, Bayes' rule says `p′(c) ∝ p(c) · q(c) / π(c)`
//!   ([Saerens, Latinne and Decaestecker 2002](https://doi.org/10.1162/089976602753284446)). [`DecisionRule::prior`] is
//!   that rule, and [`estimate_prior`] finds `q` from unlabelled texts by the EM algorithm of the same paper.
//! * **A metric.** [`DecisionRule::fit`] searches the offsets that make a metric best on labelled texts that the model was
//!   not trained on. Few texts invite chance finds, so an offset has its price; see there.

use serde::{Deserialize, Serialize};

use crate::{EvaluateError, Metric, Predictions, Truth};

/// The greatest offset that a fit tries, in steps of [`STEP`]: `e⁵` is about 150, which turns a share of one row in 150
/// into an even chance.
const STEPS: i32 = 50;

/// Distance between two offsets that a fit tries: about the least change of odds, 10 %, that is worth having.
const STEP: f64 = 0.1;

/// Moves after which a fit stops in any case.
const MOVES: usize = 50;

/// Less than this is no gain but rounding.
const LEAST_GAIN: f64 = 1e-9;

/// An offset for each class; see the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct DecisionRule {
    offsets: Vec<f64>,
}

/// A rule as a file has it, before it is believed.
#[derive(Deserialize)]
struct Written {
    offsets: Vec<f64>,
}

impl TryFrom<Written> for DecisionRule {
    type Error = EvaluateError;

    fn try_from(written: Written) -> Result<Self, EvaluateError> {
        Self::new(written.offsets)
    }
}

impl DecisionRule {
    /// The rule with these offsets, one for each class in the model's order.
    ///
    /// # Errors
    /// An offset that is not finite.
    pub fn new(offsets: Vec<f64>) -> Result<Self, EvaluateError> {
        match offsets.iter().find(|offset| !offset.is_finite()) {
            Some(offset) => Err(EvaluateError::Option(format!("{offset} is no offset of a decision rule"))),
            None => Ok(Self { offsets }),
        }
    }

    /// Turns the answers of a model that was trained on texts with the class shares `training` into those for texts with
    /// the shares `target`. Both have one number above zero for each class; only their proportions count.
    ///
    /// # Errors
    /// Shares of another number of classes, or a share that is not above zero.
    pub fn prior(training: &[f64], target: &[f64]) -> Result<Self, EvaluateError> {
        let (training, target) = (shares(training, target.len())?, shares(target, training.len())?);
        Self::new(training.iter().zip(&target).map(|(from, to)| (to / from).ln()).collect())
    }

    /// The offsets that make `metric` best on `predictions`, which should be about texts that the model has not learnt
    /// from: a validation set, or predictions across folds.
    ///
    /// The search is deterministic. It starts at zero, and each move changes the offset of one class while the others stay:
    /// of all offsets of all classes, from −5 to 5 in steps of 0.1, the best is taken, until none is better than what there
    /// is. Where each text has one class only differences between offsets matter, so the most frequent class keeps zero.
    ///
    /// What it makes best is not the metric `M` alone but `M − Σ_c |o_c| / (C · n_c)` for `C` classes with `n_c` rows, `M`
    /// counted negatively if less is better. Of balanced recall one row of class `c` is worth `1 / (C · n_c)`, so to move
    /// the odds of a class by a factor of `e` has to win more than one of its rows. This shrinks all offsets towards zero,
    /// those of rare classes most; of offsets that do the same the smallest is taken; and a class without rows keeps zero.
    ///
    /// # Errors
    /// A metric that has no value on these predictions.
    pub fn fit(predictions: &Predictions, metric: &Metric) -> Result<Self, EvaluateError> {
        let rows: Vec<usize> = (0..predictions.classes()).map(|class| rows_of(predictions.truth(), class)).collect();
        // Of equally frequent classes the first.
        let most = rows.iter().copied().max();
        let reference = rows.iter().position(|&n| Some(n) == most).filter(|_| !predictions.is_multi_label());
        let free: Vec<usize> = (0..rows.len()).filter(|&class| rows[class] > 0 && Some(class) != reference).collect();
        let prices: Vec<f64> = rows.iter().map(|&n| 1.0 / (rows.len() * n.max(1)) as f64).collect();
        let mut search =
            Search { predictions, metric, prices, rule: Self { offsets: vec![0.0; rows.len()] }, worth: 0.0 };
        search.worth = search.worth_of(&search.rule)?;
        for _ in 0..MOVES {
            if !search.moves(&free)? {
                break;
            }
        }
        Ok(search.rule)
    }

    /// The offset of each class.
    pub fn offsets(&self) -> &[f64] {
        &self.offsets
    }

    /// Moves row-major probabilities `[n, C]`: rows that add up to one and still do so afterwards, or with `multi_label`
    /// independent probabilities.
    ///
    /// # Panics
    /// When the numbers do not fill rows of `C` classes.
    pub fn apply(&self, probabilities: &mut [f32], multi_label: bool) {
        let (numbers, classes) = (probabilities.len(), self.offsets.len());
        assert!(numbers.is_multiple_of(classes), "{numbers} probabilities do not fill rows of {classes} classes");
        for row in probabilities.chunks_exact_mut(classes) {
            if multi_label { self.move_independent(row) } else { self.move_exclusive(row) }
        }
    }

    fn move_exclusive(&self, row: &mut [f32]) {
        let moved = row.iter().zip(&self.offsets).map(|(&p, offset)| f64::from(p).max(0.0).ln() + offset);
        let moved: Vec<f64> = moved.collect();
        let top = moved.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = moved.iter().map(|value| (value - top).exp()).sum();
        row.iter_mut().zip(moved).for_each(|(p, value)| *p = ((value - top).exp() / sum) as f32);
    }

    fn move_independent(&self, row: &mut [f32]) {
        for (p, offset) in row.iter_mut().zip(&self.offsets) {
            let old = f64::from(*p).clamp(0.0, 1.0);
            let logit = (old / (1.0 - old)).ln() + offset;
            *p = (1.0 / (1.0 + (-logit).exp())) as f32;
        }
    }

    /// The predictions with moved probabilities.
    ///
    /// # Panics
    /// When the rule is about another number of classes.
    pub fn applied(&self, predictions: &Predictions) -> Predictions {
        assert_eq!(predictions.classes(), self.offsets.len(), "a rule about other classes");
        let mut probabilities = predictions.probabilities().to_vec();
        self.apply(&mut probabilities, predictions.is_multi_label());
        predictions.with_probabilities(probabilities)
    }
}

/// The class shares of the texts that `probabilities` are about, by EM from the answers of a model that was trained on
/// texts with the shares `training`.
///
/// `probabilities` is row-major `[n, C]`, each row adding up to one. Each step takes the mean over the texts of
/// `p(c) · q(c) / π(c)`, normalised within each text, as the new `q`; it starts at `q = π` and ends when no share changes by
/// more than a millionth, or after a thousand steps.
///
/// # Errors
/// No probabilities, or not whole rows of them; a share that is not above zero.
pub fn estimate_prior(probabilities: &[f32], training: &[f64]) -> Result<Vec<f64>, EvaluateError> {
    let classes = training.len();
    let training = shares(training, classes)?;
    if probabilities.is_empty() {
        return Err(EvaluateError::Empty);
    }
    if !probabilities.len().is_multiple_of(classes) {
        let rows = probabilities.len().div_ceil(classes);
        return Err(EvaluateError::Shape { found: probabilities.len(), rows, classes });
    }
    let mut target = training.clone();
    for _ in 0..1000 {
        let next = expected_shares(probabilities, &training, &target);
        let change = target.iter().zip(&next).map(|(old, new)| (old - new).abs()).fold(0.0, f64::max);
        target = next;
        if change <= 1e-6 {
            break;
        }
    }
    Ok(target)
}

/// One step of EM: the mean of the corrected probabilities.
fn expected_shares(probabilities: &[f32], training: &[f64], target: &[f64]) -> Vec<f64> {
    let classes = training.len();
    let mut sums = vec![0.0; classes];
    for row in probabilities.chunks_exact(classes) {
        let corrected = |class: usize| f64::from(row[class]) * target[class] / training[class];
        let total: f64 = (0..classes).map(corrected).sum();
        (0..classes).for_each(|class| sums[class] += corrected(class) / total);
    }
    let rows = (probabilities.len() / classes) as f64;
    sums.into_iter().map(|sum| sum / rows).collect()
}

/// Shares that add up to one, from numbers in their proportion.
fn shares(numbers: &[f64], classes: usize) -> Result<Vec<f64>, EvaluateError> {
    if numbers.len() != classes {
        let problem = format!("{} class shares are given for {classes} classes", numbers.len());
        return Err(EvaluateError::Option(problem));
    }
    if let Some(class) = numbers.iter().position(|share| !(share.is_finite() && *share > 0.0)) {
        let problem = format!("the share of class {class} is {}, it must be above zero", numbers[class]);
        return Err(EvaluateError::Option(problem));
    }
    let sum: f64 = numbers.iter().sum();
    Ok(numbers.iter().map(|number| number / sum).collect())
}

fn rows_of(truth: &Truth, class: usize) -> usize {
    (0..truth.len()).filter(|&row| truth.contains(row, class)).count()
}

/// A fit on its way: the best rule so far, and what it is worth.
struct Search<'p> {
    predictions: &'p Predictions,
    metric: &'p Metric,
    /// What a nat of each class's offset must win.
    prices: Vec<f64>,
    rule: DecisionRule,
    worth: f64,
}

impl Search<'_> {
    fn worth_of(&self, rule: &DecisionRule) -> Result<f64, EvaluateError> {
        let value = self.metric.compute(&rule.applied(self.predictions))?;
        let price: f64 = rule.offsets.iter().zip(&self.prices).map(|(offset, price)| offset.abs() * price).sum();
        Ok(if self.metric.higher_is_better() { value } else { -value } - price)
    }

    /// Makes the best move, and says whether there was one. The smallest offsets are tried first, so that of equals one of
    /// them is taken.
    fn moves(&mut self, free: &[usize]) -> Result<bool, EvaluateError> {
        let (start, before) = (self.rule.clone(), self.worth);
        for &class in free {
            let mut trial = start.clone();
            for offset in (0..=STEPS).flat_map(|step| [f64::from(step) * STEP, f64::from(-step) * STEP]) {
                trial.offsets[class] = offset;
                let worth = self.worth_of(&trial)?;
                if worth > self.worth + LEAST_GAIN {
                    self.worth = worth;
                    self.rule = trial.clone();
                }
            }
        }
        Ok(self.worth > before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(truth: Truth, probabilities: &[f32], classes: usize) -> Predictions {
        let labels = (0..classes).map(|class| format!("c{class}")).collect();
        Predictions::new(labels, truth, probabilities.to_vec()).expect("valid")
    }

    fn rule(offsets: &[f64]) -> DecisionRule {
        DecisionRule::new(offsets.to_vec()).expect("finite")
    }

    #[test]
    fn another_prior_by_hand() {
        // Odds of 3 to 1 from a training of 9 to 1 are odds of 1 to 3 from an even one.
        let even = DecisionRule::prior(&[90.0, 10.0], &[1.0, 1.0]).expect("shares");
        let mut row = [0.75, 0.25];
        even.apply(&mut row, false);
        assert!((row[0] - 0.25).abs() < 1e-7 && (row[1] - 0.75).abs() < 1e-7, "{row:?}");
        let same = DecisionRule::prior(&[0.2, 0.8], &[1.0, 4.0]).expect("shares");
        assert!(same.offsets().iter().all(|offset| offset.abs() < 1e-12), "{same:?}");
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        let refused = |training: &[f64], target: &[f64]| DecisionRule::prior(training, target).unwrap_err().to_string();
        assert_eq!(refused(&[1.0, 0.0], &[1.0, 1.0]), "the share of class 1 is 0, it must be above zero");
        assert_eq!(refused(&[1.0, 1.0], &[1.0, 1.0, 1.0]), "2 class shares are given for 3 classes");
        assert!(estimate_prior(&[], &[0.5, 0.5]) == Err(EvaluateError::Empty));
        assert!(matches!(estimate_prior(&[0.5; 3], &[0.5, 0.5]), Err(EvaluateError::Shape { .. })));
    }

    #[test]
    fn certainties_and_huge_offsets_stay_probabilities() {
        let mut row = [1.0, 0.0, 0.0];
        rule(&[-900.0, 900.0, 0.0]).apply(&mut row, false);
        assert_eq!(row, [1.0, 0.0, 0.0]);
        let mut row = [1e-30, 1.0];
        rule(&[900.0, 0.0]).apply(&mut row, false);
        assert_eq!(row, [1.0, 0.0]);
        let mut labels = [0.0, 1.0, 0.5];
        rule(&[900.0, -900.0, -900.0]).apply(&mut labels, true);
        assert_eq!(labels, [0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_threshold_moves_to_one_half() {
        // Odds of 1 to 4 times four are even.
        let mut labels = [0.2, 0.9];
        rule(&[4.0_f64.ln(), 0.0]).apply(&mut labels, true);
        assert!((labels[0] - 0.5).abs() < 1e-6 && (labels[1] - 0.9).abs() < 1e-6, "{labels:?}");
    }

    #[test]
    fn a_rule_survives_its_file_and_a_damaged_one_is_refused() {
        let text = serde_json::to_string(&rule(&[0.0, 1.5])).expect("JSON");
        assert_eq!(text, r#"{"offsets":[0.0,1.5]}"#);
        assert_eq!(serde_json::from_str::<DecisionRule>(&text).expect("a rule"), rule(&[0.0, 1.5]));
        assert!(serde_json::from_str::<DecisionRule>(r#"{"offsets":[0, null]}"#).is_err());
        assert!(serde_json::from_str::<DecisionRule>(r#"{"offsets":[0, 1e999]}"#).is_err());
    }

    /// Twenty rows of class 0, sure of it, and `rare` of class 1, which the model gives 0.3.
    fn timid(rare: usize) -> Predictions {
        let truth = [vec![0; 20], vec![1; rare]].concat();
        let probabilities = [[0.95, 0.05].repeat(20), [0.7, 0.3].repeat(rare)].concat();
        predictions(Truth::Single(truth), &probabilities, 2)
    }

    #[test]
    fn a_fit_finds_the_smallest_offset_that_gives_a_rare_class_its_rows() {
        let fitted = DecisionRule::fit(&timid(4), &Metric::default()).expect("fits");
        // ln(0.7 / 0.3) is 0.847; 0.9 is the first step beyond.
        assert_eq!(fitted.offsets(), [0.0, 9.0 * STEP]);
        let after = fitted.applied(&timid(4));
        assert_eq!(Metric::default().compute(&after), Ok(1.0));
    }

    #[test]
    fn what_only_chance_could_have_found_is_left_alone() {
        // To call the one row of class 1 by its name takes an offset of 2.2 nats, at a price of half a unit each.
        let truth = [vec![0; 20], vec![1]].concat();
        let probabilities = [[0.95, 0.05].repeat(20), vec![0.9, 0.1]].concat();
        let one = predictions(Truth::Single(truth), &probabilities, 2);
        assert_eq!(DecisionRule::fit(&one, &Metric::default()).expect("fits").offsets(), [0.0, 0.0]);
        // And where nothing is wrong there is nothing to move.
        let right = predictions(Truth::Single(vec![0, 1, 2]), &[0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1, 0.8], 3);
        assert_eq!(DecisionRule::fit(&right, &Metric::default()).expect("fits").offsets(), [0.0; 3]);
    }

    #[test]
    fn the_first_class_that_helps_is_not_always_the_one_to_move() {
        // A model that takes everything for class 1: more of class 0 would help, less of class 1 helps more.
        let truth = [vec![0; 8], vec![1; 2], vec![2; 10]].concat();
        let rows = [[0.36, 0.40, 0.24].repeat(8), [0.1, 0.8, 0.1].repeat(2), [0.30, 0.38, 0.32].repeat(10)].concat();
        let biased = predictions(Truth::Single(truth), &rows, 3);
        let fitted = DecisionRule::fit(&biased, &Metric::default()).expect("fits");
        assert_eq!(fitted.offsets(), [0.0, -2.0 * STEP, 0.0]);
        assert_eq!(Metric::default().compute(&fitted.applied(&biased)), Ok(1.0));
    }

    #[test]
    fn a_class_without_rows_keeps_its_probability() {
        let none = predictions(Truth::Single(vec![0, 0, 1, 1]), &[0.2, 0.1, 0.7].repeat(4), 3);
        assert_eq!(DecisionRule::fit(&none, &Metric::default()).expect("fits").offsets()[2], 0.0);
    }

    #[test]
    fn labels_have_a_threshold_each() {
        let truth = Truth::Multi([vec![vec![0]; 10], vec![vec![1]; 10]].concat());
        let many = predictions(truth, &[[0.9, 0.1].repeat(10), [0.7, 0.3].repeat(10)].concat(), 2);
        let fitted = DecisionRule::fit(&many, &Metric::default()).expect("fits");
        assert_eq!(Metric::default().compute(&fitted.applied(&many)), Ok(1.0));
        assert_eq!(fitted.offsets(), [-9.0 * STEP, 9.0 * STEP]);
    }
}
