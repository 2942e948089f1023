//! Tests of two samples of numbers, of classes and of scores.

use statrs::distribution::{ChiSquared, ContinuousCDF};
use statrs::stats_tests::ks_test::{KSTwoSampleAlternativeMethod, ks_twosample};
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};
use statrs::stats_tests::{Alternative, NaNPolicy};

use super::{Answer, FreshnessScores};

/// Where the sizes of two samples have a product above this, the exact test gives way to its limit.
const EXACT_UP_TO: usize = 10_000;
/// Cochran's rule (1954): χ² is not to be believed where fewer are expected in a cell.
const LEAST_EXPECTED: f64 = 5.0;

/// The greatest distance between the shares of two samples below any value, and the test of Kolmogorov and Smirnov. Values that
/// are equal make the test say less than it could, never more.
pub(super) fn kolmogorov_smirnov([reference, fresh]: [Vec<f64>; 2]) -> Answer {
    let exact = reference.len() * fresh.len() <= EXACT_UP_TO;
    let method = if exact {
        KSTwoSampleAlternativeMethod::TwoSidedExact
    } else {
        KSTwoSampleAlternativeMethod::TwoSidedAsymptotic
    };
    // The library's limit of the test has no end for a distance of 0.
    if distance(&reference, &fresh) == 0.0 {
        return Answer { effect: 0.0, p_value: 1.0 };
    }
    let tested = ks_twosample(reference, fresh, method, NaNPolicy::Emit);
    let (effect, p_value) = tested.unwrap_or((0.0, 1.0));
    Answer { effect: effect.clamp(0.0, 1.0), p_value: p_value.clamp(0.0, 1.0) }
}

fn distance(one: &[f64], other: &[f64]) -> f64 {
    let [mut one, mut other] = [one.to_vec(), other.to_vec()];
    one.sort_by(f64::total_cmp);
    other.sort_by(f64::total_cmp);
    let share = |sorted: &[f64], value: f64| sorted.partition_point(|&x| x <= value) as f64 / sorted.len() as f64;
    let at = |&value: &f64| (share(&one, value) - share(&other, value)).abs();
    one.iter().chain(&other).map(at).fold(0.0, f64::max)
}

/// How far apart the shares of classes are (total variation), and Pearson's test of homogeneity. Classes of which too few are
/// expected are one class in the test.
pub(super) fn shares([reference, fresh]: &[Vec<u64>; 2]) -> Answer {
    let [n, m] = [reference, fresh].map(|counts| counts.iter().sum::<u64>() as f64);
    let gap = |(&a, &b): (&u64, &u64)| (a as f64 / n - b as f64 / m).abs();
    let effect = reference.iter().zip(fresh).map(gap).sum::<f64>() / 2.0;
    let table = without_rare(reference, fresh, n.min(m) / (n + m));
    let expected = |row: &[f64; 2], size: f64| (row[0] + row[1]) * size / (n + m);
    let part = |row: &[f64; 2], side: usize, size| (row[side] - expected(row, size)).powi(2) / expected(row, size);
    let statistic: f64 = table.iter().map(|row| part(row, 0, n) + part(row, 1, m)).sum();
    let p_value = match ChiSquared::new(table.len() as f64 - 1.0) {
        Ok(distribution) => distribution.sf(statistic),
        Err(_) => 1.0,
    };
    Answer { effect, p_value }
}

/// The counts of both samples class by class, the rarest put together until enough of each are expected in the smaller sample.
fn without_rare(reference: &[u64], fresh: &[u64], smaller_share: f64) -> Vec<[f64; 2]> {
    let rows = reference.iter().zip(fresh).map(|(&a, &b)| [a as f64, b as f64]);
    let mut table: Vec<[f64; 2]> = rows.filter(|row| row[0] + row[1] > 0.0).collect();
    table.sort_by(|a, b| (b[0] + b[1]).total_cmp(&(a[0] + a[1])));
    while let [.., above, last] = table.as_mut_slice()
        && (last[0] + last[1]) * smaller_share < LEAST_EXPECTED
    {
        above.iter_mut().zip(last).for_each(|(sum, part)| *sum += *part);
        table.pop();
    }
    table
}

