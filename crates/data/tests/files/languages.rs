//! Files of other languages and of the spreadsheets that are used there.

use std::path::Path;

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, ISO_8859_2, KOI8_R, SHIFT_JIS, WINDOWS_1250,
    WINDOWS_1251, WINDOWS_1252, WINDOWS_1254,
};
use finetone_data::conversation::Speakers;
use finetone_data::doctor::{DoctorOptions, examine};
use finetone_data::explore::{ColumnValues, ExploreOptions, explore};
use finetone_data::{DataError, Dataset, NewColumn, OpenOptions, ReadOptions, Reader, Row, Value, Writer};
use proptest::prelude::*;

use crate::{Scratch, cells, open, rows};

const LANGUAGES: [&str; 4] = ["czech", "polish", "slovak", "hungarian"];
const RUSSIAN: &str = "text,label\nДоставили вовремя и всё работает,1\nОчень плохо сделано и дорого,0\n";
const TURKISH: &str = "text,label\nÇok güzel bir ürün ve şık ve sağlam,1\nHiç beğenmedim çünkü kırık geldi,0\n";
const CHINESE: &str = "text,label\n质量很好，下次还会再来，朋友们也都很喜欢,1\n太贵了，服务态度也不好，再也不买了,0\n";
const JAPANESE: &str = "text,label\nとても良い商品です。また買います,1\n届くのが遅くて、箱も壊れていました,0\n";

