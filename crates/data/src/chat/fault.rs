//! What can be wrong with a chat.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::doctor::Severity;

/// The checks. Those up to [`FaultKind::ExampleMissingAssistantMessage`] have the names and, but for what is said at each, the
/// rules of the validator in OpenAI's cookbook
/// (<https://cookbook.openai.com/examples/chat_finetuning_data_prep>); the others are of this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A line, or a message, that is not an object.
    DataType,
    /// No list of messages, or an empty one.
    MissingMessagesList,
    /// A message without role or content. An assistant's message that calls a function needs no content.
    MessageMissingKey,
    /// A message with a key that means nothing. Keys of calls and refusals, which came after the validator, are known.
    MessageUnrecognizedKey,
    /// A role that is not known. `developer` and `tool`, which came after the validator, are.
    UnrecognizedRole,
    /// Content that is empty or no text. A list of text parts, which came after the validator, is a text.
    MissingContent,
    /// No message of the assistant: there is nothing to learn.
    ExampleMissingAssistantMessage,
    /// A line that is not JSON, not text or too long.
    InvalidJson,
    /// A weight other than 0 and 1, or anywhere but on a message of the assistant.
    InvalidWeight,
    /// A key beside the messages that is not read.
    ExampleUnrecognizedKey,
    /// No message of the system or a developer.
    MissingSystemMessage,
    /// No message of the user.
    MissingUserMessage,
    /// More tokens than the limit; what is beyond is cut off.
    OverTokenLimit,
}

impl FaultKind {
    /// Whether a training would stop at it.
    pub fn severity(self) -> Severity {
        match self {
            FaultKind::ExampleUnrecognizedKey
            | FaultKind::MissingSystemMessage
            | FaultKind::MissingUserMessage
            | FaultKind::OverTokenLimit => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// The name, such as `missing_content`.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::DataType => "data_type",
            FaultKind::MissingMessagesList => "missing_messages_list",
            FaultKind::MessageMissingKey => "message_missing_key",
            FaultKind::MessageUnrecognizedKey => "message_unrecognized_key",
            FaultKind::UnrecognizedRole => "unrecognized_role",
            FaultKind::MissingContent => "missing_content",
            FaultKind::ExampleMissingAssistantMessage => "example_missing_assistant_message",
            FaultKind::InvalidJson => "invalid_json",
            FaultKind::InvalidWeight => "invalid_weight",
            FaultKind::ExampleUnrecognizedKey => "example_unrecognized_key",
            FaultKind::MissingSystemMessage => "missing_system_message",
            FaultKind::MissingUserMessage => "missing_user_message",
            FaultKind::OverTokenLimit => "over_token_limit",
        }
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            FaultKind::DataType | FaultKind::InvalidJson => {
                "write one JSON object on each line, such as `{\"messages\": […]}`, without commas between the lines"
            }
            FaultKind::MissingMessagesList => {
                "give each example its messages: `{\"messages\": [{\"role\": \"user\", \"content\": \"…\"}, …]}`"
            }
            FaultKind::MessageMissingKey => "give every message a `role` and a `content`",
            FaultKind::MessageUnrecognizedKey => {
                "remove the key; a message has `role`, `content`, `name` and `weight`, and those of calls"
            }
            FaultKind::UnrecognizedRole => "use `system`, `developer`, `user`, `assistant`, `tool` or `function`",
            FaultKind::MissingContent => "write the content as a text that is not empty, or as a list of text parts",
            FaultKind::ExampleMissingAssistantMessage => "end the example with the answer that is to be learnt",
            FaultKind::InvalidWeight => "give messages of the assistant the weight 0 or 1, or none",
            FaultKind::ExampleUnrecognizedKey => "nothing to do here: the key is not read; the API may refuse the file",
            FaultKind::MissingSystemMessage => "say in a system message what is asked, the same in training and in use",
            FaultKind::MissingUserMessage => "check that the example asks what it answers",
            FaultKind::OverTokenLimit => "shorten the example: what is beyond the limit is cut off",
        }
    }
}

/// By its name.
impl Serialize for FaultKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What is wrong with one chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The check that found it.
    pub kind: FaultKind,
    /// The message that has it, counting from 1; `None` where it belongs to the whole example.
    pub message: Option<usize>,
    /// What it is, as the rest of a sentence about the example or the message: ``is missing key `role` ``.
    pub detail: String,
}

impl Fault {
    pub(super) fn of_example(kind: FaultKind, detail: impl Into<String>) -> Fault {
        Fault { kind, message: None, detail: detail.into() }
    }

    pub(super) fn of_message(kind: FaultKind, message: usize, detail: impl Into<String>) -> Fault {
        Fault { kind, message: Some(message), detail: detail.into() }
    }
}

/// `message 2 is missing key …`, or `the example …`.
impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message {
            Some(number) => write!(formatter, "message {number} {}", self.detail),
            None => write!(formatter, "the example {}", self.detail),
        }
    }
}

/// A fault with its place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The line, counting from 1.
    pub line: u64,
    /// The example, counting from 1. Blank lines are none, so it may be less than the line.
    pub example: usize,
    /// What is wrong there.
    #[serde(flatten)]
    pub fault: Fault,
}

/// `Example 7, message 2 is missing key …`, the way the API says it.
impl fmt::Display for Located {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Example {}", self.example)?;
        match self.fault.message {
            Some(number) => write!(formatter, ", message {number} {}", self.fault.detail),
            None => write!(formatter, " {}", self.fault.detail),
        }
    }
}
