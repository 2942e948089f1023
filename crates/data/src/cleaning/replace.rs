//! Addresses and numbers by what they are.

use std::borrow::Cow;
use std::sync::LazyLock;

use linkify::{Link, LinkFinder, LinkKind};
use regex::Regex;

use super::Step;

/// At least four digits with what stands between the digits of one number, after the capital letters or the sign that order
/// numbers and telephone numbers begin with.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:\b[A-Z]{1,5}-?|[+#])?\(?[0-9](?:(?:\) ?| \(|[-./, ])?[0-9]){3,}").expect("the pattern is sound")
});

/// `[URL]` for addresses with a scheme, or with `www.` in front: `Done.Next` is none, though it looks like a domain.
pub(super) fn urls(text: &str) -> Cow<'_, str> {
    let is_address = |link: &Link<'_>| {
        let starts = link.as_str().get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
        *link.kind() == LinkKind::Url && (starts || link.as_str().contains("://"))
    };
    links(text, is_address, Step::Urls)
}

/// `[EMAIL]` for e-mail addresses.
pub(super) fn emails(text: &str) -> Cow<'_, str> {
    links(text, |link| *link.kind() == LinkKind::Email, Step::Emails)
}

/// `[NUMBER]` for numbers of at least four digits.
pub(super) fn numbers(text: &str) -> Cow<'_, str> {
    NUMBER.replace_all(text, Step::Numbers.token().unwrap_or_default())
}

fn links<'t>(text: &'t str, wanted: impl Fn(&Link<'t>) -> bool, step: Step) -> Cow<'t, str> {
    let mut finder = LinkFinder::new();
    finder.url_must_have_scheme(false);
    let (mut clean, mut end) = (String::new(), 0);
    for link in finder.links(text).filter(wanted) {
        clean.push_str(&text[end..link.start()]);
        clean.push_str(step.token().unwrap_or_default());
        end = link.end();
    }
    if end == 0 {
        return Cow::Borrowed(text);
    }
    Cow::Owned(clean + &text[end..])
}
