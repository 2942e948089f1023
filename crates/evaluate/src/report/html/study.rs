//! The page of a study; how it looks is in `templates/study.html`.

use askama::Template;

use super::{EvaluationView, Figure, evaluation, render};
use crate::report::chart::{Axes, Line, Look, Scale, line_chart};
use crate::report::ladder::{self, Score, score};
use crate::report::repeats::{self, Table};
use crate::report::{Section, Verdict, hard_texts, words};
use crate::study::{Candidate, Published, Study, Training, Variant, capital};
use crate::{Average, ClassMetric, EvaluateError, Evaluation, Metric};

/// More points than this are drawn as a line without marks.
const MARKED: usize = 30;

#[derive(Template)]
#[template(path = "study.html")]
struct Page<'a> {
    title: &'a str,
    verdict: Verdict,
    notices: &'a [String],
    published: Option<Comparison>,
    rungs: Vec<RungView<'a>>,
    variants: Vec<VariantView<'a>>,
    choice: Option<Choice>,
    folds: repeats::Section,
    fold_name: String,
    out_of_fold: ladder::View<'a>,
    hard_texts: Vec<hard_texts::View<'a>>,
    comparisons: Vec<ComparisonView>,
    sections: &'a [Section],
}

/// Results of others and ours below each other.
struct Comparison {
    columns: Vec<String>,
    rows: Vec<PublishedRow>,
}

struct PublishedRow {
    name: String,
    cells: Vec<String>,
    ours: bool,
}

/// What was tried in folds, the chosen one marked.
struct Choice {
    columns: Vec<String>,
    rows: Vec<ChoiceRow>,
}

struct ChoiceRow {
    name: String,
    detail: String,
    cells: Vec<String>,
    chosen: bool,
}

struct RungView<'a> {
    name: &'a str,
    detail: &'a str,
    /// Accuracy and macro F1, where the rung applies.
    scores: Vec<Score>,
    seconds: String,
    ours: bool,
}

struct VariantView<'a> {
    name: String,
    model: &'a str,
    parameters: String,
    kept: &'a str,
    /// Whether validation texts chose that seed.
    validated: bool,
    table: Table,
    training: Vec<[String; 6]>,
    curves: Vec<Figure>,
    evaluation: EvaluationView<'a>,
}

struct ComparisonView {
    headline: String,
    remarks: String,
}

/// The whole page.
pub(crate) fn page(study: &Study) -> Result<String, EvaluateError> {
    let variants = [&study.finetuned, &study.scratch];
    render(&Page {
        title: &study.title,
        verdict: study.verdict(),
        notices: &study.notices,
        published: (!study.published.is_empty()).then(|| published(study)),
        rungs: rungs(study),
        variants: variants.map(variant).into_iter().collect(),
        choice: (study.candidates.len() > 1).then(|| choice(study)),
        folds: repeats::cross_validation(study.cross_validation()),
        fold_name: study.candidates[study.chosen].name.clone(),
        out_of_fold: ladder::view(&study.out_of_fold),
        hard_texts: study.hard_texts.iter().map(hard_texts::view).collect(),
        comparisons: study.comparisons.iter().map(|named| comparison(&named.verdict())).collect(),
        sections: &study.facts,
    })
}

fn comparison(verdict: &Verdict) -> ComparisonView {
    ComparisonView { headline: capital(&verdict.headline), remarks: verdict.remarks.join(" ") }
}

