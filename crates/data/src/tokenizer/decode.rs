//! From token ids back to text.
//!
//! A token need not be a text: of a character that is no ASCII, byte-level vocabularies often have only the single bytes. So a
//! text that is shown while it is written is held back until its last character is whole.

use tokenizers::DecoderWrapper;

use super::Tokenizer;

/// A character has at most four bytes, so more tokens than that never become one.
const MOST_OF_A_CHARACTER: usize = 4;

/// What a token adds to a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spelt {
    /// The text: empty for a special token and for the beginning of a character, which its last token spells as a whole.
    pub text: String,
    /// Its own bytes, of which several tokens may make up one character.
    pub bytes: Vec<u8>,
}

impl From<&str> for Spelt {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), bytes: text.as_bytes().to_vec() }
    }
}

/// Spells a text token by token. What it has said never changes by what follows, and is never half a character; the end of a
/// text that stops in the middle of one is left out.
#[derive(Debug, Clone, Default)]
pub struct Speller {
    /// Tokens that were spelt, of which what follows may depend on them, and those that are no whole text yet.
    ids: Vec<u32>,
    /// How many of them were spelt.
    spelt: usize,
}

impl Speller {
    /// What a token would add.
    pub fn next(&self, tokenizer: &Tokenizer, id: u32) -> Spelt {
        let text = self.whole(tokenizer, id).unwrap_or_default();
        let bytes = tokenizer.bytes(id).unwrap_or_else(|| text.as_bytes().to_vec());
        Spelt { text, bytes }
    }

    /// Adds a token.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Spelt {
        let is_whole = self.whole(tokenizer, id).is_some();
        let spelt = self.next(tokenizer, id);
        // Tokens that say nothing are no context for what follows, so the one before them stays.
        if !spelt.text.is_empty() {
            self.ids.drain(..self.spelt);
        }
        self.ids.push(id);
        if is_whole {
            self.spelt = self.ids.len();
        }
        spelt
    }

    /// The text of the tokens that were not spelt and this one; `None` where they end in the middle of a character.
    fn whole(&self, tokenizer: &Tokenizer, id: u32) -> Option<String> {
        let ids: Vec<u32> = self.ids.iter().copied().chain([id]).collect();
        let (before, text) = (tokenizer.decode(&self.ids[..self.spelt]), tokenizer.decode(&ids));
        let is_open = text.ends_with(char::REPLACEMENT_CHARACTER) && ids.len() - self.spelt < MOST_OF_A_CHARACTER;
        (!is_open).then(|| text.get(before.len()..).unwrap_or_default().to_owned())
    }
}

impl Tokenizer {
    /// The text that tokens stand for, special ones left out: that of `transformers` with `skip_special_tokens=True`.
    pub fn decode(&self, ids: &[u32]) -> String {
        let theirs: Vec<u32> = ids.iter().filter_map(|&id| self.library_id(id)).collect();
        self.inner.decode(&theirs, true).unwrap_or_default()
    }

    /// The ids of a text that is to be continued: the special tokens that stand before a text, and its own.
    pub fn beginning_ids(&self, text: &str) -> Vec<u32> {
        [self.prefix.as_slice(), &self.content_ids(text)].concat()
    }

    /// The id of the token that ends a text, where the model has one.
    pub fn end_id(&self) -> Option<u32> {
        let id = self.inner.token_to_id(self.settings.eos.as_deref()?)?;
        Some(self.remap.as_ref().map_or(id, |remap| remap[id as usize]))
    }

    /// The bytes of a token, where the vocabulary writes bytes and the token is none of the added ones.
    fn bytes(&self, id: u32) -> Option<Vec<u8>> {
        self.bytes_of(self.library_id(id)?)
    }

    /// The same by the library's id.
    pub(super) fn bytes_of(&self, id: u32) -> Option<Vec<u8>> {
        if self.inner.get_added_vocabulary().simple_id_to_token(id).is_some() {
            return None;
        }
        let token = self.inner.id_to_token(id)?;
        let mut decoders = match self.inner.get_decoder()? {
            DecoderWrapper::Sequence(sequence) => sequence.get_decoders().iter(),
            one => std::slice::from_ref(one).iter(),
        };
        decoders.find_map(|decoder| match decoder {
            DecoderWrapper::ByteLevel(_) => token.chars().map(byte_of).collect(),
            DecoderWrapper::ByteFallback(_) => {
                let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
                u8::from_str_radix(digits, 16).ok().map(|byte| vec![byte])
            }
            _ => None,
        })
    }

