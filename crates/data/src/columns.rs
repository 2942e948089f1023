//! Which column holds the texts and which the labels.
//!
//! Names are compared without regard to case and punctuation: `Review Text`, `review_text` and `reviewText` are one.

use crate::chat::{ANSWER, PROMPT};
use crate::error::{DataError, Role};
use crate::reader::Source;

/// Names of text columns, the surest first.
const TEXT_NAMES: [&str; 32] = [
    "text",
    "review",
    "reviewtext",
    "reviewbody",
    "sentence",
    "conversation",
    "content",
    "message",
    "messages",
    "comment",
    "commenttext",
    "body",
    "tweet",
    "tweettext",
    "feedback",
    "utterance",
    "document",
    "post",
    "reply",
    "answer",
    "description",
    "opinion",
    "statement",
    "phrase",
    "transcript",
    "dialogue",
    "dialog",
    "chat",
    "input",
    "prompt",
    "summary",
    "title",
];

/// Names of label columns, the surest first.
const LABEL_NAMES: [&str; 24] = [
    "label",
    "labels",
    "sentiment",
    "customersentiment",
    "sentimentlabel",
    "class",
    "classlabel",
    "rating",
    "ratings",
    "target",
    "category",
    "categories",
    "stars",
    "star",
    "starrating",
    "overall",
    "polarity",
    "score",
    "emotion",
    "emotions",
    "tag",
    "tags",
    "intent",
    "y",
];

/// Finds the column for a role, by the name the user gave or by the usual names.
///
/// # Errors
/// [`DataError::ColumnNotFound`] with the columns that exist.
pub fn find(source: &Source, role: Role, wanted: Option<&str>) -> Result<usize, DataError> {
    let found = match (wanted, source.chat_columns()) {
        (Some(name), chat) => position(&source.header, name).or_else(|| chat_column(name, chat?)),
        (None, Some([prompt, answer])) => match role {
            Role::Text => Some(prompt),
            Role::Label => Some(answer),
            Role::Group | Role::Time => None,
        },
        (None, None) => usual(&source.header, role),
    };
    found.ok_or_else(|| DataError::ColumnNotFound {
        path: source.path.clone(),
        role,
        wanted: wanted.map(str::to_owned),
        columns: source.header.clone(),
    })
}

/// A column that is made from messages, by its name.
fn chat_column(name: &str, [prompt, answer]: [usize; 2]) -> Option<usize> {
    match name {
        PROMPT => Some(prompt),
        ANSWER => Some(answer),
        _ => None,
    }
}

/// Finds columns by the names that features ask for.
///
/// # Errors
/// [`DataError::NoFeatureColumn`] for the first name that the file does not have.
pub fn find_all(source: &Source, names: &[String]) -> Result<Vec<usize>, DataError> {
    let find = |name: &String| {
        position(&source.header, name).ok_or_else(|| DataError::NoFeatureColumn {
            path: source.path.clone(),
            column: name.clone(),
            columns: source.header.clone(),
        })
    };
    names.iter().map(find).collect()
}

/// The position of a column that was asked for: by its exact name first, then by its folded name.
fn position(header: &[String], name: &str) -> Option<usize> {
    header
        .iter()
        .position(|column| column == name)
        .or_else(|| header.iter().position(|column| !fold(name).is_empty() && fold(column) == fold(name)))
}

fn usual(header: &[String], role: Role) -> Option<usize> {
    let names: &[&str] = match role {
        Role::Text => &TEXT_NAMES,
        Role::Label => &LABEL_NAMES,
        // These are always named.
        Role::Group | Role::Time => &[],
    };
    let folded: Vec<String> = header.iter().map(|column| fold(column)).collect();
    names
        .iter()
        .find_map(|name| folded.iter().position(|column| column == name))
        .or_else(|| folded.iter().position(|column| ends_like(column, role)))
}

/// Names such as `user_review` or `airline_sentiment`, tried when no usual name fits exactly.
fn ends_like(column: &str, role: Role) -> bool {
    let endings: &[&str] = match role {
        Role::Text => &[
            "text",
            "review",
            "comment",
            "message",
            "sentence",
            "conversation",
            "transcript",
            "dialogue",
            "feedback",
            "tweet",
        ],
        Role::Label => &["label", "sentiment", "class", "rating"],
        Role::Group | Role::Time => &[],
    };
    endings.iter().any(|ending| column.ends_with(ending))
}

/// Letters and digits in lower case.
pub(crate) fn fold(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_are_found_in_order_of_certainty() {
        let columns = header(&["Title", "Review-Text", "customer_sentiment", "Rating"]);
        assert_eq!(usual(&columns, Role::Text), Some(1));
        assert_eq!(usual(&columns, Role::Label), Some(2));
        assert_eq!(usual(&header(&["airline_sentiment", "user_tweet"]), Role::Label), Some(0));
        assert_eq!(usual(&header(&["airline_sentiment", "user_tweet"]), Role::Text), Some(1));
        for name in ["Conversation", "dialogue", "chat_transcript", "Dialog", "call-dialogue"] {
            assert_eq!(usual(&header(&["id", name]), Role::Text), Some(1), "{name}");
        }
        assert_eq!(usual(&header(&["id", "when"]), Role::Text), None);
    }

    #[test]
    fn a_given_name_need_not_match_in_case_or_punctuation() {
        let columns = header(&["id", "Customer Sentiment", "customer_sentiment"]);
        assert_eq!(position(&columns, "customer_sentiment"), Some(2));
        assert_eq!(position(&columns, "CUSTOMER-SENTIMENT"), Some(1));
        assert_eq!(position(&columns, "--"), None);
    }
}
