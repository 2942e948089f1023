//! What can go wrong with a download, and what to do about it.

use std::path::PathBuf;

use thiserror::Error;

use super::ModelId;

/// A failure while a model is fetched from the Hub or found in its cache.
#[derive(Debug, Error)]
pub enum HubError {
    /// The text is not a name that the Hub could have.
    #[error("`{text}` is not the name of a model on the Hub")]
    InvalidId {
        /// What was given.
        text: String,
    },
    /// The network is switched off and the cache does not have everything.
    #[error("`{id}` is not complete in the cache (missing: {}) and offline mode is on", list(.missing))]
    Offline {
        /// The model.
        id: ModelId,
        /// The files that are missing.
        missing: Vec<String>,
        /// The cache folder.
        cache: PathBuf,
    },
    /// The Hub has no such model, or does not show it to this user.
    #[error("the Hub has no model `{id}`")]
    NotFound {
        /// The model.
        id: ModelId,
        /// Whether a token was sent.
        token: bool,
    },
    /// The model has no such branch, tag or commit.
    #[error("`{}` has no revision `{}`", .id.name, .id.revision)]
    RevisionNotFound {
        /// The model.
        id: ModelId,
    },
    /// The model is private, or its terms must be accepted first.
    #[error("access to `{id}` is refused (HTTP {status})")]
    Refused {
        /// The model.
        id: ModelId,
        /// 401 or 403.
        status: u16,
        /// Whether a token was sent.
        token: bool,
        /// The address of the Hub.
        endpoint: String,
    },
    /// The model's weights are in Python's pickle format only.
    #[error("`{id}` has no `model.safetensors`, only `{found}`")]
    NoSafetensors {
        /// The model.
        id: ModelId,
        /// A file with weights that was found.
        found: String,
    },
    /// A file that every model needs is not there.
    #[error("`{id}` has no `{file}`")]
    MissingFile {
        /// The model.
        id: ModelId,
        /// The file.
        file: String,
    },
    /// A list of files of the model is wrong or names files outside its folder.
    #[error("`{id}`: `{file}` is not usable: {reason}")]
    InvalidFile {
        /// The model.
        id: ModelId,
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A file arrived with other bytes than the Hub says it has; it was removed.
    #[error("`{id}`: `{file}` arrived damaged ({reason})")]
    Corrupt {
        /// The model.
        id: ModelId,
        /// The file.
        file: String,
        /// How it differs.
        reason: String,
    },
    /// Another process is downloading the same file.
    #[error("another process is downloading to `{}`", .path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// No usable answer from the Hub.
    #[error("`{endpoint}` gives no usable answer for `{id}`: {reason}")]
    Unreachable {
        /// The model.
        id: ModelId,
        /// The address of the Hub.
        endpoint: String,
        /// What happened.
        reason: String,
    },
    /// The cache cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the system.
        source: std::io::Error,
    },
}

impl HubError {
    /// What the user can do about it, as one line.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::InvalidId { .. } => {
                "write `owner/name`, `name` or `owner/name@revision`, or the path of a folder".to_owned()
            }
            Self::Offline { id, cache, .. } => format!(
                "fill the cache where there is a network with `finetone model pull {id}` (`HF_HUB_OFFLINE` unset), \
                 or copy that machine's cache to `{}`",
                cache.display()
            ),
            Self::NotFound { token: true, .. } => {
                "check the spelling, and that your token may read the model if it is private".to_owned()
            }
            Self::NotFound { token: false, .. } => {
                "check the spelling; for a private model set `HF_TOKEN` to a token that may read it".to_owned()
            }
            Self::RevisionNotFound { .. } => "leave out `@revision` to use `main`".to_owned(),
            Self::Refused { id, endpoint, token: true, .. } => format!(
                "accept the terms at `{endpoint}/{}`, and check that your token may read the model",
                id.name
            ),
            Self::Refused { id, endpoint, token: false, .. } => format!(
                "accept the terms at `{endpoint}/{}`, then set `HF_TOKEN` to a token that may read the model",
                id.name
            ),
            Self::NoSafetensors { id, .. } => conversion(id),
            Self::MissingFile { file, .. } if file == "config.json" => {
                "this is not a model for Transformers; choose one that has `config.json`".to_owned()
            }
            Self::MissingFile { .. } => "choose a model with weights in safetensors format".to_owned(),
            Self::InvalidFile { .. } => "report it to the owner of the model, or choose another".to_owned(),
            Self::Corrupt { .. } => "the damaged file was removed; run the command again".to_owned(),
            Self::Busy { .. } => "wait until it is done and run the command again".to_owned(),
            Self::Unreachable { .. } => {
                "check the network, `HF_ENDPOINT` and proxy settings; what has arrived is kept, and the next run goes on \
                 from there"
                    .to_owned()
            }
            Self::Cache { .. } => {
                "check the free space and your rights there, or set `HF_HUB_CACHE` to another folder".to_owned()
            }
        })
    }
}

/// The command that converts a model of pickled weights into a folder that can be used.
fn conversion(id: &ModelId) -> String {
    let folder = id.name.rsplit('/').next().unwrap_or("model");
    format!(
        "convert it once: `python -c \"from transformers import AutoModelForSequenceClassification as M, AutoTokenizer as T; \
         M.from_pretrained('{0}', revision='{1}').save_pretrained('{folder}', safe_serialization=True); \
         T.from_pretrained('{0}', revision='{1}').save_pretrained('{folder}')\"`, then give `./{folder}` as the model",
        id.name, id.revision
    )
}

fn list(files: &[String]) -> String {
    files.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ")
}
