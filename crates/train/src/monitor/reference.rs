//! What fresh texts are held against: the validation rows of the run, as numbers.
//!
//! They are read and judged once, at the first call, and kept in `monitor/reference.safetensors`: lengths, words as numbers,
//! predictions, and vectors. No text is among them. A file that cannot be read is made again.

use std::collections::HashMap;
use std::path::Path;

use finetone_classify::{Classifier, ClassifyError};
use finetone_data::{Example, ReadOptions};
use finetone_evaluate::{DriftSample, FallDetector};
use serde::{Deserialize, Serialize};

use super::judged::Judged;
use super::{SEED, mean};
use crate::error::TrainError;
use crate::events::Unheard;
use crate::material::Texts;
use crate::run::saved_config;
use crate::store::persist;
use crate::tensor_file::{self, Tensor, TensorFile};

const NOTE: &str = "reference";
const VECTORS: &str = "vectors";

/// Makes vectors of examples.
type Embed<'a> = dyn FnMut(&[Example]) -> Result<Vec<f32>, ClassifyError> + 'a;

/// Which rows the reference is, and how good the model was on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferenceFacts {
    /// What the rows are, such as `validation rows of the run`.
    pub source: String,
    /// Texts.
    pub rows: usize,
    /// Share of them that is right, where they have labels.
    pub accuracy: Option<f64>,
    /// The mean confidence.
    pub confidence: f64,
}

/// The reference as numbers.
#[derive(Serialize, Deserialize)]
pub struct Reference {
    pub facts: ReferenceFacts,
    pub sample: DriftSample,
    /// Whether each row is answered rightly; nothing where not all have a label.
    pub right: Option<Vec<bool>>,
    /// Vectors `[m, D]` of the rows whose words are in the sample.
    #[serde(skip)]
    pub vectors: Vec<f32>,
    /// How many numbers these are.
    numbers: usize,
}

impl Reference {
    /// The reference that the run keeps, or its validation rows, or else those of its test.
    pub fn of_run(
        classifier: &mut dyn Classifier,
        embed: &mut Embed<'_>,
        run: &Path,
        folder: &Path,
    ) -> Result<Self, TrainError> {
        let path = folder.join("reference.safetensors");
        if let Some(kept) = Self::read(&path) {
            return Ok(kept);
        }
        let texts = Texts::read(&saved_config(run)?, None, &mut Unheard)?;
        let (source, examples) = match (&texts.validation, &texts.test) {
            (validation, _) if !validation.is_empty() => ("validation rows of the run", validation),
            (_, test) if !test.is_empty() => ("test rows of the run", test),
            _ => {
                return Err(TrainError::TooFew {
                    problem: "the run held no rows out, so there is nothing to hold fresh texts against".into(),
                    hint: "name a labelled file that the model was not trained on: `--reference FILE`".into(),
                });
            }
        };
        let judged = Judged::new(classifier, examples.clone(), &texts.labels)?;
        let reference = Self::new(source, &judged, embed)?;
        reference.write(&path).map_err(TrainError::io(&path))?;
        Ok(reference)
    }

    /// The rows of a file.
    pub fn of_file(
        classifier: &mut dyn Classifier,
        embed: &mut Embed<'_>,
        file: &Path,
        options: &ReadOptions,
    ) -> Result<Self, TrainError> {
        let (judged, _) = Judged::file(classifier, file, options)?;
        Self::new(&format!("rows of {}", file.display()), &judged, embed)
    }

    fn new(source: &str, judged: &Judged, embed: &mut Embed<'_>) -> Result<Self, TrainError> {
        let drawn = judged.drawn(SEED);
        let chosen: Vec<Example> = drawn.iter().map(|&row| judged.examples[row].clone()).collect();
        let (vectors, right) = (embed(&chosen)?, judged.right());
        let right = (right.len() == judged.examples.len()).then_some(right);
        let share = |right: &Vec<bool>| right.iter().filter(|right| **right).count() as f64 / right.len() as f64;
        let facts = ReferenceFacts {
            source: source.to_owned(),
            rows: judged.examples.len(),
            accuracy: right.as_ref().map(share),
            confidence: mean(&judged.confidences()),
        };
        Ok(Self { facts, sample: judged.sample(&drawn), right, numbers: vectors.len(), vectors })
    }

    /// A reference without vectors and labels.
    pub fn of_numbers(facts: ReferenceFacts, sample: DriftSample) -> Self {
        Self { facts, sample, right: None, vectors: Vec::new(), numbers: 0 }
    }

    /// A watch for answers that are right less often than these; nothing where not all have a label.
    pub fn detector(&self) -> Option<FallDetector> {
        let right = self.right.as_ref()?;
        let count = right.iter().filter(|right| **right).count();
        Some(FallDetector::new(count as u64, right.len() as u64))
    }

    fn read(path: &Path) -> Option<Self> {
        let mut file = TensorFile::open(path).ok()?;
        let mut reference: Self = serde_json::from_str(file.note(NOTE)?).ok()?;
        reference.vectors = file.values(VECTORS, reference.numbers).ok()?;
        Some(reference)
    }

    /// Writes it whole or not at all.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let unfinished = path.with_extension("unfinished");
        let notes = HashMap::from([(NOTE.to_owned(), serde_json::to_string(self)?)]);
        let tensor = Tensor { name: VECTORS, len: self.vectors.len(), source: self.vectors.as_slice() };
        tensor_file::write(&unfinished, notes, &[tensor], |source, range, piece| {
            piece.copy_from_slice(&source[range])
        })?;
        persist(&unfinished, path)
    }
}
