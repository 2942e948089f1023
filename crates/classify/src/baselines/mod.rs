//! What a fine-tuned model has to beat: four classifiers that are made in seconds and implement [`Classifier`] like any other.
//!
//! | baseline | what it knows |
//! |---|---|
//! | [`Baseline::Majority`] | how frequent each class is in the training texts |
//! | [`Baseline::Lexicon`] | the words of VADER's lexicon; nothing of the training texts |
//! | [`Baseline::TfIdf`] | which words and pairs of words go with which class |
//! | [`Baseline::Embeddings`] | the same about the vectors of a pretrained model, which itself stays as it is |
//!
//! The last two are logistic regressions with balanced class weights. How strongly each is regularised is chosen by
//! cross-validation inside the training texts, so that no other text is needed or seen.

mod embeddings;
mod freshness;
mod lbfgs;
mod lexicon;
mod linear;
mod logistic;
mod majority;
mod matrix;
mod out_of_fold;
#[cfg(test)]
mod scikit_learn_tests;
#[cfg(test)]
pub(crate) mod small_model;
mod strength;
mod tf_idf;

use std::path::Path;

use finetone_backend::Backend;
use finetone_data::tokenizer::Tokenizer;
use finetone_data::{Example, Preparation, Target};

use crate::{Classified, Classifier, ClassifyError, TextLimit};

use embeddings::FrozenEmbeddings;
pub use freshness::freshness_scores;
use linear::LinearClassifier;
use tf_idf::TfIdf;

pub use out_of_fold::{LEAST_TEXTS, OutOfFold};

/// A way to classify texts that a fine-tuned model is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Always the most frequent class.
    Majority,
    /// VADER, a lexicon with rules for English.
    Lexicon,
    /// Weighted words and pairs of words, and logistic regression.
    TfIdf,
    /// Vectors of a pretrained model that is not trained any further, and logistic regression.
    Embeddings,
}

/// What a baseline learns from.
#[derive(Debug, Clone, Copy)]
pub struct Lesson<'a> {
    /// What is done to an example before a baseline sees its text.
    pub preparation: &'a Preparation,
    /// The training texts, prepared, `n`.
    pub texts: &'a [&'a str],
    /// Their classes, `n`.
    pub targets: &'a [Target],
    /// Names of the classes.
    pub labels: &'a [String],
    /// Whether any number of classes may apply to a text.
    pub multi_label: bool,
    /// Deals the texts into folds where something is chosen by cross-validation.
    pub seed: u64,
}

/// A pretrained model for [`Baseline::Embeddings`].
#[derive(Clone, Copy)]
pub struct Pretrained<'a, B> {
    /// The machine to run it on.
    pub backend: &'a B,
    /// Its folder: `config.json`, weights, tokenizer.
    pub folder: &'a Path,
    /// How texts are cut, by the model's tokenizer and the most tokens that it takes.
    pub limit: &'a dyn Fn(&Tokenizer, usize) -> TextLimit,
    /// Tokens computed at a time.
    pub token_budget: usize,
}

/// What came of an attempt to fit a baseline.
pub enum Fit {
    /// A classifier.
    Fitted {
        /// It.
        classifier: Box<dyn Classifier>,
        /// What it is, in a few words: sizes, what was chosen.
        detail: String,
    },
    /// The baseline has no meaning for this task, for this reason.
    NotApplicable(String),
}

impl Fit {
    fn of(inner: impl TextClassifier + 'static, detail: String, lesson: &Lesson<'_>) -> Self {
        let (labels, columns) = (lesson.labels.to_vec(), lesson.preparation.columns());
        let (preparation, multi_label) = (lesson.preparation.clone(), lesson.multi_label);
        let classifier = Box::new(OfExamples { inner, preparation, columns, labels, multi_label });
        Self::Fitted { classifier, detail }
    }
}

/// What a baseline is: probabilities of texts that are prepared.
trait TextClassifier: Send {
    /// Probabilities of each text, in the order given.
    ///
    /// # Errors
    /// A device that failed.
    fn classify(&mut self, texts: &[&str]) -> Result<Classified, ClassifyError>;
}

/// A baseline with what is done to an example before.
struct OfExamples<C> {
    inner: C,
    preparation: Preparation,
    columns: Vec<String>,
    labels: Vec<String>,
    multi_label: bool,
}

impl<C: TextClassifier> Classifier for OfExamples<C> {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn is_multi_label(&self) -> bool {
        self.multi_label
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn classify(&mut self, examples: &[Example]) -> Result<Classified, ClassifyError> {
        let prepared = self.preparation.prepare_all(examples);
        let texts: Vec<&str> = prepared.iter().map(|row| &*row.text).collect();
        self.inner.classify(&texts)
    }
}

impl Baseline {
    /// All of them, the simplest first.
    pub const ALL: [Self; 4] = [Self::Majority, Self::Lexicon, Self::TfIdf, Self::Embeddings];

    /// Its key in reports for programs.
    pub fn key(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Lexicon => "lexicon",
            Self::TfIdf => "tf_idf",
            Self::Embeddings => "embeddings",
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Majority => "the most frequent class",
            Self::Lexicon => "VADER's lexicon",
            Self::TfIdf => "TF-IDF and logistic regression",
            Self::Embeddings => "frozen embeddings and logistic regression",
        }
    }

    /// Learns from the training texts. The same texts and seed give the same classifier, whatever the number of threads.
    /// Without a pretrained model there are no embeddings.
    ///
    /// # Errors
    /// A folder of the pretrained model that cannot be read, a device that failed.
    ///
    /// # Panics
    /// Without texts, or with another number of targets.
    pub fn fit<B: Backend>(
        self,
        lesson: &Lesson<'_>,
        pretrained: Option<&Pretrained<'_, B>>,
    ) -> Result<Fit, ClassifyError> {
        assert!(!lesson.texts.is_empty(), "a baseline needs texts to learn from");
        assert_eq!(lesson.texts.len(), lesson.targets.len(), "each text has a target");
        match self {
            Self::Majority => Ok(majority::fit(lesson)),
            Self::Lexicon => Ok(lexicon::fit(lesson)),
            Self::TfIdf => {
                let words = TfIdf::fit(lesson.texts);
                let detail = format!("{} words and pairs of words", words.terms().len());
                LinearClassifier::fit(words, detail, lesson)
            }
            Self::Embeddings => match pretrained {
                Some(pretrained) => {
                    let vectors = FrozenEmbeddings::open(pretrained)?;
                    let detail = vectors.detail();
                    LinearClassifier::fit(vectors, detail, lesson)
                }
                None => {
                    Ok(Fit::NotApplicable("the model starts from random weights and has nothing to embed with".into()))
                }
            },
        }
    }
}