    /// The library's id of a token of the model.
    fn library_id(&self, id: u32) -> Option<u32> {
        let Some(remap) = &self.remap else { return Some(id) };
        u32::try_from(remap.iter().position(|&ours| ours == id)?).ok()
    }
}

/// The byte that a letter of a byte-level vocabulary stands for
/// (<https://github.com/openai/gpt-2/blob/master/src/encoder.py>): itself, or for one that cannot be printed one from 256 on.
fn byte_of(letter: char) -> Option<u8> {
    let code = u32::from(letter);
    let byte = match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;
    use crate::tokenizer::{TrainKind, TrainOptions};

    /// Bytes and little else, so that most characters are several tokens.
    fn bytes() -> Tokenizer {
        let options = TrainOptions::new(TrainKind::Gpt2Bpe, 270);
        Tokenizer::train(["the tea in the tent", "ten nets"].into_iter(), &options).unwrap()
    }

    fn spell(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<Spelt> {
        let mut speller = Speller::default();
        ids.iter().map(|&id| speller.push(tokenizer, id)).collect()
    }

    #[test]
    fn every_letter_of_the_alphabet_is_another_byte() {
        let mut all: Vec<u8> = ByteLevel::alphabet().into_iter().map(|letter| byte_of(letter).unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..=255).collect::<Vec<u8>>());
        assert_eq!((byte_of('Ġ'), byte_of('ŀ'), byte_of('\u{144}')), (Some(b' '), Some(0x9e), None));
    }

    #[test]
    fn a_character_is_spelt_by_its_last_token() {
        let tokenizer = bytes();
        let spelt = spell(&tokenizer, &tokenizer.content_ids("té"));
        let texts: Vec<&str> = spelt.iter().map(|spelt| spelt.text.as_str()).collect();
        assert_eq!(texts, ["t", "", "é"]);
        assert_eq!([&spelt[1].bytes[..], &spelt[2].bytes], [[0xc3], [0xa9]]);
        // Bytes that are no text: nothing is held back for ever.
        let lone = tokenizer.content_ids("é")[0];
        let spelt = spell(&tokenizer, &[lone; 5]);
        assert!(spelt[..3].iter().all(|spelt| spelt.text.is_empty()) && !spelt[3].text.is_empty(), "{spelt:?}");
    }

    #[test]
    fn what_would_come_is_not_kept_and_special_tokens_say_nothing() {
        let tokenizer = bytes().with_special_tokens(&["<end>"]).unwrap();
        let (end, ids) = (tokenizer.content_ids("<end>")[0], tokenizer.content_ids("tea"));
        assert_eq!(tokenizer.decode(&[&ids[..], &[end]].concat()), "tea");
        let mut speller = Speller::default();
        assert_eq!(speller.next(&tokenizer, ids[0]), speller.next(&tokenizer, ids[0]));
        assert_eq!(speller.push(&tokenizer, end), Spelt::default());
    }

    #[test]
    fn pieces_of_words_and_bytes_in_angles_are_spelt_as_the_library_decodes_them() {
        let document = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false},
            "post_processor": null,
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ]},
            "model": {"type": "BPE", "byte_fallback": true, "fuse_unk": false, "unk_token": "<unk>", "merges": [],
                "vocab": {"<unk>": 0, "▁tea": 1, "<0xC3>": 2, "<0xA9>": 3, "▁": 4}},
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), document.to_string()).unwrap();
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        let spelt = spell(&tokenizer, &[1, 1, 4, 2, 3]);
        let texts: Vec<&str> = spelt.iter().map(|spelt| spelt.text.as_str()).collect();
        assert_eq!(texts, ["tea", " tea", " ", "", "é"]);
        assert_eq!((texts.concat(), &spelt[3].bytes), (tokenizer.decode(&[1, 1, 4, 2, 3]), &vec![0xc3]));
    }

    proptest! {
        #[test]
        fn a_text_comes_back_whole_and_so_do_its_bytes(text in "[a-zéß漢🎉 \n\"]{0,12}") {
            let tokenizer = bytes();
            let ids = tokenizer.content_ids(&text);
            prop_assert_eq!(tokenizer.decode(&ids), text.as_str());
            let spelt = spell(&tokenizer, &ids);
            prop_assert_eq!(spelt.iter().map(|spelt| spelt.text.as_str()).collect::<String>(), text.as_str());
            let bytes: Vec<u8> = spelt.into_iter().flat_map(|spelt| spelt.bytes).collect();
            prop_assert_eq!(bytes, text.as_bytes());
        }
    }
}
