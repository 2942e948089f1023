//! Conversations, cleaning and features: what training does to a row, prediction does again.

mod workbench;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use workbench::{done, failed, run, stderr};

/// Conversations whose label is in the customer's words alone; the agent says the opposite as often.
fn calls(rows: usize, columns: bool) -> String {
    let moods = [("awful", "negative"), ("fine", "neutral"), ("lovely", "positive")];
    let row = |i: usize| {
        let ((word, label), (other, _)) = (moods[i % 3], moods[i / 3 % 3]);
        let tier = if columns { format!(",{}", ["gold", "silver", ""][i % 3]) } else { String::new() };
        format!(
            "\"Agent: Was call {i} {other}?\n\n(After a minute)\n\nCustomer: It was {word}, see http://a.org/{i}. Bye!\"{tier},{label}\n"
        )
    };
    let header = if columns { "conversation,tier,sentiment\n" } else { "conversation,sentiment\n" };
    header.to_owned() + &(0..rows).map(row).collect::<String>()
}

const SETTINGS: &str = r#"conversation = "customer"
stage_directions = "drop"
clean = ["html", "space", "urls"]
features = ["tier", "customer_words", "questions"]
"#;

/// A folder with `calls.csv`, `plain.csv` without the column, and a run of a tiny model that reads the customer alone.
fn trained() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("calls.csv"), calls(90, true)).unwrap();
        fs::write(folder.path().join("plain.csv"), calls(6, false)).unwrap();
        fs::write(folder.path().join("customer.toml"), SETTINGS).unwrap();
        done(
            folder.path(),
            "train calls.csv --recipe customer.toml --out run --epochs 4 --learning-rate 2e-3 --threads 1 -q",
        );
        folder
    });
    folder.path()
}

/// What was predicted for each row of a file, which stays as it is.
fn said(folder: &Path, file: &str) -> Vec<[Value; 3]> {
    done(folder, &format!("predict run {file} -o said.jsonl -q"));
    let lines = fs::read_to_string(folder.join("said.jsonl")).unwrap();
    let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| ["negative", "neutral", "positive"].map(|label| row[format!("probability_{label}")].clone()))
        .collect()
}

#[test]
fn the_model_keeps_what_is_done_to_its_rows() {
    let config: Value = serde_json::from_slice(&fs::read(trained().join("run/model/config.json")).unwrap()).unwrap();
    let kept = &config["finetone"]["preparation"];
    assert_eq!((&kept["conversation"], &kept["clean"][2]), (&"customer".into(), &"urls".into()));
    assert_eq!(kept["features"][0]["scale"]["categories"], serde_json::json!(["gold", "silver"]));
    let tokenizer = fs::read_to_string(trained().join("run/model/tokenizer.json")).unwrap();
    assert!(tokenizer.contains("\"[URL]\"") && !tokenizer.contains("\"[AGENT]\""));
    let read = "the customer's turns, without stage directions; cleaned: html, space, urls; with tier, customer_words, \
                questions before the text";
    assert!(done(trained(), "model show run").contains(read));
    // Markdown takes underscores for emphasis, so the report has a backslash before each.
    assert!(fs::read_to_string(trained().join("run/report.md")).unwrap().replace('\\', "").contains(read));
    done(trained(), "model export run -o exported");
    assert!(fs::read_to_string(trained().join("exported/README.md")).unwrap().contains(read));
}

#[test]
fn prediction_prepares_rows_as_training_did() {
    let folder = trained();
    let before = said(folder, "calls.csv");
    assert_eq!(before.len(), 90);
    // What the model does not read changes nothing: the agent's words, directions, the address, markup.
    let other = calls(90, true)
        .replace("Agent: Was", "Senior Agent:  <b>Is</b>")
        .replace("(After a minute)", "(They wait.)")
        .replace("a.org", "b.example");
    fs::write(folder.join("other.csv"), other).unwrap();
    assert_eq!(said(folder, "other.csv"), before);
    // The column is read.
    fs::write(folder.join("gold.csv"), calls(90, true).replace(",silver,", ",gold,")).unwrap();
    assert_ne!(said(folder, "gold.csv"), before);
    let measured: Value = serde_json::from_str(&done(folder, "eval run calls.csv --json")).unwrap();
    assert!(measured["accuracy"].as_f64().unwrap() > 0.9, "{measured}");
}

#[test]
fn a_missing_column_is_named() {
    let before = workbench::names(trained());
    for line in ["predict run plain.csv -o none.csv", "eval run plain.csv"] {
        let said = failed(trained(), line);
        assert!(said.contains("plain.csv: there is no column `tier`"), "{said}");
    }
    assert!(!workbench::names(trained()).contains(&"none.csv".to_owned()), "{before:?}");
    let said = stderr(&run(trained(), "predict run --text Hello"));
    assert!(said.contains("`--text` has no column `tier`"), "{said}");
}

#[test]
fn wrong_settings_end_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("calls.csv"), calls(30, true)).unwrap();
    fs::write(folder.path().join("named.csv"), calls(30, false).replace("Agent:", "Ana:").replace("Customer:", "Ben:"))
        .unwrap();
    let cases = [
        (r#"calls.csv --set features=["teir"]"#, "did you mean `tier`?"),
        (r#"calls.csv --set features=["sentiment"]"#, "holds the labels"),
        ("named.csv --set conversation=customer", "names that look like speakers: `Ana`, `Ben`"),
    ];
    for (line, told) in cases {
        let said = failed(folder.path(), &format!("train {line} --out run"));
        assert!(said.contains(told), "{line}: {said}");
        assert!(!folder.path().join("run").exists());
    }
    let output = run(folder.path(), "train calls.csv --set conversation=client");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    // Once told who is who, the same file is fine.
    let line = r#"train named.csv --set conversation=both --set speakers={agent=["Ana"],customer=["Ben"]} --out named"#;
    done(folder.path(), &format!("{line} --set max_steps=1 -q"));
    let tokenizer = fs::read_to_string(folder.path().join("named/model/tokenizer.json")).unwrap();
    assert!(tokenizer.contains("\"[AGENT]\"") && tokenizer.contains("\"[CUSTOMER]\""));
}

/// A column alone tells the classes apart, so only a model that reads its numbers can be right.
#[test]
fn columns_reach_the_model_as_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let label = |i: usize| ["negative", "neutral", "positive"][i % 3];
    let rows: String = (0..90).map(|i| format!("call number {i},{},{i}.5,{}\n", label(i + 1), label(i))).collect();
    fs::write(folder.path().join("calls.csv"), format!("text,mood,length,label\n{rows}")).unwrap();
    fs::write(folder.path().join("joined.toml"), "features = [\"columns\"]\nfeatures_as = \"joined\"\n").unwrap();
    done(
        folder.path(),
        "train calls.csv --recipe joined.toml --set head_rate=20 --out run --epochs 4 --learning-rate 2e-3 --threads 1 -q",
    );
    let measured: Value = serde_json::from_str(&done(folder.path(), "eval run calls.csv --json")).unwrap();
    assert_eq!(measured["accuracy"], 1.0);
    let shown = done(folder.path(), "model show run");
    assert!(shown.contains("mood, length"), "{shown}");
}
