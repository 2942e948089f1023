//! Tokens as pieces of words.

use super::Tokenizer;
use crate::words::is_in_word;

/// A token that is a piece of a word or a whole one: letters and digits, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The letters.
    pub letters: String,
    /// How it is joined to its neighbours.
    pub joints: Joints,
}

/// How a token is joined to its neighbours, as its vocabulary writes it. Where one token gives way to another with the same
/// joints, a word stays a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joints {
    /// White space stands before it: a space of its own in byte-level vocabularies, `▁` in those of SentencePiece.
    spaced: bool,
    /// It goes on with a word: `##` of WordPiece.
    continued: bool,
    /// A word ends with it: `</w>`, where pieces within words have no mark.
    last: bool,
}

impl Piece {
    /// Takes the marks from a token.
    fn of(token: &str) -> Option<Self> {
        let (spaced, rest) = taken(token, token.strip_prefix([' ', '▁']));
        let (continued, rest) = taken(rest, rest.strip_prefix("##"));
        let (last, letters) = taken(rest, rest.strip_suffix("</w>"));
        let is_piece = !letters.is_empty() && letters.chars().all(is_in_word);
        is_piece.then(|| Self { letters: letters.to_owned(), joints: Joints { spaced, continued, last } })
    }
}

/// Whether a mark was taken from a text, and what is left of it.
fn taken<'t>(text: &'t str, rest: Option<&'t str>) -> (bool, &'t str) {
    (rest.is_some(), rest.unwrap_or(text))
}

impl Tokenizer {
    /// The token that stands where a model is to say what stands there, if it knows one.
    pub fn mask_id(&self) -> Option<u32> {
        let named = self.settings.mask.as_deref();
        let id = named.into_iter().chain(["[MASK]", "<mask>"]).find_map(|mask| self.inner.token_to_id(mask))?;
        Some(self.remap.as_ref().map_or(id, |remap| remap[id as usize]))
    }

    /// Tokens of a text with the special tokens of the model around them, and how many of these stand before it.
    pub fn framed(&self, content: &[u32]) -> (Vec<u32>, usize) {
        ([self.prefix.as_slice(), content, &self.suffix].concat(), self.prefix.len())
    }

    /// Of each id the piece of a word that it is; nothing for special tokens, punctuation, and bytes that are no character.
    pub fn pieces(&self) -> Vec<Option<Piece>> {
        let mut pieces = vec![None; self.vocab_size];
        let specials = self.inner.get_added_vocabulary();
        for theirs in 0..self.inner.get_vocab_size(true) as u32 {
            let Some(token) = self.inner.id_to_token(theirs).filter(|token| !specials.is_special_token(token)) else {
                continue;
            };
            let spelt = match self.bytes_of(theirs) {
                Some(bytes) => String::from_utf8(bytes).ok(),
                None => Some(token),
            };
            let ours = self.remap.as_ref().map_or(theirs, |remap| remap[theirs as usize]);
            if let Some(place) = pieces.get_mut(ours as usize).filter(|place| place.is_none()) {
                *place = spelt.as_deref().and_then(Piece::of);
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{TrainKind, TrainOptions};

    const TEXTS: [&str; 3] = ["good tea in a good tent, so good", "nets and ten nets: tea!", "tented goods 10"];

    fn trained(kind: TrainKind) -> Tokenizer {
        Tokenizer::train(TEXTS.into_iter(), &TrainOptions::new(kind, 320)).unwrap()
    }

    fn marks(token: &str) -> Option<(String, [bool; 3])> {
        let Piece { letters, joints: Joints { spaced, continued, last } } = Piece::of(token)?;
        Some((letters, [spaced, continued, last]))
    }

    #[test]
    fn marks_are_told_from_letters() {
        let piece = |letters: &str, marks| Some((letters.to_owned(), marks));
        let none = ["▁", "##", "'s", "tea,", "", "[unused1]"];
        assert_eq!(marks("tea"), piece("tea", [false; 3]));
        assert_eq!(marks("##s"), piece("s", [false, true, false]));
        let spaced = piece("tea", [true, false, false]);
        assert_eq!([marks(" tea"), marks("▁tea")], [spaced.clone(), spaced]);
        assert_eq!(marks("tea</w>"), piece("tea", [false, false, true]));
        assert!(none.iter().all(|token| marks(token).is_none()));
    }

    #[test]
    fn every_word_is_its_pieces_in_every_kind_of_vocabulary() {
        for kind in [TrainKind::WordPiece, TrainKind::RobertaBpe] {
            let tokenizer = trained(kind);
            let pieces = tokenizer.pieces();
            for text in TEXTS {
                let (ids, places) = tokenizer.content_places(text);
                for (&id, place) in ids.iter().zip(places) {
                    let spelt = text[place].trim();
                    let is_word = !spelt.is_empty() && spelt.chars().all(char::is_alphanumeric);
                    let letters = pieces[id as usize].as_ref().map(|piece| piece.letters.as_str());
                    assert_eq!(letters, is_word.then_some(spelt), "{text}");
                }
            }
            let mask = tokenizer.mask_id().unwrap();
            assert!(pieces[mask as usize].is_none() && tokenizer.token(mask).unwrap().to_lowercase().contains("mask"));
        }
    }

    #[test]
    fn a_frame_is_what_stands_around_a_text() {
        let tokenizer = trained(TrainKind::RobertaBpe);
        let ids = tokenizer.content_ids(TEXTS[0]);
        let (framed, before) = tokenizer.framed(&ids);
        assert_eq!(framed, tokenizer.encode(TEXTS[0], &crate::tokenizer::Limit::head(99)).ids);
        assert_eq!(framed[before..before + ids.len()], ids);
    }
}
