//! From classes to what the loss compares the logits with.

use finetone_backend::{Loss, Targets};
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

    /// What the losses of these texts are divided by to give their mean: as PyTorch's reductions, the sum of the texts'
    /// class weights, or the number of yes/no answers.
    pub fn weight<'t>(&self, targets: impl Iterator<Item = &'t Target>) -> f64 {
        match (self.output, &self.loss.class_weights) {
            (Output::Softmax, Some(weights)) => targets.filter_map(Target::first).map(|class| weights[class]).sum(),
            (Output::Softmax, None) => targets.count() as f64,
            (Output::OneLogit | Output::MultiLabel, _) => (targets.count() * self.loss.classes) as f64,
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

fn class_weights(config: &RunConfig, labels: &LabelSet, counts: &[usize]) -> Result<Option<Vec<f64>>, TrainError> {
    match &config.class_weights {
        ClassWeights::Named(WeightRule::None) => Ok(None),
        ClassWeights::Named(WeightRule::Balanced) => {
            let (total, classes) = (counts.iter().sum::<usize>() as f64, counts.len() as f64);
            Ok(Some(counts.iter().map(|&n| total / (classes * n.max(1) as f64)).collect()))
        }
        ClassWeights::Given(weights) => {
            if let Some(unknown) = weights.keys().find(|name| labels.class(name).is_none()) {
                return Err(TrainError::Setting {
                    problem: format!("`class_weights` names `{unknown}`, which is not in the label set"),
                    hint: format!("known labels: {}", labels.listing()),
                });
            }
            let of = |name: &String| weights.iter().find(|(given, _)| labels.class(given) == labels.class(name));
            Ok(Some(labels.names().iter().map(|name| of(name).map_or(1.0, |(_, weight)| *weight)).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> LabelSet {
        LabelSet::from_names(["negative", "neutral", "positive"])
    }

    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        let config = RunConfig { class_weights: ClassWeights::Named(WeightRule::Balanced), ..Default::default() };
        let weights = class_weights(&config, &labels(), &[50, 30, 20]).unwrap().unwrap();
        for (weight, expected) in weights.iter().zip([100.0 / 150.0, 100.0 / 90.0, 100.0 / 60.0]) {
            assert!((weight - expected).abs() < 1e-12);
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
}
