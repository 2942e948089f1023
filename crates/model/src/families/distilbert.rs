//! DistilBERT: BERT without token types and pooler, under other names. <https://arxiv.org/abs/1910.01108>

use finetone_backend::{Activation, Mask, NormKind};
use serde_json::{Map, Value, json};

use super::{FamilySpec, Fields, MaskedHead, Rule, Sizes};
use crate::config::{Biases, DropoutRates, Family, HeadConfig, HeadPooling, ModelConfig, Placement, Positions};
use crate::error::ModelError;

pub const SPEC: FamilySpec = FamilySpec {
    model_types: &["distilbert"],
    prefix: "distilbert.",
    layers: "n_layers",
    architecture: "DistilBertForSequenceClassification",
    language_architecture: None,
    masked: Some(MaskedHead {
        architecture: "DistilBertForMaskedLM",
        activation: None,
        dense: "vocab_transform",
        norm: "vocab_layer_norm",
        linear: "vocab_projector",
        bias: "vocab_projector.bias",
    }),
    lora_targets: &["q_lin", "v_lin"],
    config,
    rules: |config| (backbone_rules(config), head_rules()),
    scratch,
};

fn config(fields: &mut Fields<'_>) -> Result<ModelConfig, ModelError> {
    let residual = fields.rate("dropout", 0.1)?;
    let (output, labels) = fields.labels()?;
    let standard_head = HeadConfig {
        pooling: HeadPooling::First,
        dense: Some(Activation::Relu),
        bias: true,
        pooled_dropout: 0.0,
        dropout: fields.rate("seq_classif_dropout", 0.2)?,
        output,
        features: 0,
        labels,
        standard: true,
    };
    let (hidden_size, heads) = (fields.size("dim")?, fields.size("n_heads")?);
    Ok(ModelConfig {
        family: Family::DistilBert,
        vocab_size: fields.size("vocab_size")?,
        hidden_size,
        num_hidden_layers: fields.size("n_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        head_dim: fields.even_share(hidden_size, heads)?,
        intermediate_size: fields.size("hidden_dim")?,
        positions: Positions::Learned,
        max_position_embeddings: fields.size("max_position_embeddings")?,
        position_offset: 0,
        type_vocab_size: 0,
        norm: NormKind::Layer,
        norm_epsilon: 1e-12,
        head_norm: false,
        placement: Placement::Post,
        mask: Mask::Bidirectional,
        window: None,
        biases: Biases::ALL,
        gated: false,
        activation: fields.activation("activation", "gelu")?,
        embedding_norm: true,
        dropout: DropoutRates { embedding: residual, residual, attention: fields.rate("attention_dropout", 0.1)? },
        initializer_range: fields.number("initializer_range", 0.02)?,
        scaled_residual_init: false,
        head: fields.head(standard_head)?,
        language: None,
        lora: None,
        raw: fields.raw(),
    })
}

fn backbone_rules(config: &ModelConfig) -> Vec<Rule> {
    let mut rules = vec![
        Rule::same("embeddings.token", "embeddings.word_embeddings.weight"),
        Rule::same("embeddings.position", "embeddings.position_embeddings.weight"),
    ];
    rules.extend(Rule::norm("embeddings.norm", "embeddings.LayerNorm"));
    for i in 0..config.num_hidden_layers {
        let (ours, theirs) = (format!("blocks.{i}"), format!("transformer.layer.{i}"));
        let qkv = ["q_lin", "k_lin", "v_lin"].map(|name| format!("{theirs}.attention.{name}"));
        rules.extend(Rule::stacked(&format!("{ours}.attention.qkv"), &qkv));
        rules.extend(Rule::linear(&format!("{ours}.attention.output"), &format!("{theirs}.attention.out_lin")));
        rules.extend(Rule::norm(&format!("{ours}.attention.norm"), &format!("{theirs}.sa_layer_norm")));
        rules.extend(Rule::linear(&format!("{ours}.mlp.up"), &format!("{theirs}.ffn.lin1")));
        rules.extend(Rule::linear(&format!("{ours}.mlp.down"), &format!("{theirs}.ffn.lin2")));
        rules.extend(Rule::norm(&format!("{ours}.mlp.norm"), &format!("{theirs}.output_layer_norm")));
    }
    rules
}

fn head_rules() -> Vec<Rule> {
    [Rule::linear("head.dense", "pre_classifier"), Rule::linear("head.classifier", "classifier")].concat()
}

fn scratch(sizes: &Sizes) -> Map<String, Value> {
    let fields = json!({
        "model_type": "distilbert",
        "vocab_size": sizes.vocab_size,
        "dim": sizes.hidden_size,
        "n_layers": sizes.layers,
        "n_heads": sizes.heads,
        "hidden_dim": sizes.intermediate_size,
        "max_position_embeddings": sizes.max_tokens,
        "activation": "gelu",
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "initializer_range": 0.02,
        "pad_token_id": sizes.pad_token_id,
    });
    fields.as_object().cloned().unwrap_or_default()
}
