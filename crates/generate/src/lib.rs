//! A prompt to the tokens that follow it.
//!
//! A [`Generator`] holds a sequence and what a language model has computed for it, so that each further token costs one pass
//! over one token: [`Generator::read`] takes a prompt, [`Generator::push`] a token, [`Generator::rewind`] goes back to an
//! earlier place. On top of it [`Generator::write`] chooses token after token by a [`Sampling`], freely or from a closed set
//! of [`Choices`], and [`Generator::weigh`] says how probable each of these is. Tokens are numbers here: what they mean is the
//! tokenizer's to say, and [`Stops`] says where a text that was made of them ends.
//!
//! The logits of a sequence have the same bits whether it was read at once or token by token.

mod choices;
mod error;
mod generator;
mod sampling;
mod stops;
mod write;

pub use choices::{Choices, Next};
pub use error::GenerateError;
pub use generator::Generator;
pub use sampling::Sampling;
pub use stops::Stops;
pub use write::{Finish, Request, Token, Written};
