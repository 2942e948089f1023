//! What the server asks of the machine that computes.

use std::path::Path;

use finetone_classify::{ClassifyError, Explanation, Use};
use finetone_generate::FolderError;
use finetone_train::events::Listener;
use finetone_train::{Control, LiveReference, Outcome, RunConfig, TrainError};

/// An open model.
pub enum Opened {
    /// One that judges texts: a classifier, or one that gives vectors.
    Judge(finetone_classify::Served),
    /// One that writes.
    Writer(finetone_generate::Served),
}

impl From<finetone_classify::Served> for Opened {
    fn from(served: finetone_classify::Served) -> Self {
        Self::Judge(served)
    }
}

impl From<finetone_generate::Served> for Opened {
    fn from(served: finetone_generate::Served) -> Self {
        Self::Writer(served)
    }
}

/// Why a model cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// One that judges, or what is named is no model.
    #[error(transparent)]
    Judge(#[from] ClassifyError),
    /// One that writes.
    #[error(transparent)]
    Writer(#[from] FolderError),
}

/// Training and judging. The binary implements it, because it alone chooses a backend.
pub trait Workshop: Send + Sync + 'static {
    /// Trains a model in `folder`, or goes on with a run that was begun there. Blocks until it is finished or `control`
    /// stops it.
    ///
    /// # Errors
    /// See [`TrainError`].
    fn train(
        &self,
        config: &RunConfig,
        folder: &Path,
        control: &Control,
        listener: &mut (dyn Listener + Send),
    ) -> Result<Outcome<()>, TrainError>;

    /// Whether a model learns to write the answers of chats, whatever they are, rather than to choose among a few.
    ///
    /// # Errors
    /// A folder that holds no model.
    fn writes_answers(&self, source: &Path) -> Result<bool, TrainError>;

    /// Opens a model folder, or anything else that `--model` of a run may be. A language model writes unless vectors are wanted.
    ///
    /// # Errors
    /// A folder that holds no model that can be used.
    fn open(&self, source: &Path, wanted: Use) -> Result<Opened, OpenError>;

    /// What decided about a text, in numbers that add up within 1 %.
    ///
    /// # Errors
    /// A model that does not choose between classes, a device that failed.
    fn explain(&self, source: &Path, text: &str) -> Result<Explanation, ClassifyError>;

    /// What answers of a model are held against: the rows that its run kept for validation. Judges them, unless that was done
    /// before. None of a model behind which no run of ours stands.
    ///
    /// # Errors
    /// A model that gives a text several labels, rows that are gone, a device that failed.
    fn reference(&self, source: &Path) -> Result<Option<LiveReference>, TrainError>;
}
