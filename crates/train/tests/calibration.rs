//! How sure a finished model is, in whole runs.

#[path = "../../../tests/real_data.rs"]
mod real_data;
mod workbench;

use std::fs;
use std::path::Path;

use finetone_backend_cpu::Cpu;
use finetone_classify::baselines::{Baseline, Fit, Lesson};
use finetone_classify::{Classifier, TransformerClassifier};
use finetone_data::{Dataset, Example, Preparation, ReadOptions, Target};
use finetone_evaluate::{Abstention, Aim, Metric, Predictions, Temperature, Truth};
use serde_json::Value;
use workbench::{Recorder, config, cpu, run, weights};

const TEXTS: [&str; 3] = ["the lamp is superb", "the kettle number 7 is dreadful", "a radio"];

/// Trains for a few steps, and gives the logarithm of the odds of each text.
fn odds(folder: &Path, name: &str, settings: &[&str]) -> Vec<f64> {
    let settings = [&["epochs=3", "learning_rate=1e-3", "validation_fraction=0.3"], settings].concat();
    let run_folder = folder.join(name);
    run(&cpu(2), &config(folder, 60, &settings), &run_folder, &mut Recorder::default()).unwrap();
    let mut classifier = TransformerClassifier::open(cpu(1), &run_folder.join("model"), 512).unwrap();
    let said = classifier.classify(&TEXTS.map(Example::from_text)).unwrap().probabilities;
    said.chunks(2).map(|p| (f64::from(p[1]) / f64::from(p[0])).ln()).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn noted(folder: &Path, name: &str) -> Option<f64> {
    json(&folder.join(name).join("model/config.json"))["finetone"]["temperature"].as_f64()
}

#[test]
fn the_weights_of_the_last_layer_are_divided_by_what_is_noted_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    for (name, settings) in [("softmax", &[][..]), ("one", &["output=one-logit"]), ("joined", &JOINED)] {
        let plain = odds(folder.path(), &format!("{name}-plain"), &[settings, &["calibrate=none"]].concat());
        let cooled = odds(folder.path(), name, settings);
        let temperature = noted(folder.path(), name).expect("a temperature");
        assert!((temperature - 1.0).abs() > 0.01, "{name}: {temperature} would show nothing");
        for (plain, cooled) in plain.iter().zip(&cooled) {
            assert!((plain / temperature - cooled).abs() < 1e-4, "{name}: {plain} by {temperature} is not {cooled}");
        }
        assert_eq!(noted(folder.path(), &format!("{name}-plain")), None);
        let report = json(&folder.path().join(name).join("report.json"));
        let section = report["run"].as_array().unwrap().iter().find(|part| part["title"] == "Calibration").unwrap();
        assert!(section["facts"][0][1].as_str().unwrap().starts_with(&format!("{temperature:.3}, ")), "{section}");
        let after = section["facts"][2][1].as_str().unwrap().split(", ").nth(1).unwrap();
        let sets = report["evaluations"].as_array().unwrap();
        let validation = sets.iter().find(|set| set["name"] == "validation").unwrap();
        let measured = validation["evaluation"]["ece"].as_f64().unwrap();
        assert_eq!(after, format!("{measured:.4} after"), "what is reported was measured");
    }
}

const JOINED: [&str; 2] = ["features=[\"words\"]", "features_as=joined"];

#[test]
fn without_validation_texts_nothing_is_divided() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["validation_fraction=0", "epochs=1"];
    odds(folder.path(), "default", &settings);
    odds(folder.path(), "none", &[&settings[..], &["calibrate=none"]].concat());
    assert_eq!(noted(folder.path(), "default"), None);
    assert!(weights(&folder.path().join("default")) == weights(&folder.path().join("none")), "the weights differ");
}

#[test]
fn a_later_run_does_not_inherit_a_temperature() {
    let folder = tempfile::tempdir().unwrap();
    odds(folder.path(), "first", &[]);
    let model = format!("model={}", folder.path().join("first").display());
    odds(folder.path(), "second", &["epochs=1", &model, "calibrate=none"]);
    assert!(noted(folder.path(), "first").is_some() && noted(folder.path(), "second").is_none());
}

