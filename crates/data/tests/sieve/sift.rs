//! Whole files.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, LargeStringArray, RecordBatch, StringArray};
use finetone_data::copies::CopyRule;
use finetone_data::preparation::ConversationPart;
use finetone_data::reader::Format;
use finetone_data::sampling::Balance;
use finetone_data::sieve::{Outputs, SieveOptions};
use finetone_data::{DataError, Reader};
use proptest::prelude::*;

use crate::{STEPS, Scratch, cleaning, only, prepare, usual};

/// A text of nine words, so that it can be a near copy.
const LONG: &str = "the kettle came late and the lid was quite broken on the very first day that we had it";

fn damaged() -> String {
    format!(
        "id,text,label\n\
         007,plain stays,good\n\
         8,\"  <b>so</b>&nbsp;so\u{200b} \",bad\n\
         9,SO   so,bad\n\
         10,\"so so\",good\n\
         11,<br>,bad\n\
         12,too,many,fields\n\
         13,{LONG},bad\n\
         14,{LONG} indeed,Bad\n\
         15,{LONG} really,good\n\
         16,no label,\n"
    )
}

#[test]
fn rows_are_kept_or_not_for_a_reason() {
    let scratch = Scratch::new();
    let (from, kept) = (scratch.file("raw.csv", damaged()), scratch.path("clean.csv"));
    let (rejected, contradictions) = (scratch.path("rejected.csv"), scratch.path("decide.csv"));
    let outputs = Outputs { kept: Some(&kept), rejected: Some(&rejected), contradictions: Some(&contradictions) };
    let sifted = prepare(&from, outputs, &usual(), None).expect("readable");
    assert_eq!(
        scratch.text("clean.csv"),
        format!("id,text,label\n007,plain stays,good\n8,so so,bad\n13,{LONG},bad\n16,no label,\n")
    );
    assert_eq!((sifted.read, sifted.kept, sifted.written, sifted.changed, sifted.unlabelled), (10, 4, 4, 1, 1));
    assert_eq!((sifted.empty, sifted.malformed), (1, 1));
    let copies = &sifted.copies;
    assert_eq!((copies.exact, copies.exact_contradicting, copies.near, copies.near_contradicting), (2, 1, 2, 1));
    assert_eq!((copies.named[0].line, copies.named[0].of_line), (5, 3));
    let classes: Vec<_> = sifted.classes.iter().map(|class| (class.label.as_str(), class.read, class.kept)).collect();
    assert_eq!(classes, [("bad", 5, 2), ("good", 3, 1)]);
    let rejected = scratch.text("rejected.csv");
    let expected = [
        "id,text,label,rejected_line,rejected_because,rejected_like_line,rejected_like_label,rejected_common",
        "9,SO   so,bad,4,copy,3,bad,1",
        "10,\"so so\",good,5,copy with another label,3,bad,1",
        "11,<br>,bad,6,empty,,,",
        ",,,7,malformed: ",
    ];
    for (line, expected) in rejected.lines().zip(expected) {
        assert!(line.starts_with(expected), "{line}, not {expected}");
    }
    assert_eq!(rejected.lines().count(), 7, "{rejected}");
    let decide = scratch.text("decide.csv");
    let labels: Vec<&str> = decide.lines().skip(1).filter_map(|line| line.split(',').nth(2)).collect();
    assert_eq!((labels, decide.contains("near copy with another label,8,bad,0.")), (vec!["good", "good"], true));
    // Rows that were not kept can be read again: only the added columns are in the way.
    assert_eq!(Reader::open(&contradictions, &Default::default()).expect("readable").count(), 2);
}

#[test]
fn copies_are_kept_where_that_is_asked_for() {
    let scratch = Scratch::new();
    let from = scratch.file("raw.csv", damaged());
    let kept = |copies: Option<CopyRule>| {
        let options = SieveOptions { copies, ..usual() };
        prepare(&from, only(&scratch.path("clean.csv")), &options, None).expect("readable").kept
    };
    assert_eq!((kept(None), kept(Some(CopyRule { near: None, ..CopyRule::default() }))), (8, 6));
}

