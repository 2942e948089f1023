//! What can go wrong between a model folder and its answers.

use std::path::PathBuf;

use finetone_backend::DeviceError;
use finetone_data::chat::template::TemplateError;
use finetone_data::tokenizer::TokenizerError;
use finetone_generate::{ChatNoteError, GenerateError};
use finetone_model::ModelError;

/// An error about a classifier; [`ClassifyError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClassifyError {
    /// The model folder.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer's files.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Where the model comes from.
    #[error(transparent)]
    Source(#[from] crate::source::SourceError),
    /// The machine.
    #[error("the device failed: {0}")]
    Device(#[from] DeviceError),
    /// What `config.json` says of the preparation of texts is not understood.
    #[error("the `preparation` in the model's `config.json` is not understood: {problem}")]
    Preparation {
        /// What is wrong.
        problem: String,
    },
    /// A chat cannot be written as the model reads chats.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A language model cannot answer.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// A language model whose answers are no closed set was asked for a class.
    #[error("{}: the model answers in its own words, not with one of a closed set of answers", folder.display())]
    FreeAnswers {
        /// The model folder.
        folder: PathBuf,
    },
    /// What `config.json` notes of the chats that the model was trained on.
    #[error(transparent)]
    ChatNote(#[from] ChatNoteError),
    /// The file that says how a sentence-transformers model pools is damaged.
    #[error("{}: {problem}", path.display())]
    Pooling {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file of labelled texts beside the model cannot be read or written, or is of another model.
    #[error("{}: {problem}", path.display())]
    Neighbours {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A model that keeps no labelled texts was asked to show them.
    #[error("the model keeps no labelled texts, so it has no neighbours to show")]
    NoNeighbours,
    /// There is no other class that an answer could be held against.
    #[error("an answer is explained by the class that was nearly given instead, and here there is none")]
    NoAlternative,
    /// What `config.json` notes about decisions is not understood, or about other classes.
    #[error("{}: the entry `{entry}` of `config.json` cannot be used: {problem}", folder.display())]
    Entry {
        /// The model folder.
        folder: PathBuf,
        /// Its name within the entry `finetone`.
        entry: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl ClassifyError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::Tokenizer(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::Template(error) => error.hint(),
            Self::Generate(error) => error.hint(),
            Self::FreeAnswers { .. } => Some(
                "there is no accuracy of free answers: ask the model by `finetone serve`, or train on chats that answer with \
                 one of a few labels"
                    .into(),
            ),
            Self::Device(_) => None,
            Self::NoAlternative => Some("explain a model with two classes or more and one label for a text".into()),
            Self::Neighbours { .. } => {
                Some("copy the whole model folder again, or remove the file: the model then answers alone".into())
            }
            Self::NoNeighbours => Some("train one that does: `finetone train FILE --set neighbours=on`".into()),
            Self::Entry { entry, .. } => Some(format!(
                "take `{entry}` out of the entry `finetone`; the model then answers as if it had never been there"
            )),
            Self::ChatNote(error) => error.hint(),
            Self::Preparation { .. } => {
                Some("the model may come from a newer finetone: update it, or export the model again".into())
            }
            Self::Pooling { .. } => Some("download the folder again, or remove the file to take the mean".into()),
        }
    }
}
