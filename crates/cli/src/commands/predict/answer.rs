//! What a model says about one text.

use finetone_classify::Classifier;
use finetone_data::Value;
use finetone_evaluate::MULTI_LABEL_THRESHOLD;

/// The decision that probabilities amount to.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The most probable class, or all that apply, joined by `|`.
    pub label: String,
    /// Its probability; with several labels, that of the least certain decision.
    pub confidence: f64,
    /// Whether it should be left to a person, where the model leaves any.
    pub abstained: Option<bool>,
}

impl Answer {
    /// What a classifier answers whose probabilities these are.
    pub fn of(classifier: &dyn Classifier, probabilities: &[f32]) -> Self {
        let multi_label = classifier.is_multi_label();
        let abstained = classifier.abstention().map(|rule| rule.abstains(probabilities, multi_label));
        Self { abstained, ..Self::new(probabilities, classifier.labels(), multi_label) }
    }

    /// Decides.
    fn new(probabilities: &[f32], labels: &[String], multi_label: bool) -> Self {
        if multi_label {
            let applies = |&p: &f32| f64::from(p) >= f64::from(MULTI_LABEL_THRESHOLD);
            let chosen = labels.iter().zip(probabilities).filter(|(_, p)| applies(p));
            let label = chosen.map(|(label, _)| label.as_str()).collect::<Vec<_>>().join("|");
            let certain = probabilities.iter().map(|&p| decimal(p)).map(|p| if p < 0.5 { 1.0 - p } else { p });
            return Self { label, confidence: certain.fold(1.0, f64::min), abstained: None };
        }
        // Of equally probable classes the first is taken, as in the evaluation.
        let best = (0..labels.len()).rev().max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        let best = best.expect("a model has at least one class");
        Self { label: labels[best].clone(), confidence: decimal(probabilities[best]), abstained: None }
    }

    /// The values of the appended columns.
    pub fn values(self, probabilities: &[f32]) -> Vec<Value> {
        let fixed = [Value::Text(self.label), Value::Number(self.confidence)];
        let numbers = probabilities.iter().map(|&p| Value::Number(decimal(p)));
        let abstained = self.abstained.map(|abstained| Value::Text(abstained.to_string()));
        fixed.into_iter().chain(numbers).chain(abstained).collect()
    }
}

/// The double whose shortest decimal is that of the single: `0.1`, not `0.10000000149011612`.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().expect("the decimal of a number is a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["bad", "flat", "good"].map(str::to_owned).to_vec()
    }

    #[test]
    fn the_most_probable_class_is_the_label() {
        let answer = Answer::new(&[0.1, 0.2, 0.7], &labels(), false);
        assert_eq!(answer, Answer { label: "good".into(), confidence: 0.7, abstained: None });
        assert_eq!(Answer::new(&[0.4, 0.4, 0.2], &labels(), false).label, "bad");
        let values = answer.values(&[0.1, 0.2, 0.7]);
        assert_eq!(values[2..], [0.1, 0.2, 0.7].map(Value::Number));
    }

    #[test]
    fn several_labels_are_joined_and_as_certain_as_the_least_of_them() {
        let answer = Answer::new(&[0.9, 0.25, 0.5], &labels(), true);
        assert_eq!(answer, Answer { label: "bad|good".into(), confidence: 0.5, abstained: None });
        assert_eq!(
            Answer::new(&[0.125; 3], &labels(), true),
            Answer { label: String::new(), confidence: 0.875, abstained: None }
        );
    }
}
