//! Rows that repeat an earlier one, word for word or nearly.
//!
//! Near copies are found by MinHash (Broder 1997) over runs of three words: the share of equal minima estimates how much of
//! the runs of two texts is common (Jaccard). Sixteen bands of eight minima choose what is compared; of two texts that share
//! nine tenths hardly any pair is missed, of those that share four fifths one in twenty.

use std::collections::HashMap;

use serde::Serialize;

use crate::split::{comparable, fingerprint, random::Random};
use crate::words::words;

/// Words in a run.
const RUN: usize = 3;
/// A text with fewer words is no near copy of anything: too many short texts say nearly the same.
const LEAST_WORDS: usize = 8;
const BANDS: usize = 16;
const MINIMA_OF_A_BAND: usize = 8;
const MINIMA: usize = BANDS * MINIMA_OF_A_BAND;
/// What is common to two texts that are called near copies.
const LEAST_COMMON: f64 = 0.8;
/// Near copies are looked for among so many texts, half a kilobyte each.
const MOST_TEXTS: usize = 100_000;
/// Copies that are named.
const NAMED: usize = 50;

/// Rows that repeat an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Copies {
    /// Rows with the text of an earlier one, but for case and white space.
    pub exact: usize,
    /// Of these, rows with another label than the earlier one.
    pub exact_contradicting: usize,
    /// Rows that nearly repeat an earlier one.
    pub near: usize,
    /// Of these, rows with another label than the earlier one.
    pub near_contradicting: usize,
    /// The first of them, contradicting ones before others.
    pub named: Vec<Copy>,
}

/// A row that repeats an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Copy {
    /// The line of the row.
    pub line: u64,
    /// The line of the earlier row that is most like it.
    pub of_line: u64,
    /// The share of their runs of words that is common: 1 for a copy, otherwise estimated.
    pub common: f64,
    /// Whether their labels differ.
    pub contradicts: bool,
}

struct Signed {
    line: u64,
    class: usize,
    minima: Box<[u32; MINIMA]>,
}

/// The texts met so far.
pub(super) struct Search {
    /// Line and class of the first row with a text.
    first: HashMap<u64, (u64, usize)>,
    signed: Vec<Signed>,
    /// By band and its minima the latest text that has them.
    bands: HashMap<(usize, u64), usize>,
    /// Multipliers and addends of the hash functions.
    functions: Vec<(u64, u64)>,
    searched_all: bool,
    found: Copies,
}

impl Default for Search {
    fn default() -> Search {
        let mut random = Random::new(0);
        let functions = (0..MINIMA).map(|_| (random.bits() | 1, random.bits())).collect();
        Search {
            first: HashMap::new(),
            signed: Vec::new(),
            bands: HashMap::new(),
            functions,
            searched_all: true,
            found: Copies::default(),
        }
    }
}

impl Search {
    pub(super) fn add(&mut self, line: u64, text: &str, class: usize) {
        let text = comparable(text);
        if let Some(&(of_line, of_class)) = self.first.get(&fingerprint(&text, 0)) {
            self.found.exact += 1;
            self.found.exact_contradicting += usize::from(of_class != class);
            self.found.named.push(Copy { line, of_line, common: 1.0, contradicts: of_class != class });
            self.shorten();
            return;
        }
        self.first.insert(fingerprint(&text, 0), (line, class));
        let words: Vec<&str> = words(&text).collect();
        if words.len() < LEAST_WORDS {
            return;
        }
        if self.signed.len() == MOST_TEXTS {
            self.searched_all = false;
            return;
        }
        let minima = self.minima(&words);
        self.compare(line, class, &minima);
        self.signed.push(Signed { line, class, minima });
        self.shorten();
    }

    fn minima(&self, words: &[&str]) -> Box<[u32; MINIMA]> {
        let mut minima = Box::new([u32::MAX; MINIMA]);
        for run in words.windows(RUN) {
            let run = fingerprint(&run.join(" "), 1);
            for (least, (factor, addend)) in minima.iter_mut().zip(&self.functions) {
                *least = (*least).min((run.wrapping_mul(*factor).wrapping_add(*addend) >> 32) as u32);
            }
        }
        minima
    }

