//! Names of models on the Hub.

use std::fmt;

use super::HubError;

/// The longest name the Hub gives.
const LONGEST_NAME: usize = 96;

/// A model on the Hub: `owner/name` or `name`, at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelId {
    /// `owner/name` or, for the oldest models, `name`.
    pub name: String,
    /// A branch, a tag or a commit; `main` unless given.
    pub revision: String,
}

impl ModelId {
    /// Reads `owner/name`, `name`, `owner/name@revision` or `name@revision`.
    ///
    /// # Errors
    ///
    /// [`HubError::InvalidId`] when the Hub could not have a model of this name.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let (name, revision) = text.split_once('@').unwrap_or((text, "main"));
        let parts: Vec<&str> = name.split('/').collect();
        let valid = parts.len() <= 2
            && name.len() <= LONGEST_NAME
            && parts.iter().all(|part| is_part(part))
            && revision.split('/').all(is_part);
        if !valid {
            return Err(HubError::InvalidId { text: text.to_owned() });
        }
        Ok(Self { name: name.to_owned(), revision: revision.to_owned() })
    }
}

/// Letters, digits, `-`, `_` and `.`, which neither start nor end with `-` or `.`, and hold no `--` and no `..`.
fn is_part(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !part.is_empty()
        && part.bytes().all(allowed)
        && !part.starts_with(['-', '.'])
        && !part.ends_with(['-', '.'])
        && !part.contains("--")
        && !part.contains("..")
}

impl fmt::Display for ModelId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            "main" => write!(formatter, "{}", self.name),
            revision => write!(formatter, "{}@{revision}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_owner_and_revision_are_read() {
        for text in ["gpt2", "google-bert/bert-base-uncased", "a/b@v1.0", "a/b@refs/pr/3", "a_b/c.d-e"] {
            assert_eq!(ModelId::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(ModelId::parse("gpt2").unwrap().revision, "main");
    }

    #[test]
    fn names_that_the_hub_cannot_have_are_refused() {
        let long = "a".repeat(97);
        for text in
            ["", "a/b/c", "a b", "../x", "a/..", "a--b", "-a", "a.", "a/", "/a", "a@", "a@../x", "ä", "a\\b", &long]
        {
            assert!(ModelId::parse(text).is_err(), "{text}");
        }
    }
}
