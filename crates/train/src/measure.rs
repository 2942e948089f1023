//! Predictions and truth to numbers and a report.

use std::collections::BTreeMap;
use std::path::Path;

use finetone_classify::Classifier;
use finetone_data::{Dataset, Example, LabelSet, ReadOptions, Target};
use finetone_evaluate::{
    Abstention, Evaluation, EvaluationOptions, Metric, NamedEvaluation, Predictions, Report, Section, Truth, WorstError,
};

use crate::error::TrainError;

/// How many of the worst errors a report shows.
pub const WORST_ERRORS: usize = 20;

/// Texts that `answers` hands to the classifier at a time.
const WINDOW: usize = 4096;

/// Probabilities and truth, put together.
pub fn predictions(
    (labels, multi_label): (&[String], bool),
    targets: &[Target],
    probabilities: Vec<f32>,
) -> Result<Predictions, TrainError> {
    Ok(Predictions::new(labels.to_vec(), truth(targets, multi_label), probabilities)?)
}

fn truth(targets: &[Target], multi_label: bool) -> Truth {
    if multi_label {
        Truth::Multi(targets.iter().map(|target| target.classes().to_vec()).collect())
    } else {
        Truth::Single(targets.iter().filter_map(Target::first).collect())
    }
}

/// The metrics of an evaluation during training, by the names that users of other trainers know. As in the steps, the token
/// that a classifier answers with is its label; where a text may have several, each yes and no is one.
pub fn summary(predictions: &Predictions) -> Result<BTreeMap<String, f64>, TrainError> {
    let mut all = BTreeMap::new();
    for name in ["loss", "accuracy", "f1_macro", "f1_weighted", "ece"] {
        let metric: Metric = name.parse()?;
        all.insert(format!("eval_{name}"), metric.compute(predictions)?);
    }
    for label in predictions.labels() {
        let metric: Metric = format!("f1.{label}").parse()?;
        all.insert(format!("eval_f1_{label}"), metric.compute(predictions)?);
    }
    all.insert("eval_mean_token_accuracy".into(), share_of_labels(predictions));
    Ok(all)
}

/// Share of the labels that are judged right: of the texts' classes, or of all yes/no answers.
fn share_of_labels(predictions: &Predictions) -> f64 {
    let (rows, classes) = (predictions.rows(), predictions.classes());
    let right = |row: usize| match predictions.is_multi_label() {
        false => usize::from(predictions.predicted(row) == predictions.true_classes(row)),
        true => (0..classes).filter(|&c| predictions.predicts(row, c) == predictions.truth().contains(row, c)).count(),
    };
    let labels = if predictions.is_multi_label() { rows * classes } else { rows };
    (0..rows).map(right).sum::<usize>() as f64 / labels as f64
}

/// How fast `rows` texts were measured, in groups that are computed together.
pub fn speed(seconds: f64, rows: usize, groups: usize) -> [(String, f64); 3] {
    [
        ("eval_runtime".into(), seconds),
        ("eval_samples_per_second".into(), rows as f64 / seconds),
        ("eval_steps_per_second".into(), groups as f64 / seconds),
    ]
}

/// The final numbers by name, without their intervals.
pub fn final_metrics(evaluation: &Evaluation) -> BTreeMap<String, f64> {
    evaluation.estimates().iter().map(|(metric, estimate)| (metric.to_string(), estimate.value)).collect()
}

/// The numbers that fit on a line.
pub fn brief(predictions: &Predictions) -> Result<BTreeMap<String, f64>, TrainError> {
    let metrics = ["accuracy", "f1_macro"].into_iter().map(|name| {
        let metric: Metric = name.parse()?;
        Ok((name.to_owned(), metric.compute(predictions)?))
    });
    metrics.collect()
}

/// Numbers with intervals and the baseline of the same texts.
pub fn evaluate(name: &str, predictions: &Predictions) -> Result<NamedEvaluation, TrainError> {
    let evaluation = Evaluation::new(predictions, &EvaluationOptions::default())?;
    Ok(NamedEvaluation::new(name, predictions, evaluation)?)
}

/// The same for a model that may leave texts to a person.
pub fn evaluate_with(
    abstention: Option<&Abstention>,
    name: &str,
    predictions: &Predictions,
) -> Result<NamedEvaluation, TrainError> {
    let answered = abstention.map(|abstention| abstention.outcome(predictions));
    Ok(NamedEvaluation { answered, ..evaluate(name, predictions)? })
}

