//! How many tokens of a text are kept, and which.

use std::ops::Range;

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
    /// Everything, in several sequences of `max_tokens` at most, as even as they can be: the fewest that hold the text.
    /// Up to 32 of them; what a still longer text has behind them is left out.
    Windows {
        /// How many tokens of the text a sequence repeats from the end of the one before it.
        overlap: usize,
    },
}

/// The greatest number of tokens of a sequence, and what is kept of longer texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The greatest number of tokens of a sequence, special tokens included. Special tokens stay even when it is less than
    /// their number.
    pub max_tokens: usize,
    /// Which part of a longer text is kept.
    pub keep: Keep,
}

impl Limit {
    /// Keeps the first `max_tokens` tokens, special tokens included.
    pub fn head(max_tokens: usize) -> Self {
        Self { max_tokens, keep: Keep::Head }
    }

    /// The sequences that the ids of an encoding are: one, or the windows of a text one after the other.
    pub fn sequences<'i>(&self, ids: &'i [u32]) -> impl ExactSizeIterator<Item = &'i [u32]> + use<'i> {
        let count = match self.keep {
            Keep::Head | Keep::Tail | Keep::HeadTail => 1,
            Keep::Windows { .. } => ids.len().div_ceil(self.max_tokens.max(1)).max(1),
        };
        even_parts(ids.len(), count).map(|part| &ids[part])
    }
}

/// The most windows of a text: they are computed together, so their number bounds the memory for a log file in one cell.
pub const MOST_WINDOWS: usize = 32;

/// Texts up to this many bytes are always encoded whole.
const WHOLE_TEXT: usize = 1 << 16;

/// Bytes of text per wanted token in the first window over a longer text: far above the mean of any language, which is
/// about four.
const BYTES_PER_TOKEN: usize = 128;

/// A window must give this many tokens more than wanted: the tokens next to its cut are not those of the whole text.
const MARGIN: usize = 256;

/// The content ids, or what else `encode` gives for each token, that fit into `room`, and whether some were left out.
///
/// A very long text (a log file in one cell) is not encoded whole for its first 512 tokens: a window at its start or end
/// is, and the window grows until it surely holds all that is wanted.
pub(super) fn content<T: Clone>(
    text: &str,
    room: usize,
    keep: Keep,
    encode: impl Fn(&str) -> Vec<T>,
) -> (Vec<T>, bool) {
    let (head, room) = match keep {
        Keep::Head => (room, room),
        Keep::Tail => (0, room),
        Keep::HeadTail => (room / 4, room),
        Keep::Windows { overlap } => {
            let all = windows_hold(room, overlap);
            (all, all)
        }
    };
    let mut window = room.saturating_mul(BYTES_PER_TOKEN).max(WHOLE_TEXT);
    while window < text.len() / 2 {
        let start = if head > 0 || room == 0 { encode(&text[..text.floor_char_boundary(window)]) } else { Vec::new() };
        let end = if head < room { encode(&text[text.ceil_char_boundary(text.len() - window)..]) } else { Vec::new() };
        let enough = |ids: &[T], wanted: usize| wanted == 0 || ids.len() >= wanted + MARGIN;
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

/// The parts of `len` content ids that are encoded each by itself: all of them, or windows of at most `room`.
pub(super) fn windows(len: usize, room: usize, keep: Keep) -> impl Iterator<Item = Range<usize>> {
    let (count, overlap) = match keep {
        Keep::Windows { overlap } if len > room.max(1) => {
            let step = step(room, overlap);
            let overlap = room.max(1) - step;
            ((len - overlap).div_ceil(step), overlap)
        }
        _ => (1, 0),
    };
    // What is repeated counts as if the text were so much longer; then each window begins earlier by what is repeated so far.
    even_parts(len + (count - 1) * overlap, count)
        .enumerate()
        .map(move |(i, part)| part.start - i * overlap..part.end - i * overlap)
}

/// How far it is from the start of a full window to that of the next: at least one token.
fn step(room: usize, overlap: usize) -> usize {
    room.saturating_sub(overlap).max(1)
}

/// The most content ids that the windows of a text hold.
fn windows_hold(room: usize, overlap: usize) -> usize {
    room.max(1).saturating_add((MOST_WINDOWS - 1) * step(room, overlap))
}

/// `count` ranges one after the other that make up `0..len`, whose lengths differ by one at most.
fn even_parts(len: usize, count: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    (0..count).map(move |i| len * i / count..len * (i + 1) / count)
}

/// The first `head` ids of `start` and the last `room - head` of `end`.
fn join<T: Clone>(start: &[T], end: &[T], head: usize, room: usize) -> Vec<T> {
    let mut ids = start[..head].to_vec();
    ids.extend_from_slice(&end[end.len() - (room - head)..]);
    ids
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
                    _ => room / 4,
                };
                assert_eq!(ids, join(&whole, &whole, head, room));
                assert!(truncated);
            }
        }
    }

    #[test]
    fn windows_are_even_and_as_few_as_can_be() {
        let parts = |len, room, keep| windows(len, room, keep).map(|part| (part.start, part.end)).collect::<Vec<_>>();
        let overlapping = |overlap| Keep::Windows { overlap };
        assert_eq!(parts(10, 10, overlapping(0)), [(0, 10)]);
        assert_eq!(parts(11, 10, overlapping(0)), [(0, 5), (5, 11)]);
        assert_eq!(parts(20, 10, overlapping(2)), [(0, 8), (6, 14), (12, 20)]);
        assert_eq!(parts(0, 10, overlapping(2)), [(0, 0)]);
        assert_eq!(parts(11, 10, Keep::Tail), [(0, 11)]);
    }

    proptest! {
        #[test]
        fn windows_hold_everything_and_are_found_again(
            len in 0_usize..3000,
            room in 0_usize..300,
            overlap in 0_usize..320,
            special in 0_usize..4,
        ) {
            let keep = Keep::Windows { overlap };
            let len = len.min(windows_hold(room, overlap));
            let parts: Vec<Range<usize>> = windows(len, room, keep).collect();
            prop_assert!(parts.len() <= MOST_WINDOWS && (parts[0].start, parts[parts.len() - 1].end) == (0, len));
            let repeated = if overlap < room { overlap } else { room.saturating_sub(1) };
            for pair in parts.windows(2) {
                prop_assert_eq!(pair[0].end - pair[1].start, repeated);
                prop_assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end);
            }
            prop_assert!(parts.iter().all(|part| part.len() <= room.max(1)));
            // With special tokens around each, the sequences are found again from the number of their ids alone.
            let lengths: Vec<usize> = parts.iter().map(|part| part.len() + special).collect();
            let (ids, limit) = (vec![0; lengths.iter().sum()], Limit { max_tokens: room.max(1) + special, keep });
            prop_assert_eq!(limit.sequences(&ids).map(<[u32]>::len).collect::<Vec<_>>(), lengths);
        }
    }

    #[test]
    fn a_window_without_enough_tokens_grows() {
        let text = format!("start {} end", " ".repeat(3_000_000));
        assert_eq!(content(&text, 8, Keep::Head, words), (vec![5, 3], false));
        assert_eq!(content(&text, 1, Keep::Tail, words), (vec![3], true));
    }
}
