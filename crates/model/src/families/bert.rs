//! BERT, and MiniLM which shares its layout. <https://arxiv.org/abs/1810.04805>

use finetone_backend::{Activation, Mask, NormKind};
use serde_json::{Map, Value, json};

use super::{FamilySpec, Fields, MaskedHead, Rule, Sizes};
use crate::config::{Biases, DropoutRates, Family, HeadConfig, HeadPooling, ModelConfig, Placement, Positions};
use crate::error::ModelError;

pub const SPEC: FamilySpec = FamilySpec {
    model_types: &["bert"],
    prefix: "bert.",
    layers: "num_hidden_layers",
    architecture: "BertForSequenceClassification",
    language_architecture: None,
    masked: Some(MaskedHead {
        architecture: "BertForMaskedLM",
        activation: None,
        dense: "cls.predictions.transform.dense",
        norm: "cls.predictions.transform.LayerNorm",
        linear: "cls.predictions.decoder",
        bias: "cls.predictions.bias",
    }),
    lora_targets: &["query", "value"],
    config,
    rules: |config| (encoder_rules(config), head_rules()),
    scratch,
};

fn config(fields: &mut Fields<'_>) -> Result<ModelConfig, ModelError> {
    let residual = fields.rate("hidden_dropout_prob", 0.1)?;
    let (output, labels) = fields.labels()?;
    let head = HeadConfig {
        pooling: HeadPooling::First,
        dense: Some(Activation::Tanh),
        bias: true,
        pooled_dropout: 0.0,
        dropout: fields.rate("classifier_dropout", residual)?,
        output,
        features: 0,
        labels,
        standard: true,
    };
    encoder_config(fields, Family::Bert, 0, head)
}

/// The encoder that BERT and RoBERTa share.
pub fn encoder_config(
    fields: &mut Fields<'_>,
    family: Family,
    position_offset: usize,
    standard_head: HeadConfig,
) -> Result<ModelConfig, ModelError> {
    fields.only("position_embedding_type", json!("absolute"))?;
    fields.only("is_decoder", json!(false))?;
    fields.only("add_cross_attention", json!(false))?;
    let residual = fields.rate("hidden_dropout_prob", 0.1)?;
    let (hidden_size, heads) = (fields.size("hidden_size")?, fields.size("num_attention_heads")?);
    Ok(ModelConfig {
        family,
        vocab_size: fields.size("vocab_size")?,
        hidden_size,
        num_hidden_layers: fields.size("num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        head_dim: fields.even_share(hidden_size, heads)?,
        intermediate_size: fields.size("intermediate_size")?,
        positions: Positions::Learned,
        max_position_embeddings: fields.size("max_position_embeddings")?,
        position_offset,
        type_vocab_size: fields.optional_size("type_vocab_size", 2)?,
        norm: NormKind::Layer,
        norm_epsilon: fields.number("layer_norm_eps", 1e-12)?,
        head_norm: false,
        placement: Placement::Post,
        mask: Mask::Bidirectional,
        window: None,
        biases: Biases::ALL,
        gated: false,
        activation: fields.activation("hidden_act", "gelu")?,
        embedding_norm: true,
        dropout: DropoutRates {
            embedding: residual,
            residual,
            attention: fields.rate("attention_probs_dropout_prob", 0.1)?,
        },
        initializer_range: fields.number("initializer_range", 0.02)?,
        scaled_residual_init: false,
        head: fields.head(standard_head)?,
        language: None,
        lora: None,
        raw: fields.raw(),
    })
}

/// The tensors of the encoder that BERT and RoBERTa share.
pub fn encoder_rules(config: &ModelConfig) -> Vec<Rule> {
    let mut rules = vec![
        Rule::same("embeddings.token", "embeddings.word_embeddings.weight"),
        Rule::same("embeddings.position", "embeddings.position_embeddings.weight"),
    ];
    if config.type_vocab_size > 0 {
        rules.push(Rule::same("embeddings.type", "embeddings.token_type_embeddings.weight"));
    }
    rules.extend(Rule::norm("embeddings.norm", "embeddings.LayerNorm"));
    for i in 0..config.num_hidden_layers {
        let (ours, theirs) = (format!("blocks.{i}"), format!("encoder.layer.{i}"));
        let qkv = ["query", "key", "value"].map(|name| format!("{theirs}.attention.self.{name}"));
        rules.extend(Rule::stacked(&format!("{ours}.attention.qkv"), &qkv));
        rules.extend(Rule::linear(&format!("{ours}.attention.output"), &format!("{theirs}.attention.output.dense")));
        rules.extend(Rule::norm(&format!("{ours}.attention.norm"), &format!("{theirs}.attention.output.LayerNorm")));
        rules.extend(Rule::linear(&format!("{ours}.mlp.up"), &format!("{theirs}.intermediate.dense")));
        rules.extend(Rule::linear(&format!("{ours}.mlp.down"), &format!("{theirs}.output.dense")));
        rules.extend(Rule::norm(&format!("{ours}.mlp.norm"), &format!("{theirs}.output.LayerNorm")));
    }
    rules
}

fn head_rules() -> Vec<Rule> {
    [Rule::linear("head.dense", "bert.pooler.dense"), Rule::linear("head.classifier", "classifier")].concat()
}

/// The fields of `config.json` that BERT and RoBERTa share.
pub fn encoder_scratch(sizes: &Sizes) -> Map<String, Value> {
    let fields = json!({
        "vocab_size": sizes.vocab_size,
        "hidden_size": sizes.hidden_size,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.intermediate_size,
        "max_position_embeddings": sizes.max_tokens,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.02,
        "pad_token_id": sizes.pad_token_id,
    });
    fields.as_object().cloned().unwrap_or_default()
}

fn scratch(sizes: &Sizes) -> Map<String, Value> {
    let mut fields = encoder_scratch(sizes);
    fields.insert("model_type".into(), json!("bert"));
    fields
}
