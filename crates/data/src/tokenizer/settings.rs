//! What the JSON files beside a vocabulary say about it.

use std::path::Path;

use serde_json::{Map, Value};

use super::files::Companion;
use super::{TokenizerError, files};

/// Larger limits are Python's way to say that there is none (`int(1e30)`).
const GREATEST_SENSIBLE_LIMIT: u64 = 10_000_000;

/// The settings of `tokenizer_config.json`, `special_tokens_map.json` and `config.json` that matter here.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub model_type: Option<String>,
    pub tokenizer_class: Option<String>,
    pub lowercase: Option<bool>,
    pub strip_accents: Option<bool>,
    pub chinese_characters: Option<bool>,
    pub prefix_space: bool,
    pub begin_token: bool,
    pub tweet_normalization: bool,
    pub bos: Option<String>,
    pub eos: Option<String>,
    pub unk: Option<String>,
    pub sep: Option<String>,
    pub cls: Option<String>,
    pub pad: Option<String>,
    pub mask: Option<String>,
    pub max_tokens: Option<usize>,
}

impl Settings {
    /// Reads the settings; files that are not there say nothing.
    pub fn read(folder: &Path, companions: &[Companion]) -> Result<Self, TokenizerError> {
        let config = companion_object(folder, companions, "tokenizer_config.json")?;
        let names = companion_object(folder, companions, "special_tokens_map.json")?;
        let model = match files::read_optional(&folder.join("config.json"))? {
            Some(bytes) => object(&folder.join("config.json"), &bytes)?,
            None => Map::new(),
        };
        let text = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
        let flag = |key: &str| config.get(key).and_then(Value::as_bool);
        let special = |key: &str| [&config, &names].into_iter().find_map(|map| token(map.get(key)?));
        Ok(Self {
            model_type: text(&model, "model_type"),
            tokenizer_class: text(&config, "tokenizer_class"),
            lowercase: flag("do_lower_case"),
            strip_accents: flag("strip_accents"),
            chinese_characters: flag("tokenize_chinese_chars"),
            prefix_space: flag("add_prefix_space").unwrap_or(false),
            begin_token: flag("add_bos_token").unwrap_or(false),
            tweet_normalization: flag("normalization").unwrap_or(false),
            bos: special("bos_token"),
            eos: special("eos_token"),
            unk: special("unk_token"),
            sep: special("sep_token"),
            cls: special("cls_token"),
            pad: special("pad_token"),
            mask: special("mask_token"),
            max_tokens: limit(config.get("model_max_length")),
        })
    }
}

fn companion_object(folder: &Path, companions: &[Companion], name: &str) -> Result<Map<String, Value>, TokenizerError> {
    match companions.iter().find(|companion| companion.name == name) {
        Some(companion) => object(&folder.join(name), &companion.bytes),
        None => Ok(Map::new()),
    }
}

/// Parses a file whose content must be a JSON object.
pub(crate) fn object(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>, TokenizerError> {
    serde_json::from_slice(bytes).map_err(|error| TokenizerError::invalid(path, error))
}

/// A special token is written as its text or as an object with its text in `content`.
pub(crate) fn token(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content").and_then(Value::as_str)).map(str::to_owned)
}

fn limit(value: Option<&Value>) -> Option<usize> {
    let limit = value?.as_u64()?;
    let sensible = limit > 0 && limit <= GREATEST_SENSIBLE_LIMIT;
    sensible.then(|| usize::try_from(limit).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_that_mean_none_are_none() {
        let huge: Value = serde_json::from_str("1000000000000000019884624838656").unwrap();
        assert_eq!(limit(Some(&huge)), None);
        assert_eq!(limit(Some(&json!(0))), None);
        assert_eq!(limit(Some(&json!(512))), Some(512));
        assert_eq!(limit(None), None);
    }

    #[test]
    fn a_token_may_be_an_object() {
        assert_eq!(token(&json!({"content": "<mask>", "lstrip": true})), Some("<mask>".to_owned()));
        assert_eq!(token(&json!("[CLS]")), Some("[CLS]".to_owned()));
        assert_eq!(token(&Value::Null), None);
    }
}
