//! What a classifier's logits say.

use finetone_evaluate::{Abstention, DecisionRule};
use finetone_model::{HeadConfig, Output};

use crate::probabilities::fill;

/// The classes of a model and what its logits say about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    labels: Vec<String>,
    output: Output,
    decision: Option<DecisionRule>,
    abstention: Option<Abstention>,
}

impl Classes {
    /// The classes of a head, whose probabilities a rule moves where there is one, and of which none is answered where the
    /// other rule abstains.
    pub(crate) fn new(head: &HeadConfig, decision: Option<DecisionRule>, abstention: Option<Abstention>) -> Self {
        Self { labels: head.labels.clone(), output: head.output, decision, abstention }
    }

    /// Their names, in the order of the probabilities.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Whether any number of them may apply to a text.
    pub fn is_multi_label(&self) -> bool {
        self.output == Output::MultiLabel
    }

    /// The rule that moves the model's probabilities, if it has one.
    pub fn decision(&self) -> Option<&DecisionRule> {
        self.decision.as_ref()
    }

    /// When a text is left to a person, if any is.
    pub fn abstention(&self) -> Option<&Abstention> {
        self.abstention.as_ref()
    }

    /// The probabilities `[C]` that the logits `[W]` of a text mean.
    pub fn probabilities(&self, logits: &[f64]) -> Vec<f32> {
        let mut probabilities = vec![0.0; self.labels.len()];
        fill(&mut probabilities, logits, self.output);
        if let Some(rule) = &self.decision {
            rule.apply(&mut probabilities, self.is_multi_label());
        }
        probabilities
    }

    /// One score `[C]` for each class, before anything makes a probability of it. Of two classes with one logit the first has
    /// zero, whose softmax with the other is the sigmoid.
    pub fn scores(&self, logits: &[f64]) -> Vec<f64> {
        match self.output {
            Output::OneLogit => vec![0.0, logits[0]],
            Output::Softmax | Output::MultiLabel => logits.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(output: Output, offsets: Option<Vec<f64>>) -> Classes {
        let decision = offsets.map(|offsets| DecisionRule::new(offsets).unwrap());
        Classes { labels: vec!["no".into(), "yes".into()], output, decision, abstention: None }
    }

    #[test]
    fn scores_are_logits_whose_softmax_is_the_probabilities() {
        for (output, logits) in [(Output::OneLogit, vec![1.5]), (Output::Softmax, vec![-0.25, 2.0])] {
            let classes = classes(output, None);
            let scores = classes.scores(&logits);
            let sum: f64 = scores.iter().map(|score| score.exp()).sum();
            for (score, p) in scores.iter().zip(classes.probabilities(&logits)) {
                assert!((score.exp() / sum - f64::from(p)).abs() < 1e-7, "{output:?}: {score} {p}");
            }
        }
    }

    #[test]
    fn a_rule_moves_probabilities_and_no_score() {
        let (plain, moved) = (classes(Output::Softmax, None), classes(Output::Softmax, Some(vec![0.0, 1.0])));
        assert_eq!(plain.scores(&[0.0, 0.0]), moved.scores(&[0.0, 0.0]));
        assert_eq!(plain.probabilities(&[0.0, 0.0]), [0.5, 0.5]);
        assert!((moved.probabilities(&[0.0, 0.0])[1] - 0.731_058_6).abs() < 1e-6);
    }
}