#[test]
fn json_lines_keep_what_is_no_text() {
    let scratch = Scratch::new();
    let lines = "{\"n\": 1.10, \"text\": \"<i>a</i>\", \"big\": 12345678901234567890123}\n{\"text\": \"b\", \"new\": [1]}\n[]\n";
    let from = scratch.file("raw.jsonl", lines);
    let (kept, rejected) = (scratch.path("clean.jsonl"), scratch.path("rejected.jsonl"));
    let outputs = Outputs { kept: Some(&kept), rejected: Some(&rejected), contradictions: None };
    prepare(&from, outputs, &usual(), None).expect("readable");
    assert_eq!(
        scratch.text("clean.jsonl"),
        "{\"n\":1.10,\"text\":\"a\",\"big\":12345678901234567890123}\n{\"text\": \"b\", \"new\": [1]}\n"
    );
    let expected = "{\"rejected_line\":3,\"rejected_because\":\"malformed: ";
    assert!(scratch.text("rejected.jsonl").starts_with(expected), "{}", scratch.text("rejected.jsonl"));
}

#[test]
fn parquet_keeps_the_types_of_other_columns() {
    let scratch = Scratch::new();
    let (from, to) = (scratch.path("raw.parquet"), scratch.path("clean.parquet"));
    let text = |id: i32| if id % 2 == 0 { format!("<b>row</b> {id}") } else { format!("row {}", id - id % 3) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from_iter_values(0..2000))),
        ("text", Arc::new(LargeStringArray::from_iter_values((0..2000).map(text)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let file = std::fs::File::create(&from).expect("a file");
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    let sifted = prepare(&from, only(&to), &usual(), None).expect("readable");
    let expected: Vec<(i32, String)> = {
        let mut seen = std::collections::HashSet::new();
        let clean = (0..2000).map(|id| (id, text(id).replace("<b>", "").replace("</b>", "")));
        clean.filter(|(_, text)| seen.insert(text.clone())).collect()
    };
    assert_eq!((sifted.kept, sifted.changed), (expected.len(), expected.iter().filter(|(id, _)| id % 2 == 0).count()));
    let file = std::fs::File::open(&to).expect("the output");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 4000).expect("a reader");
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("a batch")).collect();
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(expected.iter().map(|(id, _)| *id)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(expected.iter().map(|(_, text)| text)));
    assert_eq!((batches.len(), batches[0].column(0), batches[0].column(1)), (1, &ids, &texts));
    // From one format to another.
    prepare(&from, only(&scratch.path("clean.csv")), &usual(), None).expect("readable");
    assert!(scratch.text("clean.csv").starts_with("id,text\n0,row 0\n"));
}

#[test]
fn the_texts_of_chats_stay() {
    let scratch = Scratch::new();
    let chat = |user: &str| format!("{{\"messages\": [{{\"role\": \"user\", \"content\": \"{user}\"}}]}}\n");
    let from = scratch.file("chats.jsonl", chat("<b>Hi</b>") + &chat("<B>hi</b>") + &chat("Bye"));
    let options = cleaning(&[], ConversationPart::Off);
    let to = scratch.path("clean.jsonl");
    let sifted = prepare(&from, only(&to), &options, None).expect("readable");
    assert_eq!((sifted.copies.exact, scratch.text("clean.jsonl")), (1, chat("<b>Hi</b>") + &chat("Bye")));
    let refused = prepare(&from, only(&to), &usual(), None).expect_err("chats");
    assert!(matches!(&refused, DataError::ChatsStay { .. }) && refused.hint().is_some());
}

#[test]
fn what_cannot_be_read_to_its_end_leaves_nothing() {
    let scratch = Scratch::new();
    let from = scratch.file("raw.csv", "text,label\nfine,a\n\"never closed,b\n");
    assert!(prepare(&from, only(&scratch.path("clean.csv")), &usual(), None).is_err());
    let reader = Reader::open(&from, &Default::default()).expect("readable");
    let sieve = finetone_data::sieve::Sieve::new(reader.source(), usual()).expect("columns");
    let sinks =
        finetone_data::sieve::Sinks::create(&sieve, &reader, &only(&scratch.path("clean.csv"))).expect("a place");
    assert!(finetone_data::sieve::sift(reader, sieve, sinks, None, || false).expect("stopped").is_none());
    assert_eq!(std::fs::read_dir(scratch.0.path()).expect("a folder").count(), 1);
}

fn classes(scratch: &Scratch, name: &str) -> Vec<String> {
    scratch.text(name).lines().skip(1).map(|line| line.rsplit(',').next().unwrap_or("").to_owned()).collect()
}

