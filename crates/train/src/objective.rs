//! From classes to what the loss compares the logits with.

use std::collections::BTreeMap;

use finetone_backend::{Loss, Real, Targets};
use finetone_data::{LabelSet, Target};
use finetone_model::Output;

use crate::choices::{ClassWeights, WeightRule};
use crate::error::TrainError;
use crate::run_config::RunConfig;

/// The loss of a run, and the targets of its batches.
pub struct Objective {
    output: Output,
    loss: Loss,
    classes: Vec<u32>,
    binary: Vec<f32>,
}

impl Objective {
    /// The loss by the settings; `counts` are the training texts of each class.
    ///
    /// # Errors
    /// Class weights that name an unknown label, or with a single logit.
    pub fn new(config: &RunConfig, output: Output, labels: &LabelSet, counts: &[usize]) -> Result<Self, TrainError> {
        let class_weights = class_weights(config, labels, counts)?;
        if output == Output::OneLogit && class_weights.is_some() {
            return Err(TrainError::Setting {
                problem: "class weights need a logit for each class".into(),
                hint: "leave out `output=one-logit` or `class_weights`".into(),
            });
        }
        let loss = Loss {
            classes: if output == Output::OneLogit { 1 } else { labels.len() },
            smoothing: config.label_smoothing,
            class_weights,
            focal_gamma: config.focal_gamma,
            normaliser: 1.0,
        };
        Ok(Self { output, loss, classes: Vec::new(), binary: Vec::new() })
    }

    /// How much each class weighs in the loss.
    pub fn class_weights(&self) -> Option<&[f64]> {
        self.loss.class_weights.as_deref()
    }

    /// What the losses of these texts are divided by to give their mean: as PyTorch's reductions, the sum of the texts'
    /// class weights, or the number of yes/no answers.
    pub fn weight<'t>(&self, targets: impl Iterator<Item = &'t Target>) -> f64 {
        match (self.output, &self.loss.class_weights) {
            (Output::Softmax, Some(weights)) => targets.filter_map(Target::first).map(|class| weights[class]).sum(),
            (Output::Softmax, None) => targets.count() as f64,
            (Output::OneLogit | Output::MultiLabel, _) => (targets.count() * self.loss.classes) as f64,
        }
    }

    /// How these logits, row-major `[T, W]`, judge the texts that [`Self::of`] was last given.
    pub fn judge<R: Real>(&self, logits: &[R]) -> Judgement {
        match self.output {
            Output::Softmax => {
                let rows = logits.chunks_exact(self.loss.classes).zip(&self.classes);
                rows.map(|(row, &class)| Judgement::of_class(row, class as usize)).sum()
            }
            Output::OneLogit | Output::MultiLabel => logits
                .iter()
                .zip(&self.binary)
                .map(|(&logit, &yes)| Judgement::of_yes(Real::to_f64(logit), yes > 0.5))
                .sum(),
        }
    }

    /// Loss and targets of a group of texts within a batch of this total weight.
    pub fn of<'t>(&mut self, targets: impl Iterator<Item = &'t Target>, weight: f64) -> (&Loss, Targets<'_>) {
        self.loss.normaliser = weight;
        self.classes.clear();
        self.binary.clear();
        match self.output {
            Output::Softmax => {
                self.classes.extend(targets.filter_map(Target::first).map(|class| class as u32));
                (&self.loss, Targets::Classes(&self.classes))
            }
            Output::OneLogit => {
                self.binary.extend(targets.filter_map(Target::first).map(|class| class as f32));
                (&self.loss, Targets::Binary(&self.binary))
            }
            Output::MultiLabel => {
                for target in targets {
                    let row = self.binary.len();
                    self.binary.resize(row + self.loss.classes, 0.0);
                    target.classes().iter().for_each(|&class| self.binary[row + class] = 1.0);
                }
                (&self.loss, Targets::Binary(&self.binary))
            }
        }
    }
}

/// How a model judges some labels: each text's class, or each yes and no where a text may have several.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Judgement {
    /// Labels judged.
    pub labels: usize,
    /// How many of them the model thinks likeliest.
    pub right: usize,
    /// Sum of the entropies of the probabilities it gives them, in nats.
    pub entropy: f64,
}

