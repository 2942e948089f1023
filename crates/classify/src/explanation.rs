//! Which words decided, and which turn of a conversation.
//!
//! What is explained are the log-odds of the most probable class against the next one, as the model gives them, before
//! neighbours vote and any rule moves them. The contributions are integrated gradients ([`finetone_model::attribute`]) against
//! the same text with the padding token in the place of every token of its own, special tokens staying as they are; where there
//! is no padding token, with whatever token stands for an empty text. A word's contribution is the sum of its tokens', a turn's
//! the sum of its words'.

use std::ops::Range;

use finetone_backend::Backend;
use finetone_data::Example;
use finetone_data::conversation::{Conversation, Speaker, Speakers};
use finetone_data::words as written;
use finetone_evaluate::{Why, WhyPiece, WhyTurn};
use finetone_model::{Attribution, Output, PackedBatch, attribute};

use crate::{Classifier, ClassifyError, Encoded, Neighbour, TransformerClassifier};

/// Kept texts that are shown with an explanation.
const NEIGHBOURS: usize = 3;

/// What decided about one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The text as the model reads it.
    pub text: String,
    /// Probabilities of all classes, with the votes of neighbours and by the rule that the model may have.
    pub probabilities: Vec<f32>,
    /// The class that is explained: the one whose logit is greatest.
    pub class: usize,
    /// The class that it is held against.
    pub against: usize,
    /// The log-odds of the first against the second: of this text, and of one that says nothing.
    pub log_odds: (f64, f64),
    /// The words that the model read.
    pub words: Vec<Word>,
    /// The turns, where the text is a conversation; none otherwise.
    pub turns: Vec<Decisive>,
    /// The kept texts nearest to it, the nearest first, where some are to be shown
    /// ([`TransformerClassifier::showing_neighbours`]).
    pub neighbours: Vec<Neighbour>,
    /// How far the words' contributions are from adding up, as a share.
    pub gap: f64,
}

/// A word as it is written, see [`finetone_data::words`].
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// Its bytes in the text.
    pub place: Range<usize>,
    /// What it added to the log-odds.
    pub contribution: f64,
}

/// A turn of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Decisive {
    /// Its number, from 1; 0 for what stands before the first turn.
    pub turn: usize,
    /// The side that speaks, by its usual name; none before the first turn.
    pub speaker: Option<&'static str>,
    /// What its words added to the log-odds.
    pub contribution: f64,
}

impl Explanation {
    /// The same for a report or a page: the words, and what stands between them, one after the other. `labels` are the names of
    /// the classes.
    pub fn why(&self, labels: &[String]) -> Why {
        let (mut pieces, mut end) = (Vec::with_capacity(2 * self.words.len()), 0);
        let mut add = |place: Range<usize>, adds| {
            if !place.is_empty() {
                pieces.push(WhyPiece { text: self.text[place].to_owned(), adds });
            }
        };
        for word in &self.words {
            add(end..word.place.start, None);
            add(word.place.clone(), Some(word.contribution));
            end = word.place.end;
        }
        add(end..self.text.len(), None);
        let turn = |turn: &Decisive| WhyTurn {
            turn: turn.turn,
            speaker: turn.speaker.map(str::to_owned),
            adds: turn.contribution,
        };
        Why {
            label: labels[self.class].clone(),
            against: labels[self.against].clone(),
            pieces,
            turns: self.turns.iter().map(turn).collect(),
            gap: self.gap,
        }
    }
}

impl<B: Backend> TransformerClassifier<B> {
    /// The same model, which shows with each explanation the three texts nearest to it, where it keeps any.
    ///
    /// # Errors
    /// None of its own.
    pub fn showing_neighbours(mut self) -> Result<Self, ClassifyError> {
        if self.neighbourhood().is_some() {
            self.show_neighbours(NEIGHBOURS)?;
        }
        Ok(self)
    }

