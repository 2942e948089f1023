//! Texts without what does not belong to their words.
//!
//! Every step is a switch, and all are off at first: a pretrained model has seen addresses and odd characters too.

mod markup;
mod replace;
mod signs;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub(crate) use signs::composed;

/// One kind of cleaning. The steps are taken in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Tags go, with the content of scripts and styles; those that break a line become a line break. Entities such as
    /// `&amp;` become what they stand for.
    Html,
    /// Unicode's composed form, NFC: `e` with a combining accent becomes `é`.
    Unicode,
    /// Unicode's compatibility form, NFKC: full-width letters, ligatures and the like become plain ones as well.
    Compatibility,
    /// Control characters, marks of direction, soft hyphens and spaces of no width go. The joiners inside emoji and in some
    /// scripts stay, for they change what is read.
    Control,
    /// One space between words, `\n` as the only line break, at most one empty line, none at the ends.
    Space,
    /// Addresses of the web become `[URL]`: those with `http://` or the like, and those that begin with `www.`.
    Urls,
    /// E-mail addresses become `[EMAIL]`.
    Emails,
    /// Numbers of four digits and more become `[NUMBER]`: telephone numbers, order numbers, sums, years. Smaller ones, such as
    /// `3 days`, say something and stay.
    Numbers,
}

impl Step {
    /// The word for it in settings.
    pub fn name(self) -> &'static str {
        match self {
            Step::Html => "html",
            Step::Unicode => "unicode",
            Step::Compatibility => "compatibility",
            Step::Control => "control",
            Step::Space => "space",
            Step::Urls => "urls",
            Step::Emails => "emails",
            Step::Numbers => "numbers",
        }
    }

    /// What the step writes in place of what it finds.
    pub fn token(self) -> Option<&'static str> {
        match self {
            Step::Urls => Some("[URL]"),
            Step::Emails => Some("[EMAIL]"),
            Step::Numbers => Some("[NUMBER]"),
            Step::Html | Step::Unicode | Step::Compatibility | Step::Control | Step::Space => None,
        }
    }

    fn apply<'t>(self, text: &'t str) -> Cow<'t, str> {
        match self {
            Step::Html => markup::plain(text),
            Step::Unicode => composed(text),
            Step::Compatibility => signs::compatible(text),
            Step::Control => signs::visible(text),
            Step::Space => signs::spaced(text),
            Step::Urls => replace::urls(text),
            Step::Emails => replace::emails(text),
            Step::Numbers => replace::numbers(text),
        }
    }
}

/// The steps that are switched on; as data, the list of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cleaning {
    /// The steps.
    pub steps: BTreeSet<Step>,
}

/// What one step leaves may be work for an earlier one (`&amp;lt;` is escaped twice), so all are repeated until nothing
/// changes. Text that is escaped more often than this was made to keep a program busy.
const MOST_ROUNDS: usize = 16;

