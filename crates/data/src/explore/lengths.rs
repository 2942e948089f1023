//! How long texts are.

use std::collections::BTreeMap;

use serde::Serialize;

/// Bins over all lengths of a file.
const BINS: usize = 30;

/// How often each length occurs.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram(BTreeMap<usize, usize>);

/// The lengths of some texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lengths {
    /// The mean.
    pub mean: f64,
    /// The least length, and those that 10, 25, 50, 75 and 90 of 100 texts do not exceed, and the greatest.
    pub quantiles: [usize; 7],
    /// Thirty bins of equal width, the same for every class.
    pub bins: Vec<Bin>,
}

/// The texts with a length in a range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// The middle of the range.
    pub middle: f64,
    /// Share of the texts of the class.
    pub share: f64,
}

impl Histogram {
    pub(super) fn add(&mut self, length: usize) {
        *self.0.entry(length).or_default() += 1;
    }

    pub(super) fn greatest(&self) -> usize {
        self.0.last_key_value().map_or(0, |(length, _)| *length)
    }

    /// Quantiles and bins from zero to `most`.
    pub(super) fn lengths(&self, most: usize) -> Lengths {
        let rows: usize = self.0.values().sum();
        let total: f64 = self.0.iter().map(|(length, count)| (length * count) as f64).sum();
        let width = (most as f64 / BINS as f64).max(1.0);
        let mut bins: Vec<Bin> = (0..BINS).map(|bin| Bin { middle: (bin as f64 + 0.5) * width, share: 0.0 }).collect();
        for (length, count) in &self.0 {
            let bin = ((*length as f64 / width) as usize).min(BINS - 1);
            bins[bin].share += *count as f64 / rows as f64;
        }
        Lengths {
            mean: total / rows.max(1) as f64,
            quantiles: [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0].map(|share| self.quantile(share, rows)),
            bins,
        }
    }

    /// The least length that so great a share of the texts does not exceed.
    fn quantile(&self, share: f64, rows: usize) -> usize {
        let wanted = ((share * rows as f64).ceil() as usize).max(1);
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += **count;
            seen >= wanted
        });
        found.map_or(0, |(length, _)| *length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_lengths_that_occur() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|length| histogram.add(length));
        let lengths = histogram.lengths(100);
        assert_eq!(lengths.quantiles, [1, 10, 25, 50, 75, 90, 100]);
        assert_eq!(lengths.mean, 50.5);
        assert!((lengths.bins.iter().map(|bin| bin.share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(Histogram::default().lengths(0).quantiles, [0; 7]);
    }
}
