//! Neighbours, their votes and the share that they get, against scikit-learn's answers on the cases of
//! `tests/golden/generate_neighbours.py`.

use finetone_evaluate::{Interpolation, Predictions, Truth, Vote};
use serde::Deserialize;
use serde_json::json;

use super::{Kept, Neighbourhood};

#[derive(Deserialize)]
struct Case {
    name: String,
    classes: usize,
    kept: Vec<Vec<f32>>,
    labels: Vec<usize>,
    asked: Vec<Vec<f32>>,
    truth: Vec<usize>,
    probabilities: Vec<f32>,
    places: Vec<Vec<usize>>,
    similarities: Vec<Vec<f64>>,
    votes: Vec<Votes>,
    loss_alone: f64,
    best: Best,
}

#[derive(Deserialize)]
struct Votes {
    count: usize,
    temperature: f64,
    votes: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Best {
    loss: f64,
    choice: Option<(f64, usize, f64)>,
}

fn cases() -> Vec<Case> {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/neighbours.json")).expect("JSON");
    serde_json::from_value(golden["cases"].clone()).expect("cases")
}

fn hood(case: &Case) -> Neighbourhood {
    let kept = case.labels.iter().map(|&label| Kept { classes: vec![label], ..Kept::default() });
    Neighbourhood::new(case.kept.concat(), kept.collect())
}

fn interpolation(share: f64, neighbours: usize, vote_temperature: f64) -> Interpolation {
    let written = json!({
        "share": share, "neighbours": neighbours, "vote_temperature": vote_temperature, "temperature": 1.0,
    });
    serde_json::from_value(written).expect("a sound interpolation")
}

#[test]
fn the_nearest_are_those_of_the_brute_force_search() {
    for case in cases() {
        let found = hood(&case).nearest(&case.asked.concat(), case.places[0].len());
        assert_eq!(found.len(), case.asked.len());
        for ((near, places), similarities) in found.iter().zip(&case.places).zip(&case.similarities) {
            assert_eq!(near.iter().map(|near| near.place).collect::<Vec<_>>(), *places, "{}", case.name);
            let off = near.iter().zip(similarities).map(|(near, s)| (f64::from(near.similarity) - s).abs());
            assert!(off.fold(0.0, f64::max) < 1e-5, "{}", case.name);
        }
    }
}

#[test]
fn votes_are_those_of_the_weighted_classifier() {
    for case in cases() {
        let hood = hood(&case);
        assert_eq!(case.votes.len(), 4);
        for Votes { count, temperature, votes } in &case.votes {
            let near = hood.nearest(&case.asked.concat(), *count);
            for (near, expected) in near.iter().zip(votes) {
                let found = interpolation(0.5, *count, *temperature).votes(&hood.votes_of(near), case.classes);
                let off = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
                // A similarity is off by 1e-7 and divided by the temperature.
                assert!(off.fold(0.0, f64::max) < 2e-5, "{}: {found:?} {expected:?}", case.name);
            }
        }
    }
}

#[test]
fn the_share_is_the_one_with_the_least_log_loss() {
    for case in cases() {
        let hood = hood(&case);
        let near = hood.nearest(&case.asked.concat(), Interpolation::MOST_NEIGHBOURS);
        let votes: Vec<Vec<Vote<'_>>> = near.iter().map(|near| hood.votes_of(near)).collect();
        let labels = (0..case.classes).map(|class| format!("c{class}")).collect();
        let predictions = Predictions::new(labels, Truth::Single(case.truth), case.probabilities).expect("valid");
        let found = Interpolation::fit(&predictions, &votes);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-5;
        assert!(close(found.loss_alone, case.loss_alone) && close(found.loss_with, case.best.loss), "{found:?}");
        match case.best.choice {
            Some((share, count, temperature)) => {
                assert_eq!(found.interpolation, interpolation(share, count, temperature), "{}", case.name);
            }
            None => assert_eq!(found.interpolation.share(), 0.0, "{}", case.name),
        }
    }
}
