//! Llama: causal, pre-norm by root mean squares, rotary positions, gated feed-forward layer; and what Mistral and Qwen have
//! in common with it. <https://arxiv.org/abs/2302.13971>

use finetone_backend::{Mask, NormKind};
use serde_json::{Map, Value, json};

use super::{FamilySpec, Fields, Rule, Sizes};
use crate::config::{Biases, DropoutRates, Family, HeadConfig, ModelConfig, Placement, Positions, Window};
use crate::error::ModelError;

pub const SPEC: FamilySpec = FamilySpec {
    model_types: &["llama"],
    prefix: "model.",
    layers: "num_hidden_layers",
    architecture: "LlamaForSequenceClassification",
    language_architecture: Some("LlamaForCausalLM"),
    masked: None,
    lora_targets: &["q_proj", "v_proj"],
    config,
    rules,
    scratch: |sizes| decoder_scratch("llama", sizes),
};

fn config(fields: &mut Fields<'_>) -> Result<ModelConfig, ModelError> {
    let attention = fields.flag("attention_bias", false)?;
    let biases = Biases { qkv: attention, output: attention, mlp: fields.flag("mlp_bias", false)? };
    decoder_config(fields, Family::Llama, biases, None)
}

/// What the families of decoders after Llama share.
pub fn decoder_config(
    fields: &mut Fields<'_>,
    family: Family,
    biases: Biases,
    window: Option<Window>,
) -> Result<ModelConfig, ModelError> {
    let (output, labels) = fields.labels()?;
    let (hidden_size, heads) = (fields.size("hidden_size")?, fields.size("num_attention_heads")?);
    let head_dim = fields.optional_size("head_dim", 0)?;
    Ok(ModelConfig {
        family,
        vocab_size: fields.size("vocab_size")?,
        hidden_size,
        num_hidden_layers: fields.size("num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: fields.optional_size("num_key_value_heads", heads)?,
        head_dim: if head_dim > 0 { head_dim } else { fields.even_share(hidden_size, heads)? },
        intermediate_size: fields.size("intermediate_size")?,
        positions: Positions::Rotary(fields.rotary()?),
        max_position_embeddings: fields.size("max_position_embeddings")?,
        position_offset: 0,
        type_vocab_size: 0,
        norm: NormKind::Rms,
        norm_epsilon: fields.number("rms_norm_eps", 1e-6)?,
        head_norm: false,
        placement: Placement::Pre,
        mask: Mask::Causal,
        window,
        biases,
        activation: fields.activation("hidden_act", "silu")?,
        gated: true,
        embedding_norm: false,
        dropout: DropoutRates { embedding: 0.0, residual: 0.0, attention: fields.rate("attention_dropout", 0.0)? },
        initializer_range: fields.number("initializer_range", 0.02)?,
        scaled_residual_init: false,
        head: fields.head(HeadConfig::of_last_token(output, labels))?,
        language: None,
        lora: None,
        raw: fields.raw(),
    })
}

/// The tensors of the backbone and of the head.
pub fn rules(config: &ModelConfig) -> (Vec<Rule>, Vec<Rule>) {
    let mut rules = vec![Rule::same("embeddings.token", "embed_tokens.weight")];
    for i in 0..config.num_hidden_layers {
        let (ours, theirs) = (format!("blocks.{i}"), format!("layers.{i}"));
        rules.extend(block_rules(config, &ours, &theirs));
    }
    rules.push(Rule::same("final_norm.gain", "norm.weight"));
    (rules, vec![Rule::same("head.classifier.weight", "score.weight")])
}

fn block_rules(config: &ModelConfig, ours: &str, theirs: &str) -> Vec<Rule> {
    let (heads, shared) = (config.num_attention_heads, config.num_key_value_heads);
    let qkv = ["q", "k", "v"].map(|name| format!("{theirs}.self_attn.{name}_proj"));
    let up = ["gate", "up"].map(|name| format!("{theirs}.mlp.{name}_proj"));
    let output = [format!("{theirs}.self_attn.o_proj")];
    let down = [format!("{theirs}.mlp.down_proj")];
    let linear = |ours: String, theirs: &[String], shares: &[usize], bias: bool| {
        Rule::stacked_unevenly(&ours, theirs, shares).into_iter().take(if bias { 2 } else { 1 })
    };
    let Biases { qkv: of_qkv, output: of_output, mlp } = config.biases;
    let mut rules = vec![
        Rule::same(format!("{ours}.attention.norm.gain"), format!("{theirs}.input_layernorm.weight")),
        Rule::same(format!("{ours}.mlp.norm.gain"), format!("{theirs}.post_attention_layernorm.weight")),
    ];
    rules.extend(linear(format!("{ours}.attention.qkv"), &qkv, &[heads, shared, shared], of_qkv));
    rules.extend(linear(format!("{ours}.attention.output"), &output, &[1], of_output));
    rules.extend(linear(format!("{ours}.mlp.up"), &up, &[1, 1], mlp));
    rules.extend(linear(format!("{ours}.mlp.down"), &down, &[1], mlp));
    if config.head_norm {
        for (our, their) in [("query", "q"), ("key", "k")] {
            let theirs = format!("{theirs}.self_attn.{their}_norm.weight");
            rules.push(Rule::same(format!("{ours}.attention.{our}_norm.gain"), theirs));
        }
    }
    rules
}

/// The fields of `config.json` of a model from scratch.
pub fn decoder_scratch(model_type: &str, sizes: &Sizes) -> Map<String, Value> {
    let fields = json!({
        "model_type": model_type,
        "vocab_size": sizes.vocab_size,
        "hidden_size": sizes.hidden_size,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.heads,
        "head_dim": sizes.hidden_size / sizes.heads.max(1),
        "intermediate_size": sizes.intermediate_size,
        "max_position_embeddings": sizes.max_tokens,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_parameters": { "rope_type": "default", "rope_theta": 10000.0 },
        "sliding_window": null,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": true,
        "bos_token_id": sizes.pad_token_id,
        "eos_token_id": sizes.pad_token_id,
        "pad_token_id": sizes.pad_token_id,
    });
    fields.as_object().cloned().unwrap_or_default()
}
