//! BERTweet's vocabulary: `vocab.txt` (token and count) with `bpe.codes` (merges).
//!
//! Pieces inside a word are written `piece@@`, the last piece bare, and merging may pass through pieces that are not in the
//! vocabulary at all; a word that ends in such pieces gets unknown tokens. The library knows only merges between known
//! pieces, so every piece gets an id of its own and a table translates these to the ids of the model.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::files::Companion;
use super::legacy::{bytes_of, utf8};
use super::settings::Settings;
use super::{Tokenizer, TokenizerError};

/// What marks the end of a word in `bpe.codes`.
const WORD_END: &str = "</w>";

/// The special tokens, whose ids are fixed by their order.
const SPECIALS: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];

/// Id of `<unk>`.
const UNKNOWN: u32 = 3;

/// Opens a folder with `vocab.txt` and `bpe.codes`.
pub(super) fn open(folder: &Path, settings: Settings, companions: Vec<Companion>) -> Result<Tokenizer, TokenizerError> {
    if settings.tweet_normalization {
        return Err(TokenizerError::Unsupported {
            path: folder.join("tokenizer_config.json"),
            what: "BERTweet's `normalization` of raw tweets".to_owned(),
            advice:
                "replace user names by `@USER` and links by `HTTPURL` in the texts, then set `normalization` to false"
                    .to_owned(),
        });
    }
    let vocab = vocabulary(folder, bytes_of(&companions, "vocab.txt"))?;
    let mut pieces = Pieces::new(&vocab);
    let merges = merges(folder, bytes_of(&companions, "bpe.codes"), &mut pieces)?;
    let document = document(&pieces, &merges);
    let path = folder.join("bpe.codes");
    let inner = tokenizers::Tokenizer::from_bytes(document.to_string())
        .map_err(|error| TokenizerError::invalid(&path, error))?;
    Tokenizer::assemble(inner, settings, companions, Some(pieces.model_ids))
        .map_err(|reason| TokenizerError::invalid(&path, reason))
}

/// The model's token ids: the special tokens, then the lines of `vocab.txt` without their counts.
///
/// `<mask>` follows at the end where the file does not have it, as `transformers` appends it.
fn vocabulary(folder: &Path, bytes: &[u8]) -> Result<HashMap<String, u32>, TokenizerError> {
    let path = folder.join("vocab.txt");
    let mut vocab: HashMap<String, u32> = HashMap::new();
    let specials = SPECIALS.iter().map(|token| Ok((*token).to_owned()));
    let lines = utf8(&path, bytes)?.lines().enumerate().map(|(index, line)| {
        let reason = || format!("line {} is not a token and its count", index + 1);
        let (token, _) = line.trim().rsplit_once(' ').ok_or_else(|| TokenizerError::invalid(&path, reason()))?;
        Ok(token.to_owned())
    });
    for token in specials.chain(lines).chain([Ok("<mask>".to_owned())]) {
        let next = vocab.len() as u32;
        vocab.entry(token?).or_insert(next);
    }
    Ok(vocab)
}

/// The library's pieces (`x` inside a word, `x</w>` at its end), each with the id of the model.
struct Pieces<'v> {
    vocab: &'v HashMap<String, u32>,
    ids: Map<String, Value>,
    model_ids: Vec<u32>,
}

impl<'v> Pieces<'v> {
    /// The special tokens, then every token of the vocabulary in the order of its id.
    fn new(vocab: &'v HashMap<String, u32>) -> Self {
        let mut pieces = Self { vocab, ids: Map::new(), model_ids: Vec::new() };
        let mut tokens: Vec<(&String, u32)> = vocab.iter().map(|(token, &id)| (token, id)).collect();
        tokens.sort_by_key(|&(_, id)| id);
        for special in SPECIALS.iter().chain(&["<mask>"]) {
            pieces.insert((*special).to_owned(), vocab[*special]);
        }
        for (token, _) in tokens {
            match token.strip_suffix("@@") {
                Some(inside) => pieces.add(inside),
                None => pieces.add(&format!("{token}{WORD_END}")),
            }
        }
        pieces
    }

    /// Adds a piece under the id that the model gives it, unknown where it gives none.
    fn add(&mut self, piece: &str) {
        let token = match piece.strip_suffix(WORD_END) {
            Some(last) => last.to_owned(),
            None => format!("{piece}@@"),
        };
        let id = self.vocab.get(&token).copied().unwrap_or(UNKNOWN);
        self.insert(piece.to_owned(), id);
    }

    fn insert(&mut self, piece: String, id: u32) {
        if !self.ids.contains_key(&piece) {
            self.ids.insert(piece, json!(self.model_ids.len()));
            self.model_ids.push(id);
        }
    }
}

/// The merges of `bpe.codes`; the pieces they join and make are added.
fn merges(folder: &Path, bytes: &[u8], pieces: &mut Pieces<'_>) -> Result<Vec<Value>, TokenizerError> {
    let path = folder.join("bpe.codes");
    let mut merges = Vec::new();
    for (index, line) in utf8(&path, bytes)?.lines().enumerate() {
        let mut words = line.split_whitespace();
        let (Some(left), Some(right), Some(_)) = (words.next(), words.next(), words.next()) else {
            return Err(TokenizerError::invalid(&path, format!("line {} is not two pieces and a count", index + 1)));
        };
        pieces.add(left);
        pieces.add(right);
        pieces.add(&format!("{left}{right}"));
        merges.push(json!([left, right]));
    }
    Ok(merges)
}

/// The library's description of the tokenizer over the pieces.
fn document(pieces: &Pieces<'_>, merges: &[Value]) -> Value {
    let special = |token: &str| {
        json!({
            "id": pieces.ids[token], "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    let specials: Vec<Value> = SPECIALS.iter().chain(&["<mask>"]).map(|token| special(token)).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": specials, "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": r"\S+\n?"}, "behavior": "Removed", "invert": true},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": false, "add_prefix_space": false},
        "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": WORD_END, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": pieces.ids, "merges": merges,
        },
    })
}
