//! What a language model that was trained on chats notes of them in its `config.json`.
//!
//! ```json
//! "finetone": {"chat": {"answers": ["Negative", "Neutral", "Positive"], "instructions": "Answer with one word."}}
//! ```

use finetone_data::chat::{Message, Role};
use finetone_model::ModelConfig;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The entry beside the other settings of ours.
const CHAT: &str = "chat";

/// What the chats that a model was trained on have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatNote {
    /// The closed set of answers, in the order of the classes; empty where answers are free.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// The instructions with which all of them begin, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

impl ChatNote {
    /// The note in a configuration; `None` where the model was not trained on chats as a language model.
    ///
    /// # Errors
    /// [`ChatNoteError`] where it is not understood.
    pub fn of(config: &ModelConfig) -> Result<Option<Self>, ChatNoteError> {
        let read = config.noted(CHAT).map(Self::deserialize).transpose();
        read.map_err(|error| ChatNoteError { problem: error.to_string() })
    }

    /// Writes it into a configuration.
    pub fn write(&self, config: &mut ModelConfig) {
        config.note(CHAT, Some(json!(self)));
    }

    /// Takes it out of a configuration that becomes a classifier's.
    pub fn erase(config: &mut ModelConfig) {
        config.note(CHAT, None);
    }

    /// A text alone as the messages of a chat like those that were trained on.
    pub fn messages(&self, text: &str) -> Vec<Message> {
        let instructions = self.instructions.iter().map(|said| Message::new(Role::System, said.as_str()));
        instructions.chain([Message::new(Role::User, text)]).collect()
    }
}

/// What `config.json` says of the chats that the model was trained on is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the `chat` in the model's `config.json` is not understood: {problem}")]
pub struct ChatNoteError {
    /// What is wrong.
    pub problem: String,
}

impl ChatNoteError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some("the model may come from a newer finetone: update it, or export the model again".into())
    }
}