/// How well classifiers tell fresh texts from the reference, each asked about texts that it was not trained on (Lopez-Paz and
/// Oquab 2017, <https://arxiv.org/abs/1610.06545>). Given what a classifier was trained on, its scores of other texts are
/// exchangeable if nothing has changed, so Mann and Whitney's test holds for each; of several the smallest p-value counts, times
/// their number.
pub(super) fn telling_apart(parts: &[FreshnessScores]) -> Option<Answer> {
    let tested = parts.iter().filter_map(|FreshnessScores { reference, fresh }| {
        let tested = mannwhitneyu(fresh, reference, MannWhitneyUMethod::Automatic, Alternative::Greater);
        let (u, p_value) = tested.ok()?;
        let area = u / (fresh.len() * reference.len()) as f64;
        Some((area, if p_value.is_nan() { 1.0 } else { p_value }))
    });
    let tested: Vec<(f64, f64)> = tested.collect();
    let n = tested.len() as f64;
    let area = tested.iter().map(|(area, _)| area).sum::<f64>() / n;
    let least = tested.iter().map(|(_, p_value)| *p_value).reduce(f64::min)?;
    Some(Answer { effect: (2.0 * area - 1.0).max(0.0), p_value: (n * least).min(1.0) })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn numbers(value: &Value) -> Vec<f64> {
        serde_json::from_value(value.clone()).expect("numbers")
    }

    fn golden() -> Value {
        serde_json::from_str(include_str!("../../tests/golden/drift.json")).expect("JSON")
    }

    fn assert_near(ours: f64, theirs: &Value, tolerance: f64, what: &str) {
        let theirs = theirs.as_f64().expect("a number");
        assert!((ours - theirs).abs() < tolerance, "{what}: {ours}, SciPy says {theirs}");
    }

    #[test]
    fn distances_of_distributions_are_scipys() {
        for case in golden()["kolmogorov_smirnov"].as_array().expect("cases") {
            let [reference, fresh] = ["reference", "fresh"].map(|side| numbers(&case[side]));
            assert!((distance(&reference, &fresh) - case["distance"].as_f64().expect("a number")).abs() < 1e-12);
            let exact = reference.len() * fresh.len() <= EXACT_UP_TO;
            let answer = kolmogorov_smirnov([reference, fresh]);
            assert_near(answer.effect, &case["distance"], 1e-12, "distance");
            let theirs = &case[if exact { "p_exact" } else { "p_limit" }];
            assert_near(answer.p_value, theirs, if exact { 1e-9 } else { 1e-6 }, "p-value");
        }
        let same = kolmogorov_smirnov([vec![1.0; 200], vec![1.0; 200]]);
        assert_eq!(same, Answer { effect: 0.0, p_value: 1.0 });
    }

    #[test]
    fn shares_of_classes_are_scipys() {
        for case in golden()["shares"].as_array().expect("cases") {
            let sides = ["reference", "fresh"].map(|side| serde_json::from_value(case[side].clone()).expect("counts"));
            let answer = shares(&sides);
            assert_near(answer.effect, &case["distance"], 1e-12, "distance");
            assert_near(answer.p_value, &case["p_value"], 1e-9, "p-value");
        }
        let one_class = shares(&[vec![10, 0], vec![7, 0]]);
        assert_eq!(one_class, Answer { effect: 0.0, p_value: 1.0 });
    }

    #[test]
    fn scores_are_ranked_as_scipy_ranks_them() {
        let golden = golden();
        let halves: Vec<FreshnessScores> = golden["telling_apart"]["halves"]
            .as_array()
            .expect("halves")
            .iter()
            .map(|half| FreshnessScores { reference: numbers(&half["reference"]), fresh: numbers(&half["fresh"]) })
            .collect();
        let answer = telling_apart(&halves).expect("two halves");
        assert_near(answer.effect, &golden["telling_apart"]["effect"], 1e-12, "effect");
        assert_near(answer.p_value, &golden["telling_apart"]["p_value"], 1e-9, "p-value");
        assert_eq!(telling_apart(&[]), None);
        let blind = FreshnessScores { reference: vec![0.5; 30], fresh: vec![0.5; 30] };
        assert_eq!(telling_apart(&[blind]), Some(Answer { effect: 0.0, p_value: 1.0 }));
    }
}
