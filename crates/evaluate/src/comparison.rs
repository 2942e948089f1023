//! Two models on the same rows: which is better, and whether that is more than chance.
//!
//! Whether one is right more often is asked by McNemar's test (1947) in its exact form: of the rows that only one of the two
//! has right, as many should fall to either if they were equally good, so the count of one side is binomial with one half
//! (two-sided). With several labels per text a row is right if all its labels are.
//!
//! How far apart they are in any metric has the paired bootstrap (Efron and Tibshirani 1993; Koehn 2004,
//! <https://aclanthology.org/W04-3250>): rows are drawn anew, both models are measured on the same draw, and the interval
//! spans the middle of the differences. Being paired, it is narrower than two intervals held against each other.

use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF};

use crate::interval::{middle, resample};
use crate::metric::Metric;
use crate::metrics::{Facts, accuracy};
use crate::{Estimate, EvaluateError, EvaluationOptions, Predictions};

/// How two sets of predictions of the same rows differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Number of rows.
    pub n: usize,
    /// Rows that both have right.
    pub both_right: usize,
    /// Rows that only the first has right, ascending.
    #[serde(serialize_with = "count")]
    pub only_first: Vec<usize>,
    /// Rows that only the second has right, ascending.
    #[serde(serialize_with = "count")]
    pub only_second: Vec<usize>,
    /// Rows that both have wrong.
    pub both_wrong: usize,
    /// The chance of discordant rows as uneven as these, or more so, if both were equally good: McNemar's exact test.
    pub p_value: f64,
    /// Every metric that has a value for both, in the order of an evaluation; written as an object by their names.
    #[serde(serialize_with = "by_name")]
    pub differences: Vec<Difference>,
    /// Share of such intervals that hold the true difference.
    pub confidence: f64,
    /// How often the rows were drawn anew.
    pub resamples: usize,
    /// Start of the random draws.
    pub seed: u64,
}

/// How far apart two models are in one metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The metric.
    #[serde(skip)]
    pub metric: Metric,
    /// Its value for the first model.
    pub first: f64,
    /// Its value for the second model.
    pub second: f64,
    /// The second minus the first, with the interval of the paired bootstrap.
    pub difference: Estimate,
}

impl Difference {
    /// Whether the interval leaves out zero.
    pub fn is_clear(&self) -> bool {
        self.difference.low > 0.0 || self.difference.high < 0.0
    }
}

fn by_name<S: serde::Serializer>(differences: &[Difference], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(differences.iter().map(|difference| (difference.metric.to_string(), difference)))
}

fn count<S: serde::Serializer>(rows: &[usize], serializer: S) -> Result<S::Ok, S::Error> {
    rows.len().serialize(serializer)
}

impl Comparison {
    /// Compares the predictions of two models, which must be about the same rows and the same classes in the same order.
    ///
    /// # Errors
    /// [`EvaluateError::DifferentTasks`], [`EvaluateError::DifferentClasses`], [`EvaluateError::DifferentRows`], [`EvaluateError::Option`].
    pub fn new(first: &Predictions, second: &Predictions, options: &EvaluationOptions) -> Result<Self, EvaluateError> {
        options.check()?;
        if first.is_multi_label() != second.is_multi_label() {
            return Err(EvaluateError::DifferentTasks);
        }
        if first.labels() != second.labels() {
            let [first, second] = [first, second].map(|predictions| predictions.labels().to_vec());
            return Err(EvaluateError::DifferentClasses { first, second });
        }
        if first.truth() != second.truth() {
            return Err(EvaluateError::DifferentRows { first: first.rows(), second: second.rows() });
        }
        let n = first.rows();
        let right = |row: &usize| (accuracy::is_right(first, *row), accuracy::is_right(second, *row));
        let where_right = |wanted| (0..n).filter(|row| right(row) == wanted).collect::<Vec<usize>>();
        let (only_first, only_second) = (where_right((true, false)), where_right((false, true)));
        Ok(Self {
            n,
            both_right: where_right((true, true)).len(),
            both_wrong: where_right((false, false)).len(),
            p_value: mcnemar(only_first.len() as u64, only_second.len() as u64),
            only_first,
            only_second,
            differences: differences(first, second, options)?,
            confidence: options.confidence,
            resamples: options.resamples_of(n),
            seed: options.seed,
        })
    }

    /// The difference in one metric, where both have a value.
    pub fn of(&self, metric: &Metric) -> Option<&Difference> {
        self.differences.iter().find(|difference| difference.metric == *metric)
    }

    /// Whether McNemar's test calls the difference more than chance, at the level that belongs to the confidence.
    pub fn is_more_than_chance(&self) -> bool {
        self.p_value < 1.0 - self.confidence
    }
}

