//! What keeps numbers from where they should go.

use std::io;

use thiserror::Error;

/// A tracker that cannot do its work.
#[derive(Debug, Error)]
pub enum TrackError {
    /// No server is named.
    #[error("`track` names `mlflow`, but not the address of its server")]
    NoAddress,
    /// Something else than a server is named.
    #[error("`{address}` is no address of an MLflow server")]
    Address {
        /// What was given.
        address: String,
    },
    /// The server gave no answer that settles the matter.
    #[error("{address}: {problem}")]
    Unreachable {
        /// The server.
        address: String,
        /// What happened.
        problem: String,
    },
    /// The server said no, and will say so again.
    #[error("{address}: {answer}")]
    Refused {
        /// The server.
        address: String,
        /// Its words.
        answer: String,
    },
    /// A file cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
}

impl TrackError {
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { path, source }
    }

    /// Whether the same may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// What to do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoAddress => {
                "set `MLFLOW_TRACKING_URI=http://HOST:5000`, or `mlflow_tracking_uri` in the table `track` of a recipe"
            }
            Self::Address { .. } => "it begins with `http://` or `https://`; `mlflow server` starts one",
            Self::Unreachable { .. } | Self::Refused { .. } | Self::File { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
