//! The report as one HTML page that loads nothing.
//!
//! This file says what stands where as plain strings; how it looks is in `templates/report.html`, which escapes them all.
//! Only drawings and style numbers made here are put in as they are.

mod study;

use askama::Template;

use super::chart::{Axes, Line, Look, Scale, line_chart};
use super::why::ColouredPiece;
use super::{
    Disagreement, NamedComparison, NamedEvaluation, Report, Section, Verdict, comparison, confusion, ladder, repeats,
    training, words,
};
use crate::{BinaryCurves, ClassMetric, Estimate, EvaluateError, ReliabilityBin};

pub(crate) use study::page as study_page;

/// Longer texts are folded.
const TEXT_CHARACTERS: usize = 280;
/// Nobody reads further, and a page with a whole book in it does not open.
const MOST_CHARACTERS: usize = 20_000;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: &'a str,
    verdict: Option<Verdict>,
    /// Name of the set that the verdict and the worst errors are about.
    set: &'a str,
    notices: &'a [String],
    comparison: Option<ComparisonView<'a>>,
    ladder: Option<ladder::View<'a>>,
    evaluations: Vec<EvaluationView<'a>>,
    repeats: Vec<repeats::Section>,
    training: Option<training::View<'a>>,
    errors: Vec<ErrorView<'a>>,
    sections: Vec<&'a Section>,
}

struct ComparisonView<'a> {
    first: &'a str,
    second: &'a str,
    rows: Vec<comparison::Row>,
    method: String,
    disagreements: Vec<DisagreementView<'a>>,
    /// Texts on which only one is right, shown or not.
    discordant: usize,
}

struct DisagreementView<'a> {
    of: &'a Disagreement,
    text: Text,
}

struct EvaluationView<'a> {
    name: &'a str,
    n: usize,
    headline: bool,
    metrics: Vec<MetricView>,
    baseline: Option<String>,
    answered: Option<String>,
    undefined: Vec<String>,
    intervals: String,
    classes: Vec<ClassView<'a>>,
    confusion: confusion::Table,
    figures: Vec<Figure>,
}

struct MetricView {
    name: &'static str,
    meaning: &'static str,
    value: String,
    interval: String,
    range: Option<Range>,
}

/// Where an interval lies on its scale, in percent, for the small bar beside it.
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) width: f64,
    pub(super) value: f64,
}

struct ClassView<'a> {
    label: &'a str,
    precision: String,
    recall: String,
    f1: String,
    interval: String,
    range: Option<Range>,
    support: u64,
}

pub(super) struct Figure {
    pub(super) title: String,
    pub(super) svg: String,
    pub(super) meaning: String,
}

struct ErrorView<'a> {
    line: u64,
    truth: &'a str,
    predicted: &'a str,
    confidence: String,
    loss: String,
    text: Text,
    why: Option<WhyView<'a>>,
}

/// What decided about a text.
struct WhyView<'a> {
    sentence: String,
    label: &'a str,
    against: &'a str,
    pieces: Vec<ColouredPiece<'a>>,
}

/// A text of a user, of which a page shows the beginning.
pub(super) struct Text {
    pub(super) beginning: String,
    /// The whole text, if only its beginning is shown.
    pub(super) whole: Option<String>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let (beginning, cut) = words::beginning(text, TEXT_CHARACTERS);
        Self { beginning, whole: cut.then(|| words::beginning(text, MOST_CHARACTERS).0) }
    }
}

/// The whole page.
pub(super) fn page(report: &Report) -> Result<String, EvaluateError> {
    // Where two models are compared, neither evaluation is what the page is about.
    let headline = if report.comparison.is_none() { report.headline() } else { None };
    let is_headline = |named: &NamedEvaluation| headline.is_some_and(|h| std::ptr::eq(h, named));
    let mut evaluations: Vec<EvaluationView> =
        report.evaluations.iter().map(|named| evaluation(named, is_headline(named))).collect();
    evaluations.sort_by_key(|view| !view.headline);
    let page = Page {
        title: &report.title,
        verdict: report.verdict(),
        set: headline.map_or("", |named| &named.name),
        notices: &report.notices,
        comparison: report.comparison.as_ref().map(comparison),
        ladder: report.ladder.as_ref().map(ladder::view),
        evaluations,
        repeats: repeats::sections(report),
        training: report.history.as_ref().map(training::view),
        errors: report.worst_errors.iter().map(error).collect(),
        sections: report.data.iter().chain(&report.run).collect(),
    };
    render(&page)
}

/// The text of a page.
fn render(page: &impl Template) -> Result<String, EvaluateError> {
    // The template language drops the last line end of a file.
    page.render().map(|page| page + "\n").map_err(|error| EvaluateError::Render(error.to_string()))
}

fn comparison(named: &NamedComparison) -> ComparisonView<'_> {
    let view = |of| DisagreementView { of, text: Text::new(&of.text) };
    ComparisonView {
        first: &named.first,
        second: &named.second,
        rows: comparison::rows(named),
        method: comparison::method(&named.comparison),
        disagreements: named.disagreements.iter().map(view).collect(),
        discordant: named.comparison.only_first.len() + named.comparison.only_second.len(),
    }
}

