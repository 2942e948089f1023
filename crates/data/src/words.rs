//! Words of any language: what white space parts and, where a script puts none between its words, what Unicode parts.
//!
//! Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without spaces. A run with such letters is cut at the word
//! boundaries of [UAX #29](https://www.unicode.org/reports/tr29/), which needs no dictionary: a Chinese character, a hiragana
//! and a Thai letter with its marks stand alone, katakana and digits stay together. Most words of these languages are one or two
//! such pieces, so counts of pieces and of pairs say nearly what counts of words would.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};
use unicode_segmentation::UnicodeSegmentation;

/// The words of a text in their order, each with the punctuation that touches it.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().flat_map(pieces)
}

/// The bytes of each of the [`words`].
pub fn places(text: &str) -> impl Iterator<Item = Range<usize>> {
    let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    words(text).map(move |word| start(word)..start(word) + word.len())
}

/// The words of a run without white space: the run itself, unless it has letters of a script without spaces.
pub fn pieces(run: &str) -> Vec<&str> {
    if !run.contains(is_unspaced) {
        return vec![run];
    }
    let (mut pieces, mut start, mut spelt) = (Vec::new(), 0, false);
    for (place, segment) in run.split_word_bound_indices() {
        let is_word = segment.contains(char::is_alphanumeric);
        if is_word && spelt {
            pieces.push(&run[start..place]);
            start = place;
        }
        spelt |= is_word;
    }
    pieces.push(&run[start..]);
    pieces
}

/// Whether a letter is of a script that is written without spaces between words.
pub fn is_unspaced(letter: char) -> bool {
    use Script::{Han, Hiragana, Katakana, Khmer, Lao, Myanmar, Thai};
    // All of these scripts lie behind this letter, which spares most texts the table.
    letter >= '\u{e00}' && matches!(letter.script(), Han | Hiragana | Katakana | Khmer | Lao | Myanmar | Thai)
}

/// Whether a character can be within a word: a letter, a digit, a mark on a letter as the vowels of Hindi and Arabic are, or
/// a joiner between letters, as Persian has them.
pub fn is_in_word(character: char) -> bool {
    character.is_alphanumeric() || is_combining_mark(character) || matches!(character, '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn words_with_spaces_are_what_white_space_parts() {
        assert_eq!(
            found("  Don't e-mail: 3.5/5, příliš  žluťoučký!\n"),
            ["Don't", "e-mail:", "3.5/5,", "příliš", "žluťoučký!"]
        );
        assert_eq!(found("الخدمة ممتازة، שירות"), ["الخدمة", "ممتازة،", "שירות"]);
        assert!(found(" \u{3000}\n").is_empty(), "an ideographic space is white space too");
    }

    #[test]
    fn words_without_spaces_are_what_unicode_parts() {
        assert_eq!(found("很好！下次还来。"), ["很", "好！", "下", "次", "还", "来。"]);
        assert_eq!(found("「サービス」がiPhone15みたい"), ["「サービス」", "が", "iPhone15", "み", "た", "い"]);
        // A Thai letter keeps its vowels and tones.
        assert_eq!(found("ดีมาก 5 ดาว"), ["ดี", "ม", "า", "ก", "5", "ด", "า", "ว"]);
        assert_eq!(found("！！"), ["！！"]);
    }

    #[test]
    fn places_are_those_of_the_words_and_leave_out_white_space_alone() {
        let text = " 很好!  good שלום\tดีมาก ";
        let places: Vec<Range<usize>> = places(text).collect();
        assert_eq!(places.iter().map(|place| &text[place.clone()]).collect::<Vec<_>>(), found(text));
        let letters: usize = places.iter().map(Range::len).sum();
        assert_eq!(letters, text.split_whitespace().map(str::len).sum::<usize>());
    }

    #[test]
    fn marks_and_joiners_are_within_words() {
        for word in ["नहीं", "مُمْتاز", "می‌خواهم", "cafe\u{301}"] {
            assert!(word.chars().all(is_in_word), "{word}");
        }
        assert!(!['.', '！', '。', '؟', '-', ' '].into_iter().any(is_in_word));
    }
}
