//! Words and pairs of words that mark a class.
//!
//! The log-odds ratio of a term between a class and the others, with a prior that is informed by all of the file: Monroe,
//! Colaresi and Quinn, *Fightin' Words*, Political Analysis 16 (2008), <https://doi.org/10.1093/pan/mpn018>, equations 16 to
//! 22. The prior draws rare words, whose counts say little, towards no difference; the score is in standard deviations.

use std::collections::HashMap;

use serde::Serialize;

use crate::words::{is_in_word, is_unspaced, pieces};

/// Terms that are counted at a time. Where there are more, the rarest are forgotten.
const MOST_TERMS: usize = 500_000;
/// Terms in all that the prior is worth.
const PRIOR: f64 = 500.0;
/// Terms named for a class.
const NAMED: usize = 15;
/// A term that occurs less often says nothing.
const LEAST: u32 = 3;
/// A score below this is no more than chance would bring about in a single term.
const LEAST_SCORE: f64 = 1.96;

/// A word, or two words that follow each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Term {
    /// The words, in lower case.
    pub text: String,
    /// How often it occurs in texts of the class.
    pub count: u32,
    /// How often it occurs in the other texts.
    pub others: u32,
    /// The log-odds ratio in standard deviations.
    pub score: f64,
}

/// How often terms occur in each class.
pub(super) struct Vocabulary {
    counts: HashMap<String, Vec<u32>>,
    /// Terms counted in each class, those that were forgotten included.
    totals: Vec<u64>,
    /// Terms seen no more often than this have been forgotten at least once.
    forgotten: u32,
}

impl Vocabulary {
    pub(super) fn new(classes: usize) -> Vocabulary {
        Vocabulary { counts: HashMap::new(), totals: vec![0; classes], forgotten: 0 }
    }

    /// Counts the terms of a text. Pairs do not reach from one part to the next.
    pub(super) fn add<'a>(&mut self, parts: impl Iterator<Item = &'a str>, classes: &[usize]) {
        for part in parts {
            let words: Vec<String> = words(part).collect();
            let pairs = words.windows(2).map(pair);
            for term in words.iter().cloned().chain(pairs) {
                let counts = self.counts.entry(term).or_insert_with(|| vec![0; self.totals.len()]);
                classes.iter().for_each(|&class| counts[class] += 1);
                classes.iter().for_each(|&class| self.totals[class] += 1);
            }
        }
        while self.counts.len() > MOST_TERMS {
            self.forgotten += 1;
            let forgotten = self.forgotten;
            self.counts.retain(|_, counts| counts.iter().sum::<u32>() > forgotten);
        }
    }

    pub(super) fn notice(&self) -> Option<String> {
        (self.forgotten > 0).then(|| {
            format!(
                "there are more than {MOST_TERMS} different words and pairs of words: those seen at most {} times when memory \
                 was full were forgotten",
                self.forgotten
            )
        })
    }

    /// For each class the terms that mark it, the surest first.
    pub(super) fn marking(&self) -> Vec<Vec<Term>> {
        let all: u64 = self.totals.iter().sum();
        let of_class = |class: usize| {
            let mut terms: Vec<Term> = self
                .counts
                .iter()
                .filter(|(_, counts)| counts[class] >= LEAST)
                .map(|(text, counts)| {
                    let (count, sum) = (counts[class], counts.iter().sum::<u32>());
                    let total = self.totals[class];
                    let score = score((count, total), (sum - count, all - total), f64::from(sum) / all as f64);
                    Term { text: text.clone(), count, others: sum - count, score }
                })
                .filter(|term| term.score >= LEAST_SCORE)
                .collect();
            // The text decides among equals, so that no order of a hash map is seen.
            terms.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.text.cmp(&b.text)));
            terms.truncate(NAMED);
            terms
        };
        (0..self.totals.len()).map(of_class).collect()
    }
}

/// The log-odds ratio of a term in standard deviations: its count of a total here and elsewhere, and its share of everything,
/// which the prior follows.
fn score((here, all_here): (u32, u64), (there, all_there): (u32, u64), share: f64) -> f64 {
    let prior = PRIOR * share;
    let odds = |count: u32, total: u64| {
        let count = f64::from(count) + prior;
        (count / (total as f64 + PRIOR - count)).ln()
    };
    let variance = 1.0 / (f64::from(here) + prior) + 1.0 / (f64::from(there) + prior);
    (odds(here, all_here) - odds(there, all_there)) / variance.sqrt()
}

/// The words of a text: letters and digits in lower case, with apostrophes and hyphens between them; where a script has no
/// spaces, the pieces of [`crate::words`].
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let inner = |c: char| is_in_word(c) || c == '\'' || c == '’' || c == '-';
    let runs = text.split(move |c: char| !inner(c)).map(|run| run.trim_matches(['\'', '’', '-']));
    let spelt = runs.filter(|run| run.contains(char::is_alphanumeric)).flat_map(pieces);
    spelt.map(|word| word.to_lowercase().replace('’', "'"))
}

/// Two words that follow each other, as their script writes them.
fn pair(words: &[String]) -> String {
    let [first, second] = words else { unreachable!("a pair has two words") };
    let unspaced = first.ends_with(is_unspaced) && second.starts_with(is_unspaced);
    format!("{first}{}{second}", if unspaced { "" } else { " " })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_has_words() {
        let found = |text| words(text).collect::<Vec<String>>();
        assert_eq!(found("Nebrat! ❤\u{fe0f} ‘Příšerný’ e-shop"), ["nebrat", "příšerný", "e-shop"]);
        assert_eq!(found("नहीं, مُمْتاز"), ["नहीं", "مُمْتاز"]);
        assert_eq!(found("很好！5星"), ["很", "好", "5", "星"]);
        let mut vocabulary = Vocabulary::new(1);
        vocabulary.add("很好 OK".lines(), &[0]);
        assert!(["很好", "好 ok"].into_iter().all(|pair| vocabulary.counts.contains_key(pair)));
    }

    #[test]
    fn scores_are_those_of_the_paper() {
        // Computed apart, by the equations of the paper in NumPy.
        let close = |ours: f64, theirs: f64| assert!((ours - theirs).abs() < 1e-9, "{ours}, not {theirs}");
        close(score((30, 1_000), (10, 3_000), 0.01), 5.553705290752667);
        close(score((3, 200), (900, 90_000), 903.0 / 90_200.0), 0.3821787898232974);
        close(score((0, 500), (4, 700), 4.0 / 1_200.0), -1.1853700032560681);
    }

    #[test]
    fn the_words_of_a_class_are_found_and_those_of_both_are_not() {
        let mut vocabulary = Vocabulary::new(2);
        for number in 0..40 {
            let (word, class) = [("Don't buy", 0), ("Lovely", 1)][number % 2];
            vocabulary.add(format!("the kettle: {word}, no. {number}").lines(), &[class]);
        }
        let marking = vocabulary.marking();
        let named = |class: usize| marking[class].iter().map(|term| term.text.as_str()).collect::<Vec<_>>();
        assert!(named(0).contains(&"don't buy") && named(1).contains(&"kettle lovely"), "{marking:?}");
        assert!(!named(0).contains(&"kettle") && !named(1).contains(&"kettle"));
        assert_eq!(
            marking[1].iter().find(|term| term.text == "lovely").map(|term| (term.count, term.others)),
            Some((20, 0))
        );
    }
}
