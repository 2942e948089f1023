//! A model on texts that came after its training: is it still as good, and are they still the same kind of texts?
//!
//! What the texts are held against is the validation set of the run (`reference.rs`), kept in its folder as numbers. Every call
//! adds a line to the history of the run (`history.rs`), which the page draws over time (`page.rs`).

mod history;
mod judged;
mod live;
mod page;
mod reference;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use finetone_backend::Backend;
use finetone_classify::baselines::freshness_scores;
use finetone_classify::{Classifier, ClassifyError, Embedder};
use finetone_data::{Example, ReadOptions};
use finetone_evaluate::{
    Drift, Estimate, FallDetector, NamedEvaluation, expected_accuracy, far_apart, least_certain, margins,
};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::measure;
use crate::store::write_whole;
use history::History;
use judged::Judged;
pub use live::{FEWEST_ANSWERS, Live, LiveAnswer, LiveReference, LiveWindows, live_worth_labelling};
use reference::Reference;
pub use reference::ReferenceFacts;

/// Share of intervals that hold the true value.
const CONFIDENCE: f64 = 0.95;
/// Draws samples and permutations.
const SEED: u64 = 0;
/// Of so many times the rows that are wanted the most different are chosen.
const UNCERTAIN: usize = 10;

/// A finished run whose model is open.
pub struct Watch<'a, B: Backend> {
    /// Its folder.
    pub run: &'a Path,
    /// Its model as a classifier.
    pub classifier: &'a mut dyn Classifier,
    /// Its model as a maker of vectors.
    pub embedder: &'a Embedder<B>,
}

/// What to look at.
pub struct MonitorOptions {
    /// The fresh file.
    pub fresh: PathBuf,
    /// How it is read. Rows without a label are welcome.
    pub read: ReadOptions,
    /// The file that the fresh one is held against, and how it is read; the validation rows of the run where there is none.
    pub reference: Option<(PathBuf, ReadOptions)>,
    /// How many rows to choose for labelling.
    pub to_label: usize,
}

/// A call: a line of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it was, as RFC 3339 has it.
    pub at: String,
    /// The fresh file as it was named.
    pub file: String,
    /// A number for its texts and labels, so that the same rows do not count twice.
    pub fingerprint: String,
    /// Texts.
    pub rows: usize,
    /// Those of them that have a label.
    pub labelled: usize,
    /// What they were held against.
    pub reference: ReferenceFacts,
    /// Share of the labelled texts that is right.
    pub accuracy: Option<Estimate>,
    /// Macro F1 of the labelled texts.
    pub f1_macro: Option<Estimate>,
    /// Share of all texts that is probably right, by the confidence of the model.
    pub expected_accuracy: Option<Estimate>,
    /// The mean confidence.
    pub confidence: f64,
    /// How often each class is predicted.
    pub shares: BTreeMap<String, f64>,
    /// Whether the texts have changed.
    pub drift: Drift,
    /// The labelled rows of all calls in a row: has the accuracy fallen?
    pub stream: Option<FallDetector>,
}

/// What a call found.
pub struct Observed {
    /// The numbers.
    pub record: Record,
    /// Every metric of the labelled texts.
    pub evaluation: Option<NamedEvaluation>,
    /// The lines of the rows that are worth labelling.
    pub to_label: Vec<u64>,
    /// What else to know.
    pub notices: Vec<String>,
    /// The page with the history.
    pub page: PathBuf,
}

/// Judges a fresh file, adds the call to the history of the run and draws it.
///
/// # Errors
/// A model of several labels for a text, a file that cannot be read, a run whose validation rows are gone, a device that failed.
pub fn monitor<B: Backend>(watch: &mut Watch<'_, B>, options: &MonitorOptions) -> Result<Observed, TrainError> {
    refuse_several_labels(watch.classifier)?;
    let folder = watch.run.join("monitor");
    std::fs::create_dir_all(&folder).map_err(TrainError::io(&folder))?;
    let (fresh, mut notices) = Judged::file(watch.classifier, &options.fresh, &options.read)?;
    let reference = reference_of(watch, &folder, options)?;
    let mut history = History::read(&folder)?;
    notices.extend(history.notice());
    let evaluation = evaluation(watch.classifier, &fresh)?;
    let stream = stream(&reference, &history, &fresh, &mut notices);
    let record = Record {
        at: history::now(),
        file: options.fresh.display().to_string(),
        fingerprint: fresh.fingerprint(),
        rows: fresh.examples.len(),
        labelled: fresh.right().len(),
        reference: reference.facts.clone(),
        accuracy: evaluation.as_ref().map(|named| named.evaluation.accuracy()),
        f1_macro: evaluation.as_ref().map(|named| named.evaluation.f1_macro()),
        expected_accuracy: expected(&reference, &fresh),
        confidence: mean(&fresh.confidences()),
        shares: fresh.shares(watch.classifier.labels()),
        drift: drift(watch, &reference, &fresh)?,
        stream,
    };
    history.append(record.clone())?;
    let page = folder.join("report.html");
    write_whole(&page, &page::page(watch.run, &history, &notices).to_html()?)?;
    let to_label = worth_labelling(watch, &fresh, options.to_label)?;
    Ok(Observed { record, evaluation, to_label, notices, page })
}

