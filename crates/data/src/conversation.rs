//! Who said what in a conversation that is written as one text.
//!
//! ```text
//! Agent: Let me check that. (After a few minutes) It was sent on Monday.
//!
//! Customer: Thank you.
//! ```
//!
//! A turn begins where a speaker's name stands at the start of a line, after a stage direction or after a sentence, with a
//! colon behind it. A text in which no other line begins with a speaker has lost its line breaks, as in some exports: there a
//! turn begins wherever a name such as `Agent:` stands. A stage direction is what stands in brackets by itself, between two sentences or turns: nobody says it. Brackets
//! inside a sentence belong to the sentence.

mod lines;
mod speakers;

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::words::words;

pub(crate) use lines::brackets;
pub use speakers::{Speaker, Speakers, speaker_like};

/// What stands between two turns.
const GAP: &str = "\n\n";

/// What one side says before the other goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The side that speaks.
    pub speaker: Speaker,
    /// The words without the speaker's name; lines as they were, without the white space around them.
    pub text: String,
    /// Stage directions in the turn or after it, with their brackets, in order.
    pub directions: Vec<String>,
}

/// A conversation, turn by turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// What stands before the first speaker; the whole text where there is none.
    pub preamble: String,
    /// The turns in order. One side may have several in a row.
    pub turns: Vec<Turn>,
}

impl Conversation {
    /// Takes a text apart. Any text will do: one without a known speaker is all preamble.
    pub fn parse(text: &str, speakers: &Speakers) -> Conversation {
        let mut conversation = Conversation::default();
        let text = text.trim();
        let reading = lines::Reading::of(text, speakers);
        for line in text.lines() {
            reading.line(line, &mut conversation);
        }
        let trim = |text: &mut String| *text = text.trim().to_owned();
        trim(&mut conversation.preamble);
        conversation.turns.iter_mut().for_each(|turn| trim(&mut turn.text));
        conversation
    }

    /// The turns of one side.
    pub fn turns_of(&self, speaker: Speaker) -> impl Iterator<Item = &Turn> {
        self.turns.iter().filter(move |turn| turn.speaker == speaker)
    }

    /// What is said in each turn, as bytes of the text that the conversation is written as.
    pub fn said(&self) -> impl Iterator<Item = Range<usize>> {
        let mut written = self.preamble.len();
        self.turns.iter().map(move |turn| {
            written += if written > 0 { GAP.len() } else { 0 };
            let start = written + turn.speaker.name().len() + ": ".len();
            written += turn.to_string().len();
            // Behind the name of one who says nothing there is no white space.
            start.min(written)..(start + turn.text.len()).min(written)
        })
    }

    /// The [`words`] of one side, turn by turn.
    pub fn words_of(&self, speaker: Speaker) -> impl Iterator<Item = &str> {
        self.turns_of(speaker).flat_map(|turn| words(&turn.text))
    }
}

