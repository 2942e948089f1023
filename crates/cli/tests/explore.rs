//! What is in a file, on the terminal, as JSON and as a page.

mod workbench;

use std::fs;

use serde_json::Value;
use workbench::{done, failed, names, reviews, run, stderr, trained};

#[test]
fn a_file_is_told_shown_and_written_as_json() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("reviews.csv"), reviews(90)).unwrap();
    let model = trained().join("runs/reviews-1").display().to_string();
    let line = format!("explore reviews.csv --model {model} --max-tokens 12 --report page.html");
    let told = done(folder.path(), &line);
    assert!(told.starts_with("reviews.csv: 90 rows, texts in `text`\n"), "{told}");
    for part in
        ["negative    30  33.3 %", "words that mark a class", "copies: 0", "id", "above 12 tokens", "report: page.html"]
    {
        assert!(told.contains(part), "{part} is missing: {told}");
    }
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    for part in ["Balance", "Lengths", "Manner", "Words that mark a class", "Copies", "Other columns"] {
        assert!(page.contains(part), "{part} is missing");
    }
    let json: Value = serde_json::from_str(&done(folder.path(), "explore reviews.csv --json")).unwrap();
    assert_eq!((&json["rows"], &json["classes"][0]["label"]), (&90.into(), &"negative".into()));
}

#[test]
fn what_cannot_be_explored_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), reviews(30).replace("neutral", "")).unwrap();
    let said = failed(folder.path(), "explore a.csv --report page.html");
    assert!(said.contains("a.csv: 10 rows without label") && said.contains("finetone doctor a.csv"), "{said}");
    assert!(failed(folder.path(), "explore nowhere.csv").contains("nowhere.csv: no such file"));
    for wrong in ["explore -", "explore a.csv --report page.txt", "explore a.csv --max-tokens 5"] {
        let output = run(folder.path(), wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", stderr(&output));
    }
    assert_eq!(names(folder.path()), ["a.csv"]);
}
