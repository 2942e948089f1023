//! McNemar's test, the paired bootstrap and the intervals of repeated results against statsmodels and SciPy, on the cases of
//! `golden/generate_comparison.py`.

use finetone_evaluate::{Comparison, EvaluationOptions, Metric, Predictions, Spread, Truth, mcnemar};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/comparison.json")).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn near(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    assert!((ours - theirs).abs() <= tolerance, "{what}: {ours}, not {theirs}");
}

/// Answers as certain as can be, so that the metrics are those of the answers alone.
fn predictions(classes: usize, truth: &[usize], said: &[usize]) -> Predictions {
    let labels = (0..classes).map(|class| format!("c{class}")).collect();
    let certain = said.iter().flat_map(|said| (0..classes).map(move |class| f32::from(u8::from(class == *said))));
    Predictions::new(labels, Truth::Single(truth.to_vec()), certain.collect()).expect("valid")
}

fn compare(first: &Predictions, second: &Predictions, resamples: usize) -> Comparison {
    let options = EvaluationOptions { resamples, ..EvaluationOptions::default() };
    Comparison::new(first, second, &options).expect("comparable")
}

#[test]
fn the_exact_test_is_that_of_statsmodels() {
    for case in golden()["counts"].as_array().expect("cases") {
        let [only_first, only_second] = ["only_first", "only_second"].map(|key| case[key].as_u64().expect(key));
        let what = format!("{only_first} against {only_second}");
        near(mcnemar(only_first, only_second), number(&case["p_value"]), 1e-9, &what);
    }
}

#[test]
fn differences_and_their_intervals_are_those_of_scikit_learn_and_scipy() {
    for case in golden()["models"].as_array().expect("cases") {
        let classes = case["classes"].as_u64().expect("a count") as usize;
        let [truth, first, second] = ["truth", "first", "second"]
            .map(|key| serde_json::from_value::<Vec<usize>>(case[key].clone()).expect("classes"));
        let [first, second] = [first, second].map(|said| predictions(classes, &truth, &said));
        let found = compare(&first, &second, 10_000);
        near(found.p_value, number(&case["p_value"]), 1e-12, "p");
        for (name, expected) in case["expected"].as_object().expect("metrics") {
            let found = found.of(&name.parse::<Metric>().expect("a metric")).expect("defined");
            let what = format!("{}, {name}", case["name"]);
            near(found.first, number(&expected["first"]), 1e-12, &what);
            near(found.second, number(&expected["second"]), 1e-12, &what);
            near(found.difference.value, found.second - found.first, 1e-15, &what);
            // Both ends are quantiles of draws: they agree within what draws leave open, a tenth of the half width.
            let ends = [number(&expected["interval"][0]), number(&expected["interval"][1])];
            let open = (ends[1] - ends[0]) / 20.0;
            near(found.difference.low, ends[0], open, &what);
            near(found.difference.high, ends[1], open, &what);
        }
    }
}

#[test]
fn repeated_results_have_the_intervals_of_scipy() {
    for case in golden()["spreads"].as_array().expect("cases") {
        let values: Vec<f64> = serde_json::from_value(case["values"].clone()).expect("numbers");
        let found = match number(&case["test_over_train"]) {
            0.0 => Spread::of_independent(&values, 0.95),
            ratio => Spread::of_folds(&values, ratio, 0.95),
        };
        let found = found.expect("finite");
        let interval = found.interval.expect("several results");
        near(found.mean, number(&case["mean"]), 1e-12, "mean");
        let deviation = found.standard_deviation.expect("several results");
        near(deviation, number(&case["standard_deviation"]), 1e-12, "standard deviation");
        near(interval.low, number(&case["interval"][0]), 1e-9, "low");
        near(interval.high, number(&case["interval"][1]), 1e-9, "high");
    }
}

#[test]
fn a_row_with_several_labels_counts_when_all_of_them_are_right() {
    let labels = vec!["late".to_owned(), "rude".to_owned()];
    let truth = Truth::Multi(vec![vec![0, 1], vec![0], vec![]]);
    let first = Predictions::new(labels.clone(), truth.clone(), vec![0.9, 0.9, 0.9, 0.9, 0.1, 0.1]).expect("valid");
    let second = Predictions::new(labels, truth, vec![0.9, 0.1, 0.9, 0.1, 0.1, 0.1]).expect("valid");
    let found = compare(&first, &second, 200);
    assert_eq!((found.only_first, found.only_second, found.both_right), (vec![0], vec![1], 1));
}
