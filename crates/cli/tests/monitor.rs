//! A model on texts that came after its training.

#[path = "../../../tests/real_data.rs"]
mod real_data;
mod workbench;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use workbench::{done, failed, finetone, names, reviews, run, stderr, stdout, trained};

/// A copy of the trained run as `run`, beside `reference.csv` and `fresh.csv`.
fn watched() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&trained().join("runs/reviews-1"), &folder.path().join("run"));
    fs::write(folder.path().join("reference.csv"), reviews(90)).unwrap();
    fs::write(folder.path().join("fresh.csv"), reviews(60)).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &to) } else { fs::copy(entry.path(), to).map(drop).unwrap() }
    }
}

/// Long texts of other words, without labels.
fn others(rows: usize) -> String {
    let row =
        |i: usize| format!("\"zebra {i} crossing seven quiet rivers before dawn without any map or lamp to go by\"\n");
    format!("text\n{}", (0..rows).map(row).collect::<String>())
}

fn json(folder: &Path, line: &str) -> Value {
    serde_json::from_str(&done(folder, &format!("{line} --json --precision f32"))).unwrap()
}

fn history(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("run/monitor/history.jsonl")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_same_kind_of_texts_pass_and_are_remembered() {
    let folder = watched();
    let folder = folder.path();
    let first = json(folder, "monitor run fresh.csv --max-drift 0.2 --no-fall");
    assert_eq!((first["drift_found"].as_bool(), first["record"]["labelled"].as_u64()), (Some(false), Some(60)));
    assert!(first["record"]["accuracy"]["low"].is_number() && first["record"]["expected_accuracy"]["high"].is_number());
    let source = first["record"]["reference"]["source"].as_str().unwrap();
    assert_eq!(source, "validation rows of the run");
    let page = done(folder, "monitor run fresh.csv");
    assert!(page.starts_with("No drift found: the 60 fresh texts are as the "), "{page}");
    assert!(page.contains("note: an earlier call has seen the same rows"), "{page}");
    assert_eq!(history(folder).len(), 2);
    let rows = |line: &str| serde_json::from_str::<Value>(line).unwrap()["stream"]["rows"].as_u64();
    assert_eq!(history(folder).iter().map(|line| rows(line)).collect::<Vec<_>>(), [Some(60); 2]);
    let kept = folder.join("run/monitor");
    assert_eq!(names(&kept), ["history.jsonl", "reference.safetensors", "report.html"]);
    for name in names(&kept) {
        let bytes = fs::read(kept.join(&name)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("kettle"), "{name} has a text");
    }
    let report = fs::read_to_string(kept.join("report.html")).unwrap();
    assert!(report.contains("Over time") && report.matches("<svg").count() == 8, "{}", report.matches("<svg").count());
}

#[test]
fn other_texts_are_told_and_gates_have_a_code_of_their_own() {
    let folder = watched();
    let folder = folder.path();
    fs::write(folder.join("others.csv"), others(60)).unwrap();
    let line = "monitor run others.csv --reference reference.csv";
    let found = json(folder, line);
    let kinds: Vec<&str> =
        found["record"]["drift"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["length", "vocabulary", "meaning", "predictions", "confidence"]);
    let p = |kind: usize| found["record"]["drift"][kind]["p_adjusted"].as_f64().unwrap();
    assert!(p(0) < 1e-3 && p(1) < 0.01 && p(2) < 1e-3, "{found}");
    assert!(found["drift_size"].as_f64().unwrap() > 0.9 && found["record"]["accuracy"].is_null());
    let output = run(folder, &format!("{line} --max-drift 0.2"));
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("error: `--max-drift 0.2` is not passed: length 1.0000"), "{}", stderr(&output));
    assert!(
        stdout(&output).starts_with("The texts have changed, p < 0.001: compared with the 90 rows of reference.csv, ")
    );
    done(folder, "monitor run others.csv --reference fresh.csv --max-drift 1");
    let output = run(folder, "monitor run fresh.csv --min-accuracy 1 --min-f1 1");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("`--min-f1 1` is not passed: macro F1 is 0."), "{}", stderr(&output));
    let said = failed(folder, "monitor run others.csv --min-f1 0.5");
    assert!(said.contains("`--min-f1` needs labels"), "{said}");
}

