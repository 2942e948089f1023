//! Words and regressions against scikit-learn's answers on the cases of `tests/golden/generate.py`.

use finetone_data::Target;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::logistic::{Examples, Logistic};
use super::tf_idf::TfIdf;

#[derive(Deserialize)]
struct Case {
    name: String,
    classes: usize,
    multi_label: bool,
    train: Vec<String>,
    targets: Vec<Vec<usize>>,
    new: Vec<String>,
    terms: Vec<String>,
    weights: Vec<f64>,
    rows: Vec<Vec<f64>>,
    probabilities: BTreeMap<String, Vec<Vec<f32>>>,
}

fn cases() -> Vec<Case> {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/baselines.json")).expect("JSON");
    serde_json::from_value(golden["cases"].clone()).expect("cases")
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn terms_and_rows_are_those_of_the_vectorizer() {
    for case in cases() {
        let words = TfIdf::fit(&borrowed(&case.train));
        assert_eq!(words.terms(), case.terms, "{}", case.name);
        assert!(words.weights.iter().zip(&case.weights).all(|(a, b)| (a - b).abs() < 1e-12), "{}", case.name);
        let rows = words.rows(&borrowed(&case.new));
        for (row, expected) in case.rows.iter().enumerate() {
            let mut found = vec![0.0; expected.len()];
            rows.row(row).for_each(|column, value| found[column] = value);
            assert!(
                found.iter().zip(expected).all(|(a, b): (&f64, &f64)| (a - b).abs() < 1e-12),
                "{}: {row}",
                case.name
            );
        }
    }
}

#[test]
fn probabilities_are_those_of_the_regression() {
    for case in cases() {
        let words = TfIdf::fit(&borrowed(&case.train));
        let (matrix, new) = (words.rows(&borrowed(&case.train)), words.rows(&borrowed(&case.new)));
        let target = |classes: &Vec<usize>| {
            if case.multi_label { Target::Classes(classes.clone()) } else { Target::Class(classes[0]) }
        };
        let targets: Vec<Target> = case.targets.iter().map(target).collect();
        let Case { classes, multi_label, .. } = case;
        let examples = Examples { matrix: &matrix, targets: &targets, classes, multi_label };
        let all: Vec<usize> = (0..targets.len()).collect();
        assert_eq!(case.probabilities.len(), 4);
        for (c, expected) in &case.probabilities {
            let model = Logistic::fit(&examples, &all, c.parse().expect("a number"), None);
            let found = model.probabilities(&new, 0..case.new.len());
            let expected = expected.concat();
            assert_eq!(found.len(), expected.len());
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{} with C = {c}: off by {worst}", case.name);
        }
    }
}
