//! What can be wrong with a request, and with a model folder.

use std::path::PathBuf;

use finetone_data::chat::template::TemplateError;
use finetone_data::tokenizer::TokenizerError;
use finetone_model::ModelError;

use crate::chat_note::ChatNoteError;

/// A model that cannot write, or a request that it cannot answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GenerateError {
    /// The model was opened as a classifier.
    #[error("the model has no head of a language model")]
    NoLanguageHead,
    /// There is nothing to continue.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// The sequence would not fit.
    #[error("{tokens} tokens are more than the {context} that there is room for")]
    TooLong {
        /// Tokens of the sequence.
        tokens: usize,
        /// Tokens that there is room for.
        context: usize,
    },
    /// A token that the model does not know.
    #[error("token {id} is not one of the {vocabulary} that the model knows")]
    UnknownToken {
        /// The token.
        id: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// A setting out of its range.
    #[error("{name} is {value}, which is not {wanted}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        wanted: &'static str,
    },
    /// A closed set of answers without an answer, or with an empty one.
    #[error("a set of answers needs at least one, and each at least one token")]
    NoChoices,
    /// An answer that is the beginning of another.
    #[error("answer {shorter} is the beginning of answer {longer}")]
    PrefixOfAnother {
        /// Number of the shorter one, from 0.
        shorter: usize,
        /// Number of the longer one.
        longer: usize,
    },
}

impl GenerateError {
    /// What the caller can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoLanguageHead => "open the folder as a language model".into(),
            Self::EmptyPrompt => "begin with the token for the beginning of a text, where there is one".into(),
            Self::TooLong { .. } => "shorten the prompt or ask for fewer tokens".into(),
            Self::UnknownToken { .. } => "the tokenizer belongs to another model".into(),
            Self::Setting { wanted, .. } => format!("give {wanted}"),
            Self::NoChoices => "name the answers that the model may give".into(),
            Self::PrefixOfAnother { .. } => {
                "end every answer with the token that ends a turn, and name none twice".into()
            }
        })
    }
}

/// A folder that is no language model that can be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The configuration or the weights.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer's files.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokenizer of a masked language model knows no masks.
    #[error("{}: the tokenizer has no token for masked places", folder.display())]
    NoMask {
        /// The folder.
        folder: PathBuf,
    },
    /// The template, or messages that it refuses.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Answers that the model cannot give.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The settings of generation.
    #[error("{}: {problem}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// What `config.json` notes of the chats that the model was trained on.
    #[error(transparent)]
    ChatNote(#[from] ChatNoteError),
}

impl FolderError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::Tokenizer(error) => error.hint(),
            Self::NoMask { .. } => Some("give the tokenizer that was published with the model".into()),
            Self::Template(error) => error.hint(),
            Self::Generate(error) => error.hint(),
            Self::Settings { .. } => Some("download the folder again, or remove the file".into()),
            Self::ChatNote(error) => error.hint(),
        }
    }
}
