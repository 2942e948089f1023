//! Suspected labels beside cleanlab: the cases of `golden/generate_label_errors.py`.

use finetone_evaluate::{LabelErrors, Predictions, Truth};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    classes: usize,
    labels: Vec<usize>,
    probabilities: Vec<f32>,
    joint: Vec<Vec<usize>>,
    suspects: Vec<usize>,
}

#[test]
fn joint_suspects_and_their_order_are_those_of_cleanlab() {
    let golden: Golden = serde_json::from_str(include_str!("golden/label_errors.json")).expect("JSON");
    for case in golden.cases {
        let names = (0..case.classes).map(|class| format!("c{class}")).collect();
        let predictions =
            Predictions::new(names, Truth::Single(case.labels), case.probabilities).expect("a valid case");
        let found = LabelErrors::find(&predictions).expect("one label each");
        assert_eq!(found.joint, case.joint);
        let rows: Vec<usize> = found.suspects.iter().map(|suspect| suspect.row).collect();
        assert!(rows == case.suspects && !rows.is_empty(), "{rows:?} against {:?}", case.suspects);
    }
}
