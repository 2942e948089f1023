//! Samples, medians and ratios.

use super::contender::{Sample, Side};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Seconds of one optimiser step.
    StepSeconds,
    /// Tokens a second, padding not counted.
    TokensPerSecond,
    /// Texts a second.
    TextsPerSecond,
    /// Seconds from one text to its answer, the model being loaded.
    OneText,
    /// Seconds from the start of the process to its end.
    WholeSeconds,
    /// The most memory the process had, in bytes.
    PeakMemory,
    /// Share of the test texts that were right.
    Accuracy,
    /// Macro F1 on the test texts.
    MacroF1,
    /// 10^9 multiplications and additions a second.
    Gigaflops,
}

impl Metric {
    /// The head of its column.
    pub fn title(self) -> &'static str {
        match self {
            Self::StepSeconds => "s a step",
            Self::TokensPerSecond => "tokens/s",
            Self::TextsPerSecond => "texts/s",
            Self::OneText => "one text, ms",
            Self::WholeSeconds => "whole process, s",
            Self::PeakMemory => "peak memory, MB",
            Self::Accuracy => "accuracy",
            Self::MacroF1 => "macro F1",
            Self::Gigaflops => "GFLOP/s",
        }
    }

    /// The value in the unit of the column.
    pub fn format(self, value: f64) -> String {
        match self {
            Self::StepSeconds | Self::WholeSeconds if value >= 10.0 => format!("{value:.1}"),
            Self::StepSeconds | Self::WholeSeconds => format!("{value:.3}"),
            Self::TokensPerSecond | Self::TextsPerSecond | Self::Gigaflops => format!("{value:.0}"),
            Self::OneText => format!("{:.2}", value * 1e3),
            Self::PeakMemory => format!("{:.0}", value / 1e6),
            Self::Accuracy | Self::MacroF1 => format!("{value:.4}"),
        }
    }

    /// How many times better `value` is than `other`; `None` for what is no race.
    pub fn times_better(self, value: f64, other: f64) -> Option<f64> {
        match self {
            Self::StepSeconds | Self::OneText | Self::WholeSeconds | Self::PeakMemory => Some(other / value),
            Self::TokensPerSecond | Self::TextsPerSecond | Self::Gigaflops => Some(value / other),
            Self::Accuracy | Self::MacroF1 => None,
        }
    }
}

/// All samples of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What is compared.
    pub name: String,
    /// Whose it is.
    pub side: Side,
    values: Vec<(Metric, f64)>,
}

impl Row {
    /// The samples of a metric, in the order of the rounds.
    pub fn values(&self, metric: Metric) -> Vec<f64> {
        self.values.iter().filter(|(of, _)| *of == metric).map(|&(_, value)| value).collect()
    }

    /// The median of a metric that was measured.
    pub fn median(&self, metric: Metric) -> Option<f64> {
        median(&self.values(metric))
    }
}

/// The rows of a table, in the order in which they were first seen, and what failed.
#[derive(Debug, Default)]
pub struct Results {
    /// The rows.
    pub rows: Vec<Row>,
    /// A sentence for each contender that could not be run.
    pub failures: Vec<String>,
}

impl Results {
    /// Adds a sample to its row.
    pub fn add(&mut self, side: Side, sample: Sample) {
        match self.rows.iter_mut().find(|row| row.name == sample.name) {
            Some(row) => row.values.extend(sample.values),
            None => self.rows.push(Row { name: sample.name, side, values: sample.values }),
        }
    }

    /// The best median of the peers.
    pub fn best_peer(&self, metric: Metric) -> Option<f64> {
        let peers = self.rows.iter().filter(|row| row.side == Side::Peer).filter_map(|row| row.median(metric));
        peers.reduce(|best, value| if metric.times_better(value, best) > Some(1.0) { value } else { best })
    }

    /// How many times better than the best peer this row is.
    pub fn factor(&self, row: &Row, metric: Metric) -> Option<f64> {
        metric.times_better(row.median(metric)?, self.best_peer(metric)?)
    }

    /// The best factor of ours.
    pub fn our_factor(&self, metric: Metric) -> Option<f64> {
        let ours = self.rows.iter().filter(|row| row.side == Side::Ours);
        ours.filter_map(|row| self.factor(row, metric)).max_by(f64::total_cmp)
    }

    /// How many times its quiet time a row named `X, busy` takes; its quiet row is `X`.
    pub fn slowdown(&self, row: &Row) -> Option<f64> {
        let name = row.name.strip_suffix(super::sections::BUSY)?;
        let quiet = self.rows.iter().find(|row| row.name == name)?;
        Some(row.median(Metric::StepSeconds)? / quiet.median(Metric::StepSeconds)?)
    }
}

/// The middle of the values, or the mean of the two in the middle; `None` of none.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (upper, lower) = (sorted.get(sorted.len() / 2)?, sorted.get((sorted.len() - 1) / 2)?);
    Some((upper + lower) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(samples: &[(&str, Side, Metric, f64)]) -> Results {
        let mut results = Results::default();
        for &(name, side, metric, value) in samples {
            results.add(side, Sample { name: name.to_owned(), values: vec![(metric, value)] });
        }
        results
    }

    #[test]
    fn medians_are_of_each_row_alone() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        let all = results(&[
            ("a", Side::Ours, Metric::StepSeconds, 9.0),
            ("b", Side::Peer, Metric::StepSeconds, 7.0),
            ("a", Side::Ours, Metric::StepSeconds, 1.0),
            ("a", Side::Ours, Metric::StepSeconds, 2.0),
        ]);
        assert_eq!(all.rows[0].median(Metric::StepSeconds), Some(2.0));
        assert_eq!(all.rows[0].values(Metric::StepSeconds), [9.0, 1.0, 2.0]);
        assert_eq!(all.rows[0].median(Metric::Accuracy), None);
    }

    #[test]
    fn factors_are_against_the_peer_that_is_best_in_this_metric() {
        let all = results(&[
            ("ours", Side::Ours, Metric::StepSeconds, 0.5),
            ("slow", Side::Peer, Metric::StepSeconds, 4.0),
            ("fast", Side::Peer, Metric::StepSeconds, 1.5),
            ("ours", Side::Ours, Metric::TextsPerSecond, 900.0),
            ("slow", Side::Peer, Metric::TextsPerSecond, 600.0),
            ("fast", Side::Peer, Metric::TextsPerSecond, 300.0),
        ]);
        assert_eq!(all.our_factor(Metric::StepSeconds), Some(3.0));
        assert_eq!(all.our_factor(Metric::TextsPerSecond), Some(1.5));
        assert_eq!(all.factor(&all.rows[1], Metric::StepSeconds), Some(0.375));
        assert_eq!(all.our_factor(Metric::Accuracy), None);
    }

    #[test]
    fn a_busy_row_is_compared_with_its_own_quiet_one() {
        let all = results(&[
            ("ours", Side::Ours, Metric::StepSeconds, 0.5),
            ("torch", Side::Peer, Metric::StepSeconds, 1.0),
            ("ours, busy", Side::Ours, Metric::StepSeconds, 1.0),
            ("torch, busy", Side::Peer, Metric::StepSeconds, 8.0),
        ]);
        let slowdowns: Vec<_> = all.rows.iter().map(|row| all.slowdown(row)).collect();
        assert_eq!(slowdowns, [None, None, Some(2.0), Some(8.0)]);
    }
}
