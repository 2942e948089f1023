//! A study from end to end: with tiny models, interrupted and gone on with, and with test files that cannot be measured.

mod workbench;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use workbench::{BINARY, done, failed, names, reviews, run, stderr, trained};

/// A study of seconds: the model to fine-tune is the one that the tests train.
fn line(out: &str) -> String {
    let model = trained().join("runs/reviews-1/model");
    format!(
        "study conversations train.csv --test test.csv --model {} --out {out} --quick --threads 1 --seeds 2 --folds 2",
        model.display()
    )
}

/// Short conversations, of which the customer's turn is one of the reviews.
fn conversations(rows: usize) -> String {
    reviews(rows).replace(",\"the", ",\"Agent: Hello. (pause) Customer: the")
}

fn folder_with_data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.csv"), conversations(60)).unwrap();
    // Other texts than those of the training file.
    let test: String = conversations(80)
        .lines()
        .enumerate()
        .filter(|(row, _)| *row == 0 || *row > 60)
        .map(|(_, row)| row.to_owned() + "\n")
        .collect();
    fs::write(folder.path().join("test.csv"), test).unwrap();
    folder
}

fn report(folder: &Path, out: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(out).join("report.json")).unwrap()).unwrap()
}

#[test]
fn a_study_has_every_part_and_its_numbers_are_those_of_its_models() {
    let folder = folder_with_data();
    // Of the variants this one has texts to watch it by, and curves of them.
    fs::write(folder.path().join("scratch.toml"), "conversation = \"customer\"\nvalidation_fraction = 0.2\n").unwrap();
    let shown = done(folder.path(), &format!("{} --track tensorboard --scratch-recipe scratch.toml", line("study")));
    assert!(
        shown.contains("fine-tuned") && shown.contains("from scratch") && shown.contains("study/report.html"),
        "{shown}"
    );
    assert!(shown.contains("tensorboard --logdir study"), "{shown}");
    for training in ["cross-validation/candidate-1/fold-2", "finetuned/seed-0", "scratch/seed-1"] {
        assert!(folder.path().join("study").join(training).join("tensorboard").is_dir(), "{training}");
    }
    let report = report(folder.path(), "study");
    for variant in ["finetuned", "scratch"] {
        for metric in ["accuracy", "f1_macro", "f1_weighted"] {
            let found = &report[variant][metric];
            let values: Vec<f64> = found["values"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
            assert_eq!(values.len(), 2, "{variant} {metric}");
            assert!((found["mean"].as_f64().unwrap() - (values[0] + values[1]) / 2.0).abs() < 1e-12);
            assert!(found["deviation"].is_number());
        }
        for class in ["negative", "neutral", "positive"] {
            assert!(report[variant]["f1"][class]["mean"].is_number(), "{variant} {class}");
        }
        assert_eq!(report[variant]["training"].as_array().unwrap().len(), 2);
    }
    assert!(report["cross_validation"]["f1_macro"]["mean"].is_number());
    let p_value = report["comparisons"][0]["p_value"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&p_value));
    for (number, seed) in ["finetuned/seed-0", "finetuned/seed-1"].iter().enumerate() {
        let found: Value =
            serde_json::from_str(&done(folder.path(), &format!("eval study/{seed}/model test.csv --json"))).unwrap();
        assert_eq!(found["accuracy"], report["finetuned"]["accuracy"]["values"][number], "{seed}");
    }
    assert_eq!(report["out_of_fold"]["fine_tuned"]["accuracy"], report["cross_validation"]["pooled"]["accuracy"]);
    for baseline in ["majority", "tf_idf", "embeddings"] {
        assert!(report["out_of_fold"][baseline]["f1_macro"].is_number(), "{baseline}");
    }
    let rows = fs::read_to_string(folder.path().join("test.csv")).unwrap().lines().count() - 1;
    for (hard, n) in report["hard_texts"].as_array().unwrap().iter().zip([rows, 60]) {
        assert_eq!(hard["n"], n);
        let answers = hard["models"].as_u64().unwrap() * hard["n"].as_u64().unwrap();
        let wrong: u64 = hard["mistakes"].as_array().unwrap().iter().filter_map(|one| one["count"].as_u64()).sum();
        let accuracy = match hard["measured_on"].as_str().unwrap() {
            "test" => &report["finetuned"]["accuracy"]["mean"],
            _ => &report["out_of_fold"]["fine_tuned"]["accuracy"],
        };
        assert!((accuracy.as_f64().unwrap() - (1.0 - wrong as f64 / answers as f64)).abs() < 1e-9, "{hard}");
    }
    let page = fs::read_to_string(folder.path().join("study/report.html")).unwrap();
    for part in [
        "published: GPT-2, fine-tuned",
        "<svg",
        "training loss of the fine-tuned",
        "validation accuracy of the from scratch",
        "Cross-validation, 2 folds",
        "Confusion",
    ] {
        assert!(page.contains(part), "`{part}` is missing");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "the page loads nothing");
    let again = run(folder.path(), &line("study"));
    assert!(again.status.success() && stderr(&again).contains("finished already"), "{}", stderr(&again));
}

