//! Texts of other languages on their way through the commands: none is cut within a character, none is turned around.

mod workbench;

use std::fs;
use std::path::Path;

use serde_json::Value;
use workbench::{done, failed, finetone, stdout};

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
    assert!(told.contains("非常") && told.contains("سيئة جداً"), "{told}");
    let shown = page(folder.path(), "page.html");
    assert!(shown.contains("<bdi>非常</bdi>") && shown.contains("<bdi>سيئ</bdi>"));
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

#[test]
fn a_spreadsheet_of_another_encoding_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    // `příšerné jídlo` and `krásný výlet` in Windows-1250.
    let rows = b"text;label\np\xf8\xed\x9aern\xe9 j\xeddlo;0\nkr\xe1sn\xfd v\xfdlet;1\n";
    fs::write(folder.path().join("a.csv"), rows).unwrap();
    let said = failed(folder.path(), "explore a.csv");
    assert!(said.contains("windows-1250") || said.contains("doctor"), "{said}");
    let doctor = String::from_utf8(finetone(folder.path()).args(["doctor", "a.csv"]).output().unwrap().stdout).unwrap();
    assert!(doctor.contains("iconv -f WINDOWS-1250 -t UTF-8 a.csv > utf8-a.csv"), "{doctor}");
    assert!(failed(folder.path(), "predict nowhere a.csv -o b.csv").contains("nowhere"));
}
