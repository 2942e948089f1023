//! What can be done to the texts of a file before a model reads them, so that doing it once more changes nothing.

use std::borrow::Cow;

use super::{ConversationPart, Preparation, StageDirections};
use crate::conversation::{Conversation, Speaker, Turn};
use crate::features;

/// The part of a preparation that can be done beforehand: cleaning, and the choice of turns.
///
/// A rewritten text stays what it was: a conversation keeps the names of its speakers, as `Agent:` and `Customer:`. What the
/// whole preparation makes of the rewritten text is, to the letter, what it makes of the one that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Beforehand(Preparation);

impl Beforehand {
    /// What of a preparation whose features have these names can be done beforehand. Features are left to the model, and where
    /// one of them is measured on the text, so is the choice of turns, which would change what is measured.
    pub fn new(preparation: &Preparation, features: &[String]) -> Beforehand {
        let Preparation { clean, speakers, stage_directions, .. } = preparation.clone();
        let conversation = match features::measures_text(features) {
            true => ConversationPart::Off,
            false => preparation.conversation,
        };
        Beforehand(Preparation { clean, conversation, speakers, stage_directions, ..Preparation::default() })
    }

    /// Whether texts stay as they are.
    pub fn is_identity(&self) -> bool {
        self.0.is_identity()
    }

    /// The text as it is written.
    pub fn rewrite<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let clean = self.0.clean(text.trim());
        if self.0.conversation == ConversationPart::Off {
            return clean;
        }
        let conversation = Conversation::parse(&clean, &self.0.speakers);
        if conversation.turns.is_empty() {
            return clean;
        }
        let left = self.left_of(conversation);
        let written = left.to_string();
        // Texts can be made up whose turns, once others are gone, read differently. They stay whole.
        let stays = self.0.clean(&written) == written && Conversation::parse(&written, &self.0.speakers) == left;
        if stays { Cow::Owned(written) } else { clean }
    }

    /// The conversation without what the model does not read.
    fn left_of(&self, mut conversation: Conversation) -> Conversation {
        if self.0.conversation == ConversationPart::Customer {
            conversation.preamble.clear();
            conversation.turns.retain(|turn| turn.speaker == Speaker::Customer);
        }
        if self.0.stage_directions == StageDirections::Drop {
            conversation.turns.iter_mut().for_each(|turn: &mut Turn| turn.directions.clear());
        }
        conversation
    }
}

/// What is done, in one line.
impl std::fmt::Display for Beforehand {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::cleaning::{Cleaning, Step};
    use crate::dataset::Example;

    const STEPS: [Step; 8] = [
        Step::Html,
        Step::Unicode,
        Step::Compatibility,
        Step::Control,
        Step::Space,
        Step::Urls,
        Step::Emails,
        Step::Numbers,
    ];

    fn reading(conversation: ConversationPart, stage_directions: StageDirections, steps: &[Step]) -> Preparation {
        let clean = Cleaning { steps: steps.iter().copied().collect::<BTreeSet<_>>() };
        Preparation { clean, conversation, stage_directions, ..Preparation::default() }
    }

    #[test]
    fn a_conversation_stays_one() {
        let text = "Call 7\n\nSenior Agent: Hello.<br>(He waits.) Still there?\n\nCustomer: <b>Yes</b>.\n\n(sighs)\n\nAgent: Done.";
        let rewritten = |preparation: Preparation, features: &[&str]| {
            let features: Vec<String> = features.iter().map(|name| (*name).to_owned()).collect();
            Beforehand::new(&preparation, &features).rewrite(text).into_owned()
        };
        let customer = reading(ConversationPart::Customer, StageDirections::Drop, &[Step::Html]);
        assert_eq!(rewritten(customer.clone(), &["tier"]), "Customer: Yes.");
        let both = reading(ConversationPart::Both, StageDirections::Keep, &[Step::Html]);
        assert_eq!(
            rewritten(both, &[]),
            "Call 7\n\nAgent: Hello.\nStill there?\n\n(He waits.)\n\nCustomer: Yes.\n\n(sighs)\n\nAgent: Done."
        );
        // Words of the agent that are counted must still be there.
        assert!(rewritten(customer, &["agent_words"]).contains("Senior Agent: Hello.\n(He waits.)"));
        let silent = Beforehand::new(&reading(ConversationPart::Customer, StageDirections::Keep, &[]), &[]);
        assert_eq!(silent.rewrite("Agent: Hello?"), "");
        assert_eq!(silent.rewrite(" No names. "), "No names.");
    }

    proptest! {
        /// Pieces that meet in every order, so that cleaning joins, splits and empties turns.
        #[test]
        fn the_model_reads_the_same_and_nothing_is_left_to_do(
            switches in proptest::collection::vec(any::<bool>(), STEPS.len()),
            part in prop_oneof![
                Just(ConversationPart::Off), Just(ConversationPart::Both), Just(ConversationPart::Customer)
            ],
            directions in prop_oneof![Just(StageDirections::Keep), Just(StageDirections::Drop)],
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("Agent:".to_owned()), Just("Customer: ".to_owned()), Just("\n".to_owned()), Just("<br>".to_owned()),
                    Just(". ".to_owned()), Just("(he waits)".to_owned()), Just("[".to_owned()), Just("]".to_owned()),
                    Just("&amp;".to_owned()), Just("lt;".to_owned()), Just("<p".to_owned()), Just(">".to_owned()),
                    Just("&nbsp;".to_owned()), Just("&#10;".to_owned()), Just("\u{200b}".to_owned()), Just(" ".to_owned()),
                    Just("www.a.b/".to_owned()), Just("me@a.org".to_owned()), Just("12".to_owned()), Just("34".to_owned()),
                    Just("é\u{301}".to_owned()), Just("\u{301}".to_owned()), Just("Ａgent:".to_owned()), "\\PC{0,4}",
                ], 0..20)
        ) {
            let steps: Vec<Step> = STEPS.into_iter().zip(switches).filter(|(_, on)| *on).map(|(step, _)| step).collect();
            let preparation = reading(part, directions, &steps);
            let beforehand = Beforehand::new(&preparation, &[]);
            let raw = pieces.concat();
            let once = beforehand.rewrite(&raw).into_owned();
            prop_assert_eq!(beforehand.rewrite(&once), once.as_str());
            let (row, written) = (Example::from_text(&raw), Example::from_text(&once));
            prop_assert_eq!(preparation.prepare(&written).text, preparation.prepare(&row).text);
        }
    }
}
