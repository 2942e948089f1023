//! Changed copies of texts that keep their label, for classes with few of them.
//!
//! Deletion and swapping of words are two of the four operations of
//! [Wei and Zou 2019](https://aclanthology.org/D19-1670/), whose other two need a list of synonyms. In a conversation names
//! of speakers and stage directions are left alone, and there are two changes more: the label is about the customer, so what
//! the agent says may change more freely, and how a conversation ends tells more than how it began.
//!
//! Replacing words by what a masked language model would say is a change of
//! [Kumar et al. 2020](https://aclanthology.org/2020.lifelongnlp-1.3/), here by a model that does not see the label. No model is
//! known here: a draft says which words are to go.
//!
//! A copy is a function of text, changes and random numbers. Nothing here knows how often or for which texts copies are
//! made.

use std::ops::Range;

use crate::conversation::{Conversation, Speaker, Speakers, brackets};
use crate::split::random::Random;
use crate::words::{is_in_word, places, words};

/// A way to change a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Some words are left out.
    Delete,
    /// Some words change places with the next one.
    Swap,
    /// One of the two, in the agent's turns of a conversation alone.
    Agent,
    /// Some of the customer's turns are left out, never one of the later half.
    Crop,
    /// Some words are replaced by a masked language model.
    Mask,
}

/// A copy of which some words may still have to be replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The copy, with the words that are to go.
    pub text: String,
    /// The words that can be replaced, as bytes without the punctuation around them, in the order in which this is to be tried.
    pub words: Vec<Range<usize>>,
    /// How many of them are to be replaced; fewer than all words that are said.
    pub count: usize,
}

impl Draft {
    /// The copy with its words replaced, unless that makes another conversation of it: in front of a speaker's name a word with
    /// a capital would be a part of the name.
    pub fn settle(self, replaced: String, speakers: &Speakers) -> String {
        let sides = |text: &str| -> Vec<(Speaker, Vec<String>)> {
            let turns = Conversation::parse(text, speakers).turns;
            turns.into_iter().map(|turn| (turn.speaker, turn.directions)).collect()
        };
        if sides(&replaced) == sides(&self.text) { replaced } else { self.text }
    }
}

/// A text that copies are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Original {
    conversation: Conversation,
    changes: Vec<Change>,
}

impl Original {
    /// A text, and those of `changes` that can be made to it; `None` if none can: a single word has no neighbour, a text that
    /// is no conversation has no turns.
    pub fn new(text: &str, speakers: &Speakers, changes: &[Change]) -> Option<Original> {
        let conversation = Conversation::parse(text, speakers);
        let changes: Vec<Change> = changes.iter().copied().filter(|change| change.applies(&conversation)).collect();
        (!changes.is_empty()).then_some(Original { conversation, changes })
    }

    /// A copy with one of the changes, chosen at random. Deletion, swapping and replacement change this share of the words, at
    /// least one.
    pub fn copy(&self, share: f64, random: &mut Random) -> Draft {
        let mut copy = self.conversation.clone();
        match self.changes[random.below(self.changes.len())] {
            Change::Delete => delete(passages(&mut copy), share, random),
            Change::Swap => swap(passages(&mut copy), share, random),
            Change::Agent if random.below(2) == 0 => delete(turns_of(&mut copy, Speaker::Agent), share, random),
            Change::Agent => swap(turns_of(&mut copy, Speaker::Agent), share, random),
            Change::Crop => crop(&mut copy, random),
            Change::Mask => return draft(&copy, share, random),
        }
        Draft { text: copy.to_string(), ..Draft::default() }
    }
}

