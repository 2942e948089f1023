//! Texts of other languages on their way through the commands: none is cut within a character, none is turned around.

mod workbench;

use std::fs;
use std::path::Path;

use serde_json::Value;
use workbench::{done, failed, finetone, run, stderr, stdout};

/// Reviews in Chinese, Arabic and Hebrew, the labels too.
fn reviews() -> String {
    let row = |row: usize| match row % 3 {
        0 => format!("第{row}次购买，质量非常好，下次还会再来。,好评"),
        1 => format!("{row} الخدمة سيئة جداً ولن أعود أبداً!,سيئ"),
        _ => format!("{row} משלוח רגיל ביום שלישי,רגיל"),
    };
    let rows: Vec<String> = (0..60).map(row).collect();
    format!("text,label\n{}\n", rows.join("\n"))
}

fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("reviews.csv"), reviews()).unwrap();
    folder
}

fn page(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_run_of_other_scripts_ends_in_reports_that_show_them() {
    let folder = place();
    let settings = "--set max_steps=3 --max-tokens 24 --threads 1 --quiet";
    done(folder.path(), &format!("train reviews.csv --model tiny --out run {settings}"));
    let report = page(folder.path(), "run/report.html");
    for part in ["<bdi>好评</bdi>", "<bdi>سيئ</bdi>", "<p class=\"text\" dir=\"auto\">"] {
        assert!(report.contains(part), "{part} is missing");
    }
    let said = done(folder.path(), "predict run --text 非常好 --text ممتاز");
    assert!(said.contains("好评") && said.contains("سيئ"), "{said}");

    let explained = finetone(folder.path()).args(["explain", "run", "质量很好。 good", "--json"]).output().unwrap();
    let explained: Value = serde_json::from_str(&stdout(&explained)).unwrap();
    let words: Vec<&str> =
        explained[0]["words"].as_array().unwrap().iter().filter_map(|word| word["word"].as_str()).collect();
    assert_eq!(words, ["质", "量", "很", "好。", "good"]);
}

#[test]
fn other_scripts_are_explored_and_measured_by_baselines() {
    let folder = place();
    let told = done(folder.path(), "explore reviews.csv --report page.html");
    assert!(told.contains("下次") && told.contains("الخدمة سيئة"), "{told}");
    let shown = page(folder.path(), "page.html");
    assert!(shown.contains("<bdi>下次</bdi>") && shown.contains("<bdi>سيئ</bdi>"));
    let settings = "--ladder --set max_steps=2 --max-tokens 24 --threads 1 --quiet";
    let renamed = reviews().replace("好评", "positive").replace(",سيئ", ",negative").replace(",רגיל", ",neutral");
    fs::write(folder.path().join("named.csv"), renamed).unwrap();
    done(folder.path(), &format!("train named.csv --model tiny --out run {settings}"));
    let report: Value = serde_json::from_str(&page(folder.path(), "run/report.json")).unwrap();
    let (lexicon, tf_idf) = (&report["ladder"]["lexicon"], &report["ladder"]["tf_idf"]);
    let detail = lexicon["detail"].as_str().unwrap();
    assert!(detail.ends_with("it knows 0.0 of 100 words of these texts, which are hardly English"), "{detail}");
    assert_eq!(tf_idf["accuracy"], 1.0, "each script has words of its own: {tf_idf}");
}

/// A text as a Czech spreadsheet saves it.
fn windows_1250(text: &str) -> Vec<u8> {
    let byte = |letter| match letter {
        'á' => 0xE1,
        'é' => 0xE9,
        'í' => 0xED,
        'ř' => 0xF8,
        'š' => 0x9A,
        'ý' => 0xFD,
        letter => u8::try_from(letter).ok().filter(u8::is_ascii).expect("a letter of this test"),
    };
    text.chars().map(byte).collect()
}

#[test]
fn a_spreadsheet_of_another_encoding_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let text = "text;label\npříšerné jídlo;0\nkrásný výlet;1\n";
    fs::write(place.join("a.csv"), windows_1250(text)).unwrap();
    fs::write(place.join("plain.csv"), format!("{text}šéf příliš přísný;0\n")).unwrap();
    let said = failed(place, "explore a.csv");
    assert!(said.contains("the file looks like windows-1250: give `--encoding windows-1250`"), "{said}");
    let doctor = stdout(&run(place, "doctor a.csv"));
    assert!(doctor.contains("give `--encoding windows-1250`"), "{doctor}");
    assert!(failed(place, "predict nowhere a.csv -o b.csv").contains("nowhere"));

    assert_eq!(done(place, "prepare a.csv --encoding cp1250 --quiet"), text);
    assert!(done(place, "doctor a.csv --encoding windows-1250").contains("a.csv: 2 rows"));
    // What is no letter of the encoding is told, and what is UTF-8 is not read as anything else.
    let said = failed(place, "explore a.csv --encoding latin2");
    assert!(said.contains("a.csv:2: 1 row with bytes that are not text"), "{said}");
    assert!(said.contains("give `--encoding windows-1250`"), "{said}");
    let prepared = stderr(&run(place, "prepare a.csv --encoding latin2 --out b.csv"));
    assert!(prepared.contains("a.csv:2: bytes that are not ISO-8859-2 text (column `text`)"), "{prepared}");
    let said = failed(place, "explore plain.csv --encoding windows-1250");
    assert!(said.contains("plain.csv: the file is UTF-8, not windows-1250"), "{said}");
    assert!(failed(place, "prepare --follow a.csv --out followed.csv --encoding cp1250").contains("only UTF-8"));
    for (line, told) in [
        ("doctor a.csv --encoding windows1250", "did you mean `windows-1250`?"),
        ("train a.csv --set encoding=windows1250", "did you mean `windows-1250`?"),
        ("predict nowhere a.csv -o b.csv --encoding klingon", "there is no encoding `klingon`"),
    ] {
        let output = run(place, line);
        assert_eq!(output.status.code(), Some(2), "{line}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{line}: {}", stderr(&output));
    }
}