    /// Explains one answer.
    ///
    /// # Errors
    /// A model with one class or with several labels for a text, whose decisions are not between two classes; a device that
    /// failed.
    pub fn explain(&mut self, example: &Example) -> Result<Explanation, ClassifyError> {
        if self.is_multi_label() || self.labels().len() < 2 {
            return Err(ClassifyError::NoAlternative);
        }
        let (text, reading) = self.reader().read_one(example);
        let judged = self.judge(std::slice::from_ref(&reading))?;
        let row = &judged.rows[0];
        let (class, against) = best_two(&self.classes().scores(row));
        let probabilities = self.classes().probabilities(row);
        let neighbours = self.shown(&judged.nearest).pop().unwrap_or_default();
        let head = &self.model().config.head;
        let weights = weights(head.output, head.logits(), (class, against));
        let places = self.reader().tokenizer().places(&text, &self.limit());
        let pad = self.reader().tokenizer().filler();
        let silent: Vec<u32> =
            reading.ids.iter().zip(&places).map(|(&id, place)| if place.is_some() { pad } else { id }).collect();
        let packed = [&reading.ids, &silent].map(|ids| self.packed(ids, &reading.features));
        let found = attribute(self.backend(), self.model(), &packed[0], &packed[1], &weights);
        self.backend().synchronize()?;
        let words = words(&text, &places, &found.tokens);
        let turns = turns(&text, &words, &self.reader().speakers());
        let (gap, Attribution { text: of_text, baseline, .. }) = (found.gap(), found);
        let log_odds = (of_text, baseline);
        Ok(Explanation { turns, words, text, probabilities, class, against, log_odds, neighbours, gap })
    }

    fn packed(&self, ids: &Vec<u32>, features: &[f32]) -> PackedBatch {
        let mut batch = PackedBatch::default();
        let texts = Encoded { ids: std::slice::from_ref(ids), limit: self.limit(), features, states: None };
        texts.pack(&[0], self.model().config.position_offset, &mut batch);
        batch
    }
}

/// The classes with the greatest and the next score.
fn best_two(scores: &[f64]) -> (usize, usize) {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    (order[0], order[1])
}

/// What the log-odds of two classes are of the logits.
fn weights(output: Output, logits: usize, (class, against): (usize, usize)) -> Vec<f64> {
    if output == Output::OneLogit {
        return vec![if class == 1 { 1.0 } else { -1.0 }];
    }
    let weight = |logit| f64::from(u8::from(logit == class)) - f64::from(u8::from(logit == against));
    (0..logits).map(weight).collect()
}

/// The words of which at least one token was read. A token belongs to the word that it ends in: some begin with the space
/// before it.
fn words(text: &str, places: &[Option<Range<usize>>], tokens: &[f64]) -> Vec<Word> {
    let read: Vec<&Range<usize>> = places.iter().flatten().collect();
    let spans = spans(text, &read);
    let mut sums: Vec<Option<f64>> = vec![None; spans.len()];
    for (place, token) in places.iter().zip(tokens) {
        let Some(place) = place else { continue };
        let after = spans.partition_point(|span| span.start < place.end);
        if let Some(word) = after.checked_sub(1) {
            *sums[word].get_or_insert(0.0) += token;
        }
    }
    let word = |(place, sum): (Range<usize>, Option<f64>)| Some(Word { place, contribution: sum? });
    spans.into_iter().zip(sums).filter_map(word).collect()
}

/// The words of a text, where no token of `read` reaches from one into the next: one token may be several signs of a script
/// without spaces.
fn spans(text: &str, read: &[&Range<usize>]) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for span in written::places(text) {
        let token = read.get(read.partition_point(|token| token.end <= span.start));
        match spans.last_mut() {
            Some(last) if last.end == span.start && token.is_some_and(|token| token.start < span.start) => {
                last.end = span.end;
            }
            _ => spans.push(span),
        }
    }
    spans
}

/// The turns of a conversation with the sums of their words; none where no side is named. A word belongs to the last turn of
/// the conversation up to the end of its line.
fn turns(text: &str, words: &[Word], speakers: &Speakers) -> Vec<Decisive> {
    let mut turns: Vec<Decisive> = Vec::new();
    for word in words {
        let (turn, speaker) = last_turn(&text[..word.place.end], speakers);
        let speaker = speaker.map(Speaker::name);
        match turns.last_mut() {
            Some(last) if last.turn == turn => last.contribution += word.contribution,
            _ => turns.push(Decisive { turn, speaker, contribution: word.contribution }),
        }
    }
    if turns.iter().all(|turn| turn.turn == 0) { Vec::new() } else { turns }
}

