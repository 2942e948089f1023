//! Every fault of a file, word for word.

use std::path::Path;

use finetone_data::{DataError, Dataset, LabelSet, NewColumn, ReadOptions, Reader, Target, Value, Writer};

use crate::{Scratch, open, rows};

/// The message and the hint of reading a file as a dataset.
fn refused_with(name: &str, content: impl AsRef<[u8]>, options: &ReadOptions) -> (String, String) {
    let scratch = Scratch::new();
    let path = scratch.file(name, content);
    let fault = Dataset::read(&path, options).expect_err("a faulty file");
    (scratch.plain(&fault), scratch.plain(&fault.hint().expect("a hint")))
}

fn refused(name: &str, content: impl AsRef<[u8]>) -> String {
    refused_with(name, content, &ReadOptions::default()).0
}

#[test]
fn paths_that_are_no_data_files() {
    let scratch = Scratch::new();
    scratch.file("reviews.csv", "text\nx\n");
    let fault = open(&scratch.path("review.csv")).expect_err("no file");
    assert_eq!(scratch.plain(&fault), "review.csv: no such file");
    assert_eq!(scratch.plain(&fault.hint().expect("a hint")), "did you mean `reviews.csv`?");
    let fault = open(scratch.folder.path()).expect_err("a directory");
    assert!(fault.to_string().ends_with("is a directory, not a data file"), "{fault}");
    assert!(fault.hint().is_some());
}

#[test]
fn files_without_rows() {
    assert_eq!(refused("a.csv", ""), "a.csv: the file is empty");
    assert_eq!(refused("a.csv", "\n\n"), "a.csv: the file is empty");
    assert_eq!(refused("a.jsonl", "\n"), "a.jsonl: the file is empty");
    assert_eq!(refused("a.csv", "text,label\n"), "a.csv: the file has a header and no rows");
}

#[test]
fn other_kinds_of_file() {
    assert_eq!(
        refused("a.csv", "PK\u{3}\u{4}rest"),
        "a.csv: looks like a spreadsheet or zip archive, not like CSV, TSV, JSON lines or Parquet"
    );
    assert!(refused("a.json", "[\n {\"text\": 1}]").contains("looks like a JSON array"));
    assert!(refused("a.csv", b"t\0e\0x\0t\0").contains("UTF-16 without byte-order mark"));
    assert!(refused("a.parquet", "PAR1 and then something else").contains("not a readable Parquet file"));
    assert!(refused("a.parquet", "text,label").contains("not a readable Parquet file"));
}

#[test]
fn undecodable_bytes() {
    let (message, hint) = refused_with("a.csv", b"text,label\nfine,1\ncaf\xE9,2\n", &ReadOptions::default());
    assert_eq!(message, "a.csv:3: byte 0xE9 is not UTF-8 text (column `text`)");
    assert!(hint.contains("give `--encoding windows-1252`"), "{hint}");
    assert_eq!(refused("a.jsonl", b"{\"text\":\"caf\xE9\"}\n"), "a.jsonl:1: byte 0xE9 is not UTF-8 text");
    let lone: Vec<u8> =
        [0xFEFFu16, 0x74, 0x0A, 0x78, 0x0A, 0xD800, 0x79].iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let scratch = Scratch::new();
    let fault = rows(&scratch.file("a.csv", lone)).expect_err("half a character");
    assert_eq!(scratch.plain(&fault), "a.csv:3: bytes that are not UTF-16LE text (column `t`)");
}

#[test]
fn rows_of_the_wrong_shape() {
    let (message, hint) = refused_with("a.csv", "text,label\na,1\nb, c,2\n", &ReadOptions::default());
    assert_eq!(message, "a.csv:3: the row has 3 fields and the header has 2");
    assert!(hint.starts_with("put quotes around fields that contain the delimiter (`,`)"), "{hint}");
    assert_eq!(refused("a.csv", "text,label\na,1\n\"b,2\nc,3\n"), "a.csv:3: a quoted field starts here and never ends");
    assert_eq!(
        refused("a.jsonl", "{\"text\":\"a\",\"label\":1}\n[1]\n"),
        "a.jsonl:2: expected a JSON object, found an array"
    );
    let message = refused("a.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\n");
    assert!(message.starts_with("a.jsonl:2: not JSON: EOF while parsing"), "{message}");
}

#[test]
fn a_huge_line_is_refused_before_it_is_read() {
    // The stream never ends, so the test can only pass if reading stops at the limit.
    for (name, start) in [("a.csv", "text,label\nx,1\n\""), ("a.jsonl", "{\"text\": \"")] {
        let endless = std::io::Read::chain(start.as_bytes(), std::io::repeat(b'a'));
        let reader = Reader::from_stream(Path::new(name), Box::new(endless), &Default::default());
        let fault = reader.and_then(|reader| reader.collect::<Result<Vec<_>, _>>()).expect_err("a fault");
        let line = if name == "a.csv" { 3 } else { 1 };
        assert_eq!(fault.to_string(), format!("{name}:{line}: the record is longer than 16 MiB"));
        assert!(fault.hint().is_some());
    }
}

