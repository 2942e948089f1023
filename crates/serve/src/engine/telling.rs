//! From tokens to what may be told of a text while it is written.
//!
//! What may be the beginning of a text to stop at is held back until it is clear that it is none.

use std::collections::VecDeque;

use finetone_data::tokenizer::{Speller, Spelt, Tokenizer};
use finetone_generate::{Finish, Stops, Token};

use crate::reply::{self, Part, Piece};

/// What was told of the text that is being written, and what was not.
pub(super) struct Telling {
    stops: Stops,
    text: Text,
}

/// A text so far.
#[derive(Default)]
struct Text {
    speller: Speller,
    said: String,
    /// Tokens that were not told, each with the end of what it says.
    held: VecDeque<(usize, Piece)>,
    /// The end of what was told.
    told: usize,
}

impl Telling {
    /// Texts that end before any of the stops.
    pub fn new(stops: Stops) -> Self {
        Self { stops, text: Text::default() }
    }

    /// What may be told now that a token was written; with its end where the text came to a stop.
    pub fn token(&mut self, tokenizer: &Tokenizer, index: usize, token: &Token) -> Part {
        self.text.push(tokenizer, token);
        let said = &self.text.said;
        let (end, finish) = match self.stops.cut(said) {
            Some(kept) => (kept.len(), Some(reply::Finish::Stop)),
            None => (self.stops.shown(said).len(), None),
        };
        let pieces = self.text.tell(end, finish.is_some());
        if finish.is_some() {
            self.text = Text::default();
        }
        Part { index, pieces, finish }
    }

    /// The end of a text, with what was held back.
    pub fn end(&mut self, index: usize, finish: Finish) -> Part {
        let pieces = self.text.tell(self.text.said.len(), true);
        self.text = Text::default();
        let finish = if finish == Finish::Length { reply::Finish::Length } else { reply::Finish::Stop };
        Part { index, pieces, finish: Some(finish) }
    }
}

impl Text {
    fn push(&mut self, tokenizer: &Tokenizer, token: &Token) {
        let alternative = |&(id, log): &(u32, f64)| (named(self.speller.next(tokenizer, id), tokenizer, id), log);
        let alternatives = token.alternatives.iter().map(alternative).collect();
        let token_says = self.speller.push(tokenizer, token.id);
        self.said.push_str(&token_says.text);
        let piece = Piece { says: token_says, log_probability: token.log_probability, alternatives };
        self.held.push_back((self.said.len(), piece));
    }

    /// The tokens that end at `end` or before; at the end of the text also what the next one has before it.
    fn tell(&mut self, end: usize, is_last: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while let Some((until, _)) = self.held.front()
            && *until <= end
        {
            let (until, piece) = self.held.pop_front().expect("there is a first one");
            self.told = until;
            pieces.push(piece);
        }
        if let Some((_, piece)) = self.held.front().filter(|_| is_last && end > self.told) {
            let mut piece = piece.clone();
            piece.says = Spelt::from(&self.said[self.told..end]);
            pieces.push(piece);
        }
        pieces
    }
}

/// What an alternative says; one that says nothing, as special tokens do, by its name.
fn named(says: Spelt, tokenizer: &Tokenizer, id: u32) -> Spelt {
    if !says.bytes.is_empty() {
        return says;
    }
    Spelt { text: tokenizer.token(id).unwrap_or_default(), bytes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use finetone_data::tokenizer::{TrainKind, TrainOptions};

    use super::*;

    /// Bytes and little else, so that most words are several tokens.
    fn tokenizer() -> Tokenizer {
        Tokenizer::train(std::iter::once("ab ab"), &TrainOptions::new(TrainKind::Gpt2Bpe, 260)).unwrap()
    }

    /// What is told of a text token by token, and the end.
    fn told(text: &str, stops: &[&str]) -> (Vec<String>, Option<reply::Finish>) {
        let tokenizer = tokenizer();
        let mut telling = Telling::new(Stops::new(stops.iter().map(|&stop| stop.to_owned())));
        let mut texts = Vec::new();
        for id in tokenizer.content_ids(text) {
            let token = Token { id, log_probability: -1.0, alternatives: vec![(id, -1.0)] };
            let part = telling.token(&tokenizer, 0, &token);
            assert!(part.pieces.iter().all(|piece| piece.log_probability == -1.0 && piece.alternatives.len() == 1));
            texts.push(part.text());
            if part.finish.is_some() {
                return (texts, part.finish);
            }
        }
        let part = telling.end(0, Finish::Length);
        texts.push(part.text());
        (texts, part.finish)
    }

    #[test]
    fn a_text_is_told_as_it_comes_and_what_may_be_a_stop_is_held_back() {
        assert_eq!(
            told("xé!", &[]),
            (["x", "", "é", "!", ""].map(str::to_owned).to_vec(), Some(reply::Finish::Length))
        );
        let (texts, finish) = told("x.\n.y", &[".\n\n"]);
        assert_eq!(texts, ["x", "", "", ".\n", ".y", ""].map(str::to_owned)[..]);
        assert_eq!(finish, Some(reply::Finish::Length));
    }

    #[test]
    fn a_stop_across_tokens_ends_the_text_before_it() {
        let (texts, finish) = told("xyz STOP and more", &["STOP"]);
        assert_eq!((texts.concat().as_str(), finish), ("xyz ", Some(reply::Finish::Stop)));
        // Within a token: its beginning is told.
        let (texts, finish) = told("q ab", &["b"]);
        assert_eq!((texts.concat().as_str(), finish), ("q a", Some(reply::Finish::Stop)));
    }
}
