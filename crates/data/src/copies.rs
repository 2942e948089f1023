//! Rows that repeat an earlier one, word for word or nearly.
//!
//! Near copies are found by MinHash (Broder 1997) over runs of three words: the share of equal minima among 128 estimates how
//! much of the runs of two texts is common (Jaccard), with a standard error of at most 0.035 from a share of four fifths on.
//! Sixteen bands of eight minima choose what is compared; of two texts that share nine tenths hardly any pair is missed, of
//! those that share four fifths one in twenty.
//!
//! A text is held against those that were no copies themselves, so what is left of a file has no copies that this search
//! would find. Memory is bounded: the texts that were met first are forgotten first.

use std::collections::{HashMap, VecDeque};

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
/// A fingerprint takes so much less room than the minima that exact copies are looked for among so many times more texts.
const EXACT_TIMES: usize = 10;
/// Copies that are named.
const NAMED: usize = 50;

/// How copies are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CopyRule {
    /// The least share of their runs of words that is common to two near copies; `None`: texts that are equal but for case and
    /// white space are copies, and no others. Below 0.8 the search would miss many.
    pub near: Option<f64>,
    /// Near copies are looked for among so many of the latest different texts, at a kilobyte each, and exact ones among ten
    /// times as many.
    pub window: usize,
    /// Of the hash functions.
    pub seed: u64,
}

impl Default for CopyRule {
    fn default() -> CopyRule {
        CopyRule { near: Some(0.8), window: 100_000, seed: 0 }
    }
}

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

impl Copies {
    /// Counts a row that repeats an earlier one.
    pub(crate) fn add(&mut self, line: u64, found: &Match) {
        let contradicts = usize::from(found.contradicts);
        let (rows, contradicting) = match found.exact {
            true => (&mut self.exact, &mut self.exact_contradicting),
            false => (&mut self.near, &mut self.near_contradicting),
        };
        *rows += 1;
        *contradicting += contradicts;
        let Some(of_line) = found.earlier.line else { return };
        self.named.push(Copy { line, of_line, common: found.common, contradicts: found.contradicts });
        if self.named.len() > 2 * NAMED {
            self.shorten();
        }
    }

    /// Forgets what is not named.
    fn shorten(&mut self) {
        self.named.sort_by_key(|copy| (!copy.contradicts, copy.line));
        self.named.truncate(NAMED);
    }

    pub(crate) fn finish(mut self) -> Copies {
        self.shorten();
        self
    }
}

/// A row whose text was met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Met {
    /// Its line; `None` where it stands in another file.
    pub line: Option<u64>,
    /// Its class, where it has one.
    pub class: Option<usize>,
}

/// The earlier row that a row repeats.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Match {
    pub earlier: Met,
    pub exact: bool,
    pub common: f64,
    /// Whether both have a class and not the same.
    pub contradicts: bool,
}

#[derive(Debug)]
struct Signed {
    met: Met,
    minima: Box<[u32; MINIMA]>,
}

/// The texts met so far that are no copies.
#[derive(Debug)]
pub(crate) struct Search {
    rule: CopyRule,
    /// The row with a text, by fingerprint, and the fingerprints in their order.
    first: HashMap<u64, Met>,
    order: VecDeque<u64>,
    signed: VecDeque<Signed>,
    /// How many were signed and are forgotten.
    forgotten: usize,
    /// Whether any text is forgotten.
    forgetful: bool,
    /// By band and its minima the number of the latest text that has them, the forgotten ones counted.
    bands: HashMap<(usize, u64), usize>,
    /// Multipliers and addends of the hash functions.
    functions: Vec<(u64, u64)>,
}

/// Of exact copies alone.
impl Default for Search {
    fn default() -> Search {
        Search::new(CopyRule { near: None, ..CopyRule::default() })
    }
}

impl Search {
    pub(crate) fn new(rule: CopyRule) -> Search {
        let mut random = Random::new(rule.seed);
        let functions = (0..MINIMA).map(|_| (random.bits() | 1, random.bits())).collect();
        Search {
            rule,
            first: HashMap::new(),
            order: VecDeque::new(),
            signed: VecDeque::new(),
            forgotten: 0,
            forgetful: false,
            bands: HashMap::new(),
            functions,
        }
    }

