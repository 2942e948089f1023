//! The first sentences of the report: what the numbers say, in plain words and without flattery.

use super::NamedEvaluation;
use super::words::quoted;

/// Below this many texts an interval is so wide that it must be said.
const FEW_TEXTS: usize = 100;

/// What one evaluation says, in sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How often it is right, and how often no model at all would be.
    pub headline: String,
    /// Whether that is more than chance, how sure it is, and where it is weakest.
    pub remarks: Vec<String>,
}

/// Puts an evaluation into words.
pub fn verdict(named: &NamedEvaluation) -> Verdict {
    let accuracy = named.evaluation.accuracy();
    let subject = if named.evaluation.is_multi_label() { "All labels right" } else { "Right" };
    let mut headline = format!(
        "{subject} on {} of 100 texts ({} to {})",
        of_100(accuracy.value),
        of_100(accuracy.low),
        of_100(accuracy.high)
    );
    let mut remarks = Vec::new();
    if let Some(baseline) = &named.baseline {
        let class = if named.evaluation.is_multi_label() { "answer" } else { "class" };
        headline +=
            &format!("; always answering the most frequent {class} would be right on {}", of_100(baseline.accuracy));
        if accuracy.low <= baseline.accuracy {
            remarks.push(format!(
                "This is not clearly better than always answering {}: the model may have learned nothing.",
                quoted(&baseline.answer)
            ));
        }
    }
    headline.push('.');
    remarks.insert(0, measured_on(named));
    if named.evaluation.n() < FEW_TEXTS {
        remarks.push(format!(
            "{} texts are few, so the interval is wide ({} points): differences smaller than that \
             mean nothing.",
            named.evaluation.n(),
            (100.0 * (accuracy.high - accuracy.low)).round()
        ));
    }
    if accuracy.value == 1.0 {
        remarks.push(
            "There was no mistake to draw again, so the other intervals shrink to a point: trust that of the accuracy."
                .into(),
        );
    }
    remarks.extend(weakest_class(named));
    Verdict { headline, remarks }
}

fn measured_on(named: &NamedEvaluation) -> String {
    let n = named.evaluation.n();
    let texts = if n == 1 { "text" } else { "texts" };
    let mut sentence = format!("Measured on {n} {} {texts}", named.name);
    if named.name == "validation" {
        sentence += ", which also chose the checkpoint, so expect slightly less on new texts";
    }
    let confidence = (100.0 * named.evaluation.confidence()).round();
    sentence + &format!("; in brackets the {confidence} % interval.")
}

fn weakest_class(named: &NamedEvaluation) -> Option<String> {
    let evaluation = &named.evaluation;
    let absent = evaluation.labels().iter().zip(evaluation.support()).filter(|(_, texts)| **texts == 0);
    let absent: Vec<String> = absent.map(|(label, _)| quoted(label)).collect();
    if !absent.is_empty() {
        return Some(format!(
            "No text is labelled {}, so nothing is known about that; macro F1 counts it as zero.",
            absent.join(" or ")
        ));
    }
    let f1 = |class| evaluation.of_class(crate::ClassMetric::F1, class).map(|e| e.value);
    let classes = 0..evaluation.labels().len();
    let scored: Vec<(f64, usize)> = classes.filter_map(|class| Some((f1(class)?, class))).collect();
    let weakest = scored.iter().min_by(|a, b| a.0.total_cmp(&b.0))?;
    let best = scored.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 - weakest.0 >= 0.05).then(|| {
        let label = quoted(&evaluation.labels()[weakest.1]);
        format!("It is weakest on {label} (F1 {:.2}, best class {:.2}).", weakest.0, best.0)
    })
}

/// A share as a number of a hundred, which is never rounded up to all or down to none.
pub(crate) fn of_100(share: f64) -> String {
    match (100.0 * share).round() {
        100.0 if share < 1.0 => "more than 99".into(),
        0.0 if share > 0.0 => "fewer than 1".into(),
        rounded => rounded.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::of_100;

    #[test]
    fn almost_all_is_not_all() {
        assert_eq!(of_100(0.884), "88");
        assert_eq!(of_100(0.999), "more than 99");
        assert_eq!(of_100(1.0), "100");
        assert_eq!(of_100(0.001), "fewer than 1");
    }
}
