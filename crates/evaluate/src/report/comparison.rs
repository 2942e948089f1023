//! Two models side by side: what their difference says in words, as a table, and on which texts they part.

use serde::Serialize;

use super::html::Range;
use super::{Verdict, names, words};
use crate::{Average, Comparison, Difference, Estimate, Metric, Predictions};

/// Below this many discordant rows no split of them is more than chance at the usual level: 2 · ½⁵ is above 0.05.
const LEAST_DISCORDANT: usize = 6;

/// A comparison with the names of the two models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedComparison {
    /// The first model, which the differences are taken from.
    pub first: String,
    /// The second model.
    pub second: String,
    /// The numbers.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Texts on which only one of the two is right, in the order of the file.
    pub disagreements: Vec<Disagreement>,
}

/// A text on which only one of two models is right.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disagreement {
    /// Line of the text in its file.
    pub line: u64,
    /// The text.
    pub text: String,
    /// The label or labels that people gave.
    pub truth: String,
    /// What the first model said.
    pub first: String,
    /// What the second model said.
    pub second: String,
}

impl NamedComparison {
    /// Whether the second model, the first or neither is right on more rows.
    fn better(&self) -> Option<(&str, &str)> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let (first, second) = (self.first.as_str(), self.second.as_str());
        match self.comparison.only_second.len().cmp(&self.comparison.only_first.len()) {
            Greater => Some((second, first)),
            Less => Some((first, second)),
            Equal => None,
        }
    }

    /// Which model is better, in one sentence, and what to know before believing it.
    pub fn verdict(&self) -> Verdict {
        let Comparison { n, only_first, only_second, p_value, .. } = &self.comparison;
        let rows = if *n == 1 { "1 row".to_owned() } else { format!("{n} rows") };
        let discordant = only_first.len() + only_second.len();
        let headline = match self.better() {
            None if discordant == 0 => {
                format!("No difference: {} and {} are right on the same of {rows}.", self.first, self.second)
            }
            None => format!("No difference: {} and {} are right on as many of {rows}.", self.first, self.second),
            Some((better, worse)) => {
                let points = 100.0 * only_second.len().abs_diff(only_first.len()) as f64 / *n as f64;
                let chance = if self.comparison.is_more_than_chance() { "more than chance" } else { "could be chance" };
                format!(
                    "{better} is {points:.1} points better than {worse} on {rows}: {chance}, {}.",
                    words::p_in_words(*p_value)
                )
            }
        };
        let mut remarks = vec![format!(
            "Only {} is right on {}, only {} on {}; both on {}, neither on {}.",
            self.first,
            only_first.len(),
            self.second,
            only_second.len(),
            self.comparison.both_right,
            self.comparison.both_wrong
        )];
        if (1..LEAST_DISCORDANT).contains(&discordant) {
            remarks.push("They part on so few rows that no difference could be told from chance.".into());
        }
        remarks.extend(self.macro_f1());
        remarks.push(if self.second_replaces_first() {
            format!("As a successor: replace {} by {}.", self.first, self.second)
        } else {
            format!("As a successor: keep {}; {} is not shown to be better.", self.first, self.second)
        });
        Verdict { headline, remarks }
    }

    /// Whether the second model should take the place of the first: it is right more often, by more than chance, and macro F1
    /// does not clearly say otherwise.
    pub fn second_replaces_first(&self) -> bool {
        let f1 = self.comparison.of(&Metric::F1(Average::Macro)).filter(|difference| difference.is_clear());
        let more_often = self.comparison.only_second.len() > self.comparison.only_first.len();
        more_often && self.comparison.is_more_than_chance() && f1.is_none_or(|f1| f1.difference.value > 0.0)
    }

    /// What macro F1 says where that is clear and the accuracy is not, or says otherwise.
    fn macro_f1(&self) -> Option<String> {
        let f1 = self.comparison.of(&Metric::F1(Average::Macro)).filter(|difference| difference.is_clear())?;
        let (better, worse) =
            if f1.difference.value > 0.0 { (&self.second, &self.first) } else { (&self.first, &self.second) };
        let told = self.comparison.is_more_than_chance() && self.better().is_some_and(|(name, _)| name == better);
        (!told).then(|| {
            let interval = points(f1);
            format!("In macro F1, where rare classes count as much as frequent ones, {better} is ahead of {worse}: {interval} points.")
        })
    }
}

/// One metric of both models as a row of a table.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) first: String,
    pub(super) second: String,
    pub(super) difference: String,
    pub(super) interval: String,
    /// The model that the interval clearly calls better, if it leaves out zero.
    pub(super) better: Option<String>,
    /// Where difference and interval lie between the greatest difference either way, in percent.
    pub(super) range: Range,
}

/// The metrics of both models, in the order of a report's table.
pub(super) fn rows(named: &NamedComparison) -> Vec<Row> {
    let shown = words::table().into_iter().filter_map(|entry| Some((entry.name, named.comparison.of(&entry.metric)?)));
    let shown: Vec<(&'static str, &Difference)> = shown.collect();
    let ends = shown.iter().flat_map(|(_, d)| [d.difference.low.abs(), d.difference.high.abs()]);
    let most = ends.fold(f64::MIN_POSITIVE, f64::max);
    let percent = |difference: f64| (500.0 * (1.0 + difference / most)).round() / 10.0;
    let row = |(name, difference): (&'static str, &Difference)| {
        let Estimate { value, low, high } = difference.difference;
        let better = if difference.metric.higher_is_better() == (value > 0.0) { &named.second } else { &named.first };
        Row {
            name,
            first: words::number(difference.first),
            second: words::number(difference.second),
            difference: words::signed(value),
            interval: format!("{} to {}", words::signed(low), words::signed(high)),
            better: difference.is_clear().then(|| better.clone()),
            range: Range { low: percent(low), width: percent(high) - percent(low), value: percent(value) },
        }
    };
    shown.into_iter().map(row).collect()
}

/// How the numbers of a comparison were found, in one sentence.
pub(super) fn method(comparison: &Comparison) -> String {
    format!(
        "The sentence is McNemar's exact test on the rows that only one has right. Intervals of the differences hold the true \
         one in {} of 100 such tests: the paired bootstrap over texts with {} resamples. Many metrics side by side make it \
         likely that one of them looks clear by chance.",
        (100.0 * comparison.confidence).round(),
        comparison.resamples
    )
}

/// `4.1 (1.2 to 7.0)`, in points, the greater end last and without regard to who is ahead.
fn points(difference: &Difference) -> String {
    let [value, low, high] = [difference.difference.value, difference.difference.low, difference.difference.high];
    let (value, low, high) = if value < 0.0 { (-value, -high, -low) } else { (value, low, high) };
    format!("{:.1} ({:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high)
}

impl Disagreement {
    /// The texts on which only one of two models is right, at most `limit`. `source` gives line and text of a row.
    pub fn list(
        comparison: &Comparison,
        predictions: [&Predictions; 2],
        limit: usize,
        source: impl Fn(usize) -> (u64, String),
    ) -> Vec<Self> {
        let mut rows: Vec<usize> = comparison.only_first.iter().chain(&comparison.only_second).copied().collect();
        rows.sort_unstable();
        rows.truncate(limit);
        let disagreement = |row: usize| {
            let (line, text) = source(row);
            let said = |predictions: &Predictions| names(predictions, &predictions.predicted(row));
            let [first, second] = predictions.map(said);
            Self { line, text, truth: names(predictions[0], &predictions[0].true_classes(row)), first, second }
        };
        rows.into_iter().map(disagreement).collect()
    }
}
