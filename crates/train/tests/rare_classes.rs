//! What is done for rare classes, in whole runs.

mod workbench;

use std::fs;
use std::path::Path;

use finetone_classify::{Classifier, TransformerClassifier};
use finetone_data::Example;
use finetone_train::{CacheUse, Control, Outcome, RunConfig, TrainEvent};
use serde_json::Value;
use workbench::{Recorder, config, cpu, run, weights};

const SAMPLED: [&str; 10] = [
    "epochs=3",
    "batch_size=8",
    "eval_every=4",
    "token_budget=64",
    "sampling=weighted",
    "class_factors={ good = 2 }",
    "augment=[\"delete\", \"swap\"]",
    "augment_below=1",
    "augment_copies=2",
    "epoch_rows=60",
];

/// A run's settings on 90 texts, of which one in ten is good.
fn uneven(folder: &Path, settings: &[&str]) -> RunConfig {
    let config = config(folder, 90, settings);
    let text = fs::read_to_string(&config.train).unwrap();
    let rare = |(row, line): (usize, &str)| (row % 10 == 1 || !line.ends_with(",good")).then(|| line.to_owned() + "\n");
    let more: String = (0..40).map(|i| format!("the dreadful thing number {i},bad\n")).collect();
    let kept: String = text.lines().enumerate().filter_map(rare).collect();
    fs::write(&config.train, kept + &more).unwrap();
    config
}

#[test]
fn a_sampled_and_augmented_run_goes_on_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let config = uneven(folder.path(), &SAMPLED);
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let mut recorder = Recorder::default();
    run(&cpu(1), &config, &whole, &mut recorder).unwrap();
    // 60 rows in batches of 8 are 8 steps.
    let mut epochs = recorder.events.iter().filter_map(|event| match event {
        TrainEvent::Step { step, epoch, .. } => Some((*step, *epoch)),
        _ => None,
    });
    assert_eq!(epochs.next_back(), Some((24, 3.0)));
    for (stop, threads) in [(3, 2), (8, 1), (13, 2)] {
        let mut recorder = Recorder { stop_at: Some((stop, Control::default())), ..Recorder::default() };
        let outcome = run(&cpu(threads), &config, &parts, &mut recorder).unwrap();
        assert!(matches!(outcome, Outcome::Interrupted { step } if step == stop), "not stopped at {stop}");
    }
    run(&cpu(2), &config, &parts, &mut Recorder::default()).unwrap();
    assert!(weights(&whole) == weights(&parts), "the weights differ");
}

#[test]
fn sampling_changes_what_is_learnt_from_and_nothing_that_is_measured_on() {
    let folder = tempfile::tempdir().unwrap();
    let started = |name: &str, settings: &[&str]| {
        let config = uneven(folder.path(), &[&["epochs=1", "batch_size=4"], settings].concat());
        let mut recorder = Recorder::default();
        run(&cpu(2), &config, &folder.path().join(name), &mut recorder).unwrap();
        recorder.events.into_iter().find_map(|event| match event {
            TrainEvent::Started { train_rows, validation_rows, test_rows, steps, .. } => {
                Some(((train_rows, validation_rows, test_rows), steps))
            }
            _ => None,
        })
    };
    let (rows, plain) = started("plain", &[]).unwrap();
    let (over, repeated) = started("over", &["sampling=oversample"]).unwrap();
    let (under, left_out) = started("under", &["sampling=undersample", "sampling_ratio=2"]).unwrap();
    assert!(rows == over && rows == under, "{rows:?} {over:?} {under:?}");
    assert!(left_out < plain && plain < repeated, "{left_out} {plain} {repeated} steps");
}

#[test]
fn what_frozen_blocks_give_is_kept_for_repeated_texts_and_not_for_changed_ones() {
    let folder = tempfile::tempdir().unwrap();
    let cache = |name: &str, settings: &[&str]| {
        let run_folder = folder.path().join(name);
        let config = uneven(folder.path(), &[&["epochs=2", "freeze=[\"1\"]"], settings].concat());
        run(&cpu(2), &config, &run_folder, &mut Recorder::default()).unwrap();
        finetone_train::saved_config(&run_folder).unwrap().cache
    };
    assert_eq!(cache("repeated", &["sampling=oversample"]), CacheUse::On);
    assert_eq!(cache("changed", &["augment=[\"delete\"]"]), CacheUse::Off);
}

