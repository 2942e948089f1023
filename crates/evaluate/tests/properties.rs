//! What must hold for any predictions.

use finetone_evaluate::{Evaluation, EvaluationOptions, Metric, Predictions, Truth};
use proptest::prelude::*;

/// True classes and logits of one text.
type Row = (Vec<usize>, Vec<f32>);

/// Rows of truth and logits for two to four classes, of one label or several.
fn any_predictions() -> impl Strategy<Value = (bool, Vec<Row>)> {
    (any::<bool>(), 2_usize..5).prop_flat_map(|(multi, classes)| {
        let labels = if multi { 0..=classes } else { 1..=1 };
        let truth = prop::collection::vec(0..classes, labels);
        // Coarse logits, so that ties happen.
        let logits = prop::collection::vec((-8_i8..8).prop_map(|x| f32::from(x) / 2.0), classes);
        (Just(multi), prop::collection::vec((truth, logits), 1..40))
    })
}

fn predictions(multi: bool, rows: &[Row]) -> Predictions {
    let labels = (0..rows[0].1.len()).map(|class| format!("c{class}")).collect();
    let truth: Vec<Vec<usize>> = rows.iter().map(|row| row.0.clone()).collect();
    let probabilities = rows.iter().flat_map(|(_, logits)| {
        let sum: f32 = logits.iter().map(|x| x.exp()).sum();
        logits.iter().map(move |x| if multi { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / sum })
    });
    let probabilities = probabilities.collect();
    let truth = match multi {
        true => Truth::Multi(truth),
        false => Truth::Single(truth.into_iter().map(|row| row[0]).collect()),
    };
    Predictions::new(labels, truth, probabilities).expect("valid")
}

fn all_metrics(predictions: &Predictions) -> Vec<(String, Option<f64>)> {
    let names = Metric::NAMES.iter().map(|name| name.to_string());
    let per_class = (0..predictions.classes())
        .flat_map(|class| ["f1", "precision", "recall"].map(|metric| format!("{metric}.c{class}")));
    names
        .chain(per_class)
        .map(|name| {
            let value = name.parse::<Metric>().expect("a name").compute(predictions).ok();
            (name, value)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn values_lie_in_their_range((multi, rows) in any_predictions()) {
        for (name, value) in all_metrics(&predictions(multi, &rows)) {
            let Some(value) = value else { continue };
            let range = match name.as_str() {
                "loss" | "log_loss" => 0.0..=f64::INFINITY,
                "brier" => 0.0..=2.0,
                "mcc" => -1.0 - 1e-12..=1.0 + 1e-12,
                _ => 0.0..=1.0 + 1e-12,
            };
            prop_assert!(range.contains(&value), "{} is {}", name, value);
        }
    }

    #[test]
    fn the_order_of_rows_does_not_matter((multi, rows) in any_predictions(), shift in 0_usize..40) {
        let before = all_metrics(&predictions(multi, &rows));
        let mut rows = rows;
        let shift = shift % rows.len();
        rows.rotate_left(shift);
        rows.reverse();
        for ((name, a), (_, b)) in before.into_iter().zip(all_metrics(&predictions(multi, &rows))) {
            prop_assert_eq!(a.is_some(), b.is_some());
            let gap = (a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs();
            prop_assert!(gap < 1e-12, "{} moves by {}", name, gap);
        }
    }

    #[test]
    fn intervals_hold_their_estimate((multi, rows) in any_predictions()) {
        let options = EvaluationOptions { resamples: 200, ..EvaluationOptions::default() };
        let evaluation = Evaluation::new(&predictions(multi, &rows), &options).expect("valid");
        for (metric, estimate) in evaluation.estimates() {
            let ordered = estimate.low <= estimate.value && estimate.value <= estimate.high;
            prop_assert!(ordered, "{}: {:?}", metric, estimate);
        }
    }

    #[test]
    fn perfect_predictions_give_one(truth in prop::collection::vec(0_usize..3, 1..40)) {
        let mut truth = truth;
        truth.extend([0, 1, 2]);
        let certain = truth.iter().flat_map(|&t| (0..3).map(move |c| f32::from(u8::from(c == t))));
        let certain = certain.collect();
        let labels = ["a", "b", "c"].map(str::to_owned).to_vec();
        let predictions = Predictions::new(labels, Truth::Single(truth), certain).expect("valid");
        for name in ["accuracy", "f1_macro", "f1_weighted", "f1_micro", "roc_auc", "mcc", "recall.b"] {
            let value = name.parse::<Metric>().expect(name).compute(&predictions);
            prop_assert!((value.expect(name) - 1.0).abs() < 1e-12, "{}", name);
        }
        for name in ["log_loss", "ece", "brier"] {
            let value = name.parse::<Metric>().expect(name).compute(&predictions);
            prop_assert!(value.expect(name) < 1e-12, "{}", name);
        }
    }
}

/// A thousand tests of 200 texts by a classifier whose accuracy is 0.8: the interval of macro F1 should hold the value of
/// the whole population in about 95 of 100.
#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let mut state = 7_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    let options = EvaluationOptions { resamples: 300, ..EvaluationOptions::default() };
    let (mut accuracy, mut f1, trials) = (0, 0, 300);
    for _ in 0..trials {
        let truth: Vec<usize> = (0..200).map(|_| usize::from(uniform() < 0.5)).collect();
        let mut probabilities = Vec::new();
        for &class in &truth {
            let said = if uniform() < 0.8 { class } else { 1 - class };
            probabilities.extend(if said == 1 { [0.1, 0.9] } else { [0.9, 0.1] });
        }
        let labels = vec!["a".to_owned(), "b".to_owned()];
        let predictions = Predictions::new(labels, Truth::Single(truth), probabilities).expect("valid");
        let evaluation = Evaluation::new(&predictions, &options).expect("valid");
        let holds = |e: finetone_evaluate::Estimate| usize::from(e.low <= 0.8 && 0.8 <= e.high);
        accuracy += holds(evaluation.accuracy());
        f1 += holds(evaluation.f1_macro());
    }
    let range = trials * 91 / 100..=trials * 99 / 100;
    assert!(range.contains(&accuracy) && range.contains(&f1), "{accuracy} and {f1} of {trials}");
}
