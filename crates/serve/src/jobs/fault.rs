//! Why a job failed, as clients read it.

use finetone_train::TrainError;
use serde_json::{Value, json};

use crate::store::JobRow;

/// The end of a job that could not be finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFault {
    /// What programs can tell it by.
    pub code: &'static str,
    /// The field of the request that is to blame.
    pub param: Option<&'static str>,
    /// A sentence.
    pub message: String,
}

impl JobFault {
    /// A file that cannot be trained on; `param` is the field that names it.
    pub fn of_file(code: &'static str, param: &'static str, message: String) -> Self {
        Self { code, param: Some(param), message }
    }

    /// A fault of the server, told on standard error.
    pub fn internal(job: &JobRow, what: &dyn std::fmt::Display) -> Self {
        eprintln!("error: {}: {what}", job.id);
        let message = "The job failed due to an error of the server. Create it again".to_owned();
        Self { code: "server_error", param: None, message }
    }

    /// What training could not do.
    pub fn of_training(error: &TrainError) -> Self {
        let message = match error.hint() {
            Some(hint) => format!("{error}. Hint: {hint}"),
            None => error.to_string(),
        };
        match error {
            TrainError::Data(_) | TrainError::Faults { .. } | TrainError::TooFew { .. } => {
                Self::of_file("invalid_training_file", "training_file", message)
            }
            _ => Self { code: "training_failed", param: None, message },
        }
    }

    /// As a job shows it.
    pub fn json(&self) -> Value {
        json!({"code": self.code, "message": self.message, "param": self.param})
    }
}
