//! Labels that are probably wrong: found by models that have not seen them, and written as a table to correct.

use std::path::Path;

use finetone_backend::Backend;
use finetone_classify::TOKEN_BUDGET;
use finetone_classify::baselines::{LEAST_TEXTS, Lesson, OutOfFold, Pretrained};
use finetone_data::tokenizer::{Limit, Tokenizer};
use finetone_data::{Dataset, Example, Preparation, ReadOptions, Target};
use finetone_evaluate::{LabelErrors, Predictions};

use crate::error::TrainError;
use crate::measure;

/// The most tokens of a text that a pretrained model reads here.
const MOST_TOKENS: usize = 512;

/// A labelled file and what confident learning says about its labels.
pub struct CheckedLabels {
    /// The file.
    pub dataset: Dataset,
    /// What models of four fifths of it say about the other fifth.
    pub predictions: Predictions,
    /// The suspects among its labels.
    pub found: LabelErrors,
    /// What the models are, in a few words.
    pub detail: String,
    /// Their mean negative log-likelihood of the labels.
    pub log_loss: f64,
}

impl CheckedLabels {
    /// Reads a file as `options` says and asks quick models about its labels: a regression over words, or over the vectors
    /// of a pretrained model on a backend where one is given and says more.
    ///
    /// # Errors
    /// A file that cannot be read, texts with several labels, fewer than ten texts or two labels, a damaged model.
    pub fn new<B: Backend>(
        file: &Path,
        options: &ReadOptions,
        pretrained: Option<(&B, &Path)>,
    ) -> Result<Self, TrainError> {
        let dataset = Dataset::read(file, &ReadOptions { labels_required: true, ..options.clone() })?;
        check_size(&dataset, options)?;
        let texts: Vec<&str> = dataset.examples.iter().map(|example| example.text.as_str()).collect();
        let targets: Vec<Target> = dataset.examples.iter().filter_map(|example| example.target.clone()).collect();
        let (preparation, labels) = (Preparation::default(), dataset.labels.names().to_vec());
        let (preparation, texts, multi_label) = (&preparation, &texts, false);
        let lesson = Lesson { preparation, texts, targets: &targets, labels: &labels, multi_label, seed: 0 };
        let limit = |tokenizer: &Tokenizer, most: usize| {
            Limit::head(tokenizer.max_tokens_hint().unwrap_or(most).min(most).min(MOST_TOKENS))
        };
        let pretrained = pretrained.map(|(backend, folder)| Pretrained {
            backend,
            folder,
            limit: &limit,
            token_budget: TOKEN_BUDGET,
        });
        let OutOfFold { detail, probabilities, log_loss } = OutOfFold::best(&lesson, pretrained.as_ref())?;
        let predictions = measure::predictions((&labels, false), &targets, probabilities)?;
        let found = LabelErrors::find(&predictions)?;
        Ok(Self { dataset, predictions, found, detail, log_loss })
    }

    /// The suspects as a CSV table to correct, the least believed first.
    pub fn table(&self) -> String {
        table(&self.found, &self.predictions, &self.dataset.examples)
    }
}

fn check_size(dataset: &Dataset, options: &ReadOptions) -> Result<(), TrainError> {
    let (texts, labels) = (dataset.examples.len(), dataset.labels.len());
    if options.multi_label.is_some() {
        return Err(TrainError::Setting {
            problem: "label errors are found only where a text has one label".into(),
            hint: "leave `--label-errors` out with several labels for a text".into(),
        });
    }
    if texts < LEAST_TEXTS || labels < 2 {
        return Err(TrainError::TooFew {
            problem: format!("{texts} texts with {labels} labels are too few to find label errors"),
            hint: format!("give at least {LEAST_TEXTS} texts and two labels"),
        });
    }
    Ok(())
}

/// The suspects as CSV, the least believed label first: line in the file, text, label, suggested label, the probabilities of
/// both, and an empty column for a person.
pub fn table(found: &LabelErrors, predictions: &Predictions, examples: &[Example]) -> String {
    let names = predictions.labels();
    let header =
        ["line", "text", "label", "suggested", "probability_of_label", "probability_of_suggested", "corrected"];
    let mut table = csv::Writer::from_writer(Vec::new());
    let rows = found.suspects.iter().map(|suspect| {
        let (example, p) = (&examples[suspect.row], predictions.row(suspect.row));
        let (given, suggested) = (suspect.given, suspect.suggested);
        let line = example.line.to_string();
        let numbers = [p[given], p[suggested]].map(|p| format!("{p:.4}"));
        [line, example.text.clone(), names[given].clone(), names[suggested].clone()]
            .into_iter()
            .chain(numbers)
            .chain([String::new()])
            .collect::<Vec<String>>()
    });
    let written =
        table.write_record(header).and_then(|()| rows.into_iter().try_for_each(|row| table.write_record(row)));
    written.expect("memory takes any row of as many fields");
    let bytes = table.into_inner().expect("memory is never full before the program ends");
    String::from_utf8(bytes).expect("texts and numbers are text")
}
