//! Why a model answered as it did: words that speak for its answer, and words that speak against it.

use serde::Serialize;

use super::words;

/// Words that a sentence names.
const NAMED: usize = 5;
/// Characters of a word that are shown in a sentence.
const WORD_CHARACTERS: usize = 30;
/// A word with less than this share of the greatest contribution is not coloured.
const COLOURED: f64 = 0.15;
/// Strengths of colour.
const STRENGTHS: f64 = 4.0;
/// From this on the contributions do not quite add up, which is said.
const GAP: f64 = 0.01;

/// What decided about a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// The class that the words speak for.
    pub label: String,
    /// The class that it is held against.
    pub against: String,
    /// The text in pieces, one after the other.
    pub pieces: Vec<WhyPiece>,
    /// The turns, where the text is a conversation; none otherwise.
    pub turns: Vec<WhyTurn>,
    /// How far the contributions are from adding up, as a share.
    pub gap: f64,
}

/// A word, or what stands between two of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhyPiece {
    /// The text.
    pub text: String,
    /// What it added to the log-odds of the class against the other; nothing of what the model has not read.
    pub adds: Option<f64>,
}

/// A turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhyTurn {
    /// Its number, from 1; 0 for what stands before the first turn.
    pub turn: usize,
    /// The side that speaks; none before the first turn.
    pub speaker: Option<String>,
    /// What its words added to the log-odds.
    pub adds: f64,
}

impl Why {
    /// The words that counted most, with what each added, and the turn that decided: one line.
    pub fn sentence(&self) -> String {
        let mut words: Vec<(&str, f64)> =
            self.pieces.iter().filter_map(|piece| Some((piece.text.as_str(), piece.adds?))).collect();
        words.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        let named = |(word, adds): &(&str, f64)| {
            format!("“{}” {}", words::beginning(word, WORD_CHARACTERS).0, words::signed(*adds))
        };
        let named: Vec<String> = words.iter().take(NAMED).map(named).collect();
        let mut sentence = format!("for {} rather than {}: {}", self.label, self.against, named.join(", "));
        if let Some(turn) = self.decisive_turn() {
            let speaker = turn.speaker.as_deref().unwrap_or("nobody");
            sentence += &format!("; turn {} ({speaker}) decided, {}", turn.turn, words::signed(turn.adds));
        }
        if self.gap > GAP {
            sentence += &format!("; these numbers add up within {:.1} %", 100.0 * self.gap);
        }
        sentence
    }

    /// The turn that speaks most for the class, where there are several.
    fn decisive_turn(&self) -> Option<&WhyTurn> {
        let most = self.turns.iter().max_by(|a, b| a.adds.total_cmp(&b.adds));
        most.filter(|turn| self.turns.len() > 1 && turn.turn > 0)
    }

    /// The pieces with the colours that a page gives them.
    pub(super) fn coloured(&self) -> Vec<ColouredPiece<'_>> {
        let adds = |piece: &WhyPiece| piece.adds.unwrap_or(0.0);
        let most = self.pieces.iter().map(|piece| adds(piece).abs()).fold(0.0, f64::max);
        let coloured = |piece| {
            let share = if most > 0.0 { adds(piece).abs() / most } else { 0.0 };
            let strength = (share * STRENGTHS).ceil();
            let side = if adds(piece) > 0.0 { "for" } else { "against" };
            let is_coloured = share >= COLOURED;
            ColouredPiece {
                text: &piece.text,
                class: if is_coloured { format!("{side} strength-{strength}") } else { String::new() },
                title: piece.adds.map(words::signed),
            }
        };
        self.pieces.iter().map(coloured).collect()
    }
}

/// A piece as a page shows it.
pub(super) struct ColouredPiece<'a> {
    pub text: &'a str,
    /// Names of its look; empty of what has none.
    pub class: String,
    /// What it added.
    pub title: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(turns: Vec<WhyTurn>) -> Why {
        let pieces = [("late", Some(0.5)), (" ", None), ("but", Some(0.01)), (" ", None), ("lovely", Some(-2.0))];
        let piece = |(text, adds): (&str, Option<f64>)| WhyPiece { text: text.into(), adds };
        let (label, against) = ("negative".into(), "positive".into());
        Why { label, against, pieces: pieces.map(piece).to_vec(), turns, gap: 0.001 }
    }

    #[test]
    fn a_sentence_names_the_strongest_words_first_and_the_turn_that_decided() {
        let words = "for negative rather than positive: “lovely” -2.000, “late” +0.500, “but” +0.010";
        assert_eq!(why(Vec::new()).sentence(), words);
        let turn = |turn, speaker: &str, adds| WhyTurn { turn, speaker: Some(speaker.into()), adds };
        let turns = vec![turn(1, "Agent", -2.0), turn(2, "Customer", 0.5)];
        assert_eq!(why(turns).sentence(), format!("{words}; turn 2 (Customer) decided, +0.500"));
        assert!(Why { gap: 0.042, ..why(Vec::new()) }.sentence().ends_with("; these numbers add up within 4.2 %"));
    }

    #[test]
    fn strong_words_have_strong_colours_and_what_was_not_read_none() {
        let why = why(Vec::new());
        let told: Vec<(String, Option<String>)> =
            why.coloured().into_iter().map(|piece| (piece.class, piece.title)).collect();
        assert_eq!(told[0], ("for strength-1".into(), Some("+0.500".into())));
        assert_eq!(told[1], (String::new(), None));
        assert_eq!(told[2], (String::new(), Some("+0.010".into())));
        assert_eq!(told[4].0, "against strength-4");
    }
}