/// The conversation as a text that [`Conversation::parse`] takes apart into the same turns. A stage direction stands after
/// the words of its turn.
impl fmt::Display for Conversation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.preamble)?;
        for (number, turn) in self.turns.iter().enumerate() {
            if number > 0 || !self.preamble.is_empty() {
                formatter.write_str(GAP)?;
            }
            write!(formatter, "{turn}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.speaker.name())?;
        if !self.text.is_empty() {
            write!(formatter, " {}", self.text)?;
        }
        self.directions.iter().try_for_each(|direction| write!(formatter, "\n\n{direction}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Conversation {
        Conversation::parse(text, &Speakers::default())
    }

    fn turn(speaker: Speaker, text: &str, directions: &[&str]) -> Turn {
        let directions = directions.iter().map(|direction| (*direction).to_owned()).collect();
        Turn { speaker, text: text.to_owned(), directions }
    }

    #[test]
    fn turns_may_have_lines_and_stage_directions() {
        let conversation = parse(
            "Call 12\r\n\nAGENT: Good morning. (After a few minutes) It left (by train) today.\n\n[Line crackles]\n\n\
             customer: Oh.\nThank you!\n",
        );
        assert_eq!(conversation.preamble, "Call 12");
        assert_eq!(
            conversation.turns,
            [
                turn(
                    Speaker::Agent,
                    "Good morning. It left (by train) today.",
                    &["(After a few minutes)", "[Line crackles]"]
                ),
                turn(Speaker::Customer, "Oh.\nThank you!", &[]),
            ]
        );
        assert_eq!(conversation.words_of(Speaker::Customer).collect::<Vec<_>>(), ["Oh.", "Thank", "you!"]);
        assert_eq!(
            conversation.to_string(),
            "Call 12\n\nAgent: Good morning. It left (by train) today.\n\n(After a few minutes)\n\n[Line crackles]\n\n\
             Customer: Oh.\nThank you!"
        );
    }

    #[test]
    fn a_speaker_may_follow_a_stage_direction() {
        let conversation = parse("(phone rings) Agent: Hello? (pause) Customer: Hi\n[10:32] Agent (Tom): Yes?");
        assert_eq!(conversation.preamble, "(phone rings)");
        let said: Vec<_> = conversation.turns.iter().map(|turn| (turn.speaker, turn.text.as_str())).collect();
        assert_eq!(said, [(Speaker::Agent, "Hello?"), (Speaker::Customer, "Hi"), (Speaker::Agent, "Yes?")]);
    }

    #[test]
    fn a_conversation_may_have_lost_its_line_breaks() {
        let flat = "Agent: How can I help? Customer: it is dead again Agent (Tom): I see. (pause) It will, says Support: \
                    tomorrow. Customer: ok thank you";
        let said: Vec<_> = parse(flat).turns.into_iter().map(|turn| (turn.speaker, turn.text)).collect();
        let turn = |speaker: Speaker, text: &str| (speaker, text.to_owned());
        assert_eq!(
            said,
            [
                turn(Speaker::Agent, "How can I help?"),
                turn(Speaker::Customer, "it is dead again"),
                turn(Speaker::Agent, "I see. It will, says"),
                turn(Speaker::Agent, "tomorrow."),
                turn(Speaker::Customer, "ok thank you"),
            ]
        );
        // With line breaks a name within a sentence is one that somebody says, and one after a sentence begins a turn.
        let text = "Agent: Hello. Customer: I wrote to Support: nothing.\nAgent: Oh.";
        assert_eq!(parse(text).turns.len(), 3);
        assert_eq!(parse("I told Support: never again. My friend said so.").turns, []);
        assert_eq!(
            parse("Customer: I asked the agent: why? My friend: because.").turns.len(),
            1,
            "a name has a capital"
        );
    }

    #[test]
    fn brackets_that_somebody_says_stay() {
        let spoken =
            "Agent: The grill (OTG) is here. (555) 12 is the number. [NUMBER] too. (I asked.) So (they said) yes.";
        assert_eq!(parse(spoken).to_string(), spoken);
        assert_eq!(parse(spoken).turns[0].directions, [""; 0]);
    }

    #[test]
    fn a_text_without_speakers_is_preamble() {
        let text = "I asked the agent: why?\nNo answer. (sighs)";
        assert_eq!(parse(text), Conversation { preamble: text.to_owned(), turns: Vec::new() });
        assert_eq!(parse(""), Conversation::default());
    }

    proptest! {
        /// Pieces that meet in every order: names, brackets open and closed, ends of sentences and lines.
        #[test]
        fn what_is_written_is_read_again(pieces in proptest::collection::vec(
            prop_oneof![
                Just("Agent:"), Just("Customer: "), Just("Senior Agent:"), Just("\n"), Just("\n\n"), Just(" "), Just("a b"),
                Just(". "), Just("(he waits)"), Just("[Hold on]"), Just("("), Just("["), Just(")"), Just("]"), Just("(555)"),
                Just("Step 1: "), Just("é?"), Just("(you)"), Just("\r"), Just("\u{a0}"), Just("\u{85}"),
            ], 0..24)
        ) {
            let once = parse(&pieces.concat());
            let written = once.to_string();
            let said: Vec<&str> = once.said().map(|place| &written[place]).collect();
            prop_assert_eq!(said, once.turns.iter().map(|turn| turn.text.as_str()).collect::<Vec<_>>());
            prop_assert_eq!(parse(&written), once);
        }

        #[test]
        fn any_text_is_taken_apart(text in "\\PC*") {
            let once = parse(&text);
            prop_assert_eq!(parse(&once.to_string()), once);
        }
    }
}
