//! One transformer, configured.
//!
//! A model family is a row of [`ModelConfig`], not a file of arithmetic: GPT-2, BERT, RoBERTa, DistilBERT, Llama,
//! Mistral and Qwen run through the same [`Transformer`], which is generic over the machine ([`finetone_backend::Backend`]). The folders of Hugging
//! Face are read and written by [`checkpoint`], by rules that each file of [`families`] lists.
//!
//! What one training step calls, in order:
//! [`PackedBatch::pack`] → [`Transformer::forward`] → `Backend::cross_entropy` → [`Transformer::backward`] →
//! [`Gradients::norm`] → [`Gradients::adamw`].

mod asked;
mod attribution;
pub mod checkpoint;
pub mod config;
mod error;
pub mod families;
mod gradients;
mod initialise;
pub mod layers;
mod lora;
mod packed_batch;
mod params;
mod rotary;
mod transformer;
mod workspace;

pub use attribution::{ATTRIBUTION_TOLERANCE, Attribution, attribute};
pub use config::{
    Biases, Family, HeadConfig, HeadPooling, LanguageHead, ModelConfig, Output, Placement, Positions, Window,
};
pub use error::ModelError;
pub use gradients::{Gradients, Moments};
pub use lora::{Lora, LoraSettings, LoraTarget};
pub use packed_batch::PackedBatch;
pub use params::{Init, ParamId, ParamSpec, ParamTable, Parameters, Part};
pub use rotary::{Rotary, RotaryScaling};
pub use transformer::{DropoutKey, Model, Pass, Transformer};
pub use workspace::{Capacity, Memory, Workspace, workspace_values};
