//! GPT-2: causal, pre-norm, linear weights stored transposed.
//! <https://openai.com/research/better-language-models>

use finetone_backend::{Mask, NormKind};
use serde_json::{Map, Value, json};

use super::{FamilySpec, Fields, Rule, Sizes};
use crate::config::{Biases, DropoutRates, Family, HeadConfig, ModelConfig, Placement, Positions};
use crate::error::ModelError;

pub const SPEC: FamilySpec = FamilySpec {
    model_types: &["gpt2"],
    prefix: "transformer.",
    layers: "n_layer",
    architecture: "GPT2ForSequenceClassification",
    language_architecture: Some("GPT2LMHeadModel"),
    masked: None,
    lora_targets: &["c_attn"],
    config,
    rules: |config| (backbone_rules(config), vec![Rule::same("head.classifier.weight", "score.weight")]),
    scratch,
};

fn config(fields: &mut Fields<'_>) -> Result<ModelConfig, ModelError> {
    fields.only("scale_attn_weights", json!(true))?;
    fields.only("scale_attn_by_inverse_layer_idx", json!(false))?;
    fields.only("add_cross_attention", json!(false))?;
    let (output, labels) = fields.labels()?;
    let (hidden_size, heads) = (fields.size("n_embd")?, fields.size("n_head")?);
    Ok(ModelConfig {
        family: Family::Gpt2,
        vocab_size: fields.size("vocab_size")?,
        hidden_size,
        num_hidden_layers: fields.size("n_layer")?,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        head_dim: fields.even_share(hidden_size, heads)?,
        intermediate_size: fields.optional_size("n_inner", 4 * hidden_size)?,
        positions: Positions::Learned,
        max_position_embeddings: fields.size("n_positions")?,
        position_offset: 0,
        type_vocab_size: 0,
        norm: NormKind::Layer,
        norm_epsilon: fields.number("layer_norm_epsilon", 1e-5)?,
        head_norm: false,
        placement: Placement::Pre,
        mask: Mask::Causal,
        window: None,
        biases: Biases::ALL,
        gated: false,
        activation: fields.activation("activation_function", "gelu_new")?,
        embedding_norm: false,
        dropout: DropoutRates {
            embedding: fields.rate("embd_pdrop", 0.1)?,
            residual: fields.rate("resid_pdrop", 0.1)?,
            attention: fields.rate("attn_pdrop", 0.1)?,
        },
        initializer_range: fields.number("initializer_range", 0.02)?,
        scaled_residual_init: true,
        head: fields.head(HeadConfig::of_last_token(output, labels))?,
        language: None,
        lora: None,
        raw: fields.raw(),
    })
}

fn backbone_rules(config: &ModelConfig) -> Vec<Rule> {
    let mut rules = vec![Rule::same("embeddings.token", "wte.weight"), Rule::same("embeddings.position", "wpe.weight")];
    for i in 0..config.num_hidden_layers {
        let (ours, theirs) = (format!("blocks.{i}"), format!("h.{i}"));
        rules.extend(Rule::norm(&format!("{ours}.attention.norm"), &format!("{theirs}.ln_1")));
        rules.extend(Rule::norm(&format!("{ours}.mlp.norm"), &format!("{theirs}.ln_2")));
        for (linear, name) in [
            ("attention.qkv", "attn.c_attn"),
            ("attention.output", "attn.c_proj"),
            ("mlp.up", "mlp.c_fc"),
            ("mlp.down", "mlp.c_proj"),
        ] {
            rules.push(Rule::transposed(format!("{ours}.{linear}.weight"), format!("{theirs}.{name}.weight")));
            rules.push(Rule::same(format!("{ours}.{linear}.bias"), format!("{theirs}.{name}.bias")));
        }
    }
    rules.extend(Rule::norm("final_norm", "ln_f"));
    rules
}

fn scratch(sizes: &Sizes) -> Map<String, Value> {
    let fields = json!({
        "model_type": "gpt2",
        "vocab_size": sizes.vocab_size,
        "n_embd": sizes.hidden_size,
        "n_layer": sizes.layers,
        "n_head": sizes.heads,
        "n_inner": sizes.intermediate_size,
        "n_positions": sizes.max_tokens,
        "activation_function": "gelu_new",
        "embd_pdrop": 0.1,
        "resid_pdrop": 0.1,
        "attn_pdrop": 0.1,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        "bos_token_id": sizes.pad_token_id,
        "eos_token_id": sizes.pad_token_id,
        "pad_token_id": sizes.pad_token_id,
    });
    fields.as_object().cloned().unwrap_or_default()
}