    /// Looks for the earlier text that is most like this one, among the latest that share a band.
    fn compare(&mut self, line: u64, class: usize, minima: &[u32; MINIMA]) {
        let mut best: Option<(usize, usize)> = None;
        for (band, minima_of_band) in minima.chunks_exact(MINIMA_OF_A_BAND).enumerate() {
            let bytes: Vec<String> = minima_of_band.iter().map(u32::to_string).collect();
            let earlier = self.bands.insert((band, fingerprint(&bytes.join(" "), 2)), self.signed.len());
            let Some(earlier) = earlier else { continue };
            let equal = self.signed[earlier].minima.iter().zip(minima).filter(|(a, b)| a == b).count();
            best = best.max(Some((equal, earlier)));
        }
        let Some((equal, earlier)) = best else { return };
        let (common, earlier) = (equal as f64 / MINIMA as f64, &self.signed[earlier]);
        if common < LEAST_COMMON {
            return;
        }
        let contradicts = earlier.class != class;
        self.found.near += 1;
        self.found.near_contradicting += usize::from(contradicts);
        self.found.named.push(Copy { line, of_line: earlier.line, common, contradicts });
    }

    /// Forgets what would not be named.
    fn shorten(&mut self) {
        if self.found.named.len() > 2 * NAMED {
            self.found.named.sort_by_key(|copy| (!copy.contradicts, copy.line));
            self.found.named.truncate(NAMED);
        }
    }

    pub(super) fn notice(&self) -> Option<String> {
        (!self.searched_all)
            .then(|| format!("near copies were looked for among the first {MOST_TEXTS} different texts alone"))
    }

    pub(super) fn finish(mut self) -> Copies {
        self.found.named.sort_by_key(|copy| (!copy.contradicts, copy.line));
        self.found.named.truncate(NAMED);
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of so many words, all different, of which the first `changed` are others than in the text of number 0.
    fn text(words: usize, number: usize, changed: usize) -> String {
        let word = |place: usize| if place < changed { format!("n{number}w{place}") } else { format!("w{place}") };
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    }

    fn found(texts: &[(String, usize)]) -> Copies {
        let mut search = Search::default();
        texts.iter().enumerate().for_each(|(index, (text, class))| search.add(index as u64 + 2, text, *class));
        search.finish()
    }

    #[test]
    fn copies_and_near_copies_are_told_apart_and_contradictions_come_first() {
        let (first, near, far) = (text(60, 0, 0), text(60, 1, 2), text(60, 2, 40));
        let copies = found(&[
            (first.clone(), 0),
            (far, 0),
            (first.to_uppercase() + "  ", 0),
            (near, 1),
            ("short and sweet".into(), 0),
        ]);
        assert_eq!((copies.exact, copies.exact_contradicting, copies.near, copies.near_contradicting), (1, 0, 1, 1));
        assert_eq!(copies.named[1], Copy { line: 4, of_line: 2, common: 1.0, contradicts: false });
        let near = &copies.named[0];
        // 56 of 60 runs are common.
        assert!((near.line, near.of_line) == (5, 2) && (near.common - 56.0 / 60.0).abs() < 0.08, "{near:?}");
    }

    #[test]
    fn near_copies_are_found_where_no_spaces_part_the_words() {
        let text: String = ('一'..).take(60).collect();
        let copies = found(&[(text.clone() + "很好！", 0), (text + "不好！", 1)]);
        assert_eq!((copies.exact, copies.near, copies.near_contradicting), (0, 1, 1));
    }

    #[test]
    fn the_estimate_is_near_the_truth() {
        let functions = Search::default();
        let minima = |text: &str| functions.minima(&words(text).collect::<Vec<_>>());
        for changed in [0, 10, 30, 80] {
            let (one, other) = (minima(&text(102, 0, 0)), minima(&text(102, 1, changed)));
            let common = (100 - changed) as f64;
            let truth = common / (200.0 - common);
            let equal = one.iter().zip(other.iter()).filter(|(a, b)| a == b).count() as f64 / MINIMA as f64;
            // Three standard deviations of a share of 128.
            let open = 3.0 * (truth * (1.0 - truth) / MINIMA as f64).sqrt();
            assert!((equal - truth).abs() <= open, "{changed}: {equal}, not {truth}");
        }
    }
}