#[test]
fn balance_takes_or_repeats_rows_in_their_order() {
    let scratch = Scratch::new();
    let label = |row: usize| if row < 40 { "many" } else { "few" };
    let rows: String = (0..50).map(|row| format!("review {row},{}\n", label(row))).collect();
    let from = scratch.file("raw.csv", format!("text,label\n{rows}unlabelled,\n"));
    let run = |balance| {
        let (kept, rejected) = (scratch.path("even.csv"), scratch.path("rejected.csv"));
        let outputs = Outputs { kept: Some(&kept), rejected: Some(&rejected), contradictions: None };
        prepare(&from, outputs, &usual(), Some(balance)).expect("readable")
    };
    let under = run(Balance::Under(2.0));
    let few = &under.classes[0];
    assert_eq!((few.label.as_str(), few.read, few.kept, few.written), ("few", 10, 10, 10));
    assert_eq!((under.classes[1].written, under.written), (20, 30));
    assert_eq!(classes(&scratch, "even.csv"), [vec!["many"; 20], vec!["few"; 10]].concat());
    assert_eq!(scratch.text("rejected.csv").matches(",balance,").count(), 21);
    let over = run(Balance::Over(0.5));
    assert_eq!((over.classes[0].written, over.classes[1].written), (20, 40));
    assert_eq!(classes(&scratch, "even.csv"), [vec!["many"; 40], vec!["few"; 20]].concat());
    assert!(prepare(&scratch.file("bare.csv", "text\na\n"), only(&scratch.path("b.csv")), &usual(), None).is_ok());
}

#[test]
fn rows_that_are_left_out_do_not_change_what_is_drawn() {
    let scratch = Scratch::new();
    let row = |row: usize| format!("review {row},{}\n", ["many", "many", "many", "some", "few"][row % 5]);
    let rows: String = (0..40).map(row).collect();
    let drawn = |first: &str| {
        let (from, kept) = (scratch.file("raw.csv", format!("text,label\n{first}{rows}")), scratch.path("even.csv"));
        prepare(&from, only(&kept), &usual(), Some(Balance::Over(0.8))).expect("readable");
        scratch.text("even.csv")
    };
    assert_eq!(drawn(" ,few\n ,some\n"), drawn(""));
}

/// Texts that repeat each other now and then, exactly and nearly, some of them empty once they are clean.
fn text() -> impl Strategy<Value = String> {
    let words =
        ["the kettle", "<b>came</b>", "so late", "&amp;", "that we", "sent it", "back <br>", "at once", "Customer: no"];
    let word = proptest::sample::select(words.to_vec());
    let long = proptest::collection::vec((0_usize..12).prop_map(|word| format!("w{word}")), 1..3)
        .prop_map(|end| format!("Agent: {} and then\nCustomer: {LONG} {}", LONG.to_uppercase(), end.join(" ")));
    prop_oneof![proptest::collection::vec(word, 0..4).prop_map(|words| words.join(" ")), long]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn to_prepare_twice_is_to_prepare_once(
        rows in proptest::collection::vec((text(), proptest::sample::select(vec!["a", "b", "A", "c", ""])), 1..40),
        part in prop_oneof![
            Just(ConversationPart::Off), Just(ConversationPart::Both), Just(ConversationPart::Customer)
        ],
        window in 1_usize..5,
        balance in prop_oneof![
            Just(None), (0.2..1.0_f64).prop_map(|share| Some(Balance::Over(share))),
            (1.0..3.0_f64).prop_map(|times| Some(Balance::Under(times)))
        ],
        format in prop_oneof![Just(Format::Csv), Just(Format::Jsonl)],
    ) {
        // What balance leaves out has been remembered as an original: twice is once where nothing is forgotten meanwhile.
        let window = if balance.is_some() { rows.len() } else { window };
        let scratch = Scratch::new();
        let quoted = |text: &str| text.replace('"', "\"\"");
        let (name, content): (&str, String) = match format {
            Format::Jsonl => ("raw.jsonl", rows.iter().map(|(text, label)| {
                serde_json::json!({ "text": text, "label": label }).to_string() + "\n"
            }).collect()),
            _ => ("raw.csv", rows.iter().fold("text,label\n".to_owned(), |file, (text, label)| {
                file + &format!("\"{}\",{label}\n", quoted(text))
            })),
        };
        let from = scratch.file(name, content);
        let (once, twice) = (scratch.path(&format!("1{name}")), scratch.path(&format!("2{name}")));
        // A window of w forgets exact copies after 10 w texts, which forty rows are enough for.
        let copies = Some(CopyRule { window, ..CopyRule::default() });
        let options = SieveOptions { copies, ..cleaning(&STEPS, part) };
        let first = prepare(&from, only(&once), &options, balance).expect("readable");
        if first.written == 0 {
            return Ok(());
        }
        let second = prepare(&once, only(&twice), &options, balance).expect("readable");
        prop_assert_eq!(second.changed, 0);
        prop_assert_eq!(std::fs::read(&once).expect("read"), std::fs::read(&twice).expect("read"));
    }
}
