//! What can go wrong with a tokenizer, and what to do about it.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A failure while a tokenizer is opened, trained or saved.
#[derive(Debug, Error)]
pub enum TokenizerError {
    /// The folder holds none of the known tokenizer files.
    #[error("`{}` holds no tokenizer", .folder.display())]
    Missing {
        /// The folder that was searched.
        folder: PathBuf,
    },
    /// The folder holds only a form that this program does not read.
    #[error("`{}` holds only `{found}`, which must be converted to `tokenizer.json` first", .folder.display())]
    NeedsConversion {
        /// The folder that was searched.
        folder: PathBuf,
        /// The file that was found.
        found: &'static str,
    },
    /// A setting of the tokenizer changes the ids and is not supported.
    #[error("{}: {what} is not supported", .path.display())]
    Unsupported {
        /// The file that asks for it.
        path: PathBuf,
        /// What it asks for.
        what: String,
        /// What the user can do instead.
        advice: String,
    },
    /// A file is there but cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason given by the system.
        source: std::io::Error,
    },
    /// A file is readable but its content makes no tokenizer.
    #[error("{}: not a usable tokenizer file: {reason}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be written.
    #[error("{}: cannot be written: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the system.
        source: std::io::Error,
    },
    /// Training made no usable vocabulary.
    #[error("the tokenizer cannot be trained: {reason}")]
    Train {
        /// Why not.
        reason: String,
    },
}

impl TokenizerError {
    pub(crate) fn invalid(path: &Path, reason: impl ToString) -> Self {
        Self::Invalid { path: path.to_path_buf(), reason: reason.to_string() }
    }

    /// What the user can do about it, as one line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some(
                "a model folder needs `tokenizer.json`, or `vocab.json` with `merges.txt`, or `vocab.txt`; \
                 copy them from where the model came from"
                    .to_owned(),
            ),
            Self::NeedsConversion { folder, .. } => {
                let folder = folder.display();
                Some(format!(
                    "convert it once: `python -c \"from transformers import AutoTokenizer; \
                     AutoTokenizer.from_pretrained('{folder}').save_pretrained('{folder}')\"`"
                ))
            }
            Self::Unsupported { advice, .. } => Some(advice.clone()),
            Self::Read { .. } => Some("check that the file exists and that you may read it".to_owned()),
            Self::Invalid { .. } => {
                Some("the file may be cut off or belong to another model; fetch it again".to_owned())
            }
            Self::Write { .. } => Some("check the free space and that you may write there".to_owned()),
            Self::Train { .. } => {
                Some("give more text, or a vocabulary size that leaves room for the letters of the text".to_owned())
            }
        }
    }
}
