//! What is done for rare classes, in whole runs.

mod workbench;

use std::fs;
use std::path::{Path, PathBuf};

use finetone_classify::{Classifier, TransformerClassifier};
use finetone_data::Example;
use finetone_data::augment::Change;
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

/// The settings with which copies have words replaced by the model in this folder.
fn masked(folder: &Path, model: &Path, settings: &[&str]) -> RunConfig {
    let model = format!("model={}", model.display());
    let usual = ["epochs=3", "batch_size=8", "learning_rate=1e-3", "augment=[\"mask\"]", "augment_copies=2"];
    uneven(folder, &[&usual[..], &["augment_words=0.3", model.as_str()], settings].concat())
}

/// A copy of the folder of a model that knows sentences like those of the data, with its masked-language head.
fn copy_of_grammar(to: &Path) -> PathBuf {
    let folder = to.join("grammar");
    fs::create_dir(&folder).unwrap();
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../generate/tests/masked/grammar").join(name);
        fs::copy(from, folder.join(name)).unwrap();
    }
    folder
}

fn notices(recorder: &Recorder) -> String {
    let told = recorder.events.iter().filter_map(|event| match event {
        TrainEvent::Notice { message } => Some(message.as_str()),
        _ => None,
    });
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_run_with_replaced_words_goes_on_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let config = masked(folder.path(), &copy_of_grammar(folder.path()), &["eval_every=5"]);
    let [whole, parts, plain] = ["whole", "parts", "plain"].map(|name| folder.path().join(name));
    let mut recorder = Recorder::default();
    run(&cpu(1), &config, &whole, &mut recorder).unwrap();
    let told = notices(&recorder);
    assert!(told.contains("words of copies are replaced by the model as it was before training: it takes"), "{told}");
    assert!(told.contains("; in the first copy `") && told.contains("` becomes `"), "{told}");
    for (stop, threads) in [(3, 2), (14, 1), (22, 2)] {
        let mut recorder = Recorder { stop_at: Some((stop, Control::default())), ..Recorder::default() };
        let outcome = run(&cpu(threads), &config, &parts, &mut recorder).unwrap();
        assert!(matches!(outcome, Outcome::Interrupted { step } if step == stop), "not stopped at {stop}");
    }
    run(&cpu(2), &config, &parts, &mut Recorder::default()).unwrap();
    assert!(weights(&whole) == weights(&parts), "the weights differ");
    let config = RunConfig { augment: vec![Change::Swap], ..config };
    run(&cpu(2), &config, &plain, &mut Recorder::default()).unwrap();
    assert!(weights(&whole) != weights(&plain), "other copies, the same weights");
}

#[test]
fn words_come_from_what_a_chain_of_runs_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let base = copy_of_grammar(folder.path());
    let [first, second, third] = ["first", "second", "third"].map(|name| folder.path().join(name));
    let short = ["epochs=1", "max_steps=2"];
    run(&cpu(2), &masked(folder.path(), &base, &short), &first, &mut Recorder::default()).unwrap();
    let mut recorder = Recorder::default();
    run(&cpu(2), &masked(folder.path(), &first, &short), &second, &mut recorder).unwrap();
    assert!(notices(&recorder).contains("words of copies are replaced"));
    // The model of a run is no masked language model any more.
    let refused = |model: &Path| {
        let error = run(&cpu(1), &masked(folder.path(), model, &short), &third, &mut Recorder::default()).unwrap_err();
        assert!(!third.exists());
        (error.to_string(), error.hint().unwrap())
    };
    let (error, hint) = refused(&first.join("model"));
    assert!(error.contains("`augment` holds `mask`, but") && error.contains("`BertForMaskedLM`"), "{error}");
    assert!(hint.contains("sentence-transformers") && hint.contains("`delete`"), "{hint}");
    fs::remove_dir_all(&base).unwrap();
    let (error, _) = refused(&second);
    assert!(error.contains("began from a model that is not found") && error.contains("grammar"), "{error}");
}

#[test]
fn a_model_from_scratch_cannot_replace_words() {
    let folder = tempfile::tempdir().unwrap();
    let config = uneven(folder.path(), &["augment=[\"mask\"]"]);
    let error = run(&cpu(1), &config, &folder.path().join("run"), &mut Recorder::default()).unwrap_err();
    assert!(error.to_string().contains("starts from scratch and knows no words yet"), "{error}");
    assert!(error.hint().unwrap().contains("`delete`, `swap`, `agent` and `crop` need no model"));
    assert!(!folder.path().join("run").exists());
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
