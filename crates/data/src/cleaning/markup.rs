//! HTML to text.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Tags. A name is followed by white space or the end of the tag, so that neither `<3` nor `<ann@a.org>` is one.
static TAG: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"<!doctype[^<>]*>|</?(?<name>[a-z][a-z0-9:-]*)(?:\s[^<>]*)?/?>"));

/// The starts and ends of what nobody reads.
static HIDDEN: LazyLock<[(Regex, Regex); 3]> = LazyLock::new(|| {
    let parts =
        [("<!--", "-->"), (r"<script(?:\s[^<>]*)?>", r"</script\s*>"), (r"<style(?:\s[^<>]*)?>", r"</style\s*>")];
    parts.map(|(start, end)| (pattern(start), pattern(end)))
});

fn pattern(text: &str) -> Regex {
    Regex::new(&format!("(?i){text}")).expect("the pattern is sound")
}

/// Tags that begin or end a line.
const LINE_TAGS: [&str; 17] = [
    "address",
    "blockquote",
    "br",
    "div",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "table",
    "tr",
    "ul",
];

/// The text without markup, its entities decoded once, by the table of the
/// [HTML standard](https://html.spec.whatwg.org/multipage/named-characters.html).
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    for (start, end) in HIDDEN.iter() {
        if let Some(rest) = without(&shown, start, end) {
            shown = Cow::Owned(rest);
        }
    }
    let line_break = |tag: &Captures<'_>| {
        let name = tag.name("name").map_or("", |name| name.as_str());
        if LINE_TAGS.iter().any(|line| name.eq_ignore_ascii_case(line)) { "\n" } else { "" }
    };
    let untagged = TAG.replace_all(&shown, line_break);
    let plain = htmlize::unescape(&*untagged);
    if plain == text { Cow::Borrowed(text) } else { Cow::Owned(plain.into_owned()) }
}

/// The text without its parts from `start` to `end`, if it has any. A start without an end stays: nor has any later one, so
/// the search is over.
fn without(text: &str, start: &Regex, end: &Regex) -> Option<String> {
    let (mut rest, mut done) = (String::new(), 0);
    while let Some(first) = start.find_at(text, done)
        && let Some(last) = end.find_at(text, first.end())
    {
        rest.push_str(&text[done..first.start()]);
        done = last.end();
    }
    (done > 0).then(|| rest + &text[done..])
}
