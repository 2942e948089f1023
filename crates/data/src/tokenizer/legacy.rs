//! The vocabulary files from before `tokenizer.json`, turned into one.
//!
//! `transformers` does the same when it opens such a folder; the ids agree with it.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::TokenizerError;
use super::files::Companion;
use super::settings::{Settings, object};

/// The special tokens of a byte-level vocabulary and the frame they set around a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteLevelStyle {
    /// `<|endoftext|>`, and no frame.
    Gpt2,
    /// `<s> text </s>`.
    Roberta,
}

/// `tokenizer.json` made of `vocab.json` and `merges.txt`.
pub(super) fn byte_level(
    folder: &Path,
    settings: &Settings,
    companions: &[Companion],
) -> Result<Vec<u8>, TokenizerError> {
    let path = folder.join("vocab.json");
    let vocab = object(&path, bytes_of(companions, "vocab.json"))?;
    let style = style(folder, settings, &vocab)?;
    let merges = merges(folder, &vocab, bytes_of(companions, "merges.txt"))?;
    let model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
        "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": vocab, "merges": merges,
    });
    let mut document =
        byte_level_document(style, settings, model, None).map_err(|reason| TokenizerError::invalid(&path, reason))?;
    append_added(folder, &mut document, companions)?;
    Ok(document.to_string().into_bytes())
}

/// `tokenizer.json` made of `vocab.txt`.
pub(super) fn word_piece(
    folder: &Path,
    settings: &Settings,
    companions: &[Companion],
) -> Result<Vec<u8>, TokenizerError> {
    let path = folder.join("vocab.txt");
    let text = utf8(&path, bytes_of(companions, "vocab.txt"))?;
    let vocab: Map<String, Value> =
        text.lines().enumerate().map(|(id, token)| (token.trim_end().to_owned(), json!(id))).collect();
    let unknown = settings.unk.as_deref().unwrap_or("[UNK]");
    let model = json!({
        "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": vocab,
    });
    let mut document = word_piece_document(settings, model).map_err(|reason| TokenizerError::invalid(&path, reason))?;
    append_added(folder, &mut document, companions)?;
    Ok(document.to_string().into_bytes())
}

/// A byte-level tokenizer around a model, as `tokenizer.json` describes it.
pub(super) fn byte_level_document(
    style: ByteLevelStyle,
    settings: &Settings,
    model: Value,
    normalizer: Option<Value>,
) -> Result<Value, String> {
    let end = "<|endoftext|>";
    let named = |name: &Option<String>, default: &str| name.clone().unwrap_or_else(|| default.to_owned());
    let (specials, processor) = match style {
        ByteLevelStyle::Gpt2 => {
            let bos = named(&settings.bos, end);
            let specials = vec![bos.clone(), named(&settings.eos, end), named(&settings.unk, end)];
            let processor = if settings.begin_token {
                frame(&model, &[&bos], &[])?
            } else {
                json!({"type": "ByteLevel", "add_prefix_space": settings.prefix_space, "trim_offsets": false, "use_regex": true})
            };
            (specials, processor)
        }
        ByteLevelStyle::Roberta => {
            let cls = named(&settings.cls, "<s>");
            let sep = named(&settings.sep, "</s>");
            let processor = json!({
                "type": "RobertaProcessing", "sep": [sep, id(&model, &sep)?], "cls": [cls, id(&model, &cls)?],
                "trim_offsets": true, "add_prefix_space": settings.prefix_space,
            });
            let rest = [
                (&settings.pad, "<pad>"),
                (&settings.bos, "<s>"),
                (&settings.eos, "</s>"),
                (&settings.unk, "<unk>"),
                (&settings.mask, "<mask>"),
            ];
            let mut specials = vec![cls, sep];
            specials.extend(rest.map(|(name, default)| named(name, default)));
            (specials, processor)
        }
    };
    let specials = specials.into_iter().chain(settings.pad.clone()).collect();
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added_tokens(&model, specials),
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": settings.prefix_space, "trim_offsets": true, "use_regex": true},
        "post_processor": processor,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": model,
    }))
}

/// BERT's tokenizer around a WordPiece model, as `tokenizer.json` describes it.
pub(super) fn word_piece_document(settings: &Settings, model: Value) -> Result<Value, String> {
    let named = |name: &Option<String>, default: &str| name.clone().unwrap_or_else(|| default.to_owned());
    let cls = named(&settings.cls, "[CLS]");
    let sep = named(&settings.sep, "[SEP]");
    let processor = frame(&model, &[&cls], &[&sep])?;
    id(&model, &named(&settings.unk, "[UNK]"))?;
    let specials =
        vec![named(&settings.pad, "[PAD]"), named(&settings.unk, "[UNK]"), cls, sep, named(&settings.mask, "[MASK]")];
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added_tokens(&model, specials),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": settings.chinese_characters.unwrap_or(true),
            "strip_accents": settings.strip_accents, "lowercase": settings.lowercase.unwrap_or(true),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": processor,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": model,
    }))
}