/// What the model says is taken for the truth, so that it is always right, until every fifth label is turned into another.
#[test]
fn a_fall_is_found_within_300_rows_over_several_calls() {
    let folder = watched();
    let folder = folder.path();
    let rows = reviews(2_100);
    fs::write(folder.join("all.csv"), &rows).unwrap();
    done(folder, "predict run all.csv -o said.csv --precision f32 --quiet");
    let said = fs::read_to_string(folder.join("said.csv")).unwrap();
    // Behind the text stand label, predicted label, confidence and three probabilities.
    let said: Vec<&str> = said.lines().skip(1).map(|line| line.rsplit(',').nth(4).unwrap()).collect();
    let row = |(i, line): (usize, &str)| {
        let turned = if said[i] == "neutral" { "positive" } else { "neutral" };
        let label = if i >= 1_800 && i % 5 == 0 { turned } else { said[i] };
        format!("{},{label}\n", line.rsplit_once(',').unwrap().0)
    };
    let labelled: Vec<String> = rows.lines().skip(1).enumerate().map(row).collect();
    for (name, part) in
        [("reference", &labelled[..800]), ("first", &labelled[800..1_800]), ("second", &labelled[1_800..])]
    {
        fs::write(folder.join(format!("{name}.csv")), format!("id,text,label\n{}", part.concat())).unwrap();
    }
    let first = json(folder, "monitor run first.csv --reference reference.csv --no-fall");
    assert!(first["fall"].is_null() && first["record"]["stream"]["rows"] == 1_000, "{first}");
    let output = run(folder, "monitor run second.csv --reference reference.csv --no-fall --json --precision f32");
    let second: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let [row, since] = ["row", "since"].map(|key| second["fall"][key].as_u64().unwrap());
    assert!((1_001..=1_300).contains(&row) && (990..=1_010).contains(&since), "found at {row}, since {since}");
    assert!(output.status.code() == Some(3) && stderr(&output).contains("`--no-fall` is not passed"));
}

#[test]
fn rows_worth_labelling_are_filled_in_and_learnt_from_with_the_old_ones() {
    let folder = watched();
    let folder = folder.path();
    fs::write(folder.join("others.csv"), others(60)).unwrap();
    let page = done(folder, "monitor run others.csv --to-label todo.csv --rows 12");
    assert!(page.contains("to label:  todo.csv (12 rows)"), "{page}");
    let todo = fs::read_to_string(folder.join("todo.csv")).unwrap();
    assert!(
        todo.starts_with("text,label\n")
            && todo.lines().count() == 13
            && todo.lines().skip(1).all(|row| row.ends_with(',')),
        "{todo}"
    );
    let said = failed(folder, "train todo.csv --from run --out next");
    assert!(said.contains("todo.csv"), "{said}");
    let filled: Vec<String> =
        todo.lines().map(|row| if row.ends_with(',') { format!("{row}neutral") } else { row.to_owned() }).collect();
    fs::write(folder.join("todo.csv"), filled.join("\n")).unwrap();
    let output = run(folder, "train todo.csv --from run --out next --set max_steps=2 --threads 1");
    let said = stderr(&output);
    assert!(output.status.success() && said.contains("with the rows of ") && said.contains("to train on"), "{said}");
    let settings = fs::read_to_string(folder.join("next/run.toml")).unwrap();
    assert!(
        settings.contains("from = ")
            && settings.contains("max_steps = 2")
            && settings.contains("learning_rate = 0.001")
    );
    let page = done(folder, "compare run next fresh.csv --precision f32");
    assert!(page.contains("As a successor: "), "{page}");
    let page = done(folder, "monitor run reference.csv --to-label all.csv");
    assert!(page.contains("nothing: every row has a label already") && !folder.join("all.csv").exists(), "{page}");
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let folder = watched();
    let folder = folder.path();
    let said = failed(folder, "monitor run/model fresh.csv");
    assert!(said.contains("only a run of `finetone train`"), "{said}");
    assert!(failed(folder, "monitor run nowhere.csv").contains("nowhere.csv: no such file"));
    assert_eq!(run(folder, "monitor run -").status.code(), Some(2));
    assert_eq!(run(folder, "monitor run fresh.csv --max-drift 2").status.code(), Some(2));
    assert_eq!(run(folder, "monitor run fresh.csv --rows 5").status.code(), Some(2));
    assert_eq!(run(folder, "monitor run fresh.csv --to-label ./fresh.csv").status.code(), Some(2));
    fs::write(folder.join("stars.csv"), "text,label\nfine,five stars\n").unwrap();
    assert!(failed(folder, "monitor run stars.csv").contains("five stars"));
    done(folder, "monitor run stars.csv --ignore-labels");
}

/// SST-2 as a run of ours sees it, and conversations of a shop; nothing is learnt about either.
#[test]
fn real_texts_are_like_themselves_and_unlike_others() {
    let [Some(dev), Some(shop)] = ["sst2/dev.csv", "customer_service/train.csv"].map(real_data::present) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let copy: [PathBuf; 2] = [dev, shop].map(|path| path.canonicalize().unwrap());
    let [dev, shop] = copy.each_ref().map(|path| path.display().to_string());
    let settings = "--set max_steps=20 --max-tokens 32 --out run --quiet";
    assert!(finetone(folder).args(["train", &dev]).args(settings.split(' ')).output().unwrap().status.success());
    let monitor = |file: &str, more: &str| {
        let line = format!("monitor run {file} --reference {dev} {more}");
        json(folder, &line)
    };
    let same = monitor(&dev, "--max-drift 0.2 --no-fall");
    assert_eq!((same["drift_found"].as_bool(), same["drift_size"].as_f64()), (Some(false), Some(0.0)), "{same}");
    let other = monitor(&shop, "--ignore-labels");
    let p = |kind: usize| other["record"]["drift"][kind]["p_adjusted"].as_f64().unwrap();
    assert!(p(0) < 1e-3 && p(2) < 1e-3, "{other}");
}