/// The number and the side of the last turn. Before a turn stands the token of its side, where the model reads such tokens, or
/// the speaker's name.
fn last_turn(text: &str, speakers: &Speakers) -> (usize, Option<Speaker>) {
    let side = |word| [Speaker::Agent, Speaker::Customer].into_iter().find(|side| side.token() == word);
    let marked: Vec<Speaker> = text.split_whitespace().filter_map(side).collect();
    if let Some(&last) = marked.last() {
        return (marked.len(), Some(last));
    }
    let conversation = Conversation::parse(text, speakers);
    (conversation.turns.len(), conversation.turns.last().map(|turn| turn.speaker))
}

#[cfg(test)]
mod tests {
    use finetone_backend::Reference;

    use super::*;
    use crate::baselines::small_model::{TEXTS, folder};

    #[test]
    fn words_have_the_tokens_that_end_in_them() {
        let places = [None, Some(0..3), Some(3..5), Some(5..9), None];
        let found = words("lovely day", &places, &[9.0, 1.0, 2.0, 4.0, 9.0]);
        // The last token is ` day` cut short, and begins before its word.
        assert_eq!(found, [Word { place: 0..6, contribution: 3.0 }, Word { place: 7..10, contribution: 4.0 }]);
        let found = words("很好。 ok", &[Some(0..3), Some(3..6), Some(6..9), Some(10..12)], &[1.0, 2.0, 4.0, 8.0]);
        let told: Vec<_> = found.into_iter().map(|word| (word.place, word.contribution)).collect();
        assert_eq!(told, [(0..3, 1.0), (3..9, 6.0), (10..12, 8.0)], "a mark belongs to the sign before it");
        let together = words("很好。 ok", &[Some(0..6), Some(6..9)], &[1.0, 2.0]);
        assert_eq!(together, [Word { place: 0..9, contribution: 3.0 }], "one token is two signs");
        assert_eq!(words("lovely day", &places[..3], &[0.0; 3]).len(), 1, "what was cut off is no word");
    }

    #[test]
    fn turns_add_up_their_words() {
        let text = "Agent: Good morning.\n\nCustomer: Late again";
        let word = |start: usize, end| Word { place: start..end, contribution: (start + 1) as f64 };
        let all = [word(0, 6), word(7, 11), word(12, 20), word(22, 31), word(32, 36), word(37, 42)];
        let found = turns(text, &all, &Speakers::default());
        let told: Vec<_> = found.iter().map(|turn| (turn.turn, turn.speaker, turn.contribution)).collect();
        assert_eq!(told, [(1, Some("Agent"), 22.0), (2, Some("Customer"), 94.0)]);
        let marked = format!("{} Hello {} Hi", Speaker::Agent.token(), Speaker::Customer.token());
        assert_eq!(last_turn(&marked, &Speakers::default()), (2, Some(Speaker::Customer)));
        assert!(turns("no turns here", &[word(0, 2)], &Speakers::default()).is_empty());
    }

    #[test]
    fn contributions_of_a_model_add_up() {
        let folder = folder();
        let mut classifier = TransformerClassifier::open(Reference::<f64>::new(), folder.path(), 100).unwrap();
        for text in TEXTS {
            let found = classifier.explain(&Example::from_text(text)).unwrap();
            let sum: f64 = found.words.iter().map(|word| word.contribution).sum();
            let (of_text, of_silence) = found.log_odds;
            assert!(found.gap <= 0.01 && found.class != found.against, "{found:?}");
            assert!((sum - (of_text - of_silence)).abs() <= 0.01 * (of_text - of_silence).abs().max(0.1), "{found:?}");
            let odds = f64::from(found.probabilities[found.class] / found.probabilities[found.against]).ln();
            assert!((odds - of_text).abs() < 1e-4, "{odds} {of_text}");
            let why = found.why(classifier.labels());
            assert_eq!(why.pieces.iter().map(|piece| piece.text.as_str()).collect::<String>(), found.text);
            let added: f64 = why.pieces.iter().filter_map(|piece| piece.adds).sum();
            assert!((added - sum).abs() < 1e-12 && why.label == classifier.labels()[found.class]);
        }
    }
}
