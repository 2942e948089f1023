//! Chats: conversations as a fine-tuning API takes them, one JSON object with a list of messages on each line.
//!
//! ```json
//! {"messages": [{"role": "system", "content": "Answer with one word."},
//!               {"role": "user", "content": "It broke after a day."},
//!               {"role": "assistant", "content": "Negative"}]}
//! ```
//!
//! [`read`] yields the chats of a file, or what is wrong in the place of each; [`validate`] names all that is wrong, as
//! the checks that users of the API know. [`ChatText`] says how messages become the one text that a classifier reads, and
//! [`template`] writes them as a language model reads them.
//! [`crate::Reader`] knows a chat file by its content and gives it two columns, so that it is a data file like any other:
//! `prompt`, the text before the answer, and `answer`.

mod check;
mod fault;
mod message;
mod plan;
pub mod template;
mod text;
mod validate;

use std::path::Path;

pub use fault::{Fault, FaultKind, Located};
pub use message::{Chat, Message, Role};
pub use plan::{FEWEST_EXAMPLES, default_batch_size, default_epochs};
pub use text::{ChatText, rule_of};
pub use validate::{Distribution, TOKEN_LIMIT, TokenRule, Validation, validate, validate_stream};

pub(crate) use check::is_chat;

use crate::error::DataError;
use crate::reader::{OpenOptions, Reader};

/// The name of the column with the text before the answer.
pub const PROMPT: &str = "prompt";
/// The name of the column with the answer.
pub const ANSWER: &str = "answer";

/// The chats of a file in UTF-8, one by one; memory does not grow with the file.
///
/// # Errors
/// A file that cannot be opened. A line that is no chat is an error in its place, after which reading can go on; an assistant's
/// message need not be there.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Chat, DataError>>, DataError> {
    Ok(Reader::lines(path, &OpenOptions::default())?.map(|row| Chat::from_row(&row?)))
}
