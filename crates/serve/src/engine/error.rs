//! Why a model gives no answer.

use finetone_classify::ClassifyError;
use finetone_classify::source::SourceError;
use finetone_generate::GenerateError;

use crate::error::ApiError;
use crate::workshop::OpenError;

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
    Open(#[from] OpenError),
    /// A text that the model cannot write.
    #[error(transparent)]
    Write(#[from] GenerateError),
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

impl EngineError {
    /// Weights that are no numbers give answers that are none, which no format of the API can say.
    pub fn no_numbers() -> Self {
        Self::Failed("it gave values that are no numbers".into())
    }
}

/// Seconds after which there may be room again.
const ROOM_IN: u64 = 1;

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Overloaded => Self::too_many(error.to_string(), ROOM_IN),
            // Where the model lies is nobody's business but the server's.
            EngineError::Open(OpenError::Judge(ClassifyError::Source(SourceError::Untrained { .. }))) => {
                Self::bad_request("This model starts from scratch and knows nothing yet: fine-tune it first")
                    .param("model")
            }
            EngineError::Write(GenerateError::TooLong { .. }) => {
                Self::bad_request(error.to_string()).code("context_length_exceeded")
            }
            EngineError::TooMany { .. } | EngineError::Write(_) => Self::bad_request(error.to_string()),
            EngineError::ShuttingDown => Self::unavailable(error.to_string(), ROOM_IN),
            other => Self::internal(&other),
        }
    }
}
