//! Temperatures beside SciPy: the cases of `golden/generate_temperature.py`.

use finetone_evaluate::{Calibration, Predictions, Truth};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    truth: Vec<Vec<usize>>,
    #[serde(default)]
    multi_label: bool,
    probabilities: Vec<f32>,
    classes: usize,
    temperature: f64,
}

#[test]
fn the_temperature_is_the_one_that_scipy_finds_and_calibrates() {
    let golden: Golden = serde_json::from_str(include_str!("golden/temperature.json")).expect("JSON");
    for case in golden.cases {
        let truth = if case.multi_label {
            Truth::Multi(case.truth)
        } else {
            Truth::Single(case.truth.into_iter().map(|row| row[0]).collect())
        };
        let labels = (0..case.classes).map(|class| format!("c{class}")).collect();
        let predictions = Predictions::new(labels, truth, case.probabilities).expect("a valid case");
        let found = Calibration::fit(&predictions).expect("fits");
        let ours = found.temperature.value();
        assert!((ours - case.temperature).abs() < 1e-5 * case.temperature, "{ours} against {}", case.temperature);
        assert!(found.error_after < found.error_before, "{found:?}");
        let moved = found.temperature.applied(&predictions);
        assert!((0..predictions.rows()).all(|row| moved.predicted(row) == predictions.predicted(row)));
    }
}
