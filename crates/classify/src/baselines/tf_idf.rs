//! Words and pairs of words, weighted by how much they say.
//!
//! A term that occurs `t` times in a text weighs `(1 + ln t) · (1 + ln((1 + n) / (1 + d)))` there, where `d` of the `n`
//! training texts have it, and each row is divided by its length: scikit-learn's `TfidfVectorizer(ngram_range=(1, 2),
//! sublinear_tf=True)`. Two things are otherwise, because that class has no words of some languages: marks on letters belong to
//! a word, and a script without spaces has the pieces of [`finetone_data::words`] for words.

use std::collections::HashMap;

use finetone_data::words::{is_in_word, is_unspaced, pieces};

use super::linear::Featurise;
use super::matrix::{Matrix, Sparse};
use crate::ClassifyError;

/// The most terms; where there are more, those of the fewest texts are left out.
const MOST_TERMS: usize = 200_000;

/// The terms of the training texts and their weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TfIdf {
    /// Ascending.
    terms: Vec<String>,
    columns: HashMap<String, u32>,
    /// `1 + ln((1 + n) / (1 + d))` of each.
    pub(super) weights: Vec<f64>,
}

impl TfIdf {
    /// Counts in how many of the texts each term is.
    pub(super) fn fit(texts: &[&str]) -> Self {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for text in texts {
            let mut terms = terms(text);
            terms.sort_unstable();
            terms.dedup();
            terms.into_iter().for_each(|term| *counts.entry(term).or_default() += 1);
        }
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(MOST_TERMS);
        counts.sort_unstable();
        let weight = |count: usize| 1.0 + ((1 + texts.len()) as f64 / (1 + count) as f64).ln();
        let weights = counts.iter().map(|(_, count)| weight(*count)).collect();
        let terms: Vec<String> = counts.into_iter().map(|(term, _)| term).collect();
        let columns = terms.iter().cloned().zip(0..).collect();
        Self { terms, columns, weights }
    }

    /// The terms in the order of the columns.
    pub(super) fn terms(&self) -> &[String] {
        &self.terms
    }

    /// A row for each text; terms that the training texts do not have count for nothing.
    pub(super) fn rows(&self, texts: &[&str]) -> Matrix {
        let mut rows = Sparse::new(self.terms.len());
        for text in texts {
            let mut columns: Vec<u32> = terms(text).iter().filter_map(|term| self.columns.get(term).copied()).collect();
            columns.sort_unstable();
            let weight = |run: &[u32]| (1.0 + (run.len() as f64).ln()) * self.weights[run[0] as usize];
            let row: Vec<(u32, f64)> = columns.chunk_by(|a, b| a == b).map(|run| (run[0], weight(run))).collect();
            let length = row.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
            rows.push(row.into_iter().map(|(column, value)| (column, value / length)));
        }
        Matrix::Sparse(rows)
    }
}

/// The words of a text and the pairs of neighbours. A word is two or more letters, digits or underscores in a row, in
/// lower case, or a piece of a script without spaces.
fn terms(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let is_word = |word: &&str| word.contains(is_unspaced) || word.chars().filter(|&c| is_letter(c)).nth(1).is_some();
    let runs = text.split(|c: char| !is_in_word(c) && c != '_');
    let words: Vec<&str> = runs.flat_map(pieces).filter(is_word).collect();
    let pairs = words.windows(2).map(|pair| pair.join(" "));
    words.iter().map(|word| (*word).to_owned()).chain(pairs).collect()
}

impl Featurise for TfIdf {
    fn features(&mut self, texts: &[&str]) -> Result<(Matrix, usize), ClassifyError> {
        Ok((self.rows(texts), 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_has_terms() {
        assert_eq!(terms("很好。5星"), ["很", "好", "星", "很 好", "好 星"]);
        assert_eq!(terms("नहीं! a şikâyet"), ["नहीं", "şikâyet", "नहीं şikâyet"]);
        assert!(terms("❤\u{fe0f}").is_empty());
    }

    #[test]
    fn a_text_without_a_known_term_is_a_row_of_zeros() {
        let words = TfIdf::fit(&["Good lamp, good price!", "a bad lamp"]);
        assert_eq!(words.terms(), ["bad", "bad lamp", "good", "good lamp", "good price", "lamp", "lamp good", "price"]);
        let rows = words.rows(&["", "unheard of", "lamp"]);
        let mut all = Vec::new();
        (0..3).for_each(|row| rows.row(row).for_each(|column, value| all.push((row, column, value))));
        assert_eq!(all, [(2, 5, 1.0)]);
    }
}
