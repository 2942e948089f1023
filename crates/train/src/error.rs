//! What can go wrong in a run, and what to do about it.

use std::path::{Path, PathBuf};

use finetone_classify::ClassifyError;
use finetone_data::DataError;
use finetone_evaluate::EvaluateError;

/// An error of a run; [`TrainError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model, its tokenizer or the device.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// The measurements.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A file of the run could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A recipe or `run.toml` that is not TOML.
    #[error("{}: {problem}", path.display())]
    RunFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A setting that is unknown or out of range.
    #[error("{problem}")]
    Setting {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The checks of the data found errors.
    #[error("{}: {errors} of the checks failed; the first: {first}", path.display())]
    Faults {
        /// The data file.
        path: PathBuf,
        /// How many kinds of errors.
        errors: usize,
        /// The first of them.
        first: String,
        /// How to mend that one.
        fix: String,
    },
    /// A chat that a language model cannot learn from.
    #[error("{}:{line}: {problem}", path.display())]
    Chat {
        /// The data file.
        path: PathBuf,
        /// Its line.
        line: u64,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Too little data for what is asked.
    #[error("{problem}")]
    TooFew {
        /// What is missing.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The run needs more memory than there is.
    #[error("the run needs about {needed_mib} MiB of memory, {available_mib} MiB are free")]
    Memory {
        /// The estimate.
        needed_mib: usize,
        /// What the system reports.
        available_mib: usize,
    },
    /// The loss or the gradient is not a number any more.
    #[error("step {step}: the {what} is {value} in a batch with the rows of lines {lines}")]
    NotFinite {
        /// The step.
        step: u64,
        /// `loss` or `gradient`.
        what: &'static str,
        /// Infinite or not a number.
        value: f64,
        /// Line numbers of the batch's rows in the training file.
        lines: String,
        /// The learning rate of the step.
        learning_rate: f64,
    },
    /// The folder already holds a run, or something else.
    #[error("{}: the folder is not empty", folder.display())]
    FolderTaken {
        /// The folder.
        folder: PathBuf,
        /// Whether it is a run that can be resumed.
        resumable: bool,
    },
    /// The folder is no run, or has no checkpoint.
    #[error("{}: {problem}", folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// The folder cannot take the study that was asked for.
    #[error("{}: {problem}", folder.display())]
    NoStudy {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        problem: String,
    },
    /// A checkpoint that cannot be read, or belongs to other data or another model.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl TrainError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data(error) => error.hint(),
            Self::Classify(error) => error.hint(),
            Self::Evaluate(error) => error.hint(),
            Self::Io { source, .. } => io_hint(source),
            Self::RunFile { hint, .. } | Self::Setting { hint, .. } | Self::TooFew { hint, .. } => Some(hint.clone()),
            Self::Chat { hint, .. } => hint.clone(),
            Self::Faults { path, fix, .. } => {
                Some(format!("{fix}; `finetone doctor {}` lists every fault", path.display()))
            }
            Self::Memory { .. } => Some(
                "lower `token_budget` or `max_tokens` (`--set token_budget=1024`), freeze a part of the model \
                 (`--set freeze='[\"embeddings\", \"4\"]'`), or choose a smaller model"
                    .into(),
            ),
            Self::NotFinite { learning_rate, .. } => Some(format!(
                "the learning rate is {learning_rate:.1e}: lower it (`--set learning_rate={:.0e}`), keep \
                 `max_grad_norm` at 1, and look at the rows of the batch",
                learning_rate / 5.0
            )),
            Self::FolderTaken { folder, resumable: true } => {
                Some(format!("go on with it by `--resume {}`, or choose another `--out`", folder.display()))
            }
            Self::FolderTaken { .. } => Some("choose another `--out`".into()),
            Self::NoRun { .. } => Some("a run folder is made by `finetone train`; name that folder".into()),
            Self::NoStudy { .. } => {
                Some("choose another `--out`; a study goes on with the options and recipes it was begun with".into())
            }
            Self::Checkpoint { .. } => Some("start the run anew with the same settings and another `--out`".into()),
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

fn io_hint(source: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    match source.kind() {
        NotFound => Some("check the path".into()),
        PermissionDenied | ReadOnlyFilesystem => {
            Some("choose a folder that you may write to (`--out`), or change its permissions".into())
        }
        StorageFull => Some("free some space or write to another disk (`--out`); nothing half-written was kept".into()),
        _ => None,
    }
}
