//! What ends a command early, and how it is told.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Effects, Style};
use finetone_backend_cpu::CpuError;
use finetone_classify::ClassifyError;
use finetone_classify::hub::HubError;
use finetone_classify::source::SourceError;
use finetone_data::DataError;
use finetone_evaluate::EvaluateError;
use finetone_generate::ChatNoteError;
use finetone_model::ModelError;
use finetone_search::SearchError;
use finetone_serve::ServeError;
use finetone_track::TrackError;
use finetone_train::TrainError;

const ERROR: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);
const HINT: Style = AnsiColor::Cyan.on_default().effects(Effects::BOLD);

/// The end of a command that is not done.
#[derive(Debug)]
pub enum Failure {
    /// An error to tell.
    Error {
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
        /// The exit code.
        code: u8,
    },
    /// The command said everything itself.
    Told,
    /// Whoever read the output has gone, which is no error.
    ReaderLeft,
}

impl Failure {
    /// Something failed.
    pub fn new(message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self::Error { message: message.into(), hint: hint.into(), code: 1 }
    }

    /// The command was used wrongly.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Error { message: message.into(), hint: Some(hint.into()), code: 2 }
    }

    /// The user stopped the command.
    pub fn interrupted(message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self::Error { message: message.into(), hint: hint.into(), code: 130 }
    }

    /// A gate that the user set is not passed.
    pub fn gate(message: impl Into<String>) -> Self {
        Self::Error { message: message.into(), hint: None, code: 3 }
    }

    /// A file or folder of ours that could not be read or written.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        Self::new(format!("{}: {error}", path.display()), io_hint(error))
    }

    /// Tells the user and gives the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Error { message, hint, code } => {
                anstream::eprintln!("{ERROR}error:{ERROR:#} {message}");
                if let Some(hint) = hint {
                    anstream::eprintln!("{HINT}hint:{HINT:#} {hint}");
                }
                ExitCode::from(code)
            }
            Self::Told => ExitCode::FAILURE,
            Self::ReaderLeft => ExitCode::SUCCESS,
        }
    }
}

/// What to do about an error of the system.
fn io_hint(error: &io::Error) -> Option<String> {
    use io::ErrorKind::{AlreadyExists, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    let hint = match error.kind() {
        NotFound => "check the path",
        NotADirectory | AlreadyExists => "a part of the path is a file, not a folder: choose another path",
        PermissionDenied | ReadOnlyFilesystem => "choose a folder that you may write to",
        StorageFull => "free some space or write to another disk",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// The hint for the error of the system that stands behind an error without a hint of its own.
fn hint_of_cause(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.filter_map(|cause| cause.downcast_ref()).find_map(io_hint)
}

/// Writing to standard output failed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderLeft;
        }
        Self::io(Path::new("standard output"), &error)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        match &error {
            DataError::Unwritable { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => Self::ReaderLeft,
            _ => Self::new(error.to_string(), error.hint().or_else(|| hint_of_cause(&error))),
        }
    }
}

macro_rules! from_errors_with_hints {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error.to_string(), error.hint().or_else(|| hint_of_cause(&error)))
            }
        }
    )*};
}

from_errors_with_hints!(
    TrainError,
    ClassifyError,
    ChatNoteError,
    SourceError,
    HubError,
    ModelError,
    EvaluateError,
    CpuError,
    SearchError,
    ServeError,
    TrackError
);
