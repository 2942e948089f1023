//! Two models on one file.

mod workbench;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use workbench::{done, failed, finetone, model_copy, reviews, run, stderr, trained};

/// A copy of the trained model whose classes are called otherwise.
fn renamed(folder: &Path, labels: [&str; 3]) {
    let path = model_copy(folder).join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["finetone"]["labels"] = json!(labels);
    fs::write(path, config.to_string()).unwrap();
}

/// A folder with `fresh.csv`.
fn fresh() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("fresh.csv"), reviews(30)).unwrap();
    folder
}

fn run_of_ours() -> String {
    trained().join("runs/reviews-1").display().to_string()
}

#[test]
fn a_model_is_no_better_than_itself() {
    let folder = fresh();
    renamed(folder.path(), ["Negative", "NEUTRAL", "positive"]);
    let ours = run_of_ours();
    let page = done(folder.path(), &format!("compare {ours} model fresh.csv --precision f32"));
    assert!(
        page.starts_with(&format!("No difference: {ours} and model are right on the same of 30 rows.\n")),
        "{page}"
    );
    assert!(page.contains("+0.0000  +0.0000 to +0.0000") && !page.contains("where only one is right"), "{page}");
}

#[test]
fn the_better_model_is_named_with_the_texts_that_tell() {
    let folder = fresh();
    let ours = run_of_ours();
    // What the one says is taken for the truth, and the other calls every class by another's name.
    done(folder.path(), &format!("predict {ours} fresh.csv -o said.csv --precision f32"));
    renamed(folder.path(), ["neutral", "positive", "negative"]);
    let line =
        format!("compare {ours} model said.csv --label-column label_predicted --precision f32 --report page.html");
    let page = done(folder.path(), &line);
    let sentence = format!("{ours} is 100.0 points better than model on 30 rows: more than chance, p < 0.001.\n");
    assert!(page.starts_with(&sentence) && page.contains("where only one is right:\nline 2: "), "{page}");
    assert!(page.contains("accuracy     1.0000  0.8865 to 1.0000  0.0000  0.0000 to 0.1135  -1.0000"), "{page}");
    let report = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(report.contains("Side by side") && report.contains("Where only one is right"));
    let json: Value = serde_json::from_str(&done(folder.path(), &format!("{line} --json"))).unwrap();
    let comparison = &json["comparison"];
    let counts = ["both_right", "only_first", "only_second", "both_wrong"].map(|key| comparison[key].as_u64().unwrap());
    assert_eq!(counts.iter().sum::<u64>(), 30);
    assert!(comparison["p_value"].is_number() && json["verdict"].is_string(), "{json}");
    let accuracy = |which: usize| json["evaluations"][which]["evaluation"]["accuracy"].as_f64().unwrap();
    let difference = comparison["differences"]["accuracy"]["difference"]["value"].as_f64().unwrap();
    assert!((difference - (accuracy(1) - accuracy(0))).abs() < 1e-9);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = fresh();
    let ours = run_of_ours();
    renamed(folder.path(), ["bad", "fair", "good"]);
    let said = failed(folder.path(), &format!("compare {ours} model fresh.csv"));
    assert!(said.contains("`negative`, `neutral`, `positive`, and `bad`, `fair`, `good`"), "{said}");
    let said = failed(folder.path(), &format!("compare {ours} {ours} nowhere.csv"));
    assert!(said.contains("nowhere.csv: no such file"), "{said}");
    let output = run(folder.path(), &format!("compare {ours} {ours} -"));
    assert!(output.status.code() == Some(2) && stderr(&output).contains("only once"));
    assert_eq!(finetone(folder.path()).args(["compare", &ours, "fresh.csv"]).output().unwrap().status.code(), Some(2));
}
