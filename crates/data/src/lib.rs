//! From files of labelled text to batches of token ids.

pub mod columns;
pub mod error;
pub mod reader;
pub mod tokenizer;
pub mod writer;

pub use error::{DataError, Role};
