//! Whether two sets of texts use the same words.
//!
//! What a word tells about the set it comes from is their mutual information; over all pairs of a text and one of its words it is
//! also the divergence of Jensen and Shannon between both vocabularies (Lin 1991, <https://doi.org/10.1109/18.61115>). Divided by
//! the entropy of the sets it goes from 0 to 1. Two samples of one source never share all their words, so what it is by chance,
//! the mean over permutations of the texts, is taken off as in the adjusted mutual information of Vinh, Epps and Bailey
//! (2010, <https://jmlr.org/papers/v11/vinh10a.html>). Whole texts are permuted, because words of one text come together.

use std::collections::HashMap;

use super::Answer;
use crate::random::SplitMix64;

/// Texts of each side that are looked at.
const MOST_TEXTS: usize = 1_000;
/// Permutations; the smallest p-value is one over this number and one.
const PERMUTATIONS: usize = 999;

/// Compares the words of texts; nothing where a side has none.
pub(super) fn compare([reference, fresh]: [&[Vec<u32>]; 2], seed: u64) -> Option<Answer> {
    let mut random = SplitMix64::new(seed);
    let sides = [reference, fresh].map(|texts| drawn(texts, &mut random));
    let texts = Texts::new(&sides);
    let mut order: Vec<usize> = (0..texts.words.len()).collect();
    let fresh_texts = sides[1].len();
    let observed = texts.information(&order[sides[0].len()..])?;
    let (mut sum, mut as_large) = (0.0, 0_u32);
    for _ in 0..PERMUTATIONS {
        // The first texts of a shuffled order play the fresh ones.
        for place in 0..fresh_texts {
            let other = place + random.below(order.len() - place);
            order.swap(place, other);
        }
        let by_chance = texts.information(&order[..fresh_texts]).unwrap_or(0.0);
        sum += by_chance;
        as_large += u32::from(by_chance >= observed - 1e-12);
    }
    let chance = sum / PERMUTATIONS as f64;
    let effect = if chance < 1.0 { ((observed - chance) / (1.0 - chance)).max(0.0) } else { 0.0 };
    Some(Answer { effect, p_value: f64::from(as_large + 1) / (PERMUTATIONS + 1) as f64 })
}

/// At most so many texts, drawn without replacement.
fn drawn<'a>(texts: &'a [Vec<u32>], random: &mut SplitMix64) -> Vec<&'a [u32]> {
    let mut texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let kept = texts.len().min(MOST_TEXTS);
    for place in 0..kept {
        let other = place + random.below(texts.len() - place);
        texts.swap(place, other);
    }
    texts.truncate(kept);
    texts
}

/// Texts of both sides, whose words are numbered from 0.
struct Texts {
    words: Vec<Vec<usize>>,
    /// In how many texts each word is.
    totals: Vec<usize>,
    /// `x ln x` of all whole numbers up to the number of texts.
    x_log_x: Vec<f64>,
}

impl Texts {
    fn new(sides: &[Vec<&[u32]>; 2]) -> Self {
        let mut numbers = HashMap::new();
        let mut totals = Vec::new();
        let number = |word: &u32| {
            let next = numbers.len();
            let number = *numbers.entry(*word).or_insert(next);
            totals.resize(totals.len().max(number + 1), 0);
            totals[number] += 1;
            number
        };
        let mut number = number;
        let words: Vec<Vec<usize>> =
            sides.iter().flatten().map(|text| text.iter().map(&mut number).collect()).collect();
        let x_log_x = (0..=words.len()).map(|x| x_log_x(x as f64)).collect();
        Self { words, totals, x_log_x }
    }

    /// The share of the entropy of the sides that words take away, where the texts `fresh` are one side and all others the
    /// other; nothing where a side has no words.
    fn information(&self, fresh: &[usize]) -> Option<f64> {
        let mut counts = vec![0_usize; self.totals.len()];
        fresh.iter().flat_map(|&text| &self.words[text]).for_each(|&word| counts[word] += 1);
        let of_fresh: usize = counts.iter().sum();
        let all: usize = self.totals.iter().sum();
        if of_fresh == 0 || of_fresh == all {
            return None;
        }
        let left = |(&count, &total): (&usize, &usize)| {
            self.x_log_x[total] - self.x_log_x[count] - self.x_log_x[total - count]
        };
        let unexplained: f64 = counts.iter().zip(&self.totals).map(left).sum();
        let [all, of_fresh] = [all as f64, of_fresh as f64];
        Some(1.0 - unexplained / (x_log_x(all) - x_log_x(of_fresh) - x_log_x(all - of_fresh)))
    }
}

fn x_log_x(x: f64) -> f64 {
    if x > 0.0 { x * x.ln() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn information_is_scikit_learns_and_chance_is_scipys() {
        let golden: Value = serde_json::from_str(include_str!("../../tests/golden/drift.json")).expect("JSON");
        for case in golden["vocabulary"].as_array().expect("cases") {
            let sides: [Vec<Vec<u32>>; 2] =
                ["reference", "fresh"].map(|side| serde_json::from_value(case[side].clone()).expect("words"));
            let value = |key: &str| case[key].as_f64().expect(key);
            let slices = sides.each_ref().map(|side| side.iter().map(Vec::as_slice).collect());
            let all: Vec<usize> = (0..sides[0].len() + sides[1].len()).collect();
            let information = Texts::new(&slices).information(&all[sides[0].len()..]).expect("words");
            assert!((information - value("information")).abs() < 1e-9, "{information}");
            let answer = compare([&sides[0], &sides[1]], 7).expect("words");
            // Both draw permutations: four standard deviations of the difference.
            let p = value("p_value");
            let tolerance = 4.0 * (p * (1.0 - p) * (1.0 / 999.0 + 1.0 / 9_999.0)).sqrt() + 2e-3;
            assert!((answer.p_value - p).abs() < tolerance, "{answer:?}, SciPy says {p}");
            assert!((answer.effect - value("effect")).abs() < 0.01, "{answer:?}, by SciPy {}", value("effect"));
        }
    }

    #[test]
    fn other_words_are_all_the_way_apart() {
        let text = |first: u32| (0..60).map(|i| vec![first + i % 9, first + 10 + i % 4]).collect::<Vec<_>>();
        let apart = compare([&text(0), &text(100)], 0).expect("words");
        assert!(apart.effect > 0.999 && apart.p_value == 0.001, "{apart:?}");
        assert_eq!(compare([&text(0), &[]], 0), None);
        assert_eq!(compare([&text(0), &text(5)], 3), compare([&text(0), &text(5)], 3));
    }
}
