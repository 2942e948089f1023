//! What can go wrong in a search, and what to do about it.

use std::path::PathBuf;

use finetone_evaluate::{EvaluateError, Metric};
use finetone_train::TrainError;

/// An error of a search; [`SearchError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A training, its data or its settings.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The measurements.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A metric of which the lowest value is the best.
    #[error("a search looks for the highest value, and of `{0}` a lower one is better")]
    Metric(Metric),
    /// A space that cannot be searched.
    #[error("{}: {problem}", path.display())]
    Space {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The database of the study could not be read or written.
    #[error("{}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The database is that of another study.
    #[error("{}: {problem}", path.display())]
    OtherStudy {
        /// The file.
        path: PathBuf,
        /// In what it differs.
        problem: String,
    },
    /// Nothing was judged, so there is nothing to show.
    #[error("{problem}")]
    Nothing {
        /// Why not.
        problem: String,
        /// What to do.
        hint: String,
    },
}

impl SearchError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Train(error) => error.hint(),
            Self::Evaluate(error) => error.hint(),
            Self::Metric(_) => {
                Some("`f1_macro`, `accuracy`, `f1_weighted`, `mcc` or that of a class, such as `recall.negative`".into())
            }
            Self::Space { hint, .. } | Self::Nothing { hint, .. } => Some(hint.clone()),
            Self::Store { source, .. } => Some(store_hint(source).into()),
            Self::OtherStudy { .. } => Some(
                "name another file by `--study` (or another folder by `--out`); a study goes on with the data, the settings \
                 and the space it was begun with"
                    .into(),
            ),
        }
    }
}

fn store_hint(source: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, NotADatabase, ReadOnly};
    match source.sqlite_error_code() {
        Some(NotADatabase) => "the file is no database of a search: name another one",
        Some(CannotOpen | ReadOnly) => "choose a file in a folder that you may write to",
        Some(DiskFull) => "free some space; what was finished is kept, and the same command goes on",
        Some(DatabaseBusy | DatabaseLocked) => "another program holds the file: end it and run the same command again",
        _ => "the same command goes on with what was finished; if it fails again, name another file by `--study`",
    }
}