impl Change {
    fn applies(self, conversation: &Conversation) -> bool {
        let neighbours = |text: &String| words(text).nth(1).is_some();
        match self {
            Change::Delete | Change::Swap if conversation.turns.is_empty() => neighbours(&conversation.preamble),
            Change::Delete | Change::Swap => conversation.turns.iter().any(|turn| neighbours(&turn.text)),
            Change::Agent => conversation.turns_of(Speaker::Agent).any(|turn| neighbours(&turn.text)),
            Change::Crop => conversation.turns_of(Speaker::Customer).nth(1).is_some(),
            Change::Mask => replaceable(conversation, &conversation.to_string()).len() > 1,
        }
    }
}

/// What is said: the turns, or the whole text where it is no conversation.
fn passages(conversation: &mut Conversation) -> Vec<&mut String> {
    match conversation.turns.is_empty() {
        true => vec![&mut conversation.preamble],
        false => conversation.turns.iter_mut().map(|turn| &mut turn.text).collect(),
    }
}

fn turns_of(conversation: &mut Conversation, speaker: Speaker) -> Vec<&mut String> {
    let turns = conversation.turns.iter_mut().filter(|turn| turn.speaker == speaker);
    turns.map(|turn| &mut turn.text).collect()
}

/// Leaves words out; one always stays.
fn delete(passages: Vec<&mut String>, share: f64, random: &mut Random) {
    let words: usize = passages.iter().map(|text| words(text).count()).sum();
    let mut places: Vec<usize> = (0..words).collect();
    random.shuffle(&mut places);
    let mut gone = vec![false; words];
    places[..part(words, share).min(words - 1)].iter().for_each(|&place| gone[place] = true);
    let mut gone = gone.into_iter();
    for passage in passages {
        let kept = spaced_words(passage).into_iter().filter(|_| gone.next() == Some(false));
        *passage = kept.collect::<String>().trim_end().to_owned();
    }
}

/// Lets words change places with the next one in their passage.
fn swap(mut passages: Vec<&mut String>, share: f64, random: &mut Random) {
    let counts: Vec<usize> = passages.iter().map(|text| words(text).count()).collect();
    let pairs: Vec<(usize, usize)> = counts
        .iter()
        .enumerate()
        .flat_map(|(passage, &words)| (0..words.saturating_sub(1)).map(move |word| (passage, word)))
        .collect();
    for _ in 0..part(counts.iter().sum(), share) {
        let (passage, word) = pairs[random.below(pairs.len())];
        let text: &mut String = passages[passage];
        *text = swapped(text, word);
    }
}

/// The text with two neighbouring words in each other's place; white space stays where it is.
fn swapped(text: &str, word: usize) -> String {
    let spaced = spaced_words(text);
    let [first, second] = [spaced[word], spaced[word + 1]].map(|spaced| spaced.split_at(spaced.trim_end().len()));
    let pair = [second.0, first.1, first.0, second.1];
    [spaced[..word].concat(), pair.concat(), spaced[word + 2..].concat()].concat()
}

/// Leaves out some of the customer's turns, never one of the later half.
fn crop(conversation: &mut Conversation, random: &mut Random) {
    let customer = |turn: &crate::conversation::Turn| turn.speaker == Speaker::Customer;
    let mut earlier: Vec<usize> = (0..conversation.turns.len()).filter(|&i| customer(&conversation.turns[i])).collect();
    earlier.truncate(earlier.len() / 2);
    random.shuffle(&mut earlier);
    earlier.truncate(1 + random.below(earlier.len()));
    let mut number = 0..;
    conversation.turns.retain(|_| number.next().is_none_or(|turn| !earlier.contains(&turn)));
}

/// Some of what is said is to be replaced; one word always stays.
fn draft(conversation: &Conversation, share: f64, random: &mut Random) -> Draft {
    let text = conversation.to_string();
    let mut words = replaceable(conversation, &text);
    random.shuffle(&mut words);
    let count = part(words.len(), share).min(words.len() - 1);
    Draft { text, words, count }
}