    /// Looks for the row that this one repeats. A text that repeats none is kept in mind.
    pub(crate) fn meet(&mut self, text: &str, met: Met) -> Option<Match> {
        let text = comparable(text);
        let print = fingerprint(&text, self.rule.seed);
        if let Some(&earlier) = self.first.get(&print) {
            return Some(Match::new(earlier, met, 1.0, true));
        }
        let words: Vec<&str> = words(&text).collect();
        let minima = (self.rule.near.is_some() && words.len() >= LEAST_WORDS).then(|| self.minima(&words));
        if let Some(found) = minima.as_ref().and_then(|minima| self.nearest(minima, met)) {
            return Some(found);
        }
        self.keep(print, met, minima);
        None
    }

    /// Whether this text was met, but for case and white space.
    pub(crate) fn knows(&self, text: &str) -> bool {
        self.first.contains_key(&fingerprint(&comparable(text), self.rule.seed))
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

    /// The text that is most like this one, among the latest that share a band; of two alike, the later one.
    fn nearest(&self, minima: &[u32; MINIMA], met: Met) -> Option<Match> {
        let of_band = |key| self.bands.get(&key).map(|number| number - self.forgotten);
        let equal = |place: usize| self.signed[place].minima.iter().zip(minima).filter(|(a, b)| a == b).count();
        let (equal, place) = band_keys(minima).filter_map(of_band).map(|place| (equal(place), place)).max()?;
        let common = equal as f64 / MINIMA as f64;
        let near = self.rule.near.is_some_and(|least| common >= least);
        near.then(|| Match::new(self.signed[place].met, met, common, false))
    }

    fn keep(&mut self, print: u64, met: Met, minima: Option<Box<[u32; MINIMA]>>) {
        self.first.insert(print, met);
        self.order.push_back(print);
        if self.order.len() > EXACT_TIMES * self.rule.window
            && let Some(oldest) = self.order.pop_front()
        {
            self.first.remove(&oldest);
            self.forgetful = true;
        }
        let Some(minima) = minima else { return };
        let number = self.forgotten + self.signed.len();
        self.bands.extend(band_keys(&minima).map(|key| (key, number)));
        self.signed.push_back(Signed { met, minima });
        if self.signed.len() > self.rule.window
            && let Some(oldest) = self.signed.pop_front()
        {
            let Search { bands, forgotten, .. } = self;
            band_keys(&oldest.minima).for_each(|key| {
                if bands.get(&key) == Some(forgotten) {
                    bands.remove(&key);
                }
            });
            self.forgotten += 1;
            self.forgetful = true;
        }
    }

    /// Says so where texts were forgotten.
    pub(crate) fn notice(&self) -> Option<String> {
        let window = self.rule.window;
        self.forgetful.then(|| {
            format!(
                "near copies were looked for among the latest {window} different texts, exact ones among {}",
                EXACT_TIMES * window
            )
        })
    }
}

impl Match {
    fn new(earlier: Met, later: Met, common: f64, exact: bool) -> Match {
        let contradicts = matches!((earlier.class, later.class), (Some(a), Some(b)) if a != b);
        Match { earlier, exact, common, contradicts }
    }
}

/// Each band with a fingerprint of its minima.
fn band_keys(minima: &[u32; MINIMA]) -> impl Iterator<Item = (usize, u64)> + '_ {
    let key = |of_band: &[u32]| {
        let mut numbers = [0; MINIMA_OF_A_BAND];
        numbers.iter_mut().zip(of_band).for_each(|(number, least)| *number = u64::from(*least));
        Random::of(&numbers).bits()
    };
    minima.chunks_exact(MINIMA_OF_A_BAND).enumerate().map(move |(band, of_band)| (band, key(of_band)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of so many words, all different, of which the first `changed` are others than in the text of number 0.
    fn text(words: usize, number: usize, changed: usize) -> String {
        let word = |place: usize| if place < changed { format!("n{number}w{place}") } else { format!("w{place}") };
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    }

    fn met(line: usize, class: usize) -> Met {
        Met { line: Some(line as u64), class: Some(class) }
    }

    fn found(rule: CopyRule, texts: &[(String, usize)]) -> Copies {
        let (mut search, mut copies) = (Search::new(rule), Copies::default());
        for (index, (text, class)) in texts.iter().enumerate() {
            if let Some(found) = search.meet(text, met(index + 2, *class)) {
                copies.add(index as u64 + 2, &found);
            }
        }
        copies.finish()
    }

    #[test]
    fn copies_and_near_copies_are_told_apart_and_contradictions_come_first() {
        let (first, near, far) = (text(60, 0, 0), text(60, 1, 2), text(60, 2, 40));
        let texts =
            [(first.clone(), 0), (far, 0), (first.to_uppercase() + "  ", 0), (near, 1), ("short and sweet".into(), 0)];
        let copies = found(CopyRule::default(), &texts);
        assert_eq!((copies.exact, copies.exact_contradicting, copies.near, copies.near_contradicting), (1, 0, 1, 1));
        assert_eq!(copies.named[1], Copy { line: 4, of_line: 2, common: 1.0, contradicts: false });
        let near = &copies.named[0];
        // 56 of 60 runs are common.
        assert!((near.line, near.of_line) == (5, 2) && (near.common - 56.0 / 60.0).abs() < 0.08, "{near:?}");
        let exact_alone = found(CopyRule { near: None, ..CopyRule::default() }, &texts);
        assert_eq!((exact_alone.exact, exact_alone.near), (1, 0));
        let stricter = found(CopyRule { near: Some(0.99), ..CopyRule::default() }, &texts);
        assert_eq!((stricter.exact, stricter.near), (1, 0));
    }

    #[test]
    fn near_copies_are_found_where_no_spaces_part_the_words() {
        let text: String = ('一'..).take(60).collect();
        let copies = found(CopyRule::default(), &[(text.clone() + "很好！", 0), (text + "不好！", 1)]);
        assert_eq!((copies.exact, copies.near, copies.near_contradicting), (0, 1, 1));
    }

    #[test]
    fn the_estimate_is_near_the_truth() {
        let functions = Search::new(CopyRule::default());
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

    /// Pairs that share a given part of their runs, as often as the banding promises: 1 − (1 − s⁸)¹⁶.
    #[test]
    fn as_few_pairs_are_missed_as_is_said() {
        let missed = |changed: usize| {
            let texts = |pair: usize| {
                let whole: Vec<String> = (0..102).map(|place| format!("p{pair}w{place}")).collect();
                let mut other = whole.clone();
                other.iter_mut().take(changed).for_each(|word| word.push('x'));
                (whole.join(" "), other.join(" "))
            };
            let share_a_band = |pair: usize| {
                let (mut search, (one, other)) = (Search::new(CopyRule::default()), texts(pair));
                search.meet(&one, met(2, 0));
                let minima = search.minima(&words(&other).collect::<Vec<_>>());
                band_keys(&minima).any(|key| search.bands.contains_key(&key))
            };
            (0..200).filter(|pair| !share_a_band(*pair)).count()
        };
        // A share of 90 / 110 is missed with a chance of 0.028, one of 95 / 105 with 0.0001.
        assert!((1..=16).contains(&missed(10)), "{}", missed(10));
        assert!(missed(5) <= 1, "{}", missed(5));
    }

    #[test]
    fn what_is_forgotten_was_met_first() {
        let rule = CopyRule { window: 2, ..CopyRule::default() };
        let mut search = Search::new(rule);
        let different = |number: usize| text(60, number, 60);
        assert!((1..=3).all(|number| search.meet(&different(number), met(number, 0)).is_none()));
        // Two near copies are remembered and twenty exact ones.
        let nearly = |number: usize| different(number) + " more";
        assert!(search.meet(&nearly(1), met(4, 0)).is_none(), "the first is forgotten");
        assert!(search.meet(&nearly(3), met(5, 0)).is_some_and(|found| !found.exact));
        assert!(search.meet(&different(1), met(6, 0)).is_some_and(|found| found.exact));
        assert!(search.notice().is_some_and(|notice| notice.contains("latest 2 different texts, exact ones among 20")));
        assert!((10..40).all(|number| search.meet(&different(number), met(number, 0)).is_none()));
        assert_eq!((search.first.len(), search.signed.len(), search.bands.len() <= 2 * BANDS), (20, 2, true));
        assert!(search.meet(&different(10), met(50, 0)).is_none(), "it is forgotten by now");
    }
}
