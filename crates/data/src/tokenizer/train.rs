//! A tokenizer made from the user's own text.
//!
//! The merges are learned by the `tokenizers` library. What is fixed here is everything that would otherwise depend on the
//! order of a hash table, so that the same texts give the same files.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::{BertNormalizer, Lowercase};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Trainer,
};

use super::files::{self, Companion};
use super::legacy::{ByteLevelStyle, byte_level_document, word_piece_document};
use super::settings::Settings;
use super::{Tokenizer, TokenizerError};

/// The kind of vocabulary to learn, with the special tokens of its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrainKind {
    /// Byte-level BPE with `<|endoftext|>`, as GPT-2 uses.
    Gpt2Bpe,
    /// Byte-level BPE with `<s> <pad> </s> <unk> <mask>` and `<s> text </s>`, as RoBERTa uses.
    RobertaBpe,
    /// WordPiece with `[PAD] [UNK] [CLS] [SEP] [MASK]` and `[CLS] text [SEP]`, as BERT and DistilBERT use.
    WordPiece,
}

/// How a tokenizer is trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainOptions {
    /// The kind of vocabulary and its special tokens.
    pub kind: TrainKind,
    /// The greatest number of tokens, special ones included. Little text may give fewer.
    pub vocab_size: usize,
    /// Whether letters lose their case (and, for WordPiece, their accents).
    pub lowercase: bool,
    /// Pairs that occur less often than this are not merged.
    pub min_frequency: u64,
    /// The longest input of the model it is for, in tokens; written to `tokenizer_config.json`.
    pub max_tokens: Option<usize>,
}

impl TrainOptions {
    /// The usual options for a kind: pairs seen at least twice, lower case for WordPiece only.
    pub fn new(kind: TrainKind, vocab_size: usize) -> Self {
        Self { kind, vocab_size, lowercase: kind == TrainKind::WordPiece, min_frequency: 2, max_tokens: None }
    }
}

/// Longer words (base64, separators) teach nothing and cost much.
const LONGEST_WORD: usize = 256;

/// The greatest number of different letters a WordPiece vocabulary keeps; rarer ones become unknown tokens.
const MOST_LETTERS: usize = 1000;

/// The fewest letters that make a WordPiece vocabulary worth having.
const FEWEST_LETTERS: usize = 16;

const WORD_PIECE_SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const ROBERTA_SPECIALS: [&str; 5] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
const GPT2_SPECIALS: [&str; 1] = ["<|endoftext|>"];

/// Trains a tokenizer; see [`Tokenizer::train`].
pub(super) fn train<'t>(
    texts: impl Iterator<Item = &'t str>,
    options: &TrainOptions,
) -> Result<Tokenizer, TokenizerError> {
    let texts: Vec<&str> = texts.collect();
    let settings = settings(options);
    let document = match options.kind {
        TrainKind::WordPiece => train_word_piece(&texts, options, &settings)?,
        TrainKind::Gpt2Bpe => train_byte_level(&texts, options, &settings, ByteLevelStyle::Gpt2)?,
        TrainKind::RobertaBpe => train_byte_level(&texts, options, &settings, ByteLevelStyle::Roberta)?,
    };
    let companions = vec![
        Companion { name: "tokenizer.json", bytes: pretty(&document) },
        Companion { name: "tokenizer_config.json", bytes: pretty(&tokenizer_config(&settings, options)) },
    ];
    files::from_document(Path::new("."), settings, companions)
}

