//! What is counted in a text.

use super::Origin;
use crate::conversation::Speaker;
use crate::words::words;

/// One of the measurements of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measured {
    /// Whose words; `None`: all of the text.
    side: Option<Speaker>,
    quantity: Quantity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Words,
    Turns,
    Questions,
    Exclamations,
    Capitals,
}

impl Measured {
    /// The measurement of this name; `None` for the name of a column.
    pub fn named(name: &str) -> Option<Measured> {
        let side = match name.split_once('_') {
            Some(("customer", _)) => Some(Speaker::Customer),
            Some(("agent", _)) => Some(Speaker::Agent),
            _ => None,
        };
        let quantity = match side.map_or(name, |side| &name[side.name().len() + 1..]) {
            "words" => Quantity::Words,
            "turns" => Quantity::Turns,
            "questions" => Quantity::Questions,
            "exclamations" => Quantity::Exclamations,
            "capitals" => Quantity::Capitals,
            _ => return None,
        };
        Some(Measured { side, quantity })
    }

    pub fn needs_conversation(self) -> bool {
        self.side.is_some() || self.quantity == Quantity::Turns
    }

    /// Whether it lies between 0 and 1.
    pub fn is_share(self) -> bool {
        self.quantity == Quantity::Capitals
    }

    pub fn of(self, origin: Origin<'_>) -> f64 {
        let turns = origin.conversation.map_or(&[][..], |conversation| &conversation.turns);
        let turns = || turns.iter().filter(|turn| self.side.is_none_or(|side| turn.speaker == side));
        let parts: Vec<&str> = match self.side {
            None => vec![origin.text],
            Some(_) => turns().map(|turn| turn.text.as_str()).collect(),
        };
        let count = |mark: &[char]| parts.iter().map(|part| part.matches(mark).count()).sum::<usize>() as f64;
        match self.quantity {
            Quantity::Words => parts.iter().map(|part| words(part).count()).sum::<usize>() as f64,
            Quantity::Turns => turns().count() as f64,
            Quantity::Questions => count(&['?', '？', '؟']),
            Quantity::Exclamations => count(&['!', '！']),
            Quantity::Capitals => capitals(&parts),
        }
    }
}

/// The share of capitals among the letters; 0 where there are no letters.
fn capitals(parts: &[&str]) -> f64 {
    let letters = || parts.iter().flat_map(|part| part.chars()).filter(|letter| letter.is_alphabetic());
    letters().filter(|letter| letter.is_uppercase()).count() as f64 / letters().count().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Conversation, Speakers};
    use crate::features::{MEASURED, needs_conversation};

    #[test]
    fn every_measurement_counts_what_it_says() {
        let text = "Agent: Hello? (He waits.)\n\nCustomer: NO! Why?\n\nCustomer: Why not?!";
        let conversation = Conversation::parse(text, &Speakers::default());
        let origin = Origin { text, conversation: Some(&conversation), columns: &[] };
        let all = [10.0, 3.0, 3.0, 2.0, 9.0 / 44.0];
        let customer = [4.0, 2.0, 2.0, 2.0, 4.0 / 11.0];
        let agent = [1.0, 1.0, 1.0, 0.0, 1.0 / 5.0];
        let expected = all.into_iter().chain(customer).chain(agent);
        for (name, expected) in MEASURED.into_iter().zip(expected) {
            assert_eq!(Measured::named(name).unwrap().of(origin), expected, "{name}");
        }
    }

    #[test]
    fn other_names_are_columns() {
        for name in ["customer", "customer_age", "Words", "column:words", "agent_", "customers_words", ""] {
            assert_eq!(Measured::named(name), None, "{name}");
        }
        let needs = |name: &str| needs_conversation([&name.to_owned()]);
        assert!(needs("turns") && needs("agent_words") && !needs("words") && !needs("customer_age"));
    }
}
