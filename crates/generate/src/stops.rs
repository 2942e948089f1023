//! Texts at which writing stops.
//!
//! A stop may begin in one token and end in a later one, so what is shown while a text is written must be held back as long as
//! a stop may have begun.

/// Texts at which an answer ends; they are no part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stops {
    texts: Vec<String>,
}

impl Stops {
    /// These texts; empty ones would end every answer before it begins, and are left out.
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        Self { texts: texts.into_iter().filter(|text| !text.is_empty()).collect() }
    }

    /// The answer in `text` where a stop is in it.
    pub fn cut<'t>(&self, text: &'t str) -> Option<&'t str> {
        let first = self.texts.iter().filter_map(|stop| text.find(stop.as_str())).min()?;
        Some(&text[..first])
    }

    /// How much of a text without a stop can be shown: all but the longest end with which a stop may begin.
    pub fn shown<'t>(&self, text: &'t str) -> &'t str {
        let begun = |stop: &String| {
            let ends = stop.char_indices().map(|(at, _)| at).skip(1).filter(|&at| text.ends_with(&stop[..at]));
            ends.max().unwrap_or(0)
        };
        &text[..text.len() - self.texts.iter().map(begun).max().unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(texts: &[&str]) -> Stops {
        Stops::new(texts.iter().map(|&text| text.to_owned()))
    }

    #[test]
    fn the_first_stop_ends_the_answer() {
        assert_eq!(stops(&["END", "\n\n"]).cut("yes\n\nno END"), Some("yes"));
        assert_eq!(stops(&["END"]).cut("yes"), None);
        assert_eq!(stops(&["", "é"]).cut("caféé"), Some("caf"));
        assert_eq!(stops(&[""]).cut("yes"), None);
    }

    #[test]
    fn what_may_be_the_beginning_of_a_stop_is_held_back() {
        assert_eq!(stops(&["END", "\n\n"]).shown("yes E"), "yes ");
        assert_eq!(stops(&["END", "\n\n"]).shown("yes EN"), "yes ");
        assert_eq!(stops(&["END", "\n\n"]).shown("yes ED\n"), "yes ED");
        assert_eq!(stops(&["aab"]).shown("xaa"), "x");
        assert_eq!(stops(&["éa"]).shown("café"), "caf");
        assert_eq!(stops(&[]).shown("yes E"), "yes E");
    }
}