/// The probabilities of two texts by the model of a run, with its rule and without.
fn answers(run: &Path) -> (Vec<f32>, Vec<f32>, Vec<f64>) {
    let texts = ["the lamp is superb", "the kettle number 7 is dreadful"];
    let said = || {
        let mut classifier = TransformerClassifier::open(cpu(1), &run.join("model"), 512).unwrap();
        classifier.classify(&texts.map(Example::from_text)).unwrap().probabilities
    };
    let moved = said();
    let path = run.join("model/config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let rule = config["finetone"].as_object_mut().unwrap().remove("decision").unwrap();
    fs::write(&path, config.to_string()).unwrap();
    (said(), moved, rule["offsets"].as_array().unwrap().iter().map(|offset| offset.as_f64().unwrap()).collect())
}

fn check_rule(run: &Path) -> Vec<f64> {
    let (own, moved, offsets) = answers(run);
    for (own, moved) in own.chunks(2).zip(moved.chunks(2)) {
        let odds = |p: &[f32]| (f64::from(p[1]) / f64::from(p[0])).ln();
        let (before, after) = (odds(own), odds(moved));
        assert!((after - before - (offsets[1] - offsets[0])).abs() < 1e-3, "{before} {after} {offsets:?}");
    }
    offsets
}

#[test]
fn the_prior_that_is_corrected_is_the_one_that_training_saw() {
    let folder = tempfile::tempdir().unwrap();
    let offsets = |name: &str, settings: &[&str]| {
        let settings = [&["epochs=1", "decision=uniform-prior"], settings].concat();
        let run_folder = folder.path().join(name);
        run(&cpu(2), &uneven(folder.path(), &settings), &run_folder, &mut Recorder::default()).unwrap();
        check_rule(&run_folder)
    };
    let plain = offsets("plain", &[]);
    assert!(plain[1] - plain[0] > 1.0, "good is rare, so its odds rise: {plain:?}");
    for (name, settings) in [("weighted", "class_weights=balanced"), ("sampled", "sampling=weighted")] {
        let even = offsets(name, &[settings]);
        assert!((even[1] - even[0]).abs() < 1e-6, "{settings} leaves nothing to correct: {even:?}");
    }
}

#[test]
fn a_fitted_rule_is_told_stored_and_measured_with() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = folder.path().join("run");
    let settings = ["epochs=2", "decision=fitted", "validation_fraction=0.4", "learning_rate=1e-3"];
    let config = uneven(folder.path(), &settings);
    let mut recorder = Recorder::default();
    run(&cpu(2), &config, &run_folder, &mut recorder).unwrap();
    let mut notices = recorder.events.iter().filter_map(|event| match event {
        TrainEvent::Notice { message } => Some(message.as_str()),
        _ => None,
    });
    let told = notices.next_back().unwrap();
    assert!(told.starts_with("decisions are fitted on "), "{told}");
    let report: Value = serde_json::from_str(&fs::read_to_string(run_folder.join("report.json")).unwrap()).unwrap();
    let validation = report["evaluations"].as_array().unwrap().iter().find(|set| set["name"] == "validation");
    let after: f64 = told.split(" to ").nth(1).and_then(|rest| rest.split(',').next()).unwrap().parse().unwrap();
    let measured = validation.unwrap()["evaluation"]["f1_macro"].as_f64().unwrap();
    assert!((measured - after).abs() < 1e-4, "the report has {measured}, the notice {after}");
    check_rule(&run_folder);
}

#[test]
fn a_later_run_does_not_inherit_a_rule() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let config = uneven(folder.path(), &["epochs=1", "decision=uniform-prior"]);
    run(&cpu(2), &config, &first, &mut Recorder::default()).unwrap();
    let model = format!("model={}", first.display());
    run(&cpu(2), &uneven(folder.path(), &["epochs=1", &model]), &second, &mut Recorder::default()).unwrap();
    let has_rule = |run: &Path| fs::read_to_string(run.join("model/config.json")).unwrap().contains("\"decision\"");
    assert!(has_rule(&first) && !has_rule(&second));
}

#[test]
fn a_rule_about_other_classes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = folder.path().join("run");
    let config = uneven(folder.path(), &["epochs=1", "decision=uniform-prior"]);
    run(&cpu(2), &config, &run_folder, &mut Recorder::default()).unwrap();
    let path = run_folder.join("model/config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (rule, problem) in [("{\"offsets\":[1,2,3]}", "3 offsets for 2 classes"), ("\"fitted\"", "invalid type")] {
        config["finetone"]["decision"] = serde_json::from_str(rule).unwrap();
        fs::write(&path, config.to_string()).unwrap();
        let Err(error) = TransformerClassifier::open(cpu(1), &run_folder.join("model"), 512) else {
            panic!("{rule} was accepted")
        };
        assert!(error.to_string().contains(problem), "{error}");
        assert!(error.hint().unwrap().contains("`decision`"));
    }
}

#[test]
fn a_rule_with_nothing_to_be_fitted_on_is_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let config = uneven(folder.path(), &["decision=fitted", "validation_fraction=0"]);
    let run_folder = folder.path().join("run");
    let error = run(&cpu(1), &config, &run_folder, &mut Recorder::default()).unwrap_err();
    assert_eq!(error.to_string(), "`decision=fitted` needs validation texts");
    assert!(!run_folder.exists());
}
