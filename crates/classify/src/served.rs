//! A model folder behind a queue: texts are read by many threads and computed by one.

use std::path::Path;
use std::sync::Arc;

use finetone_backend::Backend;
use finetone_model::checkpoint::HeadImport;

use crate::transformer::Loaded;
use crate::{Classes, ClassifyError, Embedder, Neighbourhood, Reading, TextReader, TransformerClassifier};

/// What a folder is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Use {
    /// What it does best: classes where it has a trained head, vectors otherwise.
    Answers,
    /// Vectors, whatever head it has.
    Vectors,
}

/// Gives a row of numbers to each text that was read before.
pub trait Compute: Send {
    /// The rows in the order of the readings; [`Served::rows`] says what they are.
    ///
    /// # Errors
    /// A device that failed.
    fn compute(&mut self, readings: &[Reading]) -> Result<Vec<Vec<f64>>, ClassifyError>;
}

/// What the rows of a model are.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// Logits, and votes of neighbours where these have any, from which [`Classes`] makes probabilities.
    Logits(Classes),
    /// Vectors with this many numbers.
    Vectors(usize),
}

/// An open model: a part that is shared and a part that computes.
pub struct Served {
    /// How it reads texts.
    pub reader: Arc<TextReader>,
    /// What it answers with.
    pub rows: Rows,
    /// Bytes of its weights in full precision, and of the vectors of texts that it keeps.
    pub bytes: usize,
    /// What computes the answers.
    pub compute: Box<dyn Compute>,
}

impl Served {
    /// Opens a folder; batches have about `token_budget` tokens.
    ///
    /// # Errors
    /// A folder that lacks files, or whose parts do not fit together.
    pub fn open<B: Backend>(
        backend: B,
        folder: &Path,
        wanted: Use,
        token_budget: usize,
    ) -> Result<Self, ClassifyError> {
        let loaded = Loaded::open(&backend, folder, HeadImport::FreshWhereMissing(0))?;
        let bytes = loaded.model.table.numbers() * size_of::<f32>();
        if wanted == Use::Answers && loaded.has_head {
            let classifier = TransformerClassifier::from_folder(backend, folder, loaded, token_budget)?;
            let rows = Rows::Logits(classifier.classes().clone());
            let bytes = bytes + classifier.neighbourhood().map_or(0, Neighbourhood::bytes);
            return Ok(Self { reader: classifier.reader().clone(), rows, bytes, compute: Box::new(classifier) });
        }
        let embedder = Embedder::from_folder(backend, folder, loaded, token_budget)?;
        let rows = Rows::Vectors(embedder.width());
        Ok(Self { reader: embedder.reader().clone(), rows, bytes, compute: Box::new(embedder) })
    }
}

impl<B: Backend> Compute for TransformerClassifier<B> {
    fn compute(&mut self, readings: &[Reading]) -> Result<Vec<Vec<f64>>, ClassifyError> {
        Ok(self.judge(readings)?.rows)
    }
}

impl<B: Backend> Compute for Embedder<B> {
    fn compute(&mut self, readings: &[Reading]) -> Result<Vec<Vec<f64>>, ClassifyError> {
        Ok(self.vectors(readings)?.chunks_exact(self.width()).map(<[f64]>::to_vec).collect())
    }
}

#[cfg(test)]
mod tests {
    use finetone_backend::Reference;
    use finetone_data::Example;

    use super::*;
    use crate::Classifier;
    use crate::baselines::small_model::{TEXTS, folder};

    fn open(folder: &Path, wanted: Use) -> Served {
        Served::open(Reference::<f64>::new(), folder, wanted, 100).unwrap()
    }

    #[test]
    fn a_trained_head_answers_as_the_classifier_does() {
        let folder = folder();
        let examples = TEXTS.map(Example::from_text);
        let mut classifier = TransformerClassifier::open(Reference::<f64>::new(), folder.path(), 100).unwrap();
        let expected = classifier.classify(&examples).unwrap();
        let mut served = open(folder.path(), Use::Answers);
        let Rows::Logits(classes) = served.rows.clone() else { panic!("the folder has a head") };
        assert_eq!(classes.labels(), classifier.labels());
        let rows = served.compute.compute(&served.reader.read(&examples, None)).unwrap();
        let probabilities: Vec<f32> = rows.iter().flat_map(|row| classes.probabilities(row)).collect();
        assert_eq!(probabilities, expected.probabilities);
        let file = std::fs::metadata(folder.path().join("model.safetensors")).unwrap().len() as usize;
        assert!((file / 2..=file).contains(&served.bytes), "{} of {file}", served.bytes);
    }

    #[test]
    fn vectors_are_given_where_they_are_asked_for_or_there_is_no_head() {
        let folder = folder();
        let width = |served: &Served| match served.rows {
            Rows::Vectors(width) => Some(width),
            Rows::Logits(_) => None,
        };
        let mut vectors = open(folder.path(), Use::Vectors);
        let rows = vectors.compute.compute(&vectors.reader.read(&TEXTS.map(Example::from_text), None)).unwrap();
        assert!(rows.len() == TEXTS.len() && rows.iter().all(|row| Some(row.len()) == width(&vectors)));
        assert_eq!(width(&open(folder.path(), Use::Answers)), None);
        // Other labels than the weights were trained for: the head does not fit, so there is none.
        let path = folder.path().join("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let names: serde_json::Map<_, _> = (0..9).map(|i| (i.to_string(), format!("class {i}").into())).collect();
        config["id2label"] = names.into();
        std::fs::write(&path, config.to_string()).unwrap();
        assert_eq!(width(&open(folder.path(), Use::Answers)), width(&vectors));
    }
}
