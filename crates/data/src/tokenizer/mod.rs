//! From a text to the token ids of a model, and back.
//!
//! A [`Tokenizer`] is opened from a Hugging Face folder ([`Tokenizer::from_folder`]) or trained on the user's own text
//! ([`Tokenizer::train`]), and gives the same ids as Python's `transformers` does for the same folder. The work is done
//! by the `tokenizers` library; what is added here are the older vocabulary files, a truncation that can keep the
//! end of a text as well as its start, and bounded work for texts that are far too long.
//!
//! Any truncation or padding that is stored in `tokenizer.json` is switched off when it is opened: the limit belongs to the
//! run, and sequences are packed rather than padded.

mod added;
mod bertweet;
mod decode;
mod error;
mod files;
mod legacy;
mod limit;
mod pieces;
mod settings;
mod train;

use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;
use tokenizers::{Encoding as LibraryEncoding, Token};

pub use decode::{Speller, Spelt};
pub use error::TokenizerError;
pub use limit::{Keep, Limit, MOST_WINDOWS};
pub use pieces::{Joints, Piece};
pub use train::{TrainKind, TrainOptions};

pub(crate) use files::read_optional;
pub(crate) use settings::{object, token};

use files::Companion;
use settings::Settings;

/// The token ids of one text, special tokens included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids, never empty; at most `Limit::max_tokens` unless the special tokens alone are more. With
    /// [`Keep::Windows`] the ids of all windows, each with special tokens of its own, which [`Limit::sequences`] tells apart.
    pub ids: Vec<u32>,
    /// Whether some of the text's tokens were left out to respect the limit.
    pub truncated: bool,
}