#[test]
fn columns_that_are_not_there() {
    let (message, hint) = refused_with("a.csv", "id,when\n1,2\n", &ReadOptions::default());
    assert_eq!(message, "a.csv: no column looks like the text");
    assert_eq!(hint, "name it with `--text-column`; columns: `id`, `when`");
    let options = ReadOptions { label_column: Some("mod".into()), ..ReadOptions::default() };
    let (message, hint) = refused_with("a.csv", "text,mood\n1,2\n", &options);
    assert_eq!(message, "a.csv: there is no column `mod`");
    assert_eq!(hint, "did you mean `mood`? name it with `--label-column`; columns: `text`, `mood`");
}

#[test]
fn labels_that_are_none() {
    assert_eq!(refused("a.csv", "text,label\na,x\nb,\n"), "a.csv:3: the label is missing (column `label`)");
    let known = Some(LabelSet::from_names(["negative", "neutral", "positive"]));
    let options = ReadOptions { known, ..ReadOptions::default() };
    let (message, hint) = refused_with("reviews.csv", "text,label\na,Neutral\nb,posittive\n", &options);
    assert_eq!(message, "reviews.csv:3: label `posittive` is not in the label set");
    assert_eq!(hint, "did you mean `positive`? known labels: `negative`, `neutral`, `positive`");
    let (message, hint) = refused_with("a.csv", "text,score,mood\na,1,x\nb,0.25,y\n", &ReadOptions::default());
    assert_eq!(message, "a.csv:3: column `score` holds real numbers such as `0.25`, not classes");
    assert!(hint.ends_with("`--label-column`; other columns: `mood`"), "{hint}");
    let rows: String = (0..30).map(|row| format!("text {row},label {row}\n")).collect();
    assert_eq!(
        refused("a.csv", format!("text,label\n{rows}")),
        "a.csv: column `label` has 30 different values in 30 rows: not a label"
    );
    assert_eq!(
        refused("a.jsonl", "{\"text\":\"a\",\"label\":[\"x\"]}"),
        "a.jsonl:1: column `label` holds a list or an object, not one label"
    );
}

#[test]
fn labels_are_normalised_with_a_notice() {
    let scratch = Scratch::new();
    let path = scratch.file("a.csv", "text,label\na,Very  Good\nb,very good\n,bad\nd,bad\n");
    let dataset = Dataset::read(&path, &ReadOptions::default()).expect("a sound file");
    assert_eq!(dataset.labels.names(), ["bad", "very good"]);
    let notices: Vec<String> = dataset.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        ["labels of 1 row were normalised: `Very Good` → `very good`", "1 row skipped for an empty text (line 4)"]
    );
    let path = scratch.file("b.csv", "text,label\na,1.0\nb,2\nc,10\n");
    assert_eq!(Dataset::read(&path, &ReadOptions::default()).expect("a sound file").labels.names(), ["1", "2", "10"]);
}

#[test]
fn several_labels_for_a_text() {
    let scratch = Scratch::new();
    let options = ReadOptions { multi_label: Some('|'), ..ReadOptions::default() };
    let path = scratch.file("a.csv", "text,labels\na,joy | trust\nb,anger\n");
    let dataset = Dataset::read(&path, &options).expect("a sound file");
    assert_eq!(dataset.labels.names(), ["anger", "joy", "trust"]);
    assert_eq!(dataset.examples[0].target, Some(Target::Classes(vec![1, 2])));
    let path =
        scratch.file("a.jsonl", "{\"text\":\"a\",\"labels\":[\"joy\",\"anger\"]}\n{\"text\":\"b\",\"labels\":[]}\n");
    let dataset = Dataset::read(&path, &options).expect("a sound file");
    assert_eq!(dataset.examples[0].target, Some(Target::Classes(vec![0, 1])));
    assert_eq!(dataset.examples[1].target, Some(Target::Classes(vec![])));
}

#[test]
fn output_that_cannot_be_written() {
    let scratch = Scratch::new();
    let path = scratch.file("a.csv", "text\nx\n");
    let create = |to: &Path| Writer::create(to, &open(&path).expect("a sound file"), &[NewColumn::text("label")]);
    let fault = create(&scratch.path("missing/b.csv")).err().expect("no folder");
    assert_eq!(fault.hint().as_deref(), Some("the folder does not exist: create it first"));
    let fault = create(scratch.folder.path()).err().expect("a folder");
    assert_eq!(fault.hint().as_deref(), Some("this is a directory: name a file inside it"));
    let fault = create(&scratch.path("b")).expect("a file").write(&rows(&path).expect("rows")[0], &[Value::Missing]);
    assert!(fault.is_ok());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_called_one() {
    let scratch = Scratch::new();
    for (name, content) in [("a.csv", "text\nx\n"), ("a.jsonl", "{\"text\":\"x\"}\n")] {
        let path = scratch.file(name, content);
        let mut reader = open(&path).expect("a sound file");
        let mut writer = Writer::create(Path::new("/dev/full"), &reader, &[]).expect("a device");
        let outcome = reader.try_for_each(|row| writer.write(&row?, &[])).and_then(|()| writer.finish());
        let fault: DataError = outcome.expect_err("no room");
        assert_eq!(fault.hint().as_deref(), Some("the disk is full: free some space and run again"));
    }
}
