//! Training texts that a finished model keeps, in whole runs.

mod workbench;

use std::fs;
use std::path::Path;

use finetone_classify::{Classifier, NEIGHBOURS_FILE, Neighbourhood, TransformerClassifier};
use finetone_data::Example;
use finetone_train::TrainEvent;
use serde_json::Value;
use workbench::{Recorder, config, cpu, run, weights, write_data};

/// Few steps, so that the model is not sure of anything yet and neighbours can help.
const BRIEF: [&str; 4] = ["epochs=4", "learning_rate=5e-4", "validation_fraction=0.3", "neighbours=on"];

fn trained(folder: &Path, name: &str, rows: usize, settings: &[&str]) -> Recorder {
    let mut recorder = Recorder::default();
    let settings = [&BRIEF[..], settings].concat();
    run(&cpu(2), &config(folder, rows, &settings), &folder.join(name), &mut recorder).unwrap();
    recorder
}

fn open(folder: &Path) -> TransformerClassifier<finetone_backend_cpu::Cpu> {
    TransformerClassifier::open(cpu(1), &folder.join("model"), 512).unwrap()
}

fn report(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap()
}

fn kept(folder: &Path) -> Neighbourhood {
    open(folder).neighbourhood().expect("it keeps texts").clone()
}

/// A file of other rows than those that are learnt from.
fn test_file(folder: &Path) -> String {
    let other = folder.join("other");
    fs::create_dir_all(&other).unwrap();
    let text = fs::read_to_string(write_data(&other, 180)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let path = folder.join("test.csv");
    fs::write(&path, [&lines[..1], &lines[121..]].concat().join("\n")).unwrap();
    format!("test={}", path.display())
}

#[test]
fn what_a_run_reports_is_what_its_folder_answers_and_the_weights_are_as_ever() {
    let place = tempfile::tempdir().unwrap();
    let (folder, test) = (place.path(), test_file(place.path()));
    let settings = ["decision=uniform-prior", "class_weights={ good = 3.0, bad = 1.0 }", &test];
    let recorder = trained(folder, "with", 120, &settings);
    trained(folder, "without", 120, &[&settings[..], &["neighbours=off"]].concat());
    assert!(weights(&folder.join("with")) == weights(&folder.join("without")), "what other programs read differs");
    assert!(!folder.join("without/model").join(NEIGHBOURS_FILE).exists());

    let found = kept(&folder.join("with")).interpolation;
    assert!(found.share() > 0.0 && found.temperature() != 1.0, "{found:?} would show nothing");
    let told = recorder.events.iter().find_map(|event| match event {
        TrainEvent::Notice { message } if message.starts_with("neighbours: ") => Some(message.clone()),
        _ => None,
    });
    let share = format!(
        "neighbours: {:.0} % of the answer from the {} nearest of 84 training texts",
        100.0 * found.share(),
        found.neighbours()
    );
    assert!(told.as_ref().is_some_and(|told| told.starts_with(&share)), "{told:?} {share}");
    let report = report(&folder.join("with"));
    let section = report["run"].as_array().unwrap().iter().find(|part| part["title"] == "Neighbours").unwrap();
    assert_eq!(section["facts"][1][1], format!("{:.0} %", 100.0 * found.share()));

    let path = folder.join("test.csv");
    let (evaluation, _) =
        finetone_train::evaluate_file(&mut open(&folder.join("with")), &path, &Default::default()).unwrap();
    let reported =
        &report["evaluations"].as_array().unwrap().iter().find(|set| set["name"] == "test").unwrap()["evaluation"];
    for name in ["log_loss", "ece", "accuracy"] {
        let (now, then) = (evaluation.to_json()[name].as_f64().unwrap(), reported[name].as_f64().unwrap());
        assert!((now - then).abs() < 1e-4, "{name}: {now} against {then}");
    }
}

#[test]
fn the_same_seed_keeps_the_same_bits_whatever_the_threads() {
    let place = tempfile::tempdir().unwrap();
    for (name, threads) in [("one", 1), ("two", 2)] {
        let config = config(place.path(), 60, &[&BRIEF[..], &["neighbours_texts=true", "epochs=1"]].concat());
        run(&cpu(threads), &config, &place.path().join(name), &mut Recorder::default()).unwrap();
    }
    let file = |name: &str| fs::read(place.path().join(name).join("model").join(NEIGHBOURS_FILE)).unwrap();
    assert!(file("one") == file("two"), "the files differ");
    let hood = kept(&place.path().join("one"));
    assert!(hood.has_texts() && hood.len() == 38, "{}", hood.len());
}

#[test]
fn folds_seeds_adapters_and_frozen_blocks_have_neighbours_and_later_runs_inherit_none() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    trained(folder, "first", 90, &["folds=2", "seeds=2", "epochs=1", "multi_label=|"]);
    assert!(kept(&folder.join("first")).len() > 40);
    let model = format!("model={}", folder.join("first").display());
    trained(folder, "plain", 90, &["epochs=1", "neighbours=off", "keep_epochs=1", &model]);
    assert!(open(&folder.join("plain")).neighbourhood().is_none());
    trained(folder, "adapted", 90, &["epochs=1", "lora_rank=2", &model]);
    trained(folder, "frozen", 90, &["epochs=1", "freeze=[\"1\"]", "cache=on", &model]);
    for name in ["adapted", "frozen"] {
        let mut classifier = open(&folder.join(name));
        classifier.show_neighbours(1).unwrap();
        let text = workbench::sentence(3).0;
        let near = classifier.classify(&[Example::from_text(&text)]).unwrap().nearest.remove(0).remove(0);
        assert!(near.similarity.is_finite() && near.kept.text.is_none() && near.kept.classes.len() == 1, "{near:?}");
    }
}

#[test]
fn a_run_that_goes_on_keeps_the_old_rows_and_the_new_ones() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    trained(folder, "first", 60, &["epochs=1"]);
    let before = kept(&folder.join("first")).len();
    let from = folder.join("first");
    let (model, from) = (format!("model={}", from.display()), format!("from={}", from.display()));
    // The new file has the old rows as well, which stay where they were.
    trained(folder, "second", 90, &["epochs=1", &model, &from]);
    assert!(kept(&folder.join("second")).len() > before);
}

#[test]
fn what_no_share_can_be_chosen_for_is_refused_before_training() {
    let place = tempfile::tempdir().unwrap();
    let config = config(place.path(), 60, &["neighbours=on", "validation_fraction=0"]);
    let error = run(&cpu(1), &config, &place.path().join("run"), &mut Recorder::default()).unwrap_err();
    assert_eq!(error.to_string(), "`neighbours=on` needs validation texts");
    assert!(error.hint().is_some() && !place.path().join("run").exists());
}
