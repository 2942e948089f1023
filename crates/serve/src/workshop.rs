//! What the server asks of the machine that computes.

use std::path::Path;

use finetone_classify::{ClassifyError, Served, Use};
use finetone_train::events::Listener;
use finetone_train::{Control, Outcome, RunConfig, TrainError};

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

    /// Opens a model folder, or anything else that `--model` of a run may be.
    ///
    /// # Errors
    /// A folder that holds no model that can be used.
    fn open(&self, source: &Path, wanted: Use) -> Result<Served, ClassifyError>;
}
