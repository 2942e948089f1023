//! A prompt to the tokens that follow it.
//!
//! A [`Generator`] holds a sequence and what a language model has computed for it, so that each further token costs one pass
//! over one token: [`Generator::read`] takes a prompt, [`Generator::push`] a token, [`Generator::rewind`] goes back to an
//! earlier place. On top of it [`Generator::write`] chooses token after token by a [`Sampling`], freely or from a closed set
//! of [`Choices`], and [`Generator::weigh`] says how probable each of these is. Tokens are numbers here: what they mean is the
//! tokenizer's to say, and [`Stops`] says where a text that was made of them ends.
//!
//! A folder that is opened as [`Served`] is such a model behind a `dyn`, with the [`PromptReader`] that makes tokens of chats and
//! texts; its requests are written step by step, so that several can take turns.
//!
//! A [`MaskedModel`] puts other words in the places of some of a text.
//!
//! The logits of a sequence have the same bits whether it was read at once or token by token.

mod chat_note;
mod choices;
mod error;
mod generator;
mod masked;
mod reader;
mod sampling;
mod served;
mod stops;
mod write;

pub use chat_note::{ChatNote, ChatNoteError};
pub use choices::{Choices, Next};
pub use error::{FolderError, GenerateError};
pub use generator::Generator;
pub use masked::MaskedModel;
pub use reader::PromptReader;
pub use sampling::{Penalties, Sampling};
pub use served::{Language, Served, Writing, is_language_model};
pub use stops::Stops;
pub use write::{Event, Finish, Request, Token, Written};
