//! What is read is written back unchanged, with columns appended.

use std::path::Path;

use proptest::prelude::*;

use finetone_data::{DataError, NewColumn, Reader, Value, Writer};

use crate::{Scratch, cells, open, rows};

/// Copies a file, appending a text and a number to each row.
fn append(from: &Path, to: &Path) -> Result<(), DataError> {
    let mut reader: Reader = open(from)?;
    let mut writer = Writer::create(to, &reader, &[NewColumn::text("label"), NewColumn::number("confidence")])?;
    while let Some(row) = reader.next_row() {
        writer.write(&row?, &[Value::Text("pos".into()), Value::Number(0.5)])?;
    }
    writer.finish()
}

fn appended(name: &str, content: impl AsRef<[u8]>) -> String {
    let scratch = Scratch::new();
    let from = scratch.file(name, content);
    let to = scratch.path(&format!("out-{name}"));
    append(&from, &to).expect("a sound file");
    String::from_utf8(std::fs::read(to).expect("the output")).expect("UTF-8")
}

#[test]
fn delimited_records_keep_their_bytes() {
    assert_eq!(
        appended("a.csv", "id,text\r\n007,\"a \"\"b\"\"\nc\"\r\n\"1\",plain"),
        "id,text,label,confidence\r\n007,\"a \"\"b\"\"\nc\",pos,0.5\r\n\"1\",plain,pos,0.5\r\n"
    );
    assert_eq!(appended("a.csv", "id;text\n1;a, b\n"), "id;text;label;confidence\n1;a, b;pos;0.5\n");
    assert_eq!(
        appended("a.tsv", "id\ttext\n1\tsay \"hi\"\n"),
        "id\ttext\tlabel\tconfidence\n1\tsay \"hi\"\tpos\t0.5\n"
    );
    assert_eq!(appended("a.csv", "\u{FEFF}id,text\n1,x\n"), "\u{FEFF}id,text,label,confidence\n1,x,pos,0.5\n");
}

#[test]
fn json_lines_keep_order_numbers_and_spacing() {
    assert_eq!(
        appended("a.jsonl", "{\"z\": 1.10, \"text\": \"a\", \"id\": 12345678901234567890123}\n\n{\"text\":\"b\"}\n{}"),
        "{\"z\": 1.10, \"text\": \"a\", \"id\": 12345678901234567890123, \"label\": \"pos\", \"confidence\": 0.5}\n\
         {\"text\":\"b\",\"label\":\"pos\",\"confidence\":0.5}\n{\"label\":\"pos\",\"confidence\":0.5}\n"
    );
}

#[test]
fn an_existing_column_is_not_overwritten() {
    let text = appended("a.csv", "label,text\nneg,x\n");
    assert_eq!(text, "label,text,label_predicted,confidence\nneg,x,pos,0.5\n");
}

#[test]
fn utf_16_is_read_and_written_as_utf_8() {
    for big in [false, true] {
        let bytes: Vec<u8> = "\u{FEFF}id,text\n007,dé😀jà\n"
            .encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect();
        assert_eq!(appended("a.csv", bytes), "\u{FEFF}id,text,label,confidence\n007,dé😀jà,pos,0.5\n");
    }
}

#[test]
fn rows_know_their_lines() {
    let scratch = Scratch::new();
    let path = scratch.file("a.csv", "\n\nid,text\r\n1,\"a\r\nb\r\nc\"\r\n\r\n2,d\r\n3,e");
    let lines: Vec<u64> = rows(&path).expect("rows").iter().map(|row| row.line).collect();
    assert_eq!(lines, [4, 8, 9]);
    let path = scratch.file("a.jsonl", "\n{\"text\":1}\n\n{\"text\":2}");
    let lines: Vec<u64> = rows(&path).expect("rows").iter().map(|row| row.line).collect();
    assert_eq!(lines, [2, 4]);
}

#[test]
fn formats_are_known_by_content() {
    let scratch = Scratch::new();
    let path = scratch.file("data", " {\"text\": \"a\", \"n\": 1.10}\n");
    assert_eq!(cells(&rows(&path).expect("rows")[0]), ["a", "1.10"]);
    let path = scratch.file("data.txt", "text\tlabel\na, b\t1\n");
    assert_eq!(cells(&rows(&path).expect("rows")[0]), ["a, b", "1"]);
}

#[test]
fn parquet_keeps_its_types() {
    use arrow_array::{Array, Int32Array, RecordBatch, StringArray};
    let scratch = Scratch::new();
    let (from, to) = (scratch.path("a.parquet"), scratch.path("b.parquet"));
    let columns: Vec<(&str, arrow_array::ArrayRef)> = vec![
        ("id", std::sync::Arc::new(Int32Array::from_iter((0..3000).map(|id| (id % 7 != 0).then_some(id))))),
        ("text", std::sync::Arc::new(StringArray::from_iter_values((0..3000).map(|id| format!("text {id}"))))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let file = std::fs::File::create(&from).expect("a file");
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    append(&from, &to).expect("a sound file");
    let file = std::fs::File::open(&to).expect("the output");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 5000).expect("a reader");
    let copies: Vec<RecordBatch> = reader.map(|batch| batch.expect("a batch")).collect();
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].column(0).to_data(), batch.column(0).to_data());
    assert_eq!(copies[0].column(1).to_data(), batch.column(1).to_data());
    assert_eq!(copies[0].schema().field(3).data_type(), &arrow_schema::DataType::Float64);
    assert_eq!(cells(&rows(&to).expect("rows")[2999]), ["2999", "text 2999", "pos", "0.5"]);
}

