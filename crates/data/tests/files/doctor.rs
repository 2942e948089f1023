//! The doctor lists every fault at once.

use finetone_data::doctor::{DoctorOptions, TokenLimit, examine};
use finetone_data::{Checkup, Severity};

use crate::Scratch;

/// The faults as lines of text, in order.
fn faults(scratch: &Scratch, checkup: &Checkup) -> Vec<String> {
    checkup.faults.iter().map(|fault| format!("{}: {}", fault.severity.word(), scratch.plain(fault))).collect()
}

fn alone(content: impl AsRef<[u8]>) -> Vec<String> {
    let scratch = Scratch::new();
    let path = scratch.file("a.csv", content);
    let options = DoctorOptions { small_class: 0, ..DoctorOptions::default() };
    faults(&scratch, &examine(&path, None, &options).expect("a file that can be examined"))
}

#[test]
fn all_faults_of_two_files_in_one_go() {
    let scratch = Scratch::new();
    let train = scratch.file(
        "train.csv",
        b"text,label\nGood one,pos\nbad one,neg\ncaf\xE9,pos\na,b,c\ngood  ONE,pos\nbad one,pos\n,neg\nwho knows,\n\
          a b c d e f,Neg\n"
            .as_slice(),
    );
    let test = scratch.file("test.csv", "text,label\nfresh,pos\nGood one,poss\n");
    let count = |text: &str| text.split(' ').count();
    let tokens = Some(TokenLimit { count: &count, limit: 5 });
    let options = DoctorOptions { tokens, ..DoctorOptions::default() };
    let checkup = examine(&train, Some(&test), &options).expect("files that can be examined");
    assert_eq!(
        faults(&scratch, &checkup),
        [
            "error: train.csv:4: 1 row with bytes that are not text in the file's encoding",
            "error: train.csv:5: 1 row with another number of fields than the header",
            "error: train.csv:9: 1 row without label (column `label`)",
            "error: test.csv:3: label `poss` is not in the label set",
            "warning: train.csv:8: 1 row without text, skipped in training",
            "warning: train.csv:7: 1 row with the text of an earlier row and another label",
            "warning: train.csv:10: 1 text (16.7 %) longer than 5 tokens, to be truncated",
            "warning: train.csv: 2 classes have fewer than 20 rows: `neg` (3), `pos` (3)",
            "warning: test.csv:3: 1 row whose text is in the training file too",
            "notice: train.csv:6: 1 row with the text and label of an earlier row",
            "notice: train.csv:10: 1 row with another spelling of a label: `Neg` → `neg`",
        ]
    );
}

#[test]
fn faults_of_the_labels_as_a_whole() {
    assert_eq!(alone("text,label\na,pos\nb,pos\n"), ["error: a.csv: all rows have the label `pos`"]);
    assert_eq!(
        alone("text,label\na,1\nb,0.5\n"),
        ["error: a.csv:3: column `label` holds real numbers such as `0.5`, not classes"]
    );
    assert_eq!(alone("text,label\n"), ["error: a.csv: the file has a header and no rows"]);
}

#[test]
fn many_lines_are_counted_and_the_first_named() {
    let rows: String = (0..15).map(|_| "\n,x\n,y").collect();
    let found = alone(format!("text,label\na,x{rows}\n"));
    assert_eq!(
        found,
        [
            "warning: a.csv: 30 rows without text, skipped in training (lines 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 20 more)"
        ]
    );
}

#[test]
fn an_open_quote_ends_the_reading_and_is_reported() {
    let found = alone("text,label\na,x\nb,y\n\"c,x\n");
    assert_eq!(found, ["error: a.csv:4: a quoted field starts here and never ends"]);
}

#[test]
fn very_long_texts() {
    let found = alone(format!("text,label\na,x\n{},y\n", "long ".repeat(30_000)));
    assert_eq!(found, ["warning: a.csv:3: 1 text longer than 100000 bytes (the longest: 149999)"]);
}

#[test]
fn a_checkup_is_json() {
    let scratch = Scratch::new();
    let path = scratch.file("a.csv", "text,label\na,pos\nb,pos\n");
    let checkup = examine(&path, None, &DoctorOptions::default()).expect("a file that can be examined");
    assert!(checkup.has_errors());
    assert_eq!(checkup.count(Severity::Warning), 1);
    let json = serde_json::to_value(&checkup).expect("JSON");
    assert_eq!(json["faults"][0]["kind"], "one_class");
    assert_eq!(json["faults"][0]["label"], "pos");
    assert_eq!(json["classes"][0]["rows"], 2);
}