#[test]
fn the_lines_of_another_encoding_are_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let line = |said: &str, label: &str| format!("{{\"text\": \"{said}\", \"label\": \"{label}\"}}\n");
    let lines = line("krásný výlet", "spokojený") + &line("příšerné jídlo", "zklamaný");
    fs::write(folder.path().join("a.jsonl"), windows_1250(&lines)).unwrap();
    assert_eq!(done(folder.path(), "prepare a.jsonl --encoding windows-1250 --quiet"), lines);
    let chat = |said: &str, label: &str| {
        let message = |role, content| format!("{{\"role\": \"{role}\", \"content\": \"{content}\"}}");
        format!("{{\"messages\": [{}, {}]}}\n", message("user", said), message("assistant", label))
    };
    let chats: String = (0..20).map(|i| chat(&format!("krásný výlet {i}"), ["dobrý", "zlý"][i % 2])).collect();
    fs::write(folder.path().join("chats.jsonl"), windows_1250(&chats)).unwrap();
    let said = done(folder.path(), "doctor chats.jsonl --encoding windows-1250");
    assert!(said.contains("chats.jsonl: chats, 20 examples") && said.contains("dobrý"), "{said}");
}

#[test]
fn a_run_remembers_the_encoding_of_its_files_and_a_prediction_is_utf_8() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let row = |i: usize| match i % 2 {
        0 => format!("krásný výlet {i};spokojený\n"),
        _ => format!("příšerné jídlo {i};zklamaný\n"),
    };
    let table = format!("text;label\n{}", (0..40).map(row).collect::<String>());
    fs::write(place.join("a.csv"), windows_1250(&table)).unwrap();
    let settings = "--set max_steps=2 --max-tokens 24 --threads 1 --quiet";
    done(place, &format!("train a.csv --encoding cp1250 --model tiny --out run {settings}"));
    assert!(page(place, "run/run.toml").contains("encoding = \"windows-1250\""));
    done(place, "predict run a.csv -o b.csv --encoding cp1250 --quiet");
    let predicted = page(place, "b.csv");
    assert!(predicted.starts_with("text;label;label_predicted;"), "{predicted}");
    assert!(predicted.contains("\nkrásný výlet 0;spokojený;"), "{predicted}");
    assert!(failed(place, "eval run a.csv").contains("not UTF-8 text"), "no command guesses");
    done(place, "eval run a.csv --encoding cp1250");
    done(place, "monitor run a.csv --encoding cp1250 --precision f32");
    // The fresh file is what is typed, the rows of the run are what it says.
    let fresh = format!("text;label\n{}", (40..80).map(row).collect::<String>());
    fs::write(place.join("fresh.csv"), fresh).unwrap();
    done(place, "monitor run fresh.csv --precision f32");
    done(place, &format!("train fresh.csv --from run --out next {settings}"));
    assert!(page(place, "next/run.toml").contains("encoding = \"UTF-8\""));
}
