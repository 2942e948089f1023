//! Decision rules beside scikit-learn and NumPy: the cases of `golden/generate_decision.py`.

use finetone_evaluate::{DecisionRule, Metric, Predictions, Truth, estimate_prior};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    prior: Vec<Prior>,
    em: Em,
    fit: Vec<Fit>,
}

#[derive(Deserialize)]
struct Prior {
    training: Vec<f64>,
    target: Vec<f64>,
    probabilities: Vec<f32>,
    expected: Vec<f32>,
}

#[derive(Deserialize)]
struct Em {
    training: Vec<f64>,
    probabilities: Vec<f32>,
    expected: Vec<f64>,
    true_shares: Vec<f64>,
}

#[derive(Deserialize)]
struct Fit {
    truth: Vec<Vec<usize>>,
    #[serde(default)]
    multi_label: bool,
    probabilities: Vec<f32>,
    offsets: Vec<f64>,
    f1_macro: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/decision.json")).expect("JSON")
}

#[test]
fn another_prior_is_a_naive_bayes_classifier_with_that_prior() {
    for case in golden().prior {
        let mut moved = case.probabilities.clone();
        DecisionRule::prior(&case.training, &case.target).expect("shares").apply(&mut moved, false);
        for (ours, theirs) in moved.iter().zip(&case.expected) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} against {theirs}");
        }
        assert_ne!(case.probabilities, case.expected);
    }
}

#[test]
fn em_finds_the_shares_of_texts_without_labels() {
    let Em { training, probabilities, expected, true_shares } = golden().em;
    let found = estimate_prior(&probabilities, &training).expect("shares");
    for class in 0..3 {
        assert!((found[class] - expected[class]).abs() < 1e-9, "{found:?} against {expected:?}");
        assert!((found[class] - true_shares[class]).abs() < 0.05, "{found:?}, the texts have {true_shares:?}");
    }
}

#[test]
fn fitted_offsets_are_those_of_the_second_search() {
    for case in golden().fit {
        let truth = if case.multi_label {
            Truth::Multi(case.truth)
        } else {
            Truth::Single(case.truth.into_iter().map(|row| row[0]).collect())
        };
        let labels = (0..case.offsets.len()).map(|class| format!("c{class}")).collect();
        let predictions = Predictions::new(labels, truth, case.probabilities).expect("a valid case");
        let metric = Metric::default();
        let rule = DecisionRule::fit(&predictions, &metric).expect("fits");
        for (ours, theirs) in rule.offsets().iter().zip(&case.offsets) {
            assert!((ours - theirs).abs() < 1e-9, "{:?} against {:?}", rule.offsets(), case.offsets);
        }
        let value = |predictions: &Predictions| metric.compute(predictions).expect("a value");
        let (before, after) = (value(&predictions), value(&rule.applied(&predictions)));
        assert!((after - case.f1_macro).abs() < 1e-9, "{after} against {}", case.f1_macro);
        assert!(after > before, "nothing was won in a case that has something to win");
    }
}
