//! From files of labelled text to batches of token ids.

pub mod augment;
pub mod batching;
pub mod chat;
pub mod cleaning;
pub mod columns;
pub mod conversation;
pub mod copies;
pub mod dataset;
mod decimal;
pub mod doctor;
pub mod error;
pub mod explore;
pub mod features;
pub mod labels;
pub mod preparation;
pub mod reader;
pub mod sampling;
pub mod sieve;
pub mod split;
pub mod tokenizer;
pub mod words;
pub mod writer;

pub use dataset::{Dataset, Example, Notice, ReadOptions};
pub use doctor::{Checkup, DoctorOptions, Fault, Severity};
pub use error::{DataError, Role};
pub use labels::{LabelSet, Target};
pub use preparation::{Preparation, Prepared};
pub use reader::{Format, OpenOptions, Reader, Row, TextEncoding};
pub use split::{Split, group_split, hash_split, stratified_folds, stratified_split, time_split};
pub use writer::{NewColumn, Value, Writer};