fn train_byte_level(
    texts: &[&str],
    options: &TrainOptions,
    settings: &Settings,
    style: ByteLevelStyle,
) -> Result<Value, TokenizerError> {
    let specials: &[&str] = match style {
        ByteLevelStyle::Gpt2 => &GPT2_SPECIALS,
        ByteLevelStyle::Roberta => &ROBERTA_SPECIALS,
    };
    let fewest = specials.len() + 256;
    if options.vocab_size < fewest {
        return Err(too_small(options.vocab_size, fewest));
    }
    let alphabet: HashSet<char> = ByteLevel::alphabet().into_iter().collect();
    let trainer = BpeTrainer::builder().initial_alphabet(alphabet);
    let trainer = trainer.special_tokens(specials.iter().map(|token| AddedToken::from(*token, true)).collect());
    let mut trainer = configure(trainer.build(), options);
    let byte_level = ByteLevel::new(false, true, true);
    let split = |text: &str| {
        let mut text = NormalizedString::from(text);
        if options.lowercase {
            Lowercase.normalize(&mut text)?;
        }
        split_words(text, &byte_level)
    };
    let model = learn(&mut trainer, texts, split)?;
    let normalizer = options.lowercase.then(|| json!({"type": "Lowercase"}));
    byte_level_document(style, settings, to_value(&model)?, normalizer).map_err(fault)
}

fn train_word_piece(texts: &[&str], options: &TrainOptions, settings: &Settings) -> Result<Value, TokenizerError> {
    let most = (options.vocab_size.saturating_sub(WORD_PIECE_SPECIALS.len()) / 4).min(MOST_LETTERS);
    if most < FEWEST_LETTERS {
        return Err(too_small(options.vocab_size, WORD_PIECE_SPECIALS.len() + 4 * FEWEST_LETTERS));
    }
    let normalizer = BertNormalizer::new(true, true, None, options.lowercase);
    let split = |text: &str| {
        let mut text = NormalizedString::from(text);
        normalizer.normalize(&mut text)?;
        split_words(text, &BertPreTokenizer)
    };
    let letters = Letters::count(texts, split, most)?;
    // The library numbers the letters inside words in the order of a hash table; listed as special, they are numbered here.
    let listed = WORD_PIECE_SPECIALS.iter().map(|token| (*token).to_owned());
    let listed = listed.chain(letters.inside.iter().map(|letter| format!("##{letter}")));
    let trainer = BpeTrainer::builder()
        .continuing_subword_prefix("##".to_owned())
        .special_tokens(listed.map(|token| AddedToken::from(token, true)).collect())
        .limit_alphabet(letters.kept.len())
        .initial_alphabet(letters.kept.iter().copied().collect());
    let mut trainer = configure(trainer.build(), options);
    let model = WordPiece::from_bpe(&learn(&mut trainer, texts, split)?);
    word_piece_document(settings, to_value(&model)?).map_err(fault)
}

/// Sets what all kinds have in common.
fn configure(mut trainer: BpeTrainer, options: &TrainOptions) -> BpeTrainer {
    trainer.vocab_size = options.vocab_size;
    trainer.min_frequency = options.min_frequency;
    trainer.show_progress = false;
    trainer
}

/// The letters a WordPiece vocabulary keeps.
struct Letters {
    kept: BTreeSet<char>,
    /// Those of them that occur after the first place of a word.
    inside: BTreeSet<char>,
}

impl Letters {
    /// The `most` commonest letters; the smaller code point wins among equally common ones.
    fn count(
        texts: &[&str],
        split: impl Fn(&str) -> tokenizers::Result<Vec<String>>,
        most: usize,
    ) -> Result<Self, TokenizerError> {
        let mut counts: BTreeMap<char, (u64, bool)> = BTreeMap::new();
        for text in texts {
            for word in split(text).map_err(fault)? {
                for (place, letter) in word.chars().enumerate() {
                    let entry = counts.entry(letter).or_default();
                    entry.0 += 1;
                    entry.1 |= place > 0;
                }
            }
        }
        let mut order: Vec<(char, (u64, bool))> = counts.into_iter().collect();
        order.sort_by_key(|&(letter, (count, _))| (std::cmp::Reverse(count), letter));
        order.truncate(most);
        Ok(Self {
            kept: order.iter().map(|&(letter, _)| letter).collect(),
            inside: order.iter().filter(|(_, (_, inside))| *inside).map(|&(letter, _)| letter).collect(),
        })
    }
}

