//! HTML to text.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Comments; scripts and styles with their content; tags. A name is followed by white space or the end of the tag, so that
/// neither `<3` nor `<ann@a.org>` is one.
static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    let parts = [
        r"<!--.*?-->",
        r"<!doctype[^<>]*>",
        r"<script(?:\s[^<>]*)?>.*?</script\s*>",
        r"<style(?:\s[^<>]*)?>.*?</style\s*>",
        r"</?(?<name>[a-z][a-z0-9:-]*)(?:\s[^<>]*)?/?>",
    ];
    Regex::new(&format!("(?is){}", parts.join("|"))).expect("the pattern is sound")
});

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
    let untagged = MARKUP.replace_all(text, |tag: &Captures<'_>| {
        let name = tag.name("name").map_or("", |name| name.as_str());
        if LINE_TAGS.iter().any(|line| name.eq_ignore_ascii_case(line)) { "\n" } else { "" }
    });
    match untagged {
        Cow::Borrowed(text) => htmlize::unescape(text),
        Cow::Owned(text) => Cow::Owned(htmlize::unescape(text).into_owned()),
    }
}