#[test]
fn formats_can_be_changed() {
    let scratch = Scratch::new();
    let from = scratch.file("a.csv", "id,text\n007,\"a, \"\"b\"\"\nc\"\n8,ü\n");
    for name in ["b.jsonl", "c.parquet", "d.tsv", "e.csv"] {
        let to = scratch.path(name);
        append(&from, &to).expect("a sound file");
        let all = rows(&to).expect("rows");
        assert_eq!(cells(&all[0]), ["007", "a, \"b\"\nc", "pos", "0.5"], "{name}");
        assert_eq!(cells(&all[1]), ["8", "ü", "pos", "0.5"], "{name}");
    }
    let from = scratch.file("a.jsonl", "{\"text\":\"a\",\"n\":1.10,\"l\":[\"x\",\"y\"],\"z\":null}\n");
    let to = scratch.path("z.csv");
    append(&from, &to).expect("a sound file");
    assert_eq!(cells(&rows(&to).expect("rows")[0]), ["a", "1.10", "[\"x\",\"y\"]", "", "pos", "0.5"]);
}

#[test]
fn nothing_is_left_of_an_unfinished_file() {
    let scratch = Scratch::new();
    let from = scratch.file("a.csv", "id,text\n1,x\n2\n");
    let to = scratch.file("b.csv", "kept");
    let fault = append(&from, &to).expect_err("a ragged row");
    assert_eq!(scratch.plain(&fault), "a.csv:3: the row has 1 field and the header has 2");
    assert_eq!(std::fs::read(&to).expect("the old file"), b"kept");
    assert_eq!(std::fs::read_dir(scratch.folder.path()).expect("the folder").count(), 2);
}

fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    let field =
        proptest::string::string_regex("([a-c0-9 ,;|'\"\t\n\r\\\\é😀{}\\[\\]:]|[^\u{0}])*").expect("a pattern").boxed();
    (2usize..5)
        .prop_flat_map(move |width| proptest::collection::vec(proptest::collection::vec(field.clone(), width), 1..6))
}

fn header(width: usize) -> Vec<String> {
    (0..width).map(|column| format!("column{column}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The csv crate writes; we read, append and read again; the csv crate reads the same.
    #[test]
    fn any_table_survives_as_delimited_text(table in table(), semicolon: bool) {
        let scratch = Scratch::new();
        let delimiter = if semicolon { b';' } else { b',' };
        let mut csv = csv::WriterBuilder::new()
            .delimiter(delimiter).quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
        csv.write_record(header(table[0].len())).expect("a record");
        for row in &table {
            csv.write_record(row).expect("a record");
        }
        let from = scratch.file("a.csv", csv.into_inner().expect("bytes"));
        let read: Vec<Vec<String>> = rows(&from).expect("rows").iter().map(cells).collect();
        prop_assert_eq!(&read, &table);
        let to = scratch.path("b.csv");
        append(&from, &to).expect("a sound file");
        let mut oracle = csv::ReaderBuilder::new().delimiter(delimiter).from_path(&to).expect("a reader");
        for (record, row) in oracle.records().zip(&table) {
            let record = record.expect("a record");
            let fields: Vec<&str> = record.iter().take(row.len()).collect();
            prop_assert_eq!(fields, row.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(record.iter().skip(row.len()).collect::<Vec<_>>(), ["pos", "0.5"]);
        }
    }

    /// The same table through JSON lines, Parquet and back.
    #[test]
    fn any_table_survives_as_json_lines_and_parquet(table in table()) {
        let scratch = Scratch::new();
        let names = header(table[0].len());
        let mut text = String::new();
        for row in &table {
            let object: serde_json::Map<String, serde_json::Value> =
                names.iter().cloned().zip(row.iter().map(|field| field.as_str().into())).collect();
            text.push_str(&format!("{}\n", serde_json::Value::Object(object)));
        }
        let mut path = scratch.file("a.jsonl", text);
        let mut expected = table.clone();
        for name in ["b.jsonl", "c.parquet", "d.parquet", "e.tsv", "f.jsonl"] {
            let to = scratch.path(name);
            append(&path, &to).expect("a sound file");
            expected.iter_mut().for_each(|row| row.extend(["pos".to_owned(), "0.5".to_owned()]));
            let read: Vec<Vec<String>> = rows(&to).expect("rows").iter().map(cells).collect();
            prop_assert_eq!(&read, &expected, "{}", name);
            path = to;
        }
    }
}
