//! Mistral: Llama's layers, all of which may look back no further than a window. <https://arxiv.org/abs/2310.06825>

use serde_json::json;

use super::{FamilySpec, Fields, llama};
use crate::config::{Biases, Family, ModelConfig, Window};
use crate::error::ModelError;

pub const SPEC: FamilySpec = FamilySpec {
    model_types: &["mistral"],
    prefix: "model.",
    layers: "num_hidden_layers",
    architecture: "MistralForSequenceClassification",
    language_architecture: Some("MistralForCausalLM"),
    masked: None,
    lora_targets: &["q_proj", "v_proj"],
    config,
    rules: llama::rules,
    scratch: |sizes| llama::decoder_scratch("mistral", sizes),
};

/// The window where the field is absent, as the first Mistral has it; `null` stands for none.
const USUAL_WINDOW: usize = 4096;

fn config(fields: &mut Fields<'_>) -> Result<ModelConfig, ModelError> {
    fields.only("layer_types", json!(null))?;
    let blocks = fields.layers("num_hidden_layers")?;
    let size = fields.size_or_null("sliding_window", Some(USUAL_WINDOW))?;
    let window = size.map(|size| Window { size, blocks: vec![true; blocks] });
    let biases = Biases { qkv: false, output: false, mlp: false };
    llama::decoder_config(fields, Family::Mistral, biases, window)
}
