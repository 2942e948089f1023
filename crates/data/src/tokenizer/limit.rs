//! How many tokens of a text are kept, and which.

/// Which part of a text that is too long is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Keep {
    /// The start, as `transformers` does.
    #[default]
    Head,
    /// The end: in a support conversation the outcome stands last.
    Tail,
    /// A quarter from the start and three quarters from the end, the split (128 + 382 tokens) that did best in
    /// [Sun et al. 2019](https://arxiv.org/abs/1905.05583).
    HeadTail,
}

/// The greatest number of tokens of an encoding, and what is kept of longer texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The greatest number of tokens, special tokens included. Special tokens stay even when it is less than their number.
    pub max_tokens: usize,
    /// Which part of a longer text is kept.
    pub keep: Keep,
}

impl Limit {
    /// Keeps the first `max_tokens` tokens, special tokens included.
    pub fn head(max_tokens: usize) -> Self {
        Self { max_tokens, keep: Keep::Head }
    }
}

/// Texts up to this many bytes are always encoded whole.
const WHOLE_TEXT: usize = 1 << 16;

/// Bytes of text per wanted token in the first window over a longer text: far above the mean of any language, which is
/// about four.
const BYTES_PER_TOKEN: usize = 128;

/// A window must give this many tokens more than wanted: the tokens next to its cut are not those of the whole text.
const MARGIN: usize = 256;

/// The content ids that fit into `room`, and whether some were left out.
///
/// A very long text (a log file in one cell) is not encoded whole for its first 512 tokens: a window at its start or end
/// is, and the window grows until it surely holds all that is wanted.
pub(super) fn content(text: &str, room: usize, keep: Keep, encode: impl Fn(&str) -> Vec<u32>) -> (Vec<u32>, bool) {
    let head = match keep {
        Keep::Head => room,
        Keep::Tail => 0,
        Keep::HeadTail => room / 4,
    };
    let mut window = room.saturating_mul(BYTES_PER_TOKEN).max(WHOLE_TEXT);
    while window < text.len() / 2 {
        let start = if head > 0 || room == 0 { encode(&text[..text.floor_char_boundary(window)]) } else { Vec::new() };
        let end = if head < room { encode(&text[text.ceil_char_boundary(text.len() - window)..]) } else { Vec::new() };
        let enough = |ids: &[u32], wanted: usize| wanted == 0 || ids.len() >= wanted + MARGIN;
        if enough(&start, head) && enough(&end, room - head) && start.len() + end.len() > room {
            return (join(&start, &end, head, room), true);
        }
        window = window.saturating_mul(4);
    }
    let ids = encode(text);
    if ids.len() <= room {
        return (ids, false);
    }
    (join(&ids, &ids, head, room), true)
}

/// The first `head` ids of `start` and the last `room - head` of `end`.
fn join(start: &[u32], end: &[u32], head: usize, room: usize) -> Vec<u32> {
    let mut ids = start[..head].to_vec();
    ids.extend_from_slice(&end[end.len() - (room - head)..]);
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One id per word: its length.
    fn words(text: &str) -> Vec<u32> {
        text.split_whitespace().map(|word| word.len() as u32).collect()
    }

    #[test]
    fn each_keep_takes_its_part() {
        let text = "1 22 333 4444 55555 666666 7777777 88888888";
        assert_eq!(content(text, 4, Keep::Head, words), (vec![1, 2, 3, 4], true));
        assert_eq!(content(text, 4, Keep::Tail, words), (vec![5, 6, 7, 8], true));
        assert_eq!(content(text, 4, Keep::HeadTail, words), (vec![1, 6, 7, 8], true));
        assert_eq!(content(text, 8, Keep::HeadTail, words), (words(text), false));
        assert_eq!(content(text, 0, Keep::HeadTail, words), (vec![], true));
    }

    #[test]
    fn a_window_gives_what_the_whole_text_gives() {
        let text: String = (0..200_000).map(|i| "é".repeat(1 + i % 7) + " ").collect();
        let whole = words(&text);
        for keep in [Keep::Head, Keep::Tail, Keep::HeadTail] {
            for room in [0, 1, 5, 510] {
                let (ids, truncated) = content(&text, room, keep, |part| {
                    assert!(room == 0 || part.len() < text.len(), "the text was encoded whole");
                    words(part)
                });
                let head = match keep {
                    Keep::Head => room,
                    Keep::Tail => 0,
                    Keep::HeadTail => room / 4,
                };
                assert_eq!(ids, join(&whole, &whole, head, room));
                assert!(truncated);
            }
        }
    }

    #[test]
    fn a_window_without_enough_tokens_grows() {
        let text = format!("start {} end", " ".repeat(3_000_000));
        assert_eq!(content(&text, 8, Keep::Head, words), (vec![5, 3], false));
        assert_eq!(content(&text, 1, Keep::Tail, words), (vec![3], true));
    }
}
