//! From messages to the one text that a classifier reads.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::message::{Chat, Message, Role};
use crate::error::DataError;
use crate::reader::{OpenOptions, Reader};

/// Which messages a classifier reads, and how they are written. The rule is found from the training file, kept with the model,
/// and applied to every chat that the model is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatText {
    /// What the user says last, alone: for chats with one message of the user after the same instructions.
    #[default]
    LastUser,
    /// All turns, each on a new line after its role (`User: …`, `Assistant: …`), without the instructions, which are always the
    /// same.
    Turns,
    /// The instructions (`System: …`) and then all turns.
    SystemAndTurns,
}

impl ChatText {
    /// The text of the messages before an answer. It may be empty: where nobody says anything, or the user nothing.
    pub fn text(self, messages: &[Message]) -> String {
        if self == ChatText::LastUser {
            let last = messages.iter().rev().find(|message| message.role == Role::User);
            return last.map_or_else(String::new, |message| message.content.trim().to_owned());
        }
        let said = |instructs: bool| {
            let messages = messages.iter().filter(move |message| message.role.instructs() == instructs);
            messages.filter(|message| !message.content.trim().is_empty()).map(line)
        };
        let system = said(true).filter(|_| self == ChatText::SystemAndTurns);
        system.chain(said(false)).collect::<Vec<String>>().join("\n")
    }

    /// The rule that loses nothing of these chats which differs between them.
    ///
    /// # Errors
    /// The first one among the chats that is not a fault of a single line; chats with faults are passed over.
    pub fn learn(chats: impl Iterator<Item = Result<Chat, DataError>>) -> Result<ChatText, DataError> {
        let (mut single, mut same, mut first) = (true, true, None);
        for chat in chats {
            let chat = match chat {
                Err(fault) if !fault.is_row_fault() => return Err(fault),
                Err(_) => continue,
                Ok(chat) => chat,
            };
            let (system, turns): (Vec<&Message>, Vec<&Message>) =
                chat.prompt().iter().partition(|message| message.role.instructs());
            single &= matches!(turns.as_slice(), [turn] if turn.role == Role::User);
            let system: Vec<String> = system.iter().map(|message| message.content.trim().to_owned()).collect();
            same &= *first.get_or_insert_with(|| system.clone()) == system;
        }
        Ok(match (single, same) {
            (true, true) => ChatText::LastUser,
            (false, true) => ChatText::Turns,
            (_, false) => ChatText::SystemAndTurns,
        })
    }
}

fn line(message: &Message) -> String {
    let role = match message.role {
        Role::System | Role::Developer => "System",
        Role::User => "User",
        Role::Assistant => "Assistant",
        Role::Tool | Role::Function => "Tool",
    };
    format!("{role}: {}", message.content.trim())
}

/// The rule that the chats of a file to train on ask for; `None` where it holds no chats. The file is read once for it, so of
/// standard input nothing is known.
///
/// # Errors
/// As [`Reader::open`], and a fault that ends the reading.
pub fn rule_of(path: &Path, options: &OpenOptions) -> Result<Option<ChatText>, DataError> {
    if path == Path::new("-") {
        return Ok(None);
    }
    let reader = Reader::open(path, options)?;
    if reader.source().chat.is_none() {
        return Ok(None);
    }
    ChatText::learn(reader.map(|row| Chat::from_row(&row?))).map(Some)
}

/// What is read, for people.
impl fmt::Display for ChatText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ChatText::LastUser => "the user's last message of a chat",
            ChatText::Turns => "all turns of a chat",
            ChatText::SystemAndTurns => "the instructions and all turns of a chat",
        })
    }
}