#[test]
fn a_threshold_is_fitted_kept_and_measured_with() {
    let folder = tempfile::tempdir().unwrap();
    odds(folder.path(), "run", &["abstain_cost=0.1", "epochs=2", "learning_rate=3e-4"]);
    let config = json(&folder.path().join("run/model/config.json"));
    let noted = &config["finetone"]["abstention"];
    assert_eq!(noted["aim"]["cost"].as_f64(), Some(0.1), "{noted}");
    let report = json(&folder.path().join("run/report.json"));
    let notice = report["notices"].as_array().unwrap().iter().filter_map(Value::as_str).next_back().unwrap();
    assert!(notice.contains("go to a person"), "{notice}");
    let sets = report["evaluations"].as_array().unwrap();
    assert!(sets.iter().all(|set| set["answered"]["texts"] == set["evaluation"]["n"]), "{sets:?}");
    let classifier = TransformerClassifier::open(cpu(1), &folder.path().join("run/model"), 512).unwrap();
    assert_eq!(classifier.abstention().unwrap().least_confidence, noted["least_confidence"].as_f64());
    odds(folder.path(), "later", &["epochs=1", &format!("model={}", folder.path().join("run").display())]);
    assert!(json(&folder.path().join("later/model/config.json"))["finetone"].get("abstention").is_none());
}

#[test]
fn a_precision_that_so_few_texts_cannot_show_leaves_all_to_a_person_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    odds(folder.path(), "run", &["min_precision=0.99", "epochs=1"]);
    let report = json(&folder.path().join("run/report.json"));
    let notice = report["notices"].as_array().unwrap().iter().filter_map(Value::as_str).next_back().unwrap();
    assert!(notice.starts_with("all texts go to a person: on ") && notice.contains("0.99"), "{notice}");
    let answered = &report["evaluations"][0]["answered"];
    assert!(answered["answered"] == 0 && answered["texts"] != 0, "{answered}");
}

#[test]
fn a_threshold_without_validation_texts_is_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 60, &["min_precision=0.9", "validation_fraction=0"]);
    let error = run(&cpu(1), &config, &folder.path().join("run"), &mut Recorder::default()).unwrap_err();
    assert_eq!(error.to_string(), "`min_precision` needs validation texts");
    assert!(!folder.path().join("run").exists());
}

/// A part of a real file, or nothing where it is not here.
fn real(name: &str) -> Option<Dataset> {
    real_data::present(&format!("sst2/{name}")).map(|path| Dataset::read(&path, &ReadOptions::default()).unwrap())
}

fn judged(classifier: &mut dyn Classifier, dataset: &Dataset) -> Predictions {
    let truth = dataset.examples.iter().filter_map(Example::only_class).collect();
    let said = classifier.classify(&dataset.examples).unwrap().probabilities;
    Predictions::new(dataset.labels.names().to_vec(), Truth::Single(truth), said).unwrap()
}

/// What is fitted on the validation texts of a real file holds on its test texts.
#[test]
fn a_temperature_calibrates_other_texts_and_a_precision_is_kept_on_them() {
    let (Some(train), Some(dev), Some(test)) = (real("train.csv"), real("dev.csv"), real("test.csv")) else { return };
    let texts: Vec<&str> = train.examples.iter().map(|example| example.text.as_str()).collect();
    let targets: Vec<Target> = train.examples.iter().filter_map(|example| example.target.clone()).collect();
    let lesson = Lesson {
        preparation: &Preparation::default(),
        texts: &texts,
        targets: &targets,
        labels: train.labels.names(),
        multi_label: false,
        seed: 0,
    };
    let Fit::Fitted { mut classifier, .. } = Baseline::TfIdf.fit::<Cpu>(&lesson, None).unwrap() else {
        panic!("words are always there")
    };
    let [dev, test] = [&dev, &test].map(|part| judged(&mut *classifier, part));
    let temperature = Temperature::fit(&dev);
    let errors = [&test, &temperature.applied(&test)].map(|said| Metric::Ece.compute(said).unwrap());
    assert!(errors[1] < errors[0], "calibration error from {} to {}", errors[0], errors[1]);
    let abstention = Abstention::fit(&temperature.applied(&dev), Aim::Precision(0.85)).unwrap();
    let answered = abstention.outcome(&temperature.applied(&test));
    let precision = answered.precision().expect("some texts are answered");
    println!("T = {:.3}, calibration error {errors:?}, {}", temperature.value(), answered.told());
    assert!(precision.high >= 0.85 && answered.coverage().value > 0.3, "{}", answered.told());
}