fn refuse_several_labels(classifier: &dyn Classifier) -> Result<(), TrainError> {
    if classifier.is_multi_label() {
        return Err(TrainError::Setting {
            problem: "the model gives a text several labels, and only models of one label are watched so far".into(),
            hint: "measure it by `finetone eval`".into(),
        });
    }
    Ok(())
}

/// What the fresh texts are held against: a file, or the rows that the run kept for validation.
fn reference_of<B: Backend>(
    watch: &mut Watch<'_, B>,
    folder: &Path,
    options: &MonitorOptions,
) -> Result<Reference, TrainError> {
    let Watch { run, classifier, embedder } = watch;
    let mut embed = |examples: &[Example]| vectors(embedder, examples);
    match &options.reference {
        Some((file, read)) => Reference::of_file(*classifier, &mut embed, file, read),
        None => Reference::of_run(*classifier, &mut embed, run, folder),
    }
}

/// Vectors `[n, D]` of examples.
fn vectors<B: Backend>(embedder: &Embedder<B>, examples: &[Example]) -> Result<Vec<f32>, ClassifyError> {
    let vectors = embedder.vectors(&embedder.reader().read(examples, None))?;
    Ok(vectors.into_iter().map(|value| value as f32).collect())
}

/// The metrics of the rows that have a label.
fn evaluation(classifier: &dyn Classifier, fresh: &Judged) -> Result<Option<NamedEvaluation>, TrainError> {
    let (targets, probabilities) = fresh.labelled();
    if targets.is_empty() {
        return Ok(None);
    }
    let predictions = measure::predictions((classifier.labels(), false), &targets, probabilities)?;
    Ok(Some(measure::evaluate("fresh", &predictions)?))
}

fn expected(reference: &Reference, fresh: &Judged) -> Option<Estimate> {
    let right = reference.right.as_ref()?;
    expected_accuracy((&reference.sample.confidences, right), &fresh.confidences(), CONFIDENCE)
}

fn drift<B: Backend>(watch: &Watch<'_, B>, reference: &Reference, fresh: &Judged) -> Result<Drift, TrainError> {
    let drawn = fresh.drawn(SEED);
    let chosen: Vec<Example> = drawn.iter().map(|&row| fresh.examples[row].clone()).collect();
    let vectors = vectors(watch.embedder, &chosen)?;
    let told_apart = freshness_scores(&reference.vectors, &vectors, watch.embedder.width(), SEED);
    let classes = watch.classifier.labels().len();
    Ok(Drift::new((&reference.sample, &fresh.sample(&drawn)), classes, &told_apart, SEED)?)
}

/// The watch over the accuracy goes on from the last call that had the same reference. Rows that a call has seen already do not
/// count again.
fn stream(reference: &Reference, history: &History, fresh: &Judged, notices: &mut Vec<String>) -> Option<FallDetector> {
    let fresh_detector = reference.detector()?;
    let earlier = || history.records.iter().filter(|record| record.reference == reference.facts);
    let last = earlier().filter_map(|record| record.stream.clone()).next_back();
    let mut detector = last.unwrap_or(fresh_detector);
    let fingerprint = fresh.fingerprint();
    if earlier().any(|record| record.fingerprint == fingerprint) {
        notices.push(
            "an earlier call has seen the same rows: the watch for a fall of the accuracy leaves them out".into(),
        );
    } else {
        fresh.right().into_iter().for_each(|right| detector.see(right));
    }
    Some(detector)
}

/// Lines of rows without a label that the model is unsure about and that differ from each other.
fn worth_labelling<B: Backend>(watch: &Watch<'_, B>, fresh: &Judged, wanted: usize) -> Result<Vec<u64>, TrainError> {
    let classes = watch.classifier.labels().len();
    let margins = margins(&fresh.probabilities, classes);
    let open: Vec<usize> = (0..fresh.examples.len()).filter(|&row| fresh.targets[row].is_none()).collect();
    let of_open: Vec<f32> = open.iter().map(|&row| margins[row]).collect();
    let uncertain = least_certain(&of_open, UNCERTAIN.saturating_mul(wanted));
    let examples: Vec<Example> = uncertain.iter().map(|&place| fresh.examples[open[place]].clone()).collect();
    let chosen = far_apart(&vectors(watch.embedder, &examples)?, watch.embedder.width(), wanted);
    Ok(chosen.into_iter().map(|row| examples[row].line).collect())
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len().max(1) as f64
}
