//! One form for every character, and one kind of space between words.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc, is_nfkc};

/// NFC.
pub(crate) fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// NFKC.
pub(super) fn compatible(text: &str) -> Cow<'_, str> {
    if is_nfkc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfkc().collect()) }
}

/// The text without characters that show nothing.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|c| !is_invisible(*c)).collect())
}

fn is_invisible(character: char) -> bool {
    let without_width = matches!(character,
        '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}' | '\u{feff}');
    without_width || (character.is_control() && !character.is_whitespace())
}

/// One space between words, `\n` between lines, at most one empty line, nothing around the text.
pub(super) fn spaced(text: &str) -> Cow<'_, str> {
    let mut clean = String::with_capacity(text.len());
    let mut empty = 0;
    let text = text.replace("\r\n", "\n");
    for line in text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        let mut words = line.split_whitespace().peekable();
        if words.peek().is_none() {
            empty += 1;
            continue;
        }
        if !clean.is_empty() {
            clean.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        empty = 0;
        for (place, word) in words.enumerate() {
            if place > 0 {
                clean.push(' ');
            }
            clean.push_str(word);
        }
    }
    Cow::Owned(clean)
}
