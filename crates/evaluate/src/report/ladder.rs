//! The ladder as rows of a table, for HTML and Markdown alike.

use super::html::{Range, range};
use super::words;
use crate::{Average, ClassMetric, Estimate, Ladder, Metric, Rung, Standing};

/// More classes than this have no columns of their own; JSON has them all.
const MOST_CLASSES: usize = 6;

/// What a page shows of the ladder.
pub(super) struct View<'a> {
    pub(super) measured_on: &'a str,
    /// The sentence in front, and the others.
    pub(super) headline: String,
    pub(super) remarks: String,
    /// Classes that have a column.
    pub(super) classes: &'a [String],
    pub(super) rows: Vec<Row<'a>>,
}

/// One rung.
pub(super) struct Row<'a> {
    pub(super) title: &'a str,
    /// What it is, or why it has no numbers.
    pub(super) detail: &'a str,
    pub(super) scores: Option<Scores>,
}

/// The numbers of a rung.
pub(super) struct Scores {
    /// Accuracy and macro F1.
    pub(super) main: [Score; 2],
    pub(super) f1_weighted: String,
    pub(super) by_class: Vec<String>,
    pub(super) seconds: String,
}

/// A number with its interval in words and as a bar.
pub(super) struct Score {
    pub(super) value: String,
    pub(super) interval: String,
    pub(super) range: Option<Range>,
}

/// An estimate as a page shows it.
pub(super) fn score(estimate: Estimate) -> Score {
    Score { value: words::number(estimate.value), interval: words::interval(&estimate), range: range(&estimate) }
}

/// The rungs from the simplest to the dearest.
pub(super) fn view(ladder: &Ladder) -> View<'_> {
    let mut sentences = ladder.verdict();
    let headline = sentences.remove(0);
    let standing = ladder.rungs.iter().find_map(|rung| rung.result.as_ref().ok());
    let classes = standing.map_or(&[][..], |standing| standing.evaluation.labels());
    let classes = if classes.len() <= MOST_CLASSES { classes } else { &[] };
    View {
        measured_on: &ladder.measured_on,
        headline,
        remarks: sentences.join(" "),
        classes,
        rows: ladder.rungs.iter().map(|rung| row(rung, classes.len())).collect(),
    }
}

fn row(rung: &Rung, classes: usize) -> Row<'_> {
    match &rung.result {
        Ok(standing) => Row { title: &rung.title, detail: &standing.detail, scores: Some(scores(standing, classes)) },
        Err(reason) => Row { title: &rung.title, detail: reason, scores: None },
    }
}

fn scores(standing: &Standing, classes: usize) -> Scores {
    let evaluation = &standing.evaluation;
    let number = |estimate: Option<Estimate>| estimate.map_or_else(|| "–".into(), |e| words::number(e.value));
    Scores {
        main: [evaluation.accuracy(), evaluation.f1_macro()].map(score),
        f1_weighted: number(evaluation.get(&Metric::F1(Average::Weighted))),
        by_class: (0..classes).map(|class| number(evaluation.of_class(ClassMetric::F1, class))).collect(),
        seconds: words::seconds(standing.seconds),
    }
}
