//! The names and meanings of the metrics, and how numbers are written.

use unicode_bidi::{BidiClass, bidi_class};
use unicode_segmentation::UnicodeSegmentation;

use crate::{Average, Estimate, Metric};

/// A metric as a row of the table.
pub(super) struct MetricWords {
    pub(super) metric: Metric,
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
}

/// The metrics of the table, in its order. Those that an evaluation does not have are left out of it.
pub(super) fn table() -> Vec<MetricWords> {
    use Average::{Macro, Micro, Weighted};
    let row = |metric, name, meaning| MetricWords { metric, name, meaning };
    vec![
        row(Metric::Accuracy, "Accuracy", "share of texts with the right answer"),
        row(Metric::F1(Macro), "F1, macro", "balance of precision and recall, every class counts the same"),
        row(Metric::F1(Weighted), "F1, weighted", "the same, frequent classes count more"),
        row(Metric::F1(Micro), "F1, micro", "the same over all label decisions together"),
        row(Metric::Precision(Macro), "Precision, macro", "when it names a class, how often that is right"),
        row(Metric::Recall(Macro), "Recall, macro", "of the texts of a class, how many it finds"),
        row(Metric::RocAuc, "ROC AUC", "chance to rank a text of a class above one of another; 0.5 is guessing"),
        row(Metric::Mcc, "Matthews", "correlation with the truth; 0 is guessing, 1 is perfect"),
        row(Metric::LogLoss, "Log-loss", "surprise at the truth in nats, lower is better"),
        row(Metric::Ece, "Calibration error", "how far confidence is from the share that is right, lower is better"),
        row(Metric::Brier, "Brier score", "squared error of the probabilities, lower is better"),
    ]
}

/// Three decimals, enough for any set of texts that a person labels.
pub(super) fn number(value: f64) -> String {
    format!("{value:.3}")
}

/// A whole number, of which the millions are enough.
pub(super) fn count(number: u64) -> String {
    if number < 1_000_000 { number.to_string() } else { format!("{:.1} M", number as f64 / 1e6) }
}

/// A difference, which always has a sign.
pub(super) fn signed(value: f64) -> String {
    format!("{value:+.3}")
}

/// A p-value as papers print it.
pub fn p_in_words(value: f64) -> String {
    match value {
        ..0.001 => "p < 0.001".into(),
        0.001..0.1 => format!("p = {value:.3}"),
        _ => format!("p = {value:.2}"),
    }
}

/// The ends of an interval.
pub(super) fn interval(estimate: &Estimate) -> String {
    format!("{} to {}", number(estimate.low), number(estimate.high))
}

/// A time of seconds in as many digits as tell two ways apart.
pub(super) fn seconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// A share in whole percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// How the intervals were found, in one sentence.
pub(super) fn intervals(evaluation: &crate::Evaluation) -> String {
    format!(
        "Intervals hold the true value in {} of 100 such tests: Wilson's for accuracy, otherwise the bootstrap over texts \
         with {} resamples (percentiles, mirrored for the calibration error).",
        (100.0 * evaluation.confidence()).round(),
        evaluation.resamples()
    )
}

/// A label within a sentence. One that is written from right to left is set apart from what follows it, which would
/// otherwise be drawn on its wrong side.
pub(crate) fn quoted(label: &str) -> String {
    let from_right = |letter| matches!(bidi_class(letter), BidiClass::R | BidiClass::AL);
    if label.contains(from_right) { format!("“\u{2068}{label}\u{2069}”") } else { format!("“{label}”") }
}

/// The beginning of a text, cut between what a reader takes for characters, and whether anything was left out.
pub(super) fn beginning(text: &str, characters: usize) -> (String, bool) {
    let end = text.grapheme_indices(true).nth(characters).map(|(at, _)| at);
    match end {
        Some(end) => (format!("{}…", text[..end].trim_end()), true),
        None => (text.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_a_reader_would() {
        assert_eq!(beginning("naive", 3), ("nai…".into(), true));
        assert_eq!(beginning("e\u{301}te\u{301}", 3), ("e\u{301}te\u{301}".into(), false));
        assert_eq!(beginning("👨‍👩‍👧‍👦👍🏽!", 2), ("👨‍👩‍👧‍👦👍🏽…".into(), true));
        assert_eq!(beginning("नहीं", 1), ("न…".into(), true));
    }

    #[test]
    fn labels_from_right_to_left_are_set_apart() {
        assert_eq!(quoted("très bon"), "“très bon”");
        assert_eq!([quoted("جيد"), quoted("טוב")], ["“\u{2068}جيد\u{2069}”", "“\u{2068}טוב\u{2069}”"]);
    }
}
