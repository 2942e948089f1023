//! How far a model can be trusted: thresholds, suspected labels, explanations, behaviour.

mod workbench;

use std::fs;
use std::path::Path;

use serde_json::Value;
use workbench::{done, failed, reviews, run, stdout, trained};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("reviews.csv"), reviews(90)).unwrap();
    folder
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn texts_below_the_threshold_are_marked_and_counted_wherever_the_model_answers() {
    let folder = place();
    let settings =
        "--model tiny --set max_steps=30 --learning-rate 1e-3 --threads 1 --set validation_fraction=0.3 --quiet";
    done(folder.path(), &format!("train reviews.csv --out run --abstain-cost 0.3 {settings}"));
    let least = json(&fs::read_to_string(folder.path().join("run/model/config.json")).unwrap())["finetone"]["abstention"]
        ["least_confidence"]
        .as_f64();
    done(folder.path(), "predict run reviews.csv -o out.csv --precision f32 --quiet");
    let mut table = csv::Reader::from_path(folder.path().join("out.csv")).unwrap();
    let header = table.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let mut left = 0;
    for row in table.records().map(Result::unwrap) {
        let (sure, abstained) = (row[column("confidence")].parse::<f64>().unwrap(), &row[column("abstained")]);
        assert_eq!(abstained, if least.is_none_or(|least| sure < least - 1e-6) { "true" } else { "false" }, "{sure}");
        left += usize::from(abstained == "true");
    }
    let evaluation = json(&done(folder.path(), "eval run reviews.csv --json --precision f32"));
    assert_eq!(evaluation["answered"]["texts"], 90);
    assert_eq!(evaluation["answered"]["answered"].as_u64(), Some(90 - left as u64));
    assert!(done(folder.path(), "eval run reviews.csv").contains("go to a person"));
    let both = run(folder.path(), "train reviews.csv --out other --abstain-cost 0.3 --min-precision 0.9");
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn suspected_labels_are_written_to_be_corrected() {
    let folder = place();
    let wrong = reviews(90).replace("number 12, was broken\",negative", "number 12, was broken\",positive");
    let wrong = wrong.replace("number 0, was broken\",negative", "number 0, was broken\",positive");
    fs::write(folder.path().join("reviews.csv"), wrong).unwrap();
    let page = done(folder.path(), "doctor reviews.csv --label-errors suspects.csv");
    assert!(page.contains("label errors: about ") && page.contains("line 2: `positive`, seems `negative`"), "{page}");
    let table = fs::read_to_string(folder.path().join("suspects.csv")).unwrap();
    assert!(table.starts_with("line,text,label,suggested,") && table.contains("\n2,"), "{table}");
    let object = json(&done(folder.path(), "doctor reviews.csv --label-errors suspects.csv --json"));
    assert_eq!(object["label_errors"]["suspects"].as_u64(), Some(table.lines().count() as u64 - 1));
    fs::write(folder.path().join("few.csv"), reviews(6)).unwrap();
    assert!(failed(folder.path(), "doctor few.csv --label-errors few-suspects.csv").contains("too few"));
    assert!(!folder.path().join("few-suspects.csv").exists());
}

#[test]
fn an_answer_is_explained_by_its_words_which_add_up() {
    let explained = |text: &str| {
        let mut command = workbench::finetone(trained());
        stdout(&command.args(["explain", "runs/reviews-1", text]).arg("--json").output().unwrap())
    };
    let found = &json(&explained("the kettle was lovely"))[0];
    let words = found["words"].as_array().unwrap();
    let said: Vec<&str> = words.iter().map(|word| word["word"].as_str().unwrap()).collect();
    assert_eq!(said, ["the", "kettle", "was", "lovely"]);
    let sum: f64 = words.iter().map(|word| word["adds"].as_f64().unwrap()).sum();
    let difference = found["log_odds"].as_f64().unwrap() - found["log_odds_without_words"].as_f64().unwrap();
    assert!((sum - difference).abs() <= 0.01 * difference.abs().max(0.1), "{found}");
    assert_ne!(found["label"], found["against"]);
    let call = &json(&explained("Agent: Good morning.\n\nCustomer: It was awful"))[0];
    let speakers: Vec<&str> = call["turns"].as_array().unwrap().iter().filter_map(|t| t["speaker"].as_str()).collect();
    assert_eq!(speakers, ["Agent", "Customer"]);
    let page = done(trained(), "explain runs/reviews-1 lovely");
    assert!(page.contains(" rather than ") && page.contains("word") && !page.contains('\u{1b}'), "{page}");
    assert_eq!(run(trained(), "explain runs/reviews-1").status.code(), Some(2));
}

#[test]
fn predictions_say_why_where_that_is_asked_for() {
    let folder = place();
    fs::write(folder.path().join("few.csv"), "text,id\nthe kettle was lovely,1\n,2\nlate and rude,3\n").unwrap();
    let model = trained().join("runs/reviews-1");
    let line = format!("predict {} few.csv -o why.csv --explain --quiet", model.display());
    done(folder.path(), &line);
    let mut table = csv::Reader::from_path(folder.path().join("why.csv")).unwrap();
    let header = table.headers().unwrap().clone();
    assert_eq!(header.iter().next_back(), Some("explanation"));
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let [why, label] = ["explanation", "label"].map(|name| header.iter().position(|column| column == name).unwrap());
    assert!(rows[0][why].starts_with(&format!("for {} rather than ", &rows[0][label])), "{}", &rows[0][why]);
    assert!(["“kettle” ", "“lovely” "].iter().all(|word| rows[0][why].contains(word)), "{}", &rows[0][why]);
    assert!(rows[1][why].is_empty() && rows[2][why].contains("“rude” "), "{rows:?}");
    let mut command = workbench::finetone(folder.path());
    let page = stdout(&command.arg("predict").arg(&model).args(["--explain", "--text", "lovely"]).output().unwrap());
    assert!(page.contains("explanation") && page.contains("“lovely”"), "{page}");
    let output = run(folder.path(), &format!("{line} --precision int8"));
    assert_eq!(output.status.code(), Some(2), "{}", workbench::stderr(&output));
}

#[test]
fn behaviour_is_tested_by_a_file() {
    let tests = Path::new(EXAMPLES).join("behaviour.toml");
    let page = done(trained(), &format!("eval runs/reviews-1 --behaviour {}", tests.display()));
    for part in ["negated praise", "minimum functionality", "invariance", "direction", "cases"] {
        assert!(page.contains(part), "{part} is missing:\n{page}");
    }
    let line = format!("eval runs/reviews-1 reviews.csv --json --behaviour {}", tests.display());
    let object = json(&done(trained(), &line));
    let results = object["behaviour"].as_array().unwrap();
    assert!(results.len() >= 8 && object["accuracy"].is_number());
    assert!(results.iter().all(|result| result["failures"].as_u64() <= result["cases"].as_u64()), "{results:?}");
    assert_eq!(run(trained(), "eval runs/reviews-1").status.code(), Some(2));
    fs::write(trained().join("broken.toml"), "[[test]]\nname = \"x\"").unwrap();
    failed(trained(), "eval runs/reviews-1 --behaviour broken.toml");
}
