//! From files of labelled text to batches of token ids.

pub mod error;
pub mod tokenizer;

pub use error::{DataError, Role};
