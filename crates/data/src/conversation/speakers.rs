//! The two sides of a conversation, and the names that a file gives them.

use serde::{Deserialize, Serialize};

/// A side of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// Whoever works for the company, a machine included.
    Agent,
    /// Whoever asked for help.
    Customer,
}

impl Speaker {
    /// `Agent` or `Customer`, which are always known as names.
    pub fn name(self) -> &'static str {
        match self {
            Speaker::Agent => "Agent",
            Speaker::Customer => "Customer",
        }
    }

    /// The token that stands before a turn of this side in what a model reads.
    pub fn token(self) -> &'static str {
        match self {
            Speaker::Agent => "[AGENT]",
            Speaker::Customer => "[CUSTOMER]",
        }
    }
}

/// Names of the agent's side. Longer ones win, so that `Customer Support` is no customer.
const AGENTS: [&str; 22] = [
    "representative",
    "support",
    "customer support",
    "customer service",
    "customer care",
    "supervisor",
    "manager",
    "specialist",
    "executive",
    "advisor",
    "adviser",
    "assistant",
    "operator",
    "consultant",
    "technician",
    "team",
    "department",
    "staff",
    "helpdesk",
    "rep",
    "bot",
    "chatbot",
];

/// Names of the customer's side.
const CUSTOMERS: [&str; 9] =
    ["client", "user", "caller", "consumer", "buyer", "guest", "passenger", "patient", "visitor"];

/// The names of each side, whatever their case.
///
/// A name is found in a longer one as well: `agent` in `Senior Agent` and in `Agent 2`. `agent` and `customer` are always
/// known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Speakers {
    /// Names of the agent's side besides `agent`.
    pub agent: Vec<String>,
    /// Names of the customer's side besides `customer`.
    pub customer: Vec<String>,
}

impl Default for Speakers {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Speakers { agent: owned(&AGENTS), customer: owned(&CUSTOMERS) }
    }
}

/// How sure a name is: its words, and where in the label its last one stands.
type Weight = (usize, usize);

impl Speakers {
    /// The side with this label, such as `Senior Agent`. Of two names in a label the longer one counts, then the later.
    pub(crate) fn side(&self, label: &str) -> Option<Speaker> {
        let label: Vec<&str> = words(label).collect();
        let best = |names: &[String], own: Speaker| {
            let names = names.iter().map(String::as_str).chain([own.name()]);
            Some((names.filter_map(|name| weight(&label, name)).max()?, own))
        };
        let sides = [best(&self.agent, Speaker::Agent), best(&self.customer, Speaker::Customer)];
        sides.into_iter().flatten().max_by_key(|(weight, _)| *weight).map(|(_, side)| side)
    }

    /// The side that speaks where `line` begins, and the bytes of its label with the colon.
    pub(super) fn at_start(&self, line: &str) -> Option<(Speaker, usize)> {
        let label = label(line)?;
        let end = label.len() + line[label.len()..].chars().next().map_or(0, char::len_utf8);
        Some((self.side(label)?, end))
    }
}

/// What stands before the first colon, if it looks like somebody's name: one word, or a few of which all but the last, as in
/// `Returns and Refunds team`, begin with a capital letter or a digit.
fn label(line: &str) -> Option<&str> {
    const LONGEST: usize = 60;
    const MOST_WORDS: usize = 6;
    let start = &line[..line.floor_char_boundary(LONGEST)];
    let label = &start[..start.find([':', '\u{ff1a}'])?];
    let sound = |c: char| c.is_alphanumeric() || c.is_whitespace() || "-'’&/#_()".contains(c);
    let named = |word: &str| {
        let first = word.chars().next().is_some_and(|c| c.is_uppercase() || c.is_numeric());
        first || ["and", "of", "the", "for"].contains(&word)
    };
    let (count, last) = (words(label).count(), words(label).last()?);
    let fits = count == 1 || words(label).all(|word| named(word) || word == last);
    let readable = label.contains(char::is_alphabetic) && label.chars().all(sound);
    (readable && closes_its_brackets(label) && count <= MOST_WORDS && fits).then_some(label)
}

fn closes_its_brackets(label: &str) -> bool {
    let mut open = 0;
    let step = |character| match character {
        '(' => 1,
        ')' => -1,
        _ => 0,
    };
    label.chars().all(|character| {
        open += step(character);
        open >= 0
    }) && open == 0
}

/// The words of a label without brackets around them.
fn words(label: &str) -> impl Iterator<Item = &str> {
    label.split_whitespace().map(|word| word.trim_matches(['(', ')', '#', '-'])).filter(|word| !word.is_empty())
}

/// Where the words of `name` stand in a label.
fn weight(label: &[&str], name: &str) -> Option<Weight> {
    let name: Vec<&str> = words(name).collect();
    if name.is_empty() {
        return None;
    }
    let same = |window: &[&str]| window.iter().zip(&name).all(|(a, b)| a.to_lowercase() == b.to_lowercase());
    let place = label.windows(name.len()).rposition(same)?;
    Some((name.len(), place))
}

/// The names before a colon at the starts of lines, known or not: candidates where no speaker is known.
pub fn speaker_like(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter_map(label).map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_names_have_a_side() {
        let speakers = Speakers::default();
        for label in ["agent", "Senior Agent John", "Returns and Refunds agent", "Customer Support", "AGENT 2", "Team"]
        {
            assert_eq!(speakers.side(label), Some(Speaker::Agent), "{label}");
        }
        for label in ["Customer", "CLIENT", "Customer (Ann)", "caller #2"] {
            assert_eq!(speakers.side(label), Some(Speaker::Customer), "{label}");
        }
        assert_eq!(speakers.at_start("Agent (Tom): (waits)"), Some((Speaker::Agent, 12)));
        assert_eq!((speakers.at_start("(Agent: waits)"), speakers.at_start("Agent) (Tom: waits")), (None, None));
        for label in ["Step 1", "agents", "", "Supportive"] {
            assert_eq!(speakers.side(label), None, "{label}");
        }
    }

    #[test]
    fn names_may_be_given() {
        let speakers: Speakers = serde_json::from_str(r#"{"customer": ["M\u00fcller Senior"]}"#).unwrap();
        assert_eq!(speakers.side("Frau MÜLLER SENIOR"), Some(Speaker::Customer));
        assert_eq!(speakers.side("customer"), Some(Speaker::Customer));
        assert_eq!((speakers.side("Müller"), speakers.side("caller")), (None, None));
        assert_eq!(speakers.side("Bot"), Some(Speaker::Agent));
    }

    #[test]
    fn sentences_are_no_names() {
        let text =
            "Ann:hello\n  Shift Lead 2 : yes\nand then he said: no\nI asked. Tom: no\nhttp://a\n10:32\nKunde\u{ff1a}ja";
        assert_eq!(speaker_like(text).collect::<Vec<_>>(), ["Ann", "Shift Lead 2", "http", "Kunde"]);
        assert_eq!(Speakers::default().at_start("Client\u{ff1a} yes"), Some((Speaker::Customer, 9)));
    }
}