/// What was published and what was found here, by the metrics that were published.
fn published(study: &Study) -> Comparison {
    let mut metrics: Vec<&Metric> = Vec::new();
    for (metric, _) in study.published.iter().flat_map(|one| &one.values) {
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    let theirs = |one: &Published| {
        let value = |metric: &&Metric| one.values.iter().find(|(known, _)| known == *metric).map(|(_, value)| *value);
        let cells = metrics.iter().map(|metric| value(metric).map_or("–".into(), words::number)).collect();
        PublishedRow { name: format!("published: {}", one.name), cells, ours: false }
    };
    let ours = |variant: &Variant| {
        let cells = metrics.iter().map(|metric| {
            variant.get(metric).map_or("–".into(), |found| {
                let deviation =
                    found.spread.standard_deviation.map_or_else(String::new, |d| format!(" ± {}", words::number(d)));
                words::number(found.spread.mean) + &deviation
            })
        });
        PublishedRow { name: format!("here: {}, {}", variant.model, variant.name), cells: cells.collect(), ours: true }
    };
    let variants = [&study.finetuned, &study.scratch];
    let mut rows: Vec<PublishedRow> = study.published.iter().map(theirs).collect();
    rows.extend(variants.map(ours));
    let name = |metric: &&Metric| match metric {
        Metric::Accuracy => "Accuracy".to_owned(),
        Metric::F1(Average::Macro) => "F1, macro".to_owned(),
        Metric::F1(Average::Weighted) => "F1, weighted".to_owned(),
        Metric::Class(ClassMetric::F1, class) => format!("F1 {class}"),
        other => other.to_string(),
    };
    Comparison { columns: metrics.iter().map(name).collect(), rows }
}

/// What each candidate reached over all rows of the training file.
fn choice(study: &Study) -> Choice {
    let labels = study.finetuned.repeats.labels();
    let of_class = |label: &String| (format!("F1 {label}"), Metric::Class(ClassMetric::F1, label.clone()));
    let overall = [("F1, macro".to_owned(), Metric::F1(Average::Macro)), ("Accuracy".to_owned(), Metric::Accuracy)];
    let shown: Vec<(String, Metric)> = overall.into_iter().chain(labels.iter().map(of_class)).collect();
    let row = |(number, candidate): (usize, &Candidate)| {
        let evaluation = &candidate.cross_validation.evaluation;
        let cell = |(_, metric): &(String, Metric)| {
            evaluation.get(metric).map_or("–".into(), |estimate| words::number(estimate.value))
        };
        ChoiceRow {
            name: candidate.name.clone(),
            detail: candidate.detail.clone(),
            cells: shown.iter().map(cell).collect(),
            chosen: number == study.chosen,
        }
    };
    Choice {
        rows: study.candidates.iter().enumerate().map(row).collect(),
        columns: shown.into_iter().map(|(name, _)| name).collect(),
    }
}

/// The baselines, then one model of each variant.
fn rungs(study: &Study) -> Vec<RungView<'_>> {
    let baselines = study.ladder.iter().map(|rung| RungView {
        name: &rung.title,
        detail: rung.result.as_ref().map_or_else(|reason| reason, |standing| &standing.detail),
        scores: rung.result.as_ref().map_or_else(|_| Vec::new(), |standing| scores(&standing.evaluation)),
        seconds: rung.result.as_ref().map_or_else(|_| String::new(), |standing| seconds(standing.seconds)),
        ours: false,
    });
    let ours = [&study.scratch, &study.finetuned].into_iter().map(|variant| RungView {
        name: &variant.name,
        detail: &variant.training[variant.kept].name,
        scores: scores(&variant.evaluation.evaluation),
        seconds: seconds(variant.training[variant.kept].seconds),
        ours: true,
    });
    baselines.chain(ours).collect()
}

fn scores(evaluation: &Evaluation) -> Vec<Score> {
    vec![score(evaluation.accuracy()), score(evaluation.f1_macro())]
}

fn variant(variant: &Variant) -> VariantView<'_> {
    VariantView {
        name: capital(&variant.name),
        model: &variant.model,
        parameters: words::count(variant.parameters as u64),
        kept: &variant.training[variant.kept].name,
        validated: variant.training[variant.kept].validation.is_some(),
        table: repeats::table(&variant.repeats),
        training: variant.training.iter().map(training).collect(),
        curves: curves(variant),
        evaluation: evaluation(&variant.evaluation, true),
    }
}

fn training(one: &Training) -> [String; 6] {
    [
        one.name.clone(),
        one.validation.map_or("–".into(), words::number),
        format!("{} of {}", one.best_step, one.steps),
        words::count(one.tokens),
        words::count(one.tokens_per_second.round() as u64),
        seconds(one.seconds),
    ]
}

/// Losses and accuracy over the steps: the seed that is kept, and the others behind it.
fn curves(variant: &Variant) -> Vec<Figure> {
    ["loss", "eval_loss", "eval_mean_token_accuracy"].into_iter().filter_map(|key| curve(variant, key)).collect()
}

fn curve(variant: &Variant, key: &str) -> Option<Figure> {
    let name = &variant.training[variant.kept].curve(key)?.name;
    let of = |one: &Training| {
        let curve = one.curve(key)?;
        Some(curve.points.iter().map(|&(step, value)| (step as f64, value)).collect::<Vec<_>>())
    };
    let others = variant.training.iter().enumerate().filter(|(number, _)| *number != variant.kept);
    let mut lines: Vec<Line> = others.filter_map(|(_, one)| Some(Line::new(of(one)?, Look::Faint))).collect();
    let kept = of(&variant.training[variant.kept])?;
    let meaning = match kept.last() {
        Some((step, value)) => format!("{} at step {step}", words::number(*value)),
        None => String::new(),
    };
    let look = if kept.len() <= MARKED { Look::Marked } else { Look::Solid };
    lines.push(Line::new(kept, look));
    let description = format!("{name} of the {} model over training steps", variant.name);
    let y = if key.ends_with("loss") { "nats per text" } else { "share that is right" };
    let axes = Axes { description: &description, x: "step", y, scale: Scale::Free };
    Some(Figure { title: name.clone(), svg: line_chart(&axes, lines)?, meaning })
}

/// A length of time as people read it.
fn seconds(time: f64) -> String {
    match time {
        ..10.0 => format!("{time:.1} s"),
        10.0..600.0 => format!("{time:.0} s"),
        _ => format!("{:.0} min", time / 60.0),
    }
}