impl Judgement {
    fn of_class<R: Real>(logits: &[R], class: usize) -> Self {
        let greatest = (0..logits.len()).max_by(|&a, &b| Real::to_f64(logits[a]).total_cmp(&Real::to_f64(logits[b])));
        let top = greatest.map_or(0.0, |likeliest| Real::to_f64(logits[likeliest]));
        let shifted = || logits.iter().map(|&logit| Real::to_f64(logit) - top);
        let sum: f64 = shifted().map(f64::exp).sum();
        // With p = exp(x) / s, the entropy is log s less the mean of x.
        let entropy = sum.ln() - shifted().map(|x| x * x.exp()).sum::<f64>() / sum;
        Self { labels: 1, right: usize::from(greatest == Some(class)), entropy }
    }

    fn of_yes(logit: f64, yes: bool) -> Self {
        Self { right: usize::from((logit > 0.0) == yes), ..Self::of_class(&[0.0, logit], 0) }
    }
}

impl std::ops::Add for Judgement {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        let Self { labels, right, entropy } = more;
        Self { labels: self.labels + labels, right: self.right + right, entropy: self.entropy + entropy }
    }
}

impl std::iter::Sum for Judgement {
    fn sum<I: Iterator<Item = Self>>(judgements: I) -> Self {
        judgements.fold(Self::default(), std::ops::Add::add)
    }
}

fn class_weights(config: &RunConfig, labels: &LabelSet, counts: &[usize]) -> Result<Option<Vec<f64>>, TrainError> {
    match &config.class_weights {
        ClassWeights::Named(rule) => Ok(by_rule(*rule, config.effective_beta, counts)),
        ClassWeights::Given(weights) => by_label("class_weights", weights, labels).map(Some),
    }
}

/// The numbers that a setting gives to labels, in the order of the classes; 1 for a label that it does not name.
///
/// # Errors
/// A name that is no label.
pub fn by_label(setting: &str, given: &BTreeMap<String, f64>, labels: &LabelSet) -> Result<Vec<f64>, TrainError> {
    if let Some(unknown) = given.keys().find(|name| labels.class(name).is_none()) {
        return Err(TrainError::Setting {
            problem: format!("`{setting}` names `{unknown}`, which is not in the label set"),
            hint: format!("known labels: {}", labels.listing()),
        });
    }
    let of = |name: &String| given.iter().find(|(given, _)| labels.class(given) == labels.class(name));
    Ok(labels.names().iter().map(|name| of(name).map_or(1.0, |(_, number)| *number)).collect())
}