/// A template that sets special tokens before and after a text.
fn frame(model: &Value, before: &[&str], after: &[&str]) -> Result<Value, String> {
    let special = |token: &&str, kind: u32| json!({"SpecialToken": {"id": *token, "type_id": kind}});
    let sequence = |name: &str, kind: u32| json!({"Sequence": {"id": name, "type_id": kind}});
    let mut single: Vec<Value> = before.iter().map(|token| special(token, 0)).collect();
    single.push(sequence("A", 0));
    single.extend(after.iter().map(|token| special(token, 0)));
    let mut pair = single.clone();
    pair.push(sequence("B", 1));
    pair.extend(after.iter().map(|token| special(token, 1)));
    let mut tokens = Map::new();
    for &token in before.iter().chain(after) {
        tokens.insert(token.to_owned(), json!({"id": token, "ids": [id(model, token)?], "tokens": [token]}));
    }
    Ok(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}))
}

/// The id of a token that the vocabulary must have.
fn id(model: &Value, token: &str) -> Result<u64, String> {
    model["vocab"][token].as_u64().ok_or_else(|| format!("the special token `{token}` is not in the vocabulary"))
}

/// The entries for the special tokens that the vocabulary has, by id.
fn added_tokens(model: &Value, specials: Vec<String>) -> Vec<Value> {
    let mut found: Vec<(u64, String)> =
        specials.into_iter().filter_map(|token| Some((id(model, &token).ok()?, token))).collect();
    found.sort();
    found.dedup();
    found.into_iter().map(|(id, content)| added_token(id, &content, true)).collect()
}

pub(super) fn added_token(id: u64, content: &str, special: bool) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": !special, "special": special,
    })
}

/// Adds the tokens of `added_tokens.json`, which were appended to the vocabulary after it was made.
fn append_added(folder: &Path, document: &mut Value, companions: &[Companion]) -> Result<(), TokenizerError> {
    let bytes = bytes_of(companions, "added_tokens.json");
    if bytes.is_empty() {
        return Ok(());
    }
    let added = object(&folder.join("added_tokens.json"), bytes)?;
    let mut entries: Vec<(u64, String)> =
        added.into_iter().filter_map(|(token, id)| Some((id.as_u64()?, token))).collect();
    entries.sort();
    let Some(list) = document["added_tokens"].as_array_mut() else {
        return Ok(());
    };
    for (id, content) in entries {
        if !list.iter().any(|entry| entry["content"] == content.as_str()) {
            list.push(added_token(id, &content, false));
        }
    }
    Ok(())
}

/// Which of the two families that use `vocab.json` and `merges.txt` a folder belongs to.
fn style(folder: &Path, settings: &Settings, vocab: &Map<String, Value>) -> Result<ByteLevelStyle, TokenizerError> {
    let class = settings.tokenizer_class.as_deref().unwrap_or("");
    match settings.model_type.as_deref() {
        _ if class.starts_with("Roberta") => Ok(ByteLevelStyle::Roberta),
        _ if class.starts_with("GPT2") => Ok(ByteLevelStyle::Gpt2),
        Some("roberta") => Ok(ByteLevelStyle::Roberta),
        Some("gpt2") => Ok(ByteLevelStyle::Gpt2),
        None if vocab.contains_key("<s>") && vocab.contains_key("</s>") => Ok(ByteLevelStyle::Roberta),
        None if vocab.contains_key("<|endoftext|>") => Ok(ByteLevelStyle::Gpt2),
        _ => Err(TokenizerError::NeedsConversion {
            folder: folder.to_path_buf(),
            found: "vocab.json and merges.txt of an unknown kind",
        }),
    }
}

/// The merges, each checked against the vocabulary.
fn merges(folder: &Path, vocab: &Map<String, Value>, bytes: &[u8]) -> Result<Vec<Value>, TokenizerError> {
    let path = folder.join("merges.txt");
    let mut merges = Vec::new();
    for (index, line) in utf8(&path, bytes)?.lines().enumerate() {
        if line.is_empty() || line.starts_with("#version") {
            continue;
        }
        let number = index + 1;
        let Some((left, right)) = line.split_once(' ') else {
            return Err(TokenizerError::invalid(&path, format!("line {number} is not two tokens")));
        };
        let joined = format!("{left}{right}");
        if let Some(token) = [left, right, &joined].into_iter().find(|token| !vocab.contains_key(*token)) {
            let reason = format!("line {number} needs `{token}`, which `vocab.json` does not have");
            return Err(TokenizerError::invalid(&path, reason));
        }
        merges.push(json!([left, right]));
    }
    Ok(merges)
}

/// The bytes of a companion; nothing where there is no such file.
pub(super) fn bytes_of<'c>(companions: &'c [Companion], name: &str) -> &'c [u8] {
    companions.iter().find(|companion| companion.name == name).map_or(&[], |companion| &companion.bytes)
}

/// The text of a file that must be UTF-8.
pub(super) fn utf8<'b>(path: &Path, bytes: &'b [u8]) -> Result<&'b str, TokenizerError> {
    std::str::from_utf8(bytes).map_err(|error| TokenizerError::invalid(path, error))
}