/// The words of a normalised text, without those that are too long.
fn split_words(text: NormalizedString, pre_tokenizer: &impl PreTokenizer) -> tokenizers::Result<Vec<String>> {
    let mut text = PreTokenizedString::from(text);
    pre_tokenizer.pre_tokenize(&mut text)?;
    let splits = text.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    let words = splits.into_iter().map(|(word, _, _)| word);
    Ok(words.filter(|word| word.len() <= LONGEST_WORD).map(str::to_owned).collect())
}

/// Runs the library's trainer.
fn learn(
    trainer: &mut BpeTrainer,
    texts: &[&str],
    split: impl Fn(&str) -> tokenizers::Result<Vec<String>> + Sync,
) -> Result<BPE, TokenizerError> {
    trainer.feed(texts.iter(), split).map_err(fault)?;
    if trainer.get_word_count() == 0 {
        return Err(fault("the texts have no words"));
    }
    let mut model = BPE::default();
    trainer.train(&mut model).map_err(fault)?;
    Ok(model)
}

/// The names of the special tokens.
fn settings(options: &TrainOptions) -> Settings {
    let mut settings =
        Settings { lowercase: Some(options.lowercase), max_tokens: options.max_tokens, ..Settings::default() };
    let name = |token: &str| Some(token.to_owned());
    match options.kind {
        TrainKind::Gpt2Bpe => {
            // GPT-2 has no padding token; `transformers` needs one to batch, and the mask hides which.
            for slot in [&mut settings.bos, &mut settings.eos, &mut settings.unk, &mut settings.pad] {
                *slot = name("<|endoftext|>");
            }
        }
        TrainKind::RobertaBpe => {
            (settings.bos, settings.cls) = (name("<s>"), name("<s>"));
            (settings.eos, settings.sep) = (name("</s>"), name("</s>"));
            (settings.pad, settings.unk, settings.mask) = (name("<pad>"), name("<unk>"), name("<mask>"));
        }
        TrainKind::WordPiece => {
            (settings.pad, settings.unk, settings.mask) = (name("[PAD]"), name("[UNK]"), name("[MASK]"));
            (settings.cls, settings.sep) = (name("[CLS]"), name("[SEP]"));
        }
    }
    settings
}

/// `tokenizer_config.json` for a trained tokenizer: the class that takes `tokenizer.json` literally, and its tokens.
fn tokenizer_config(settings: &Settings, options: &TrainOptions) -> Value {
    let mut config = Map::new();
    config.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
    let tokens = [
        ("bos_token", &settings.bos),
        ("eos_token", &settings.eos),
        ("unk_token", &settings.unk),
        ("sep_token", &settings.sep),
        ("cls_token", &settings.cls),
        ("pad_token", &settings.pad),
        ("mask_token", &settings.mask),
    ];
    for (key, token) in tokens {
        if let Some(token) = token {
            config.insert(key.to_owned(), json!(token));
        }
    }
    if let Some(max_tokens) = options.max_tokens {
        config.insert("model_max_length".to_owned(), json!(max_tokens));
    }
    config.insert("model_input_names".to_owned(), json!(["input_ids", "attention_mask"]));
    config.insert("clean_up_tokenization_spaces".to_owned(), json!(false));
    Value::Object(config)
}

fn to_value(model: &impl serde::Serialize) -> Result<Value, TokenizerError> {
    serde_json::to_value(model).map_err(fault)
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

fn too_small(size: usize, fewest: usize) -> TokenizerError {
    fault(format!("a vocabulary of {size} is too small, this kind needs at least {fewest}"))
}

fn fault(reason: impl ToString) -> TokenizerError {
    TokenizerError::Train { reason: reason.to_string() }
}
