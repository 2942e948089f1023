//! What a classifier's logits say.

use finetone_evaluate::{Abstention, DecisionRule, Interpolation};
use finetone_model::{HeadConfig, Output};

use crate::probabilities::fill;

/// The classes of a model and what its logits say about them.
///
/// What a model computes of a text is a row of numbers: its logits `[W]` and, where neighbours have a share in its answers, the
/// votes of these `[C]` behind them. From the logits come probabilities; the votes are mixed with them; then the rule for
/// decisions moves the mixture, and the rule for abstention looks at what comes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    labels: Vec<String>,
    output: Output,
    /// W.
    logits: usize,
    interpolation: Option<Interpolation>,
    decision: Option<DecisionRule>,
    abstention: Option<Abstention>,
}

impl Classes {
    /// The classes of a head, whose probabilities a rule moves where there is one, and of which none is answered where the
    /// other rule abstains.
    pub(crate) fn new(head: &HeadConfig, decision: Option<DecisionRule>, abstention: Option<Abstention>) -> Self {
        let (labels, output, logits) = (head.labels.clone(), head.output, head.logits());
        Self { labels, output, logits, interpolation: None, decision, abstention }
    }

    /// The same classes where neighbours vote as well.
    pub(crate) fn with_votes(self, interpolation: Interpolation) -> Self {
        Self { interpolation: Some(interpolation), ..self }
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

    /// How neighbours vote, if they do.
    pub(crate) fn interpolation(&self) -> Option<&Interpolation> {
        self.interpolation.as_ref()
    }

    /// The probabilities `[C]` that the row of a text means.
    pub fn probabilities(&self, row: &[f64]) -> Vec<f32> {
        let (logits, votes) = row.split_at(self.logits);
        let mut probabilities = vec![0.0; self.labels.len()];
        fill(&mut probabilities, logits, self.output);
        if let Some(interpolation) = &self.interpolation {
            let votes: Vec<f32> = votes.iter().map(|&vote| vote as f32).collect();
            interpolation.apply(&mut probabilities, &votes, (self.labels.len(), self.is_multi_label()));
        }
        if let Some(rule) = &self.decision {
            rule.apply(&mut probabilities, self.is_multi_label());
        }
        probabilities
    }

    /// One score `[C]` for each class by the logits of a row, before anything makes a probability of it. Of two classes with one
    /// logit the first has zero, whose softmax with the other is the sigmoid.
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        match self.output {
            Output::OneLogit => vec![0.0, row[0]],
            Output::Softmax | Output::MultiLabel => row[..self.logits].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn classes(output: Output, offsets: Option<Vec<f64>>) -> Classes {
        let decision = offsets.map(|offsets| DecisionRule::new(offsets).unwrap());
        let logits = if output == Output::OneLogit { 1 } else { 2 };
        let labels = vec!["no".into(), "yes".into()];
        Classes { labels, output, logits, interpolation: None, decision, abstention: None }
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

    #[test]
    fn votes_come_before_the_temperature_of_both_and_that_before_the_rule() {
        let written = json!({"share": 0.25, "neighbours": 4, "vote_temperature": 0.1, "temperature": 0.5});
        let interpolation: Interpolation = serde_json::from_value(written).unwrap();
        let (p, offset) = (1.0 / (1.0 + (-1.5_f64).exp()), 0.7_f64);
        let squared = |p: f64| p * p / (p * p + (1.0 - p) * (1.0 - p));
        let odds = |p: f64| p / (1.0 - p) * offset.exp();
        let expected = odds(squared(0.75 * p + 0.25 * 0.125));
        for (output, logits) in [(Output::OneLogit, vec![1.5]), (Output::Softmax, vec![0.5, 2.0])] {
            let classes = classes(output, Some(vec![0.0, offset])).with_votes(interpolation);
            let row = [logits.clone(), vec![0.875, 0.125]].concat();
            let found = f64::from(classes.probabilities(&row)[1]);
            assert!((found - expected / (1.0 + expected)).abs() < 1e-6, "{output:?}: {found} {expected}");
            assert_eq!(classes.scores(&row), classes.scores(&logits), "votes are no scores of the model");
        }
    }
}
