//! What can go wrong with a model folder, and what to do about it.

use std::path::{Path, PathBuf};

/// An error about a configuration or a checkpoint; [`ModelError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `config.json` is not JSON or lacks a field.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The folder has weights in a format that is not read.
    #[error("{}: there is no `model.safetensors`, only `{found}`", folder.display())]
    PickleOnly {
        /// The folder.
        folder: PathBuf,
        /// The file with the weights.
        found: String,
    },
    /// The tokenizer knows more tokens than the model has rows for.
    #[error("{}: the tokenizer has {tokens} tokens, the model's embedding {rows} rows", folder.display())]
    VocabularyMismatch {
        /// The model folder.
        folder: PathBuf,
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Rows of the embedding.
        rows: usize,
    },
    /// The folder has no weights.
    #[error("{}: there is no `model.safetensors`", folder.display())]
    NoWeights {
        /// The folder.
        folder: PathBuf,
    },
    /// A safetensors file whose header is wrong, or that ends early.
    #[error("{}: not a valid safetensors file: {problem}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A tensor that the configuration asks for is not there.
    #[error("{}: tensor `{name}` is missing", path.display())]
    MissingTensor {
        /// The file or folder.
        path: PathBuf,
        /// Its name in the checkpoint.
        name: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{}: tensor `{name}` has shape {found:?}, the configuration says {expected:?}", path.display())]
    TensorShape {
        /// The file or folder.
        path: PathBuf,
        /// Its name in the checkpoint.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape by `config.json`.
        expected: Vec<usize>,
    },
    /// A family that cannot say which token follows.
    #[error("a model of type `{model_type}` reads texts in both directions and cannot write any")]
    NoLanguageModel {
        /// Its `model_type`.
        model_type: &'static str,
    },
    /// A family that cannot say what stands at a masked place.
    #[error("a model of type `{model_type}` reads texts in one direction and has no masked-language head")]
    NoMaskedModel {
        /// Its `model_type`.
        model_type: &'static str,
    },
    /// A folder without the head that says what stands at masked places.
    #[error("{}: the weights have no masked-language head (that of `{architecture}`)", folder.display())]
    NoMaskedHead {
        /// The model folder.
        folder: PathBuf,
        /// The class with which Transformers opens a model that has one.
        architecture: &'static str,
    },
    /// A layer that is asked to carry an adapter and is not there.
    #[error("no layer of the model is called `{name}`")]
    NoSuchLayer {
        /// What was asked for.
        name: String,
        /// The layers that can carry one.
        known: Vec<String>,
    },
    /// A tensor of a type that is not floating-point.
    #[error("{}: tensor `{name}` is of type {dtype}, which is not read", path.display())]
    TensorType {
        /// The file or folder.
        path: PathBuf,
        /// Its name in the checkpoint.
        name: String,
        /// The type by its safetensors name.
        dtype: String,
    },
}

impl ModelError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } => io_hint(source),
            Self::Config { hint, .. } => Some(hint.clone()),
            Self::PickleOnly { folder, .. } => Some(format!(
                "convert it once with: python -c \"from transformers import AutoModelForSequenceClassification as M; \
                 M.from_pretrained('{0}').save_pretrained('{0}', safe_serialization=True)\"",
                folder.display()
            )),
            Self::NoWeights { .. } => Some(
                "a model folder holds `config.json`, `model.safetensors` (or its shards and index) and `tokenizer.json`".into(),
            ),
            Self::Safetensors { .. } => Some("the file is damaged or incomplete: download or export it again".into()),
            Self::MissingTensor { .. } => {
                Some("the weights belong to another model than `config.json` describes, or the export was cut off".into())
            }
            Self::VocabularyMismatch { .. } => {
                Some("the tokenizer files and the weights belong to different models: copy both from one place".into())
            }
            Self::TensorShape { .. } => Some("`config.json` and the weights belong to different models".into()),
            Self::NoLanguageModel { .. } => {
                Some("choose a causal model, such as GPT-2, Llama, Mistral or Qwen, or train a classifier".into())
            }
            Self::NoMaskedModel { .. } => {
                Some("choose a model that reads in both directions, such as BERT, RoBERTa or DistilBERT".into())
            }
            Self::NoMaskedHead { .. } => Some(
                "give a folder that was saved with its masked-language head, such as `google-bert/bert-base-uncased` as it is \
                 published; classifiers and sentence-transformers leave it out"
                    .into(),
            ),
            Self::NoSuchLayer { known, .. } => Some(format!("known layers: `{}`, or `all-linear`", known.join("`, `"))),
            Self::TensorType { .. } => {
                Some("save the model in float32, float16 or bfloat16; quantised checkpoints are not read".into())
            }
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn config(path: &Path, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Config { path: path.to_owned(), problem: problem.into(), hint: hint.into() }
    }
}

fn io_hint(source: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    match source.kind() {
        NotFound => Some("check the path".into()),
        PermissionDenied | ReadOnlyFilesystem => {
            Some("choose a folder that you may write to, or change its permissions".into())
        }
        StorageFull => Some("free some space or write to another disk".into()),
        _ => None,
    }
}
