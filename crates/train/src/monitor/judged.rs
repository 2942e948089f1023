//! Texts with what the model says about them, some with a label and some without.

use std::collections::BTreeMap;
use std::path::Path;

use finetone_classify::Classifier;
use finetone_data::explore::words;
use finetone_data::split::random::Random;
use finetone_data::{Dataset, Example, LabelSet, ReadOptions, Target};
use finetone_evaluate::{DriftSample, most_probable};

use crate::error::TrainError;
use crate::material::{fingerprint, fnv_1a};
use crate::measure::{answers, options_for, targets_for};

/// Texts whose words and vectors are looked at.
const MOST_DRAWN: usize = 1_000;

/// Examples and what a classifier says about them.
pub struct Judged {
    pub examples: Vec<Example>,
    /// Their classes in the classifier's order, where they have a label.
    pub targets: Vec<Option<Target>>,
    /// Row-major `[n, C]`.
    pub probabilities: Vec<f32>,
}

impl Judged {
    /// Asks the classifier about examples whose classes are those of `labels`.
    pub fn new(classifier: &mut dyn Classifier, examples: Vec<Example>, labels: &LabelSet) -> Result<Self, TrainError> {
        let (probabilities, _) = answers(classifier, &examples)?;
        Ok(Self { targets: targets_for(classifier, labels, &examples), examples, probabilities })
    }

    /// Reads a file, and says what is to be known about it.
    pub fn file(
        classifier: &mut dyn Classifier,
        path: &Path,
        options: &ReadOptions,
    ) -> Result<(Self, Vec<String>), TrainError> {
        let options = ReadOptions { labels_required: false, ..options_for(classifier, options) };
        let dataset = Dataset::read(path, &options)?;
        let notices = dataset.notices.iter().map(ToString::to_string).collect();
        Ok((Self::new(classifier, dataset.examples, &dataset.labels)?, notices))
    }

    fn answers(&self) -> impl Iterator<Item = &[f32]> {
        self.probabilities.chunks_exact(self.probabilities.len() / self.examples.len().max(1))
    }

    /// The most probable class of each text.
    fn predicted(&self) -> Vec<usize> {
        self.answers().map(most_probable).collect()
    }

    /// Its probability.
    pub fn confidences(&self) -> Vec<f32> {
        self.answers().map(|row| row[most_probable(row)]).collect()
    }

    /// Share of the texts for which each class is predicted.
    pub fn shares(&self, labels: &[String]) -> BTreeMap<String, f64> {
        let predicted = self.predicted();
        let share = |class| predicted.iter().filter(|said| **said == class).count() as f64 / predicted.len() as f64;
        labels.iter().enumerate().map(|(class, label)| (label.clone(), share(class))).collect()
    }

    /// Whether each text that has a label is answered rightly, in their order.
    pub fn right(&self) -> Vec<bool> {
        let judged = self.targets.iter().zip(self.predicted());
        judged.filter_map(|(target, said)| Some(target.as_ref()?.first()? == said)).collect()
    }

    /// The texts that have a label: their targets and probabilities.
    pub fn labelled(&self) -> (Vec<Target>, Vec<f32>) {
        let rows = || self.targets.iter().zip(self.answers()).filter_map(|(target, row)| Some((target.clone()?, row)));
        (rows().map(|(target, _)| target).collect(), rows().flat_map(|(_, row)| row.iter().copied()).collect())
    }

    /// Rows drawn at random, in their order; all where they are no more than 1,000.
    pub fn drawn(&self, seed: u64) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.examples.len()).collect();
        Random::of(&[seed]).shuffle(&mut rows);
        rows.truncate(MOST_DRAWN);
        rows.sort_unstable();
        rows
    }

    /// The texts as numbers; the words are those of the rows that were drawn.
    pub fn sample(&self, drawn: &[usize]) -> DriftSample {
        DriftSample {
            lengths: self
                .examples
                .iter()
                .map(|example| finetone_data::words::words(&example.text).count() as u32)
                .collect(),
            words: drawn.iter().map(|&row| word_numbers(&self.examples[row].text)).collect(),
            predicted: self.predicted(),
            confidences: self.confidences(),
        }
    }

    /// A name for these texts and labels.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", fingerprint(&self.examples))
    }
}

/// The words of a text, each once and as a number that says nothing of the word itself: no text is kept.
pub fn word_numbers(text: &str) -> Vec<u32> {
    let number = |word: String| {
        let hash = fnv_1a(word.bytes().map(u64::from));
        (hash ^ (hash >> 32)) as u32
    };
    let mut numbers: Vec<u32> = words(text).map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
