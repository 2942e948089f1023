//! Files of other languages and of the spreadsheets that are used there.

use encoding_rs::{Encoding, GBK, ISO_8859_2, SHIFT_JIS, WINDOWS_1250, WINDOWS_1251, WINDOWS_1254};
use finetone_data::conversation::Speakers;
use finetone_data::doctor::{DoctorOptions, examine};
use finetone_data::explore::{ColumnValues, ExploreOptions, explore};
use finetone_data::{DataError, Dataset, NewColumn, ReadOptions, Value, Writer};

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
fn another_encoding_is_named_with_the_command_that_converts_it() {
    for language in LANGUAGES {
        let advice = advice(&example(language), WINDOWS_1250);
        assert!(advice.contains("iconv -f WINDOWS-1250 -t UTF-8 a.csv > utf8-a.csv"), "{language}: {advice}");
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
    assert!(advice(&example("czech"), ISO_8859_2).contains("iconv -f ISO-8859-2"));
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
