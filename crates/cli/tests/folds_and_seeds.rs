//! Cross-validation and several seeds: complete, reproducible, and not done twice.

mod workbench;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use workbench::{BINARY, done, failed, names, reviews, run, stderr};

const SHORT: &str = "--model tiny --threads 1 --set max_steps=3 --set eval_every=2 --learning-rate 1e-3";

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn model(run: &Path) -> Vec<u8> {
    fs::read(run.join("model/model.safetensors")).unwrap()
}

fn folder_with_data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), reviews(60)).unwrap();
    folder
}

#[test]
fn every_row_is_judged_unseen_and_the_model_is_that_of_a_run_without_folds() {
    let folder = folder_with_data();
    // A temperature is fitted on what the folds say, if there are any.
    let line = format!("train a.csv {SHORT} --set calibrate=none");
    let output = run(folder.path(), &format!("{line} --folds 3 --repeats 2 --out folds"));
    assert!(output.status.success(), "{}", stderr(&output));
    let told = stderr(&output);
    assert_eq!(told.matches("fold 2 of 3, repeat 1 of 2: accuracy").count(), 1, "{told}");
    assert_eq!(told.matches("device:").count(), 2, "once for the folds, once for the model to keep:\n{told}");
    let run = folder.path().join("folds");
    let found = json(&run.join("folds.json"));
    assert_eq!((&found["folds"], &found["divisions"]), (&Value::from(3), &Value::from(2)));
    assert_eq!(found["accuracy"]["values"].as_array().unwrap().len(), 6);
    assert!(found["f1"]["negative"]["mean"].is_number() && found["accuracy"]["interval"][1].is_number());
    let sizes: u64 = found["runs"].as_array().unwrap().iter().map(|fold| fold["n"].as_u64().unwrap()).sum();
    let table = fs::read_to_string(run.join("out_of_fold.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    // The test rows, a tenth, are in no fold.
    assert_eq!((rows.len(), sizes), (54, 108));
    assert_eq!(found["pooled"]["n"], 54);
    assert_eq!(rows.iter().map(|row| row[0]).collect::<BTreeSet<_>>().len(), 54);
    for row in &rows {
        let probabilities: Vec<f64> = row[3..].iter().map(|p| p.parse().unwrap()).collect();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{row:?}");
    }
    let right = rows.iter().filter(|row| row[1] == row[2]).count() as f64 / 54.0;
    assert!((found["pooled"]["accuracy"].as_f64().unwrap() - right).abs() < 1e-12);
    assert!(fs::read_to_string(run.join("report.html")).unwrap().contains("Cross-validation, 3 folds"));
    assert!(
        !run.join("folds/repeat-1-fold-1/model").exists() && !run.join("folds/repeat-1-fold-1/checkpoints").exists()
    );
    done(folder.path(), &format!("{line} --out plain"));
    assert!(model(&run) == model(&folder.path().join("plain")));
}

#[test]
fn the_best_of_several_seeds_on_the_validation_texts_is_kept() {
    let folder = folder_with_data();
    let shown = done(folder.path(), &format!("train a.csv {SHORT} --seeds 3 --seed 5 --out seeds"));
    assert!(shown.contains("3 seeds") && shown.contains("deviation"), "{shown}");
    let run = folder.path().join("seeds");
    let best = |seed: u64| {
        let trial = json(&run.join(format!("seeds/seed-{seed}/trial.json")));
        let value = |key: &str| trial["best"][key].as_f64().unwrap();
        (value("value"), -value("loss"))
    };
    let kept = (5..8).reduce(|a, b| if best(b) > best(a) { b } else { a }).unwrap();
    let report = fs::read_to_string(run.join("report.md")).unwrap();
    assert!(report.contains(&format!("| seed | {kept} |")), "seed {kept} is not that of\n{report}");
    assert!(report.contains("## 3 seeds") && run.join("events.jsonl").is_file());
    for seed in 5..8 {
        assert!(!run.join(format!("seeds/seed-{seed}/model")).exists(), "models take space");
    }
    let seeds = json(&run.join("seeds.json"));
    let values = seeds["accuracy"]["values"].as_array().unwrap();
    assert_eq!((values.len(), &seeds["runs"][2]["name"]), (3, &Value::from("seed 7")));
    assert!(done(folder.path(), "predict seeds --text lovely").contains("confidence"));
}

#[test]
fn what_was_finished_before_a_kill_is_not_done_again() {
    let folder = folder_with_data();
    let line = format!("train a.csv {SHORT} --folds 3 --seeds 2 --quiet");
    done(folder.path(), &format!("{line} --out whole"));
    let began = format!("{line} --out killed");
    let mut child = Command::new(BINARY)
        .current_dir(folder.path())
        .args(began.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (killed, start) = (folder.path().join("killed"), Instant::now());
    while !killed.join("folds/fold-1/trial.json").exists() && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first = fs::read(killed.join("folds/fold-1/trial.json")).unwrap();
    done(folder.path(), "train --resume killed --threads 1 --quiet");
    assert!(fs::read(killed.join("folds/fold-1/trial.json")).unwrap() == first, "the first fold was done again");
    let whole = folder.path().join("whole");
    let text = |run: &Path, file: &str| fs::read_to_string(run.join(file)).unwrap().replace("killed", "whole");
    for file in ["folds.json", "out_of_fold.csv", "seeds.json"] {
        assert!(text(&killed, file) == text(&whole, file), "{file} differs");
    }
    let report = |run| without_times(&text(run, "report.json"));
    assert_eq!(report(&killed), report(&whole));
    assert!(model(&killed) == model(&whole));
}

/// A report without what the clock said.
fn without_times(report: &str) -> Value {
    let mut report: Value = serde_json::from_str(report).unwrap();
    for part in ["curves", "summary"] {
        let of_the_clock = |key: &str| key.ends_with("_runtime") || key.ends_with("_per_second");
        let curves = report["history"][part].as_array_mut().unwrap();
        curves.retain(|curve| !of_the_clock(curve["key"].as_str().unwrap()));
    }
    report
}

#[test]
fn folds_that_cannot_be_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let rare = "x,a rare thing,mixed\ny,another,mixed\nz,a third,mixed\n";
    fs::write(folder.path().join("a.csv"), reviews(60) + rare).unwrap();
    let said = failed(folder.path(), &format!("train a.csv {SHORT} --folds 5 --set test_fraction=0"));
    assert!(said.contains("label `mixed` has 3 different texts, too few for 5 folds"), "{said}");
    assert!(said.contains("at most 3 folds"), "{said}");
    let by_group = failed(folder.path(), "train a.csv --folds 3 --set split=group --set group_column=id");
    assert!(by_group.contains("not by group or time"), "{by_group}");
    let usage = run(folder.path(), "train a.csv --repeats 2");
    assert_eq!(usage.status.code(), Some(2), "{}", stderr(&usage));
    assert!(stderr(&usage).contains("`repeats` must be 1 without `folds`"), "{}", stderr(&usage));
    assert_eq!(run(folder.path(), "train a.csv --folds 1").status.code(), Some(2));
    assert_eq!(names(folder.path()), ["a.csv"]);
}