/// Weights by how many rows each class has, with a mean of 1 over the rows; `None` for a plain loss. A class without rows
/// has the weight of a class with one.
fn by_rule(rule: WeightRule, beta: f64, counts: &[usize]) -> Option<Vec<f64>> {
    let relative = |n: f64| match rule {
        WeightRule::None => 1.0,
        WeightRule::Balanced => 1.0 / n,
        WeightRule::RootInverse => 1.0 / n.sqrt(),
        WeightRule::EffectiveNumber => (1.0 - beta) / (1.0 - beta.powf(n)),
    };
    let weights: Vec<f64> = counts.iter().map(|&n| relative(n.max(1) as f64)).collect();
    let rows: f64 = counts.iter().sum::<usize>() as f64;
    let sum: f64 = counts.iter().zip(&weights).map(|(&n, weight)| n as f64 * weight).sum();
    (rule != WeightRule::None).then(|| weights.iter().map(|weight| weight * rows / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> LabelSet {
        LabelSet::from_names(["negative", "neutral", "positive"])
    }

    fn weights(rule: WeightRule, effective_beta: f64, counts: &[usize]) -> Vec<f64> {
        let config = RunConfig { class_weights: ClassWeights::Named(rule), effective_beta, ..Default::default() };
        class_weights(&config, &labels(), counts).unwrap().unwrap()
    }

    fn close(weights: &[f64], expected: [f64; 3]) {
        for (weight, expected) in weights.iter().zip(expected) {
            assert!((weight - expected).abs() < 1e-12, "{weights:?}, expected {expected}");
        }
    }

    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        let balanced = weights(WeightRule::Balanced, 0.999, &[50, 30, 20]);
        close(&balanced, [100.0 / 150.0, 100.0 / 90.0, 100.0 / 60.0]);
    }

    #[test]
    fn roots_and_effective_numbers_by_hand() {
        // Relative weights 1/8, 1/4, 1 over 64, 16 and 1 rows: their sum over the rows is 8 + 4 + 1.
        close(&weights(WeightRule::RootInverse, 0.0, &[64, 16, 1]), [81.0 / 104.0, 81.0 / 52.0, 81.0 / 13.0]);
        // With β = 1/2 the effective numbers of 3, 2 and 1 rows are 7/4, 3/2 and 1.
        let sum = 3.0 * 4.0 / 7.0 + 2.0 * 2.0 / 3.0 + 1.0;
        let effective = weights(WeightRule::EffectiveNumber, 0.5, &[3, 2, 1]);
        close(&effective, [6.0 / sum * 4.0 / 7.0, 6.0 / sum * 2.0 / 3.0, 6.0 / sum]);
    }

    #[test]
    fn effective_numbers_lie_between_no_weights_and_balanced_ones() {
        let counts = [542, 411, 17];
        close(&weights(WeightRule::EffectiveNumber, 0.0, &counts), [1.0; 3]);
        let (near, balanced) =
            (weights(WeightRule::EffectiveNumber, 1.0 - 1e-9, &counts), weights(WeightRule::Balanced, 0.0, &counts));
        near.iter().zip(balanced).for_each(|(near, balanced)| assert!((near / balanced - 1.0).abs() < 1e-4));
    }

    #[test]
    fn every_rule_has_a_mean_of_one_over_the_rows_and_survives_an_empty_class() {
        for rule in [WeightRule::Balanced, WeightRule::RootInverse, WeightRule::EffectiveNumber] {
            let weights = weights(rule, 0.999, &[500, 20, 0]);
            assert!(((500.0 * weights[0] + 20.0 * weights[1]) / 520.0 - 1.0).abs() < 1e-12, "{rule:?}");
            assert!(weights[0] < weights[1] && weights[1] < weights[2] && weights[2].is_finite(), "{rule:?}");
        }
    }

    #[test]
    fn an_unknown_label_in_the_weights_is_refused() {
        let given = [("positve".to_owned(), 2.0)].into();
        let config = RunConfig { class_weights: ClassWeights::Given(given), ..Default::default() };
        let error = class_weights(&config, &labels(), &[1, 1, 1]).unwrap_err();
        assert_eq!(error.to_string(), "`class_weights` names `positve`, which is not in the label set");
    }

    #[test]
    fn each_output_has_its_targets() {
        let classes = [Target::Class(1), Target::Class(0)];
        let mut softmax = Objective::new(&RunConfig::default(), Output::Softmax, &labels(), &[]).unwrap();
        assert_eq!(softmax.weight(classes.iter()), 2.0);
        assert_eq!(softmax.of(classes.iter(), 2.0).1, Targets::Classes(&[1, 0]));
        let mut one = Objective::new(&RunConfig::default(), Output::OneLogit, &labels(), &[]).unwrap();
        assert_eq!(one.of(classes.iter(), 2.0).1, Targets::Binary(&[1.0, 0.0]));
        let many = [Target::Classes(vec![0, 2]), Target::Classes(vec![])];
        let mut multi = Objective::new(&RunConfig::default(), Output::MultiLabel, &labels(), &[]).unwrap();
        assert_eq!(multi.weight(many.iter()), 6.0);
        assert_eq!(multi.of(many.iter(), 6.0).1, Targets::Binary(&[1.0, 0.0, 1.0, 0.0, 0.0, 0.0]));
    }

    #[test]
    fn each_output_is_judged_by_its_labels_and_the_entropy_of_its_probabilities() {
        let judged = |output, targets: &[Target], logits: &[f64]| {
            let mut objective = Objective::new(&RunConfig::default(), output, &labels(), &[]).unwrap();
            objective.of(targets.iter(), 1.0);
            objective.judge(logits)
        };
        let near = |judgement: Judgement, labels, right, entropy: f64| {
            assert_eq!((judgement.labels, judgement.right), (labels, right));
            assert!((judgement.entropy - entropy).abs() < 1e-12, "{judgement:?}, expected {entropy}");
        };
        // Probabilities 1/3 each, then 1/2, 1/4, 1/4.
        let classes = [Target::Class(2), Target::Class(0)];
        let logits = [5.0, 5.0, 5.0, 800.0 + 2.0_f64.ln(), 800.0, 800.0];
        near(judged(Output::Softmax, &classes, &logits), 2, 2, 3.0_f64.ln() + 1.5 * 2.0_f64.ln());
        // One half, then 3/4 for what is wrong.
        let sure = 0.75 * (4.0_f64 / 3.0).ln() + 0.25 * 4.0_f64.ln();
        let binary = [Target::Class(0), Target::Class(0)];
        near(judged(Output::OneLogit, &binary, &[0.0, 3.0_f64.ln()]), 2, 1, 2.0_f64.ln() + sure);
        let many = [Target::Classes(vec![1])];
        near(judged(Output::MultiLabel, &many, &[-3.0_f64.ln(), 3.0_f64.ln(), 1000.0]), 3, 2, 2.0 * sure);
    }
}