fn example(language: &str) -> String {
    let path = format!("{}/../../examples/languages/{language}.csv", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the reader advises about a text that was saved in another encoding.
fn advice(text: &str, encoding: &'static Encoding) -> String {
    let scratch = Scratch::new();
    let (bytes, _, unmappable) = encoding.encode(text);
    assert!(!unmappable, "{} cannot write this", encoding.name());
    let fault = rows(&scratch.file("a.csv", bytes)).expect_err("bytes that are no UTF-8");
    assert!(matches!(fault, DataError::Undecodable { line: 2, .. }), "{fault}");
    scratch.plain(&fault.hint().expect("a hint"))
}

#[test]
fn the_examples_are_sound() {
    for language in LANGUAGES {
        let path = format!("{}/../../examples/languages/{language}.csv", env!("CARGO_MANIFEST_DIR"));
        let options = DoctorOptions { small_class: 0, ..DoctorOptions::default() };
        let checkup = examine(path.as_ref(), None, &options).expect("readable");
        assert!(checkup.faults.is_empty(), "{language}: {:?}", checkup.faults);
        let counts: Vec<usize> = checkup.classes.iter().map(|class| class.rows).collect();
        assert_eq!(counts, [10, 10, 10], "{language}");
    }
}

#[test]
fn another_encoding_is_named_with_the_flag_that_reads_it() {
    for language in LANGUAGES {
        let advice = advice(&example(language), WINDOWS_1250);
        assert!(advice.contains("give `--encoding windows-1250`"), "{language}: {advice}");
        let scratch = Scratch::new();
        let path = scratch.file("a.csv", WINDOWS_1250.encode(&example(language)).0);
        let checkup = examine(&path, None, &DoctorOptions::default()).expect("readable");
        assert_eq!(scratch.plain(&checkup.faults[0].fix), advice, "the doctor says the same");
    }
    let others = [(RUSSIAN, WINDOWS_1251), (TURKISH, WINDOWS_1254), (CHINESE, GBK), (JAPANESE, SHIFT_JIS)];
    for (text, encoding) in others {
        let advice = advice(text, encoding);
        assert!(advice.starts_with(&format!("the file looks like {}", encoding.name())), "{advice}");
    }
    assert!(advice(&example("czech"), ISO_8859_2).contains("give `--encoding ISO-8859-2`"));
}

/// The rows of a file that is said to be in this encoding.
fn read_as(path: &Path, encoding: &str) -> Result<Vec<Row>, DataError> {
    let encoding = encoding.parse().expect("a known name");
    Reader::open(path, &OpenOptions { encoding, ..OpenOptions::default() })?.collect()
}

#[test]
fn a_file_is_read_in_the_encoding_that_is_named_and_written_as_utf_8() {
    let scratch = Scratch::new();
    for language in LANGUAGES {
        let text = example(language);
        let plain = rows(&scratch.file("plain.csv", &text)).expect("sound");
        let path = scratch.file("a.csv", WINDOWS_1250.encode(&text).0);
        let found = read_as(&path, "cp1250").expect("sound");
        assert!(found.iter().map(cells).eq(plain.iter().map(cells)), "{language}");
        assert!(found.iter().map(|row| row.line).eq(plain.iter().map(|row| row.line)), "{language}");
        let open = OpenOptions { encoding: "cp1250".parse().expect("a known name"), ..OpenOptions::default() };
        let reader = Reader::open(&path, &open).expect("a header");
        assert_eq!(reader.source().encoding, "windows-1250");
        let mut writer = Writer::create(&scratch.path("out.csv"), &reader, &[]).expect("a writer");
        reader.for_each(|row| writer.write(&row.expect("a row"), &[]).expect("written"));
        writer.finish().expect("written");
        assert_eq!(std::fs::read_to_string(scratch.path("out.csv")).expect("the output"), text);
    }
}

#[test]
fn a_byte_order_mark_goes_before_the_name() {
    let scratch = Scratch::new();
    let marked = scratch.file("a.csv", "\u{FEFF}text,label\nšest koní,1\n");
    assert_eq!(cells(&read_as(&marked, "windows-1250").expect("sound")[0]), ["šest koní", "1"]);
    let unmarked: Vec<u8> = "text,label\nšest koní,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let unmarked = scratch.file("b.csv", unmarked);
    assert_eq!(cells(&read_as(&unmarked, "utf-16le").expect("sound")[0]), ["šest koní", "1"]);
}

#[test]
fn letters_of_another_encoding_than_the_named_one_are_refused() {
    let scratch = Scratch::new();
    let told = |bytes: &[u8], encoding: &str| {
        let fault = read_as(&scratch.file("a.csv", bytes), encoding).expect_err("other bytes");
        assert!(fault.hint().is_some(), "{fault}");
        scratch.plain(&fault)
    };
    // `š` is a control character in ISO-8859-2.
    let bytes = WINDOWS_1250.encode("text,label\nfine,1\nšest koní,0\n").0;
    assert_eq!(told(&bytes, "iso-8859-2"), "a.csv:3: bytes that are not ISO-8859-2 text (column `text`)");
    let fault = read_as(&scratch.path("a.csv"), "iso-8859-2").expect_err("other bytes");
    assert!(fault.hint().expect("a hint").contains("--encoding windows-125"), "{fault}");
    assert_eq!(told(b"text,label\nfine,1\n\x81,0\n", "gbk"), "a.csv:3: bytes that are not GBK text (column `text`)");
    let lines = scratch.file("a.jsonl", b"{\"text\": \"\x9A\"}\n");
    let fault = read_as(&lines, "iso-8859-2").expect_err("a control character");
    assert_eq!(scratch.plain(&fault), "a.jsonl:1: bytes that are not ISO-8859-2 text");
    let utf_8 = example("czech");
    assert_eq!(told(utf_8.as_bytes(), "windows-1250"), "a.csv: the file is UTF-8, not windows-1250");
    let long = format!("text,label\n{}\n", "žluť ".repeat(60_000));
    assert!(
        (0..4).any(|shift| !long.is_char_boundary((256 << 10) - shift)),
        "a letter lies across the end of the sample"
    );
    for shift in 0..4 {
        let shifted = format!("{}{long}", "x".repeat(shift));
        assert_eq!(told(shifted.as_bytes(), "latin2"), "a.csv: the file is UTF-8, not ISO-8859-2");
    }
    assert!(told(b"t\0\0\0e\0\0\0", "windows-1250").contains("a binary file"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_an_encoding_can_write_is_read_back_the_same(
        (encoding, texts) in prop_oneof![
            (Just(WINDOWS_1250), texts("[a-z ,\"éěšřžťďňůąęłőű„“–]{1,40}")),
            (Just(WINDOWS_1252), texts("[a-z ,\"äöüßéèçñ€…–’]{1,40}")),
            (Just(ISO_8859_2), texts("[a-z ,\"éěšřžťďňůąęłőű]{1,40}")),
            (Just(KOI8_R), texts("[a-z ,\"а-яА-Я]{1,40}")),
            (Just(SHIFT_JIS), texts("[a-z ,\"ぁ-んァ-ヶ日本語表ソ能。]{1,40}")),
            (Just(EUC_JP), texts("[a-z ,\"ぁ-んァ-ヶ日本語表。]{1,40}")),
            (Just(ISO_2022_JP), texts("[a-z ,\"ぁ-んァ-ヶ日本語表。]{1,40}")),
            (Just(GBK), texts("[a-z ,\"质量非常好，下次还会再来]{1,40}")),
            (Just(GB18030), texts("[a-z ,\"质量非常好，下次还会再来😀]{1,40}")),
            (Just(BIG5), texts("[a-z ,\"品質非常好，下次還會再來]{1,40}")),
            (Just(EUC_KR), texts("[a-z ,\"가-힣]{1,40}")),
        ]
    ) {
        let scratch = Scratch::new();
        let (mut csv, mut jsonl) = (String::from("text,n\n"), String::new());
        for (row, text) in texts.iter().enumerate() {
            csv += &format!("\"{}\",{row}\n", text.replace('"', "\"\""));
            jsonl += &format!("{}\n", serde_json::json!({ "text": text, "n": row }));
        }
        for (name, content) in [("a.csv", csv), ("a.jsonl", jsonl)] {
            let (bytes, _, unmappable) = encoding.encode(&content);
            prop_assert!(!unmappable, "{} cannot write {content}", encoding.name());
            let found = read_as(&scratch.file(name, bytes), encoding.name());
            let found: Vec<String> = found.expect("sound").iter().map(|row| cells(row).swap_remove(0)).collect();
            prop_assert_eq!(&found, &texts);
        }
    }
}

/// Rows of texts with these letters; the first word is a letter, so that no text is blank.
fn texts(letters: &'static str) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(letters.prop_map(|text| format!("x{text}")), 1..12)
}

#[test]
fn a_damaged_row_of_an_utf_8_file_is_not_taken_for_another_encoding() {
    let scratch = Scratch::new();
    let bytes = [example("czech").as_bytes(), b"nov\xFD,neutral\n".as_slice()].concat();
    let fault = rows(&scratch.file("a.csv", bytes)).expect_err("a damaged row");
    assert_eq!(scratch.plain(&fault), "a.csv:32: byte 0xFD is not UTF-8 text (column `text`)");
    assert!(fault.hint().expect("a hint").starts_with("most of the file is UTF-8"));
}

#[test]
fn a_spreadsheet_may_name_its_delimiter_in_the_first_line() {
    let scratch = Scratch::new();
    let path = scratch.file("a.csv", "sep=;\r\ntext;label;cena\r\ndobré, levné;1;3,50\r\n\"pomalé; drahé\";0;12,9\r\n");
    let reader = open(&path).expect("a header");
    assert_eq!(reader.header(), ["text", "label", "cena"]);
    let mut writer = Writer::create(&scratch.path("out.csv"), &reader, &[NewColumn::text("new")]).expect("a writer");
    for row in reader {
        let row = row.expect("a row");
        assert_eq!(cells(&row).len(), 3);
        writer.write(&row, &[Value::Text("x".into())]).expect("written");
    }
    writer.finish().expect("written");
    assert_eq!(
        std::fs::read_to_string(scratch.path("out.csv")).expect("the output"),
        "sep=;\r\ntext;label;cena;new\r\ndobré, levné;1;3,50;x\r\n\"pomalé; drahé\";0;12,9;x\r\n"
    );
    let lines: Vec<u64> = rows(&path).expect("sound").iter().map(|row| row.line).collect();
    assert_eq!(lines, [3, 4]);
    let fault = rows(&scratch.file("b.csv", "sep=,\ntext,label\na,b,c\n")).expect_err("a ragged row");
    assert_eq!(scratch.plain(&fault), "b.csv:3: the row has 3 fields and the header has 2");
    assert!(matches!(open(&scratch.file("c.csv", "sep=;\n")), Err(DataError::Empty { .. })));
}

#[test]
fn numbers_with_a_comma_are_numbers() {
    let scratch = Scratch::new();
    let mut text = String::from("text;label;cena\n");
    (0..20).for_each(|row| text += &format!("řádek číslo {row};{};{row},{}\n", row % 2, row % 10));
    let path = scratch.file("a.csv", &text);
    let checkup = examine(&path, None, &DoctorOptions::default()).expect("readable");
    let options = ExploreOptions { read: ReadOptions::default(), tokens: None, speakers: Speakers::default() };
    let found = explore(&path, &checkup, &options).expect("readable");
    let ColumnValues::Numbers(of_classes) = &found.columns[0].values else { panic!("{:?}", found.columns) };
    // The even rows from 0,0 to 18,8.
    assert!((of_classes[0].mean - 9.4).abs() < 1e-9, "{of_classes:?}");
    let path = scratch.file("b.csv", "text;rating\na;4,5\nb;3,0\n");
    let fault = Dataset::read(&path, &ReadOptions::default()).expect_err("no classes");
    assert_eq!(scratch.plain(&fault), "b.csv:2: column `rating` holds real numbers such as `4,5`, not classes");
    assert!(fault.hint().expect("a hint").ends_with("several labels in one cell are read with `--multi-label=,`"));
}

#[test]
fn one_label_or_text_is_one_however_its_accents_are_written() {
    let scratch = Scratch::new();
    let path =
        scratch.file("a.csv", "text,label\nmile\u{301} lidi,spokojeny\u{301}\nmilé lidi,spokojený\nhrůza,zklamaný\n");
    let data = Dataset::read(&path, &ReadOptions::default()).expect("sound");
    assert_eq!(data.labels.names(), ["spokojený", "zklamaný"]);
    let checkup =
        examine(&path, None, &DoctorOptions { small_class: 0, ..DoctorOptions::default() }).expect("readable");
    let told: Vec<&str> = checkup.faults.iter().map(|fault| fault.message.as_str()).collect();
    assert!(told.contains(&"1 row with the text and label of an earlier row"), "{told:?}");
}

#[test]
fn scripts_without_spaces_and_from_right_to_left_are_explored() {
    let scratch = Scratch::new();
    let mut text = String::from("text,label\n");
    for row in 0..12 {
        text += &format!(
            "第{row}次购买，质量非常好，非常满意,好\n{row} الخدمة سيئة جدا ولن أعود,سيئ\nשירות {row} רגיל,רגיל\n"
        );
    }
    let path = scratch.file("a.csv", &text);
    let checkup = examine(&path, None, &DoctorOptions::default()).expect("readable");
    let options = ExploreOptions { read: ReadOptions::default(), tokens: None, speakers: Speakers::default() };
    let found = explore(&path, &checkup, &options).expect("readable");
    let class = |label: &str| found.classes.iter().find(|class| class.label == label).expect("a class");
    let marks = |label: &str, term: &str| class(label).terms.iter().any(|found| found.text == term);
    assert!(marks("好", "非常") && marks("سيئ", "سيئة جدا") && marks("רגיל", "שירות"), "{found:?}");
    // 第 0 次 购 买, 质 量 非 常 好, 非 常 满 意
    assert_eq!(class("好").words.quantiles[3], 14);
}