/// The words that are said, as bytes of the text that the conversation is written as. What stands before a colon stays, and in a
/// conversation what stands in brackets, so that nothing becomes a speaker's name or a stage direction.
fn replaceable(conversation: &Conversation, text: &str) -> Vec<Range<usize>> {
    let names_nobody = |word: &Range<usize>| !text[word.end..].starts_with(':');
    if conversation.turns.is_empty() {
        return bare_words(text, 0..text.len()).filter(names_nobody).collect();
    }
    let of_turn = |said: Range<usize>| {
        let pairs = brackets(&text[said.clone()]);
        let start = said.start;
        let inside = move |word: &Range<usize>| {
            pairs.iter().any(|&(open, close)| (start + open..start + close).contains(&word.start))
        };
        bare_words(text, said).filter(move |word| !inside(word) && names_nobody(word))
    };
    conversation.said().flat_map(of_turn).collect()
}

/// The words of a part of a text, without the punctuation around them.
fn bare_words(text: &str, part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let start = part.start;
    places(&text[part]).filter_map(move |word| bare(text, start + word.start..start + word.end))
}

/// A word without the punctuation around it, if it is nothing but letters and digits then.
fn bare(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let outside = |letter: char| !is_in_word(letter);
    let end = word.start + text[word.clone()].trim_end_matches(outside).len();
    let start = word.end - text[word].trim_start_matches(outside).len();
    let is_whole = start < end && text[start..end].chars().all(is_in_word);
    is_whole.then_some(start..end)
}

/// The words of a text, each with the white space behind it.
fn spaced_words(text: &str) -> Vec<&str> {
    let starts: Vec<usize> = places(text).map(|place| place.start).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| &text[start..end]).collect()
}

