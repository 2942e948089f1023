//! RoBERTa, BERTweet and XLM-R: BERT's encoder, positions that start behind the padding id, another head.
//! <https://arxiv.org/abs/1907.11692>

use finetone_backend::Activation;
use serde_json::{Map, Value, json};

use super::{FamilySpec, Fields, MaskedHead, Rule, Sizes, bert};
use crate::config::{Family, HeadConfig, HeadPooling, ModelConfig};
use crate::error::ModelError;

pub const SPEC: FamilySpec = FamilySpec {
    model_types: &["roberta", "xlm-roberta"],
    prefix: "roberta.",
    layers: "num_hidden_layers",
    architecture: "RobertaForSequenceClassification",
    language_architecture: None,
    masked: Some(MaskedHead {
        architecture: "RobertaForMaskedLM",
        activation: Some(Activation::GeluErf),
        dense: "lm_head.dense",
        norm: "lm_head.layer_norm",
        linear: "lm_head.decoder",
        bias: "lm_head.bias",
    }),
    lora_targets: &["query", "value"],
    config,
    rules: |config| (bert::encoder_rules(config), head_rules()),
    scratch,
};

fn config(fields: &mut Fields<'_>) -> Result<ModelConfig, ModelError> {
    let dropout = fields.rate("classifier_dropout", fields.rate("hidden_dropout_prob", 0.1)?)?;
    let (output, labels) = fields.labels()?;
    let head = HeadConfig {
        pooling: HeadPooling::First,
        dense: Some(Activation::Tanh),
        bias: true,
        pooled_dropout: dropout,
        dropout,
        output,
        features: 0,
        labels,
        standard: true,
    };
    let offset = fields.optional_size("pad_token_id", 1)? + 1;
    bert::encoder_config(fields, Family::Roberta, offset, head)
}

fn head_rules() -> Vec<Rule> {
    [Rule::linear("head.dense", "classifier.dense"), Rule::linear("head.classifier", "classifier.out_proj")].concat()
}

fn scratch(sizes: &Sizes) -> Map<String, Value> {
    let mut fields = bert::encoder_scratch(sizes);
    fields.insert("model_type".into(), json!("roberta"));
    fields.insert("type_vocab_size".into(), json!(1));
    fields.insert("layer_norm_eps".into(), json!(1e-5));
    fields.insert("max_position_embeddings".into(), json!(sizes.max_tokens + sizes.pad_token_id as usize + 1));
    fields
}
