//! Every metric against scikit-learn's value on the cases of `golden/generate.py`.

use finetone_evaluate::{Evaluation, EvaluationOptions, Metric, Predictions, Truth};
use serde_json::Value;

fn predictions(case: &Value) -> Predictions {
    let rows: Vec<Vec<usize>> = serde_json::from_value(case["truth"].clone()).expect("truth");
    let truth = if case["multi_label"] == true {
        Truth::Multi(rows)
    } else {
        Truth::Single(rows.into_iter().map(|row| row[0]).collect())
    };
    let classes = case["classes"].as_u64().expect("a count");
    let labels = (0..classes).map(|class| format!("c{class}")).collect();
    let probabilities = serde_json::from_value(case["probabilities"].clone()).expect("numbers");
    Predictions::new(labels, truth, probabilities).expect("a valid case")
}

fn agrees(predictions: &Predictions, metric: &str, expected: &Value, name: &str) {
    let ours = metric.parse::<Metric>().expect(metric).compute(predictions);
    match expected.as_f64() {
        Some(expected) => {
            let ours = ours.expect(metric);
            assert!((ours - expected).abs() < 1e-9, "{name}: {metric} is {ours}, not {expected}");
        }
        None => assert!(ours.is_err(), "{name}: {metric} is {ours:?}, scikit-learn has none"),
    }
}

#[test]
fn every_metric_is_scikit_learns() {
    let golden: Value = serde_json::from_str(include_str!("golden/metrics.json")).expect("JSON");
    let mut compared = 0;
    for case in golden["cases"].as_array().expect("cases") {
        let (predictions, name) = (predictions(case), case["name"].to_string());
        let evaluation = Evaluation::new(&predictions, &EvaluationOptions::default()).expect("evaluates");
        for (metric, expected) in case["expected"].as_object().expect("metrics") {
            compared += 1;
            match (metric.as_str(), expected) {
                ("confusion", matrix) => assert_eq!(&evaluation.to_json()["confusion"], matrix, "{name}"),
                ("support", counts) => {
                    assert_eq!(&serde_json::json!(evaluation.support()), counts, "{name}");
                }
                (_, Value::Array(by_class)) => {
                    let family = metric.trim_end_matches("_by_class");
                    for (class, expected) in by_class.iter().enumerate() {
                        agrees(&predictions, &format!("{family}.c{class}"), expected, &name);
                    }
                }
                (_, expected) => agrees(&predictions, metric, expected, &name),
            }
        }
    }
    assert!(compared > 150, "only {compared} numbers were compared");
}

#[test]
fn the_golden_file_covers_what_has_no_value() {
    let golden = include_str!("golden/metrics.json");
    assert!(golden.contains("\"roc_auc\":null") && golden.contains("\"scikit-learn\":\"1.9.1\""));
}