/// Turns texts into token ids.
///
/// It is shared freely between threads: encoding never changes it, and the ids of a text depend on nothing but the text
/// and the limit.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    settings: Settings,
    companions: Vec<Companion>,
    /// Replacement of the library's ids by the model's, for vocabularies with helper entries (BERTweet).
    remap: Option<Vec<u32>>,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    fallback: u32,
    pad_id: Option<u32>,
    vocab_size: usize,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size)
            .field("prefix", &self.prefix)
            .field("suffix", &self.suffix)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Opens the tokenizer of a Hugging Face folder.
    ///
    /// `tokenizer.json` is used where there is one; otherwise `vocab.json` with `merges.txt` (GPT-2, RoBERTa), `vocab.txt`
    /// (BERT, DistilBERT) or `vocab.txt` with `bpe.codes` (BERTweet).
    ///
    /// # Errors
    ///
    /// When there is no tokenizer, only one that must be converted, or a file that cannot be read or understood.
    pub fn from_folder(folder: &Path) -> Result<Self, TokenizerError> {
        files::open(folder)
    }

    /// Trains a tokenizer on texts. The same texts and options give the same files, byte for byte.
    ///
    /// # Errors
    ///
    /// When the vocabulary size leaves no room beside the special tokens and the letters of the texts.
    pub fn train<'t>(texts: impl Iterator<Item = &'t str>, options: &TrainOptions) -> Result<Self, TokenizerError> {
        train::train(texts, options)
    }

    /// Adds tokens that are never split, with the ids after all others; those it has already stay as they are. Transformers reads
    /// them from the folder that [`Tokenizer::save`] writes.
    ///
    /// # Errors
    ///
    /// For BERTweet's vocabulary, and one whose ids have gaps.
    pub fn with_special_tokens(self, tokens: &[&str]) -> Result<Self, TokenizerError> {
        added::with_special_tokens(self, tokens)
    }

    /// Lets [`Tokenizer::save`] write a chat template beside the tokenizer, in the place of any that it was opened with.
    pub fn with_chat_template(mut self, source: &str) -> Self {
        self.companions.retain(|companion| companion.name != files::CHAT_TEMPLATE);
        self.companions.push(Companion { name: files::CHAT_TEMPLATE, bytes: source.as_bytes().to_vec() });
        self
    }

    /// The special tokens that the folder names, by the names that chat templates know them by.
    pub fn special_tokens(&self) -> Vec<(String, String)> {
        let Settings { bos, eos, unk, sep, pad, cls, mask, .. } = &self.settings;
        let names =
            ["bos", "eos", "unk", "sep", "pad", "cls", "mask"].into_iter().zip([bos, eos, unk, sep, pad, cls, mask]);
        names.filter_map(|(name, token)| Some((format!("{name}_token"), token.clone()?))).collect()
    }

    /// Writes the tokenizer into an existing folder, in the form that `transformers` opens.
    ///
    /// A `tokenizer.json` that it was opened from is written byte for byte unless tokens were added, as are `tokenizer_config.json`,
    /// `special_tokens_map.json` and the vocabulary files beside it.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), TokenizerError> {
        files::save(self, folder)
    }

    /// The ids of one text, with the special tokens of the model around it.
    ///
    /// Only the text's own tokens are left out when there are too many; special tokens always stay. With [`Keep::Head`] the ids
    /// are those of `transformers` with `truncation=True`. An empty text of a model without special tokens (GPT-2) becomes
    /// its end-of-text token, so that there is always at least one id.
    pub fn encode(&self, text: &str, limit: &Limit) -> Encoding {
        let (ids, truncated) = self.laid_out(text, limit, |part| self.content_ids(part), |&id| id);
        Encoding { ids, truncated }
    }

    /// For each id of [`Tokenizer::encode`] the bytes of the text that it stands for; nothing for special tokens around it.
    pub fn places(&self, text: &str, limit: &Limit) -> Vec<Option<Range<usize>>> {
        let in_text = |part: &str| {
            // Of a very long text only the start or the end is encoded.
            let before = part.as_ptr() as usize - text.as_ptr() as usize;
            let (_, places) = self.content_places(part);
            places.into_iter().map(|place| Some(before + place.start..before + place.end)).collect()
        };
        self.laid_out(text, limit, in_text, |_| None).0
    }

    /// Something for each id of a text, `special` for those around it, and whether some of the text was left out.
    fn laid_out<T: Clone>(
        &self,
        text: &str,
        limit: &Limit,
        content: impl Fn(&str) -> Vec<T>,
        special: impl Fn(&u32) -> T,
    ) -> (Vec<T>, bool) {
        let room = limit.max_tokens.saturating_sub(self.prefix.len() + self.suffix.len());
        let (content, truncated) = limit::content(text, room, limit.keep, content);
        let mut all = Vec::with_capacity(self.prefix.len() + content.len() + self.suffix.len());
        for part in limit::windows(content.len(), room, limit.keep) {
            all.extend(self.prefix.iter().map(&special));
            all.extend_from_slice(&content[part]);
            all.extend(self.suffix.iter().map(&special));
        }
        if all.is_empty() {
            all.push(special(&self.fallback));
        }
        (all, truncated)
    }

    /// The ids of many texts, in their order, computed on all threads of the current `rayon` pool.
    pub fn encode_batch(&self, texts: &[&str], limit: &Limit) -> Vec<Encoding> {
        texts.par_iter().map(|text| self.encode(text, limit)).collect()
    }

    /// One more than the greatest id: the number of rows an embedding table needs.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The token with this id, as it is written in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        let Some(remap) = &self.remap else {
            return self.inner.id_to_token(id);
        };
        let position = remap.iter().position(|&ours| ours == id)?;
        let position = u32::try_from(position).ok()?;
        self.inner.id_to_token(position)
    }

    /// The id of the padding token, where the model has one.
    pub fn pad_id(&self) -> Option<u32> {
        self.pad_id
    }

    /// A token that says nothing: the one for padding, or else the one that an empty text becomes.
    pub fn filler(&self) -> u32 {
        self.pad_id.unwrap_or(self.fallback)
    }

    /// The longest input the folder says the model takes, in tokens; `None` where it says nothing or nothing sensible.
    pub fn max_tokens_hint(&self) -> Option<usize> {
        self.settings.max_tokens
    }

    /// The text's own ids, without special tokens around it and without a limit. A text that the library refuses becomes one unknown token: a vocabulary without one was refused
    /// when it was opened, so this is not expected to happen.
    pub fn content_ids(&self, text: &str) -> Vec<u32> {
        let Ok(encoding) = self.inner.encode_fast(text, false) else {
            return vec![self.fallback];
        };
        let ids = encoding.get_ids();
        match &self.remap {
            None => ids.to_vec(),
            Some(remap) => ids.iter().map(|&id| remap[id as usize]).collect(),
        }
    }

    /// The text's own ids as [`Tokenizer::content_ids`], and for each the bytes of the text that it stands for.
    pub fn content_places(&self, text: &str) -> (Vec<u32>, Vec<Range<usize>>) {
        let Ok(encoding) = self.inner.encode(text, false) else {
            return (vec![self.fallback], std::iter::once(0..text.len()).collect());
        };
        let translate = |&id: &u32| self.remap.as_ref().map_or(id, |remap| remap[id as usize]);
        let places = encoding.get_offsets().iter().map(|&(start, end)| start..end);
        (encoding.get_ids().iter().map(translate).collect(), places.collect())
    }

    /// Completes a tokenizer of the library with what the settings say.
    fn assemble(
        mut inner: tokenizers::Tokenizer,
        settings: Settings,
        companions: Vec<Companion>,
        remap: Option<Vec<u32>>,
    ) -> Result<Self, String> {
        let stored_pad = inner.get_padding().map(|padding| padding.pad_id);
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| error.to_string())?;
        inner.encode_fast("a \u{2603} \u{10fffd}", false).map_err(|error| error.to_string())?;
        let translate = |id: u32| remap.as_ref().map_or(id, |remap| remap[id as usize]);
        let (prefix, suffix) = surroundings(&inner)?;
        let named = |names: &[&Option<String>]| {
            names.iter().find_map(|name| inner.token_to_id(name.as_deref()?)).map(translate)
        };
        let pad_id = named(&[&settings.pad])
            .or(stored_pad)
            .or_else(|| ["[PAD]", "<pad>"].iter().find_map(|pad| inner.token_to_id(pad)).map(translate));
        let fallback = named(&[&settings.eos, &settings.bos, &settings.unk])
            .or_else(|| inner.token_to_id("<|endoftext|>"))
            .or(pad_id)
            .unwrap_or(0);
        let greatest = inner.get_vocab(true).into_values().map(translate).max();
        let vocab_size = greatest.ok_or("the vocabulary is empty")? as usize + 1;
        Ok(Self {
            prefix: prefix.into_iter().map(translate).collect(),
            suffix: suffix.into_iter().map(translate).collect(),
            inner,
            settings,
            companions,
            remap,
            fallback,
            pad_id,
            vocab_size,
        })
    }
}

/// The special tokens which the post-processor sets before and after a text.
fn surroundings(inner: &tokenizers::Tokenizer) -> Result<(Vec<u32>, Vec<u32>), String> {
    // An id that no vocabulary reaches stands for the text, and shows where the text goes.
    const TEXT: u32 = u32::MAX;
    let text = LibraryEncoding::from_tokens(vec![Token::new(TEXT, "x".to_owned(), (0, 1))], 0);
    let whole = inner.post_process(text, None, true).map_err(|error| error.to_string())?;
    let ids = whole.get_ids();
    let at = ids.iter().position(|&id| id == TEXT).ok_or("its post-processor drops the text")?;
    Ok((ids[..at].to_vec(), ids[at + 1..].to_vec()))
}