/// The wrong answers that cost most, with their texts.
pub fn worst_errors(predictions: &Predictions, examples: &[Example]) -> Vec<WorstError> {
    WorstError::rank(predictions, WORST_ERRORS, |row| (examples[row].line, examples[row].text.clone()))
}

/// A classifier's probabilities of examples, and how many of these it cut.
pub fn answers(classifier: &mut dyn Classifier, examples: &[Example]) -> Result<(Vec<f32>, usize), TrainError> {
    let (mut all, mut truncated) = (Vec::new(), 0);
    for window in examples.chunks(WINDOW) {
        let classified = classifier.classify(window)?;
        all.extend(classified.probabilities);
        truncated += classified.truncated;
    }
    Ok((all, truncated))
}

/// How a file is read for a classifier: against its labels, with the columns that it needs.
pub fn options_for(classifier: &dyn Classifier, options: &ReadOptions) -> ReadOptions {
    ReadOptions {
        known: Some(LabelSet::from_names(classifier.labels().iter().cloned())),
        multi_label: options.multi_label.or(classifier.is_multi_label().then_some('|')),
        columns: classifier.columns().to_vec(),
        chats: classifier.reads_chats(),
        ..options.clone()
    }
}

/// The targets of examples whose classes are those of `labels`, by the classifier's classes. A label set orders its names by
/// itself; the classifier's order is that of its probabilities.
pub fn targets_for(classifier: &dyn Classifier, labels: &LabelSet, examples: &[Example]) -> Vec<Option<Target>> {
    let place = |name| classifier.labels().iter().position(|label| label == name).unwrap_or(0);
    let places: Vec<usize> = labels.names().iter().map(place).collect();
    examples.iter().map(|example| Some(moved(example.target.as_ref()?, &places))).collect()
}

/// A labelled file and what a classifier says about it.
pub struct MeasuredFile {
    /// The file.
    pub dataset: Dataset,
    /// Probabilities and truth, in the classifier's order of the classes.
    pub predictions: Predictions,
    /// How many texts were cut.
    pub truncated: usize,
}

impl MeasuredFile {
    /// Reads the file as `options` says, against the classifier's labels, and asks the classifier.
    pub fn new(classifier: &mut dyn Classifier, file: &Path, options: &ReadOptions) -> Result<Self, TrainError> {
        let options = ReadOptions { labels_required: true, ..options_for(classifier, options) };
        let dataset = Dataset::read(file, &options)?;
        let targets = targets_for(classifier, &dataset.labels, &dataset.examples);
        let targets: Vec<Target> = targets.into_iter().flatten().collect();
        let (all, truncated) = answers(classifier, &dataset.examples)?;
        let predictions = predictions((classifier.labels(), classifier.is_multi_label()), &targets, all)?;
        Ok(Self { dataset, predictions, truncated })
    }

    /// What a report says about the file.
    pub fn section(&self) -> Section {
        Section::new("Data")
            .fact("file", self.dataset.source.display())
            .fact("rows", self.dataset.examples.len())
            .fact("text column", &self.dataset.text_column)
    }
}

/// Measures a classifier on a labelled file, which is read as `options` says, against the classifier's labels.
///
/// # Errors
/// A file that cannot be read, a label that the classifier does not know, a device that failed.
pub fn evaluate_file(
    classifier: &mut dyn Classifier,
    file: &Path,
    options: &ReadOptions,
) -> Result<(Evaluation, Report), TrainError> {
    let measured = MeasuredFile::new(classifier, file, options)?;
    let MeasuredFile { dataset, predictions, truncated } = &measured;
    let named = evaluate_with(classifier.abstention(), "test", predictions)?;
    let evaluation = named.evaluation.clone();
    let report = Report {
        title: format!("Evaluation on {}", file_name(file)),
        evaluations: vec![named],
        notices: dataset.notices.iter().map(ToString::to_string).collect(),
        worst_errors: worst_errors(predictions, &dataset.examples),
        data: vec![measured.section().fact("truncated texts", share(*truncated, dataset.examples.len()))],
        ..Report::default()
    };
    Ok((evaluation, report))
}

/// The last part of a path.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn moved(target: &Target, places: &[usize]) -> Target {
    match target {
        Target::Class(class) => Target::Class(places[*class]),
        Target::Classes(classes) => {
            let mut moved: Vec<usize> = classes.iter().map(|&class| places[class]).collect();
            moved.sort_unstable();
            Target::Classes(moved)
        }
    }
}

/// `12 of 970 (1.2 %)`.
pub fn share(part: usize, whole: usize) -> String {
    format!("{part} of {whole} ({:.1} %)", 100.0 * part as f64 / whole.max(1) as f64)
}
