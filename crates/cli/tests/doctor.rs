//! `finetone doctor` on faulty files.

mod workbench;

use std::fs;

use workbench::{done, failed, reviews, run, stderr, stdout, trained};

/// Runs the doctor on a file with this content; gives the exit code and the page.
fn examined(content: impl AsRef<[u8]>) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.csv"), content).unwrap();
    let output = run(folder.path(), "doctor data.csv");
    assert_eq!(stderr(&output), "");
    (output.status.code(), stdout(&output))
}

#[test]
fn a_sound_file_is_described() {
    let (code, page) = examined(reviews(90));
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(page);
}

#[test]
fn every_fault_has_its_line_and_a_fix() {
    let mut content = reviews(66).into_bytes();
    content.extend(b"66,one field too many,positive,again\n");
    content.extend(b"67,bytes that are \xff\xfe not text,positive\n");
    content.extend(b"68,,neutral\n69,no label here,\n70,LOVELY in capitals,Positive\n");
    content.extend(b"71,lovely in small letters,rare\n");
    let (code, page) = examined(content);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(page);
}

#[test]
fn one_class_and_numbers_are_errors() {
    let one: String = (0..30).map(|i| format!("text number {i},good\n")).collect();
    let (code, page) = examined(format!("text,label\n{one}"));
    assert_eq!(code, Some(1));
    assert!(page.contains("1 error:") && page.contains("good"), "{page}");
    let numbers: String = (0..30).map(|i| format!("text number {i},{}\n", i as f64 / 7.0 + 0.01)).collect();
    let (code, page) = examined(format!("text,label\n{numbers}"));
    assert_eq!(code, Some(1));
    assert!(page.contains("data.csv:2: ") && page.contains("fix: "), "{page}");
}

#[test]
fn a_test_file_is_checked_against_the_training_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.csv"), reviews(90)).unwrap();
    fs::write(folder.path().join("test.csv"), reviews(3) + "9,something else,posittive\n").unwrap();
    let output = run(folder.path(), "doctor train.csv --test test.csv");
    assert_eq!(output.status.code(), Some(1));
    let page = stdout(&output);
    assert!(page.contains("3 rows whose text is in the training file too (lines 2, 3, 4)"), "{page}");
    assert!(page.contains("posittive") && page.contains("`positive`"), "{page}");
}

#[test]
fn json_is_one_object_with_every_fault() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.csv"), reviews(90) + "90,,neutral\n").unwrap();
    let checkup: serde_json::Value = serde_json::from_str(&done(folder.path(), "doctor data.csv --json")).unwrap();
    assert_eq!(checkup["rows"], 91);
    assert_eq!(checkup["text_column"], "text");
    let faults = checkup["faults"].as_array().unwrap();
    assert!(faults.iter().any(|f| f["kind"] == "empty_texts" && f["lines"] == serde_json::json!([92])), "{faults:?}");
    fs::write(folder.path().join("data.csv"), "text,label\n").unwrap();
    let output = run(folder.path(), "doctor data.csv --json");
    assert_eq!(output.status.code(), Some(1), "errors show in the exit code of JSON as well");
}

#[test]
fn long_texts_are_counted_in_the_tokens_of_a_model() {
    let long = format!("90,{},neutral\n", "the chair was great value ".repeat(200));
    fs::write(trained().join("long.csv"), reviews(90) + &long).unwrap();
    let page = done(trained(), "doctor long.csv --model runs/reviews-1");
    assert!(page.contains("512 tokens"), "{page}");
    assert!(!done(trained(), "doctor reviews.csv --model runs/reviews-1").contains("tokens"));
}

#[test]
fn a_file_that_is_not_there_or_has_other_columns_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.csv"), "a,b\n1,2\n").unwrap();
    assert!(failed(folder.path(), "doctor date.csv").contains("`data.csv`"), "a near name is suggested");
    assert!(failed(folder.path(), "doctor data.csv").contains("`a`, `b`"), "the columns are named");
}