#[test]
fn an_interrupted_study_goes_on_and_ends_the_same() {
    let folder = folder_with_data();
    done(folder.path(), &line("whole"));
    let mut child = Command::new(BINARY)
        .current_dir(folder.path())
        .args(line("parts").split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (parts, start) = (folder.path().join("parts"), Instant::now());
    while !parts.join("finetuned/seed-1/trial.json").exists() && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!parts.join("report.json").exists(), "it was over too soon");
    let before = fs::read(parts.join("finetuned/seed-0/trial.json")).unwrap();
    let others = run(folder.path(), &line("parts").replace("--folds 2", "--folds 3"));
    assert_eq!(others.status.code(), Some(1));
    assert!(stderr(&others).contains("other settings"), "{}", stderr(&others));
    done(folder.path(), &line("parts"));
    assert!(fs::read(parts.join("finetuned/seed-0/trial.json")).unwrap() == before, "the first seed was done again");
    let [whole, parts] = ["whole", "parts"].map(|out| report(folder.path(), out));
    for part in ["accuracy", "f1", "log_loss", "evaluation", "kept"] {
        assert_eq!(whole["finetuned"][part], parts["finetuned"][part], "{part}");
        assert_eq!(whole["scratch"][part], parts["scratch"][part], "{part}");
    }
    assert_eq!(whole["cross_validation"], parts["cross_validation"]);
    assert_eq!(whole["comparisons"], parts["comparisons"]);
}

#[test]
fn a_test_file_that_cannot_be_measured_is_refused_before_the_training() {
    let folder = folder_with_data();
    let with_test = |text: &str| fs::write(folder.path().join("test.csv"), text).unwrap();
    with_test("text,label\nfine,positive\nodd,mixed\n");
    assert!(failed(folder.path(), &line("study")).contains("test.csv:3: label `mixed` is not in the label set"));
    with_test("words,label\nfine,positive\n");
    assert!(failed(folder.path(), &line("study")).contains("no column looks like the text"));
    with_test("text,label\nfine,\n");
    assert!(failed(folder.path(), &line("study")).contains("the label is missing"));
    fs::remove_file(folder.path().join("test.csv")).unwrap();
    assert!(failed(folder.path(), &line("study")).contains("no such file"));
    assert!(failed(folder.path(), &line("study").replace("train.csv", "no.csv")).contains("no.csv"));
    assert_eq!(names(folder.path()), ["train.csv"], "a study that cannot start leaves nothing behind");
    fs::write(folder.path().join("test.csv"), conversations(30)).unwrap();
    let nowhere = line("study").replace("--quick", "--quick --scratch-model nowhere.json");
    assert!(failed(folder.path(), &nowhere).contains("nowhere.json"), "the other variant must not be trained before");
    assert_eq!(names(folder.path()), ["test.csv", "train.csv"]);
    fs::create_dir(folder.path().join("mine")).unwrap();
    fs::write(folder.path().join("mine/letter.txt"), "").unwrap();
    assert!(failed(folder.path(), &line("mine")).contains("not empty"));
}

#[test]
fn where_a_column_gives_the_label_away_the_ladder_shows_what_the_text_alone_is_worth() {
    let folder = tempfile::tempdir().unwrap();
    let calls = |from: usize, rows: usize| -> String {
        let row = |row: usize| {
            let (topic, label) = [("refund", "negative"), ("opening", "neutral"), ("praise", "positive")][row % 3];
            let (first, second) = (row * 7919 % 101, row * 104_729 % 97);
            format!("\"Agent: Hello. Customer: my number is {first} or {second} of {row}\",{label},{topic}\n")
        };
        let rows: String = (from..from + rows).map(row).collect();
        format!("text,label,topic\n{rows}")
    };
    fs::write(folder.path().join("train.csv"), calls(0, 60)).unwrap();
    fs::write(folder.path().join("test.csv"), calls(60, 30)).unwrap();
    fs::write(folder.path().join("ways.toml"), "[[candidate]]\nname = \"columns\"\n").unwrap();
    done(folder.path(), &format!("{} --candidates ways.toml", line("study")));
    let report = report(folder.path(), "study");
    let ladder = &report["ladder"];
    let accuracy = |rung: &str| ladder[rung]["accuracy"].as_f64().unwrap_or_else(|| panic!("no {rung}: {ladder}"));
    assert_eq!(accuracy("tf_idf"), 1.0);
    assert!(accuracy("tf_idf_text") < 0.7 && accuracy("embeddings_text") < 0.7, "{ladder}");
    assert_eq!(ladder["tf_idf_text"]["title"], "TF-IDF and logistic regression, on the text alone");
    let hard: Vec<&Value> =
        report["hard_texts"].as_array().unwrap().iter().flat_map(|of| of["texts"].as_array().unwrap()).collect();
    let as_read = |text: &str| {
        ["refund", "opening", "praise"].iter().any(|topic| text.starts_with(&format!("topic {topic}. my")))
    };
    assert!(!hard.is_empty() && hard.iter().all(|one| as_read(one["text"].as_str().unwrap())), "{hard:?}");
}
