//! Why a model gives no answer.

use finetone_classify::ClassifyError;
use finetone_classify::source::SourceError;

use crate::error::ApiError;

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// More texts wait than may wait.
    #[error("The server has more texts to compute than it can take; try again in a second")]
    Overloaded,
    /// One request has more texts than may wait at all.
    #[error("{given} texts at once are more than the {most} that this server takes")]
    TooMany {
        /// The texts of the request.
        given: usize,
        /// The texts that may wait.
        most: usize,
    },
    /// The server is about to end.
    #[error("The server is shutting down")]
    ShuttingDown,
    /// The model cannot be opened.
    #[error(transparent)]
    Open(#[from] ClassifyError),
    /// The machine has no thread left.
    #[error("no thread for a model: {0}")]
    Thread(std::io::Error),
    /// The computation failed.
    #[error("the model gave no answer: {0}")]
    Failed(String),
    /// The model's thread is gone, which is a bug.
    #[error("the model has stopped")]
    Stopped,
}

/// Seconds after which there may be room again.
const ROOM_IN: u64 = 1;

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Overloaded => Self::too_many(error.to_string(), ROOM_IN),
            // Where the model lies is nobody's business but the server's.
            EngineError::Open(ClassifyError::Source(SourceError::Untrained { .. })) => {
                Self::bad_request("This model starts from scratch and knows nothing yet: fine-tune it first")
                    .param("model")
            }
            EngineError::TooMany { .. } => Self::bad_request(error.to_string()),
            EngineError::ShuttingDown => Self::unavailable(error.to_string(), ROOM_IN),
            other => Self::internal(&other),
        }
    }
}
