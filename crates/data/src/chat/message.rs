//! A chat and its messages.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::check;
use crate::error::DataError;
use crate::reader::Row;

/// Who a message is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What the assistant is told to do.
    System,
    /// The same, by its newer name.
    Developer,
    /// Whoever asks.
    User,
    /// Whoever answers.
    Assistant,
    /// What a tool gave.
    Tool,
    /// The same, by its older name.
    Function,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 6] = [Role::System, Role::Developer, Role::User, Role::Assistant, Role::Tool, Role::Function];

    /// The word in a file.
    pub fn word(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
            Role::Function => "function",
        }
    }

    /// The role that a word names.
    pub fn from_word(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.word() == word)
    }

    /// Whether it says what the assistant is to do, and is no turn.
    pub fn instructs(self) -> bool {
        matches!(self, Role::System | Role::Developer)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who it is from.
    pub role: Role,
    /// What it says; the parts of a list joined. Empty where it only calls a function.
    pub content: String,
    /// The name of whoever says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is learnt from: a message of the assistant whose weight is not 0.
    #[serde(skip)]
    pub trained: bool,
    /// Calls and refusals (`tool_calls`, `tool_call_id`, `function_call`, `refusal`), as the file has them.
    #[serde(flatten)]
    pub calls: Map<String, Json>,
}

impl Message {
    /// A message that only says something.
    pub fn new(role: Role, content: impl Into<String>) -> Message {
        let trained = role == Role::Assistant;
        Message { role, content: content.into(), name: None, trained, calls: Map::new() }
    }
}

/// One example of a chat file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chat {
    /// The messages in order; at least one.
    pub messages: Vec<Message>,
    /// The tools that could be called, as the file has them (`tools`, or the older `functions`).
    pub tools: Option<Json>,
}

impl Chat {
    /// The chat in a line of JSON.
    ///
    /// # Errors
    /// [`DataError::NoChat`] with the first fault of the line, and every fault of the operating system. That there is no message
    /// of the assistant is no fault here.
    pub fn from_row(row: &Row) -> Result<Chat, DataError> {
        let no_chat = |fault| DataError::NoChat { path: row.source().path.clone(), line: row.line, fault };
        match row.object() {
            Some(object) => check::chat(object).map_err(|mut faults| no_chat(faults.swap_remove(0))),
            None => Err(no_chat(check::not_an_object())),
        }
    }

    /// The message that a model is to give: the last one, if it is the assistant's.
    pub fn answer(&self) -> Option<&Message> {
        self.messages.last().filter(|message| message.role == Role::Assistant)
    }

    /// The messages before the answer; all of them where there is none.
    pub fn prompt(&self) -> &[Message] {
        &self.messages[..self.messages.len() - usize::from(self.answer().is_some())]
    }

    /// Whether nothing of it is to be learnt: all that the assistant says has a weight of 0.
    pub fn teaches_nothing(&self) -> bool {
        !self.messages.iter().any(|message| message.trained)
    }

    /// Whether there is an answer that is not to be learnt, as its weight of 0 says.
    pub fn is_left_out(&self) -> bool {
        self.answer().is_some_and(|answer| !answer.trained)
    }
}