impl Cleaning {
    /// The text after all steps. Cleaning it again changes nothing.
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut clean = Cow::Borrowed(text);
        for _ in 0..MOST_ROUNDS {
            let mut changed = false;
            for step in &self.steps {
                if let Some(next) = changed_by(*step, &clean) {
                    clean = Cow::Owned(next);
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        clean
    }

    /// What the steps write in place of what they find.
    pub fn tokens(&self) -> impl Iterator<Item = &'static str> {
        self.steps.iter().filter_map(|step| step.token())
    }
}

/// The text after a step, unless it is the same.
fn changed_by(step: Step, text: &str) -> Option<String> {
    match step.apply(text) {
        Cow::Owned(next) if next != text => Some(next),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Step; 8] = [
        Step::Html,
        Step::Unicode,
        Step::Compatibility,
        Step::Control,
        Step::Space,
        Step::Urls,
        Step::Emails,
        Step::Numbers,
    ];

    fn clean(steps: &[Step], text: &str) -> String {
        Cleaning { steps: steps.iter().copied().collect() }.clean(text).into_owned()
    }

    #[test]
    fn nothing_is_done_unless_asked() {
        let text = "<b>a</b>  &amp; \u{200b}www.a.org 12345";
        assert!(matches!(Cleaning::default().clean(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn markup_becomes_text() {
        let text = "<p class=\"a\">Dear <b>Ann</b>,</p>fish &amp; chips&nbsp;&lt;3<br/>2 < 3 > 1 <ann@a.org><!-- x -->\
                    <script>if (a<b) x</script> <style>p{}</style>&#8364;&bogus; &amp;lt;i&amp;gt;";
        assert_eq!(clean(&[Step::Html], text), "\nDear Ann,\nfish & chips\u{a0}<3\n2 < 3 > 1 <ann@a.org> €&bogus; ");
    }

    #[test]
    fn characters_get_one_form() {
        assert_eq!(clean(&[Step::Unicode], "cafe\u{301} ﬁne"), "café ﬁne");
        assert_eq!(clean(&[Step::Compatibility], "cafe\u{301} ﬁne Ａ"), "café fine A");
        assert_eq!(
            clean(&[Step::Control], "a\u{0}b\u{ad}c\u{200b}\u{feff}d\te\nf 👩\u{200d}🚒"),
            "abcd\te\nf 👩\u{200d}🚒"
        );
        assert_eq!(clean(&[Step::Space], " a\u{a0} b\r\n\r\n \r\rc\t\u{2028}d \n"), "a b\n\nc\nd");
    }

    #[test]
    fn addresses_and_numbers_become_tokens() {
        let text = "See https://a.org/b?c=1234, or www.a.org. Mail ann@a.org! Done.Next";
        assert_eq!(clean(&[Step::Urls], text), "See [URL], or [URL]. Mail ann@a.org! Done.Next");
        assert_eq!(clean(&[Step::Emails], text), "See https://a.org/b?c=1234, or www.a.org. Mail [EMAIL]! Done.Next");
        let text = "Order BB-987654 of 2024-05-01, call +1 (555) 123-4567. 3 days, 24/7, $1,299.00 for 12.";
        assert_eq!(
            clean(&[Step::Numbers], text),
            "Order [NUMBER] of [NUMBER], call [NUMBER]. 3 days, 24/7, $[NUMBER] for 12."
        );
    }

    #[test]
    fn the_steps_are_a_list_of_words() {
        let cleaning: Cleaning = serde_json::from_str(r#"["urls", "html"]"#).unwrap();
        assert_eq!(cleaning.steps, BTreeSet::from([Step::Html, Step::Urls]));
        assert_eq!(cleaning.tokens().collect::<Vec<_>>(), ["[URL]"]);
        for step in ALL {
            assert_eq!(serde_json::to_value(step).unwrap(), step.name());
        }
        assert!(serde_json::from_str::<Cleaning>(r#"["url"]"#).unwrap_err().to_string().contains("`urls`"));
    }

    proptest! {
        #[test]
        fn clean_text_stays_as_it_is(
            switches in proptest::collection::vec(proptest::bool::ANY, 8),
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("<b>".to_owned()), Just("<".to_owned()), Just("b>".to_owned()), Just("&lt;".to_owned()),
                    Just("&amp;".to_owned()), Just("amp;".to_owned()), Just("&#x200b;".to_owned()), Just("\u{200b}".to_owned()),
                    Just("e\u{301}".to_owned()), Just("＜".to_owned()), Just("http://".to_owned()), Just("www.".to_owned()),
                    Just("a.org".to_owned()), Just("@".to_owned()), Just("12".to_owned()), Just("-".to_owned()),
                    Just("\r".to_owned()), Just("\n".to_owned()), Just("[URL]".to_owned()), Just("<!--".to_owned()),
                    Just("-->".to_owned()), Just("<script>".to_owned()), Just("A".to_owned()), "\\PC{0,4}",
                ], 0..16)
        ) {
            let steps: Vec<Step> = ALL.into_iter().zip(switches).filter(|(_, on)| *on).map(|(step, _)| step).collect();
            let once = clean(&steps, &pieces.concat());
            prop_assert_eq!(clean(&steps, &once), once);
        }
    }
}
