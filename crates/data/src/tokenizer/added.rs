//! Tokens added to a tokenizer that is there already.

use std::path::Path;

use serde_json::Value;

use super::files::{self, Companion};
use super::legacy::{added_token, bytes_of};
use super::{Tokenizer, TokenizerError};

/// The tokenizer with these tokens as special ones, behind all others; those that it has as such already stay.
pub(super) fn with_special_tokens(tokenizer: Tokenizer, tokens: &[&str]) -> Result<Tokenizer, TokenizerError> {
    if tokens.is_empty() {
        return Ok(tokenizer);
    }
    if tokenizer.remap.is_some() {
        return Err(TokenizerError::Unsupported {
            path: Path::new("bpe.codes").to_owned(),
            what: format!("adding `{}` to the vocabulary of BERTweet", tokens.join("`, `")),
            advice: "choose a model with a `tokenizer.json`, or leave out what needs these tokens".to_owned(),
        });
    }
    let path = Path::new("tokenizer.json");
    let broken = |reason: &str| TokenizerError::invalid(path, reason);
    let mut document: Value = serde_json::from_slice(bytes_of(&tokenizer.companions, "tokenizer.json"))
        .map_err(|error| TokenizerError::invalid(path, error))?;
    let mut next = tokenizer.vocab_size as u64;
    if document["added_tokens"].is_null() {
        document["added_tokens"] = Value::Array(Vec::new());
    }
    let added = document["added_tokens"].as_array_mut().ok_or_else(|| broken("`added_tokens` is no list"))?;
    for token in tokens {
        if added.iter().any(|entry| entry["content"] == *token) {
            continue;
        }
        let id = tokenizer.inner.token_to_id(token).map_or(next, u64::from);
        next = next.max(id + 1);
        added.push(added_token(id, token, true));
    }
    let written = added.clone();
    let Tokenizer { settings, mut companions, .. } = tokenizer;
    companions.retain(|companion| companion.name != "tokenizer.json");
    companions.insert(0, Companion { name: "tokenizer.json", bytes: document.to_string().into_bytes() });
    let tokenizer = files::from_document(Path::new("."), settings, companions)?;
    // The library numbers added tokens by itself; a vocabulary with gaps would get other ids than the file says.
    let kept = |entry: &Value| {
        entry["content"].as_str().and_then(|token| tokenizer.inner.token_to_id(token)).map(u64::from)
            == entry["id"].as_u64()
    };
    if written.iter().all(kept) { Ok(tokenizer) } else { Err(broken("its ids have gaps, so no token can be added")) }
}
