//! The fine-tuning API of OpenAI, served from this machine.

mod workshop;

pub use workshop::Workshop;
