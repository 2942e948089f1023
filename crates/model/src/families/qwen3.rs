//! Qwen3: Qwen2 without biases, with queries and keys that are normalised head by head. <https://arxiv.org/abs/2505.09388>

use serde_json::{Map, Value, json};

use super::{FamilySpec, Fields, Sizes, llama, qwen2};
use crate::config::{Biases, Family, ModelConfig};
use crate::error::ModelError;

pub const SPEC: FamilySpec = FamilySpec {
    model_types: &["qwen3"],
    prefix: "model.",
    layers: "num_hidden_layers",
    architecture: "Qwen3ForSequenceClassification",
    language_architecture: Some("Qwen3ForCausalLM"),
    masked: None,
    lora_targets: &["q_proj", "v_proj"],
    config,
    rules: llama::rules,
    scratch,
};

/// The size of a head where the field is absent.
const USUAL_HEAD: usize = 128;

fn config(fields: &mut Fields<'_>) -> Result<ModelConfig, ModelError> {
    let window = qwen2::window(fields)?;
    let attention = fields.flag("attention_bias", false)?;
    let biases = Biases { qkv: attention, output: attention, mlp: false };
    let head_dim = fields.optional_size("head_dim", USUAL_HEAD)?;
    let config = llama::decoder_config(fields, Family::Qwen3, biases, window)?;
    Ok(ModelConfig { head_norm: true, head_dim, ..config })
}

fn scratch(sizes: &Sizes) -> Map<String, Value> {
    let mut fields = llama::decoder_scratch("qwen3", sizes);
    fields.insert("use_sliding_window".into(), json!(false));
    fields
}