/// The two-sided p-value of McNemar's exact test, given the rows that only one of two models has right.
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    if only_first == only_second {
        return 1.0;
    }
    let even = Binomial::new(0.5, only_first + only_second).expect("one half is a probability");
    (2.0 * even.cdf(only_first.min(only_second))).min(1.0)
}

fn differences(
    first: &Predictions,
    second: &Predictions,
    options: &EvaluationOptions,
) -> Result<Vec<Difference>, EvaluateError> {
    let facts = [first, second].map(|predictions| Facts::new(predictions, true));
    let all = vec![1; first.rows()];
    let whole = [facts[0].measure(&all), facts[1].measure(&all)];
    let mut found: Vec<(Difference, usize, Vec<f64>)> = Vec::new();
    for metric in Metric::reported(first) {
        let class = metric.class_index(first.labels())?;
        let values = whole.each_ref().map(|measures| measures.value(&metric, class));
        if let [Some(first), Some(second)] = values {
            let value = second - first;
            let difference = Estimate { value, low: value, high: value };
            found.push((Difference { metric, first, second, difference }, class, Vec::new()));
        }
    }
    resample(first.rows(), options.resamples_of(first.rows()), options.seed, |weights| {
        let drawn = [facts[0].measure(weights), facts[1].measure(weights)];
        for (difference, class, replicates) in &mut found {
            let [first, second] = drawn.each_ref().map(|measures| measures.replicate(&difference.metric, *class));
            replicates.extend(first.zip(second).map(|(first, second)| second - first));
        }
    });
    Ok(found
        .into_iter()
        .map(|(mut difference, _, mut replicates)| {
            replicates.sort_by(f64::total_cmp);
            let (low, high) = middle(&replicates, options.confidence);
            let value = difference.difference.value;
            difference.difference = Estimate { value, low: low.min(value), high: high.max(value) };
            difference
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Average, Truth};

    /// Predictions of two classes that are right where `right` says so; the truth alternates.
    fn predictions(right: &[bool]) -> Predictions {
        let labels = vec!["bad".to_owned(), "good".to_owned()];
        let truth: Vec<usize> = (0..right.len()).map(|row| row % 2).collect();
        let said = right.iter().zip(&truth).map(|(right, truth)| if *right { *truth } else { 1 - truth });
        let probabilities = said.flat_map(|class| if class == 0 { [0.8, 0.2] } else { [0.2, 0.8] }).collect();
        Predictions::new(labels, Truth::Single(truth), probabilities).expect("valid")
    }

    fn compared(first: &[bool], second: &[bool]) -> Comparison {
        Comparison::new(&predictions(first), &predictions(second), &EvaluationOptions::default()).expect("comparable")
    }

    #[test]
    fn equal_answers_differ_by_nothing() {
        let answers = [true, false, true, true, false, true];
        let same = compared(&answers, &answers);
        assert_eq!((same.p_value, same.both_right, same.both_wrong), (1.0, 4, 2));
        for difference in &same.differences {
            let Estimate { value, low, high } = difference.difference;
            assert_eq!([value, low, high], [0.0; 3], "{}", difference.metric);
        }
    }

    #[test]
    fn the_second_minus_the_first_and_the_rows_of_each() {
        let (mut first, mut second) = (vec![true; 40], vec![true; 40]);
        first[..12].fill(false);
        second[39] = false;
        let found = compared(&first, &second);
        assert_eq!((found.only_first.as_slice(), found.only_second.len()), (&[39][..], 12));
        let accuracy = &found.of(&Metric::Accuracy).expect("accuracy").difference;
        assert!((accuracy.value - 11.0 / 40.0).abs() < 1e-12 && accuracy.low > 0.0);
        // 2 · (1 + 13) / 2¹³.
        assert!((found.p_value - 28.0 / 8192.0).abs() < 1e-12 && found.is_more_than_chance());
        let turned = compared(&second, &first);
        assert_eq!(turned.p_value, found.p_value);
        let f1 = Metric::F1(Average::Macro);
        let [ahead, behind] = [&found, &turned].map(|c| c.of(&f1).expect("macro F1").difference);
        assert!((ahead.value + behind.value).abs() < 1e-12 && (ahead.low + behind.high).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_the_same_task_is_not_compared() {
        let two = predictions(&[true, false]);
        let fewer = predictions(&[true]);
        let options = EvaluationOptions::default();
        let error = Comparison::new(&two, &fewer, &options).expect_err("other rows");
        assert_eq!(error, EvaluateError::DifferentRows { first: 2, second: 1 });
        let renamed = Predictions::new(vec!["0".into(), "1".into()], Truth::Single(vec![0, 1]), vec![0.5; 4]);
        let error = Comparison::new(&two, &renamed.expect("valid"), &options).expect_err("other classes");
        assert!(error.to_string().contains("`bad`, `good`") && error.to_string().contains("`0`, `1`"));
    }
}
