//! Qwen2 and Qwen2.5: Llama's layers with biases of queries, keys and values, some of which may look back no further than a
//! window. <https://arxiv.org/abs/2407.10671>

use serde_json::json;

use super::{FamilySpec, Fields, llama};
use crate::config::{Biases, Family, ModelConfig, Window};
use crate::error::ModelError;

pub const SPEC: FamilySpec = FamilySpec {
    model_types: &["qwen2"],
    prefix: "model.",
    layers: "num_hidden_layers",
    architecture: "Qwen2ForSequenceClassification",
    language_architecture: Some("Qwen2ForCausalLM"),
    masked: None,
    lora_targets: &["q_proj", "v_proj"],
    config,
    rules: llama::rules,
    scratch: |sizes| llama::decoder_scratch("qwen2", sizes),
};

fn config(fields: &mut Fields<'_>) -> Result<ModelConfig, ModelError> {
    fields.only("use_mrope", json!(false))?;
    let window = window(fields)?;
    llama::decoder_config(fields, Family::Qwen2, Biases { qkv: true, output: false, mlp: false }, window)
}

/// The window, and the blocks that have it: as `layer_types` says, else those from `max_window_layers` on.
pub fn window(fields: &Fields<'_>) -> Result<Option<Window>, ModelError> {
    let blocks = fields.layers("num_hidden_layers")?;
    let in_use = fields.flag("use_sliding_window", false)?;
    let size = if in_use { fields.size_or_null("sliding_window", Some(4096))? } else { None };
    let first = fields.optional_size("max_window_layers", 28)?;
    let usual = || (0..blocks).map(|block| size.is_some() && block >= first).collect();
    let blocks: Vec<bool> = fields.sliding_layers(blocks)?.unwrap_or_else(usual);
    match size {
        Some(size) => Ok(Some(Window { size, blocks })),
        None if blocks.contains(&true) => Err(fields.wrong("sliding_window", "a window for the layers that slide")),
        None => Ok(None),
    }
}
