//! Labels as people write them, and the classes they mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cleaning::composed;
use crate::decimal::decimal;
use crate::error::{backticked, nearest};

/// The classes of a task, in a fixed order: sorted, and by value where all of them are whole numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabelSet {
    names: Vec<String>,
}

impl LabelSet {
    /// A set with the given names, in the given order, as a model's `id2label` has them.
    pub fn from_names(names: impl IntoIterator<Item = impl Into<String>>) -> LabelSet {
        let mut set = LabelSet::default();
        for name in names {
            let name = name.into();
            if !set.names.contains(&name) {
                set.names.push(name);
            }
        }
        set
    }

    /// The names, by class index.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many classes there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of a class.
    ///
    /// # Panics
    /// When `class` is not below [`LabelSet::len`].
    pub fn name(&self, class: usize) -> &str {
        &self.names[class]
    }

    /// The class of a label as a file writes it: exact, else without regard to spaces and case, else as a number.
    pub fn class(&self, label: &str) -> Option<usize> {
        let tidy = tidy(label);
        let folded = folded(&tidy);
        let whole = whole_number(&tidy);
        self.names
            .iter()
            .position(|name| *name == tidy)
            .or_else(|| self.names.iter().position(|name| self::folded(name) == folded))
            .or_else(|| whole.and_then(|value| self.names.iter().position(|name| whole_number(name) == Some(value))))
    }

    /// The known label nearest in spelling, if one is near.
    pub fn nearest(&self, label: &str) -> Option<&str> {
        nearest(label, &self.names)
    }

    /// The names in backticks, for messages.
    pub fn listing(&self) -> String {
        backticked(&self.names)
    }
}

/// What an example is labelled with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Target {
    /// The one class of the text.
    Class(usize),
    /// All classes that apply, ascending; possibly none.
    Classes(Vec<usize>),
}

impl Target {
    /// The first class, if there is any.
    pub fn first(&self) -> Option<usize> {
        match self {
            Target::Class(class) => Some(*class),
            Target::Classes(classes) => classes.first().copied(),
        }
    }

    /// All classes, ascending.
    pub fn classes(&self) -> &[usize] {
        match self {
            Target::Class(class) => std::slice::from_ref(class),
            Target::Classes(classes) => classes,
        }
    }
}

/// A label without surrounding white space and with single spaces inside; a letter with an accent is one character (NFC),
/// however the file writes it.
pub fn tidy(label: &str) -> String {
    let label = composed(label);
    let mut words = label.split_whitespace();
    let mut tidy = words.next().unwrap_or("").to_owned();
    for word in words {
        tidy.push(' ');
        tidy.push_str(word);
    }
    tidy
}

/// A text without regard to case and to how its accents are written. Of the four Turkish letters that other languages know as
/// `I` and `i`, all become `i`: only a reader who knows the language could say which is the capital of which.
pub fn folded(text: &str) -> String {
    let lower = composed(text).to_lowercase();
    if lower.is_ascii() { lower } else { lower.replace("i\u{307}", "i").replace('ı', "i") }
}

/// Whether a field says that there is no label: blank, or the `nan` that table programs write for blank.
pub fn is_missing(label: &str) -> bool {
    let label = label.trim();
    label.is_empty() || label.eq_ignore_ascii_case("nan")
}

/// The value of `3`, `-1` or `3.0`; `None` for real numbers and words.
fn whole_number(label: &str) -> Option<i64> {
    let (whole, fraction) = label.split_once('.').unwrap_or((label, ""));
    if !fraction.bytes().all(|digit| digit == b'0') {
        return None;
    }
    whole.parse().ok()
}

/// Whether a label is a number and not a whole one.
pub(crate) fn is_real(label: &str) -> bool {
    let numeric = label.bytes().any(|byte| byte.is_ascii_digit());
    numeric && whole_number(label).is_none() && decimal(label).is_some_and(|value| value.fract() != 0.0)
}

/// How the labels of a column were brought to one spelling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Vocabulary {
    /// The classes.
    pub set: LabelSet,
    /// For every spelling met, the class it means.
    pub classes: BTreeMap<String, usize>,
}

/// Builds the label set from all spellings met, tidy already.
///
/// Spellings that differ only in case become one label in lower case; a label with one spelling keeps it. Where all
/// labels are whole numbers, `1.0` is written `1`.
pub(crate) fn build<'a>(spellings: impl Iterator<Item = &'a str>) -> Vocabulary {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for spelling in spellings {
        groups.entry(folded(spelling)).or_default().push(spelling);
    }
    let numeric = groups.keys().all(|label| whole_number(label).is_some());
    let mut named: BTreeMap<(i64, String), Vec<&str>> = BTreeMap::new();
    for (folded, members) in groups {
        let value = whole_number(&folded).filter(|_| numeric);
        let name = match (value, members.as_slice()) {
            (Some(_), _) => folded.split('.').next().unwrap_or(&folded).to_owned(),
            (None, [only]) => (*only).to_owned(),
            (None, several) => in_lower_case(several),
        };
        named.entry((value.unwrap_or(0), name)).or_default().extend(members);
    }
    let mut vocabulary = Vocabulary::default();
    for (class, ((_, name), members)) in named.into_iter().enumerate() {
        vocabulary.set.names.push(name);
        vocabulary.classes.extend(members.into_iter().map(|member| (member.to_owned(), class)));
    }
    vocabulary
}

/// The spelling that is in lower case already, or the first one made so.
fn in_lower_case(spellings: &[&str]) -> String {
    let lower = spellings.iter().find(|spelling| spelling.to_lowercase() == **spelling);
    lower.map_or_else(|| spellings[0].to_lowercase(), |lower| (*lower).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(spellings: &[&str]) -> Vec<String> {
        build(spellings.iter().copied()).set.names
    }

    #[test]
    fn case_alone_makes_no_class() {
        assert_eq!(names(&["Positive", "positive", "NEGATIVE"]), ["NEGATIVE", "positive"]);
        assert_eq!(names(&["Ärger", "ärger"]), ["ärger"]);
        assert_eq!(names(&["KIZGIN", "kızgın", "POZİTİF", "pozitif"]), ["kızgın", "pozitif"]);
    }

    #[test]
    fn whole_numbers_are_sorted_by_value_and_lose_their_fraction() {
        assert_eq!(names(&["10", "9.0", "1", "-1", "9"]), ["-1", "1", "9", "10"]);
        assert_eq!(names(&["10", "9.0", "many"]), ["10", "9.0", "many"]);
    }

    #[test]
    fn a_known_set_understands_other_spellings() {
        let set = LabelSet::from_names(["Negative", "Very Positive", "3"]);
        assert_eq!(set.class(" very  positive"), Some(1));
        assert_eq!(set.class("3.0"), Some(2));
        assert_eq!(set.class("posittive"), None);
        assert_eq!(LabelSet::from_names(["spokojeny\u{301}"]).class("Spokojený"), Some(0));
        assert_eq!(set.nearest("negativ"), Some("Negative"));
    }

    #[test]
    fn real_numbers_are_told_from_classes() {
        assert!(is_real("0.5") && is_real("-3.25") && is_real("1e-3"));
        assert!(!is_real("1.0") && !is_real("4") && !is_real("inf") && !is_real("v1.5"));
        assert!(is_real("3,5") && !is_real("3,0") && !is_real("1,250"));
        assert!(is_missing(" ") && is_missing("NaN") && !is_missing("none"));
    }

    #[test]
    fn blanks_are_tidied() {
        assert_eq!(tidy("  very \t positive\n"), "very positive");
        assert_eq!(tidy("spokojeny\u{301}"), "spokojený");
    }
}
