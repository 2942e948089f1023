//! The tokens of an answer.

use finetone_data::tokenizer::Spelt;
use serde_json::{Value, json};

use super::distribution::at_least;
use super::{Distribution, Frame, Options};

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It is complete, or came to a text at which it was to stop.
    Stop,
    /// No more tokens were wanted.
    Length,
}

impl Finish {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// A token with its alternatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// What it says.
    pub says: Spelt,
    /// The logarithm of its probability.
    pub log_probability: f64,
    /// Tokens that it might have been, the most probable first.
    pub alternatives: Vec<(Spelt, f64)>,
}

impl Piece {
    /// A token that nothing else could have been.
    fn certain(text: &str) -> Self {
        Self { says: text.into(), log_probability: 0.0, alternatives: vec![(text.into(), 0.0)] }
    }

    /// The token as chat completions show it, with its `k` most probable alternatives.
    pub fn shown(&self, k: usize) -> Value {
        let token = |says: &Spelt, log: f64| json!({"token": says.text, "logprob": at_least(log), "bytes": says.bytes});
        let mut shown = token(&self.says, self.log_probability);
        shown["top_logprobs"] = self.alternatives.iter().take(k).map(|(says, log)| token(says, *log)).collect();
        shown
    }
}

/// What follows in one of the answers to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The number of the answer.
    pub index: usize,
    /// Its tokens.
    pub pieces: Vec<Piece>,
    /// Why the answer ends with it, if it does.
    pub finish: Option<Finish>,
}

impl Part {
    /// What it says.
    pub fn text(&self) -> String {
        text_of(&self.pieces)
    }

    /// Whether it tells anything.
    pub fn is_something(&self) -> bool {
        !self.pieces.is_empty() || self.finish.is_some()
    }
}

fn text_of(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.says.text.as_str()).collect()
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Its tokens, which joined are what it says.
    pub pieces: Vec<Piece>,
    /// Why it ends.
    pub finish: Finish,
}

impl Reply {
    /// The answer with the word that was drawn, in its frame.
    pub fn new(distribution: &Distribution, drawn: usize, frame: &Frame) -> Self {
        let words = distribution.words();
        let says = |word: usize| Spelt::from(words[word].as_str());
        let alternatives =
            distribution.ranking().into_iter().map(|word| (says(word), distribution.log_probability(word)));
        let word = Piece {
            says: says(drawn),
            log_probability: distribution.log_probability(drawn),
            alternatives: alternatives.collect(),
        };
        let around = |text: &str| (!text.is_empty()).then(|| Piece::certain(text));
        let pieces = around(&frame.before).into_iter().chain([word]).chain(around(&frame.after));
        Self { pieces: pieces.collect(), finish: Finish::Stop }
    }

    /// What it says.
    pub fn text(&self) -> String {
        text_of(&self.pieces)
    }

    /// The part of it that was asked for: up to a text to stop at, and up to a number of tokens.
    pub fn cut(mut self, options: &Options) -> Self {
        if let Some(most) = options.max_tokens.filter(|&most| most < self.pieces.len()) {
            self.pieces.truncate(most);
            self.finish = Finish::Length;
        }
        let text = self.text();
        let end = options.stop.iter().filter_map(|stop| text.find(stop.as_str())).min();
        if let Some(mut left) = end {
            self.finish = Finish::Stop;
            for piece in &mut self.pieces {
                let kept = left.min(piece.says.text.len());
                left -= kept;
                piece.says = Spelt::from(&piece.says.text[..kept]);
            }
            self.pieces.retain(|piece| !piece.says.text.is_empty());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(options: &Options) -> Reply {
        let words = ["Positive".to_owned(), "Negative".to_owned()];
        let frame = Frame { before: "{\"label\":\"".into(), after: "\"}".into() };
        Reply::new(&Distribution::new(&words, &[0.25, 0.75]), 0, &frame).cut(options)
    }

    #[test]
    fn tokens_joined_are_the_answer_and_only_the_word_is_uncertain() {
        let reply = reply(&Options::default());
        assert_eq!((reply.text().as_str(), reply.finish), ("{\"label\":\"Positive\"}", Finish::Stop));
        let logs: Vec<f64> = reply.pieces.iter().map(|piece| piece.log_probability).collect();
        assert_eq!(logs, [0.0, 0.25_f64.ln(), 0.0]);
        let shown = reply.pieces[1].shown(1);
        assert_eq!((&shown["token"], &shown["top_logprobs"][0]["token"]), (&json!("Positive"), &json!("Negative")));
        assert_eq!((shown["top_logprobs"].as_array().unwrap().len(), &shown["bytes"][0]), (1, &json!(80)));
    }

    #[test]
    fn an_answer_ends_where_it_is_told() {
        let short = reply(&Options { max_tokens: Some(1), ..Options::default() });
        assert_eq!((short.text().as_str(), short.finish), ("{\"label\":\"", Finish::Length));
        let stopped = reply(&Options { stop: vec!["x".into(), "tive".into()], ..Options::default() });
        assert_eq!((stopped.text().as_str(), stopped.finish), ("{\"label\":\"Posi", Finish::Stop));
        assert_eq!(stopped.pieces.len(), 2);
        let nothing = reply(&Options { stop: vec!["{".into()], ..Options::default() });
        assert_eq!((nothing.text().as_str(), nothing.pieces.len()), ("", 0));
        let enough = reply(&Options { max_tokens: Some(3), ..Options::default() });
        assert_eq!(enough.finish, Finish::Stop);
    }
}