/// How one evaluation is shown.
fn evaluation(named: &NamedEvaluation, headline: bool) -> EvaluationView<'_> {
    let evaluation = &named.evaluation;
    let metrics = words::table().into_iter().filter_map(|entry| {
        let estimate = evaluation.get(&entry.metric)?;
        Some(MetricView {
            name: entry.name,
            meaning: entry.meaning,
            value: words::number(estimate.value),
            interval: words::interval(&estimate),
            range: entry.metric.higher_is_better().then(|| range(&estimate)).flatten(),
        })
    });
    let baseline = named.baseline.as_ref().map(|baseline| {
        format!(
            "Always answering {} has accuracy {} and macro F1 {}.",
            words::quoted(&baseline.answer),
            words::number(baseline.accuracy),
            words::number(baseline.f1_macro)
        )
    });
    let undefined = evaluation.undefined().iter();
    let figures = [reliability(evaluation.reliability()), risk_coverage(evaluation.risk_coverage())]
        .into_iter()
        .chain(evaluation.curves().map(|curves| binary(curves, &evaluation.labels()[1])).into_iter().flatten());
    EvaluationView {
        name: &named.name,
        n: evaluation.n(),
        headline,
        metrics: metrics.collect(),
        baseline,
        answered: named.answered.as_ref().map(|answered| format!("The model {}.", answered.told())),
        undefined: undefined.map(|(metric, reason)| format!("No {metric}: {reason}.")).collect(),
        intervals: words::intervals(evaluation),
        classes: classes(named),
        confusion: confusion::table(evaluation),
        figures: figures.flatten().collect(),
    }
}

fn classes(named: &NamedEvaluation) -> Vec<ClassView<'_>> {
    let evaluation = &named.evaluation;
    let labels = evaluation.labels().iter().enumerate();
    labels
        .map(|(class, label)| {
            let score = |metric| evaluation.of_class(metric, class);
            let shown = |metric| score(metric).map_or("–".into(), |e| words::number(e.value));
            let f1 = score(ClassMetric::F1);
            ClassView {
                label,
                precision: shown(ClassMetric::Precision),
                recall: shown(ClassMetric::Recall),
                f1: shown(ClassMetric::F1),
                interval: f1.as_ref().map_or_else(String::new, words::interval),
                range: f1.as_ref().and_then(range),
                support: evaluation.support()[class],
            }
        })
        .collect()
}

pub(super) fn range(estimate: &Estimate) -> Option<Range> {
    let within = estimate.low >= 0.0 && estimate.high <= 1.0;
    let percent = |share: f64| (1_000.0 * share).round() / 10.0;
    within.then(|| Range {
        low: percent(estimate.low),
        width: percent(estimate.high - estimate.low),
        value: percent(estimate.value),
    })
}

fn reliability(bins: &[ReliabilityBin]) -> Option<Figure> {
    let filled: Vec<&ReliabilityBin> = bins.iter().filter(|bin| bin.count > 0).collect();
    let points = filled.iter().map(|bin| (bin.confidence, bin.accuracy)).collect();
    // The area of a mark follows the number of decisions, so that a bin of three does not look like one of three hundred.
    let most = filled.iter().map(|bin| bin.count).max()? as f64;
    let marks = filled.iter().map(|bin| 1.5 + 5.0 * (bin.count as f64 / most).sqrt()).collect();
    let axes = Axes {
        description: "Reliability diagram: share of right answers over confidence",
        x: "confidence",
        y: "share that is right",
        scale: Scale::UnitSquare,
    };
    let lines = vec![diagonal(), Line { points, marks, look: Look::Marked }];
    Some(Figure {
        title: "Reliability".into(),
        svg: line_chart(&axes, lines)?,
        meaning: "On the dashed line, 80 % confidence means 80 % right; below it the model is too sure of itself. Larger marks stand for more texts."
            .into(),
    })
}

fn risk_coverage(points: &[(f64, f64)]) -> Option<Figure> {
    let axes = Axes {
        description: "Risk-coverage curve: share of wrong answers over the share of texts that is answered",
        x: "share of the texts that is answered",
        y: "share of these answers that is wrong",
        scale: Scale::FromZero,
    };
    Some(Figure {
        title: "Risk and coverage".into(),
        svg: line_chart(&axes, vec![Line::new(points.to_vec(), Look::Solid)])?,
        meaning: "How many answers are wrong if only the surest are given and the other texts go to a person.".into(),
    })
}

fn binary(curves: &BinaryCurves, label: &str) -> [Option<Figure>; 2] {
    let roc =
        Axes { description: "ROC curve", x: "false positive rate", y: "true positive rate", scale: Scale::UnitSquare };
    let precision_recall =
        Axes { description: "Precision-recall curve", x: "recall", y: "precision", scale: Scale::UnitSquare };
    let line = |points: &[(f64, f64)]| Line::new(points.to_vec(), Look::Solid);
    let label = words::quoted(label);
    let figure = |title: &str, svg, meaning: String| Figure { title: title.into(), svg, meaning };
    [
        line_chart(&roc, vec![diagonal(), line(&curves.roc)]).map(|svg| {
            let meaning = format!("Every threshold for {label}. The dashed line is guessing.");
            figure("ROC", svg, meaning)
        }),
        line_chart(&precision_recall, vec![line(&curves.precision_recall)]).map(|svg| {
            let meaning = format!("How precise {label} stays when more of its texts are found.");
            figure("Precision and recall", svg, meaning)
        }),
    ]
}

fn diagonal() -> Line {
    Line::new(vec![(0.0, 0.0), (1.0, 1.0)], Look::Dashed)
}

fn error(error: &super::WorstError) -> ErrorView<'_> {
    ErrorView {
        line: error.line,
        truth: &error.truth,
        predicted: &error.predicted,
        confidence: words::percent(error.confidence),
        loss: format!("{:.2}", error.loss),
        text: Text::new(&error.text),
        why: error.why.as_ref().map(why),
    }
}

fn why(why: &super::Why) -> WhyView<'_> {
    WhyView { sentence: why.sentence(), label: &why.label, against: &why.against, pieces: why.coloured() }
}