/// A share of the words as a number of them, at least one.
fn part(words: usize, share: f64) -> usize {
    ((words as f64 * share).round() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TALK: &str = "Agent: How may I help you today?\n\nCustomer: My lamp is broken.\n\n(After a minute)\n\n\
                        Agent: I am sorry to hear that.\n\nCustomer: So am I.\n\nAgent: A new one is on its way.\n\n\
                        Customer: Thank you.\n\nCustomer: Bye!";

    fn copies(text: &str, changes: &[Change], share: f64) -> Vec<String> {
        let original = Original::new(text, &Speakers::default(), changes).expect("a text that can be changed");
        (0..40).map(|seed| original.copy(share, &mut Random::new(seed)).text).collect()
    }

    /// Drafts, and their texts with all that can be replaced in small letters and what is to be replaced in capitals.
    fn drafts(text: &str, share: f64) -> Vec<(Draft, String)> {
        let original = Original::new(text, &Speakers::default(), &[Change::Mask]).expect("words that can be replaced");
        let draft = |seed| original.copy(share, &mut Random::new(seed));
        let shown = |draft: Draft| {
            let mut shown = draft.text.to_lowercase();
            draft.words[..draft.count].iter().for_each(|word| shown[word.clone()].make_ascii_uppercase());
            (draft, shown)
        };
        (0..40).map(draft).map(shown).collect()
    }

    fn sorted(text: &str) -> Vec<&str> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        words.sort_unstable();
        words
    }

    fn said(text: &str, speaker: Speaker) -> Vec<String> {
        let conversation = Conversation::parse(text, &Speakers::default());
        conversation.turns_of(speaker).map(|turn| turn.text.clone()).collect()
    }

    #[test]
    fn a_share_of_the_words_is_left_out_and_the_rest_keeps_its_order_and_white_space() {
        let text = "one two  three\nfour five six seven eight nine ten";
        for copy in copies(text, &[Change::Delete], 0.3) {
            assert_eq!(copy.split_whitespace().count(), 7, "{copy}");
            let mut words = text.split_whitespace();
            assert!(copy.split_whitespace().all(|word| words.any(|original| original == word)), "{copy}");
            assert_eq!(copy.contains('\n'), copy.contains("three"), "{copy}");
        }
        assert!(copies(text, &[Change::Delete], 1.0).iter().all(|copy| copy.split_whitespace().count() == 1));
        assert!(copies("yes no", &[Change::Delete], 0.01).iter().all(|copy| copy == "yes" || copy == "no"));
    }

    #[test]
    fn swapped_neighbours_are_the_same_words_in_the_same_white_space() {
        assert_eq!(swapped("one two  three\nfour", 1), "one three  two\nfour");
        assert_eq!(swapped("ä ö", 0), "ö ä");
        assert_eq!(swapped("很好 来", 0), "好很 来");
        for copy in copies("one two  three\nfour five", &[Change::Swap], 0.2) {
            assert_eq!(sorted(&copy), sorted("one two three four five"));
            assert_ne!(copy, "one two  three\nfour five");
            assert_eq!(copy.matches('\n').count(), 1);
        }
    }

    #[test]
    fn speakers_and_stage_directions_stay() {
        for copy in copies(TALK, &[Change::Delete, Change::Swap], 0.4) {
            assert_ne!(copy, TALK);
            assert_eq!((said(&copy, Speaker::Agent).len(), said(&copy, Speaker::Customer).len()), (3, 4), "{copy}");
            assert_eq!(copy.matches("(After a minute)").count(), 1, "{copy}");
        }
    }

    #[test]
    fn only_the_agent_is_changed_where_only_the_agent_may_be() {
        let mut counts = [0, 0];
        for copy in copies(TALK, &[Change::Agent], 0.2) {
            assert_eq!(said(&copy, Speaker::Customer), said(TALK, Speaker::Customer));
            assert_ne!(said(&copy, Speaker::Agent), said(TALK, Speaker::Agent));
            counts[usize::from(sorted(&copy) == sorted(TALK))] += 1;
        }
        assert!(counts[0] > 5 && counts[1] > 5, "deletions and swaps: {counts:?}");
    }

    #[test]
    fn the_later_half_of_the_customers_turns_stays() {
        let mut turns = std::collections::BTreeSet::new();
        for copy in copies(TALK, &[Change::Crop], 0.1) {
            let customer = said(&copy, Speaker::Customer);
            assert_eq!(customer[customer.len() - 2..], ["Thank you.", "Bye!"]);
            assert!((2..4).contains(&customer.len()), "{copy}");
            assert_eq!(said(&copy, Speaker::Agent), said(TALK, Speaker::Agent));
            turns.insert(customer.len());
        }
        assert_eq!(turns.len(), 2);
    }

    #[test]
    fn a_share_of_the_words_is_to_be_replaced_without_the_punctuation_around_them() {
        let text = "one, \"two\"  three!\nfour -- five (six) seven's eight nine ten.";
        for (draft, shown) in drafts(text, 0.3) {
            assert_eq!((draft.text.as_str(), draft.words.len(), draft.count), (text, 9, 3), "{shown}");
            assert!(draft.words.iter().all(|word| text[word.clone()].chars().all(char::is_alphabetic)));
        }
        let different: std::collections::BTreeSet<String> =
            drafts(text, 0.3).into_iter().map(|draft| draft.1).collect();
        assert!(different.len() > 30, "{} drafts of 40 differ", different.len());
        assert!(drafts(text, 0.999).iter().all(|(draft, _)| draft.count == 8), "one word stays");
        assert!(drafts("yes - no", 0.01).iter().all(|(draft, _)| draft.count == 1));
    }

    #[test]
    fn speakers_and_stage_directions_are_not_replaced() {
        for (draft, shown) in drafts(TALK, 0.9) {
            assert_eq!(draft.text, TALK);
            assert_eq!((shown.matches("agent:").count(), shown.matches("customer:").count()), (3, 4), "{shown}");
            assert!(shown.contains("(after a minute)"), "{shown}");
        }
        let directions = "Agent: Hello\n\n(waits a while)\n\nCustomer:\n\n(hangs up)";
        assert_eq!(Original::new(directions, &Speakers::default(), &[Change::Mask]), None, "a single word is said");
    }

    #[test]
    fn a_copy_that_would_be_another_conversation_stays_as_it_was() {
        let settled = |text: &str, replaced: &str| {
            let draft = Draft { text: text.into(), ..Draft::default() };
            draft.settle(replaced.into(), &Speakers::default())
        };
        assert_eq!(settled("Agent: hello you", "Agent: hello there"), "Agent: hello there");
        let text = "Agent: Hello.\n\nCustomer: ask my wise agent: nobody";
        assert_eq!(settled(text, "Agent: Hello.\n\nAgent: ask my wise agent: nobody"), text);
    }

    #[test]
    fn what_cannot_be_changed_is_no_original() {
        let original = |text: &str, changes: &[Change]| Original::new(text, &Speakers::default(), changes);
        let all = [Change::Delete, Change::Swap, Change::Agent, Change::Crop];
        assert_eq!(original("", &all), None);
        assert_eq!(original("Great!", &all), None);
        assert_eq!(original("Great - !!", &[Change::Mask]), None);
        assert_eq!(original("Agent: Hello\n\nCustomer: Bye", &all), None);
        assert_eq!(original("not a conversation", &[Change::Agent, Change::Crop]), None);
        let both = original("Agent: Good morning\n\nCustomer: Bye", &all).expect("two words of the agent");
        assert_eq!(both.changes, [Change::Delete, Change::Swap, Change::Agent]);
    }

    #[test]
    fn a_copy_is_a_function_of_its_random_numbers() {
        let all = [Change::Delete, Change::Swap, Change::Agent, Change::Crop];
        assert_eq!(copies(TALK, &all, 0.1), copies(TALK, &all, 0.1));
        let different: std::collections::BTreeSet<String> = copies(TALK, &all, 0.1).into_iter().collect();
        assert!(different.len() > 25, "{} copies of 40 differ", different.len());
    }

    proptest! {
        #[test]
        fn any_text_can_be_copied(text in "(Agent:|Customer:|[a-z\\n (]|é|\u{a0}){0,60}", share in 0.0..1.0, seed: u64) {
            let all = [Change::Delete, Change::Swap, Change::Agent, Change::Crop];
            if let Some(original) = Original::new(&text, &Speakers::default(), &all) {
                let copy = original.copy(share, &mut Random::new(seed)).text;
                prop_assert!(copy.len() <= original.conversation.to_string().len());
                prop_assert!(!copy.trim().is_empty());
            }
        }

        /// Whatever stands in the place of words, the same sides say something in the same order.
        #[test]
        fn any_text_can_have_words_replaced(
            text in "(Agent:|Customer:|\\(waits\\)|[a-z\\n (.,]|é|好|\u{a0}){0,60}", share in 0.0..1.0, seed: u64,
        ) {
            let Some(original) = Original::new(&text, &Speakers::default(), &[Change::Mask]) else { return Ok(()) };
            let draft = original.copy(share, &mut Random::new(seed));
            let Draft { text: mut replaced, words, count } = draft.clone();
            prop_assert!((1..words.len()).contains(&count) && count <= ((words.len() as f64 * share).round() as usize).max(1));
            let mut gone = words[..count].to_vec();
            gone.sort_unstable_by_key(|word| std::cmp::Reverse(word.start));
            gone.iter().for_each(|word| replaced.replace_range(word.clone(), "Word"));
            let changed = Conversation::parse(&draft.settle(replaced, &Speakers::default()), &Speakers::default());
            let shape = |conversation: &Conversation| -> Vec<(Speaker, Vec<String>)> {
                conversation.turns.iter().map(|turn| (turn.speaker, turn.directions.clone())).collect()
            };
            prop_assert_eq!(shape(&changed), shape(&original.conversation));
        }
    }
}
