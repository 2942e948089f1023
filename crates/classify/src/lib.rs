//! Texts to class probabilities.
//!
//! [`Classifier`] is what everything above works with, whatever stands behind it; [`TransformerClassifier`] is a model
//! folder on a backend, [`ChatClassifier`] one of a language model that answers with one of a closed set, and [`baselines`]
//! are what they have to beat. [`source`] finds the folder that a user means by
//! `--model`, and [`hub`] downloads it if need be.

mod adapter;
pub mod baselines;
mod chat_model;
mod classes;
mod embedder;
mod encoded;
pub mod error;
mod explanation;
pub mod hub;
mod neighbours;
mod probabilities;
mod reader;
mod served;
pub mod source;
mod states;
mod transformer;

use std::path::Path;

use finetone_backend::Backend;
use finetone_data::Example;
use finetone_evaluate::Abstention;
use finetone_generate::ChatNote;
use finetone_model::checkpoint::ModelFolder;

pub use chat_model::{Asking, ChatClassifier, Question, weigh};
pub use classes::Classes;
pub use embedder::Embedder;
pub use encoded::Encoded;
pub use error::ClassifyError;
pub use explanation::{Decisive, Explanation, Word};
pub use neighbours::{Kept, NEIGHBOURS_FILE, Near, Neighbour, Neighbourhood};
pub use probabilities::{Forward, TOKEN_BUDGET, pooled_vectors, probabilities};
pub use reader::{Reading, TextReader};
pub use served::{Compute, Rows, Served, Use};
pub use states::{States, Storage};
pub use transformer::{
    TextLimit, TransformerClassifier, preparation, with_abstention, with_decision, with_preparation, with_temperature,
    with_text_limit,
};

/// What a classifier said about some texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Classified {
    /// Row-major `[n, C]`: a softmax, or independent probabilities of a multi-label model.
    pub probabilities: Vec<f32>,
    /// How many of the texts were longer than the limit and are judged by a part of them.
    pub truncated: usize,
    /// The kept texts that are nearest to each, the nearest first; empty where none are to be shown.
    pub nearest: Vec<Vec<Neighbour>>,
}

/// Anything that gives class probabilities to texts.
pub trait Classifier: Send {
    /// Names of the classes, in the order of the probabilities.
    fn labels(&self) -> &[String];

    /// Whether any number of classes may apply to a text.
    fn is_multi_label(&self) -> bool;

    /// The columns that each example must bring besides its text, in the order of [`Example::columns`].
    fn columns(&self) -> &[String] {
        &[]
    }

    /// When a text is left to a person, if any is.
    fn abstention(&self) -> Option<&Abstention> {
        None
    }

    /// Whether it reads whole chats, where the examples are such.
    fn reads_chats(&self) -> bool {
        false
    }

    /// Whether it keeps labelled texts with their words.
    fn keeps_texts(&self) -> bool {
        false
    }

    /// Shows with each answer to come so many of the labelled texts that the model keeps, those nearest to the text.
    ///
    /// # Errors
    /// A model that keeps none.
    fn show_neighbours(&mut self, _count: usize) -> Result<(), ClassifyError> {
        Err(ClassifyError::NoNeighbours)
    }

    /// Probabilities of each example, in the order given. The texts are as in the file: what the model wants done to them is
    /// done here.
    ///
    /// # Errors
    /// A device that failed.
    fn classify(&mut self, examples: &[Example]) -> Result<Classified, ClassifyError>;
}

/// Opens a folder that holds a finished model: a language model that was trained on chats as such, any other as a classifier
/// whose batches have about `token_budget` tokens.
///
/// # Errors
/// A folder that lacks files or a head, or whose parts do not fit together; a language model with free answers.
pub fn open<B: Backend + 'static>(
    backend: B,
    folder: &Path,
    token_budget: usize,
) -> Result<Box<dyn Classifier>, ClassifyError> {
    let config = ModelFolder::open(folder)?.config().clone();
    Ok(match ChatNote::of(&config)? {
        Some(_) => Box::new(ChatClassifier::open(backend, folder)?),
        None => Box::new(TransformerClassifier::open(backend, folder, token_budget)?),
    })
}
