//! From a labelled file to a trained model, its report, predictions and an export.

mod workbench;

use std::fs;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use workbench::{done, failed, finetone, names, reviews, run, stderr, stdout, trained};

const APPENDED: &str = "label_predicted,confidence,probability_negative,probability_neutral,probability_positive";

#[test]
fn a_run_folder_is_complete() {
    let run = trained().join("runs/reviews-1");
    for file in ["model/config.json", "model/model.safetensors", "model/tokenizer.json", "run.toml"] {
        assert!(run.join(file).is_file(), "{file} is missing");
    }
    assert!(fs::read_to_string(run.join("report.html")).unwrap().contains("<svg"));
    let report: Value = serde_json::from_slice(&fs::read(run.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["evaluations"][0]["evaluation"]["labels"].as_array().unwrap().len(), 3);
    let events = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((named("started"), named("finished")), (1, 1));
    assert!(named("step") >= 2 && named("evaluated") >= 1);
}

#[test]
fn training_tells_what_it_found_and_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("my reviews.csv"), reviews(60)).unwrap();
    let output = finetone(folder.path())
        .args(["train", "my reviews.csv", "--model", "tiny", "--set", "max_steps=2", "--set", "eval_every=1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let (told, summary) = (stderr(&output), stdout(&output));
    for found in
        ["60 rows, texts in `text`, labels in `label`", "negative", "device:", "step 1/2", "evaluation: f1_macro"]
    {
        assert!(told.contains(found), "`{found}` is missing in:\n{told}");
    }
    for shown in ["95 % interval", "baseline", "macro F1", "report:", "finetone predict 'runs/my reviews-1' FILE -o "] {
        assert!(summary.contains(shown), "`{shown}` is missing in:\n{summary}");
    }
}

#[test]
fn quiet_training_prints_the_run_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), reviews(60)).unwrap();
    for (number, line) in ["train a.csv --model tiny --set max_steps=1 -q"; 2].into_iter().enumerate() {
        let output = run(folder.path(), line);
        assert_eq!(stdout(&output), format!("runs/a-{}\n", number + 1), "{}", stderr(&output));
        assert_eq!(stderr(&output), "");
    }
    let taken = failed(folder.path(), "train a.csv --model tiny --out runs/a-1");
    assert!(taken.contains("not empty"), "{taken}");
}

#[test]
fn resume_refuses_other_settings_and_other_folders() {
    let resume = |line: &str| run(trained(), &format!("train --resume runs/reviews-1 {line}"));
    let output = resume("--epochs 5");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("other settings"), "{}", stderr(&output));
    assert_eq!(resume("--out elsewhere").status.code(), Some(2));
    // The run keeps the precision that was decided when it began, so `auto` asks for nothing else.
    let settings = fs::read_to_string(trained().join("runs/reviews-1/run.toml")).unwrap();
    let other = if settings.contains("precision = \"bf16\"") { "f32" } else { "bf16" };
    assert!(!settings.contains("precision = \"auto\""), "{settings}");
    assert!(resume("--precision auto").status.success());
    assert_eq!(resume(&format!("--precision {other}")).status.code(), Some(2));
    assert!(failed(trained(), "train --resume nowhere").contains("nowhere"));
}

#[test]
fn evaluation_is_one_json_object_or_a_page() {
    let object: Value = serde_json::from_str(&done(trained(), "eval runs/reviews-1 reviews.csv --json")).unwrap();
    assert_eq!(object["n"], 90);
    for metric in ["accuracy", "f1_macro", "f1_weighted"] {
        let value = object[metric].as_f64().unwrap();
        let ends: Vec<f64> = object["intervals"][metric].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        assert!(ends[0] <= value && value <= ends[1], "{metric}: {value} outside {ends:?}");
    }
    for class in ["negative", "neutral", "positive"] {
        assert!(object["f1"][class].is_number() && object["intervals"]["f1"][class].is_array());
    }
    let page = done(trained(), "eval runs/reviews-1 reviews.csv --report page.html");
    assert!(page.contains("weighted F1") && page.contains("report: page.html"), "{page}");
    assert!(fs::read_to_string(trained().join("page.html")).unwrap().contains("</html>"));
}

#[test]
fn a_label_that_the_model_does_not_know_is_an_error() {
    fs::write(trained().join("other.csv"), "text,label\na,positive\nb,posittive\n").unwrap();
    let said = failed(trained(), "eval runs/reviews-1 other.csv");
    assert!(said.starts_with("error: other.csv:3: label `posittive` is not in the label set\nhint: "), "{said}");
}

#[test]
fn predictions_of_csv_keep_every_byte_of_the_rows() {
    let rows = ["007,\"He said \"\"fine\"\", then left\",positive", "8,,neutral", "9, spaced ,negative"];
    fs::write(trained().join("in.csv"), format!("id,text,label\n{}\n", rows.join("\n"))).unwrap();
    done(trained(), "predict runs/reviews-1 in.csv -o out.csv");
    let out = fs::read_to_string(trained().join("out.csv")).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], format!("id,text,label,{APPENDED}"));
    assert_eq!(lines.len(), 4);
    for (line, row) in lines[1..].iter().zip(rows) {
        assert!(line.starts_with(&format!("{row},")), "{line}");
    }
    assert_eq!(lines[2], "8,,neutral,,,,,", "an empty text has no answer");
    let numbers: Vec<f64> = lines[1].rsplit(',').take(4).map(|number| number.parse().unwrap()).collect();
    assert!((numbers[..3].iter().sum::<f64>() - 1.0).abs() < 1e-5);
    assert!(numbers[..3].contains(&numbers[3]), "the confidence is one of the probabilities");
}

#[test]
fn predictions_of_json_lines_go_through_pipes() {
    let lines = "{\"id\": 1.10, \"text\": \"a real joy\"}\n{\"id\": 12345678901234567890, \"text\": null}\n";
    let output =
        finetone(trained()).args(["predict", "runs/reviews-1", "-", "-o", "-"]).write_stdin(lines).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let out = stdout(&output);
    let (first, second) = out.trim_end().split_once('\n').unwrap();
    assert!(first.starts_with("{\"id\": 1.10, \"text\": \"a real joy\""), "{first}");
    assert!(second.contains("12345678901234567890"), "{second}");
    let (first, second): (Value, Value) = (serde_json::from_str(first).unwrap(), serde_json::from_str(second).unwrap());
    assert!(first["label"].is_string() && first["probability_neutral"].is_number());
    assert!(second["label"].is_null() && second["confidence"].is_null());
}

#[test]
fn predictions_of_parquet_keep_the_columns_and_their_types() {
    let columns: [(&str, ArrayRef); 2] = [
        ("number", Arc::new(Int64Array::from(vec![Some(7), None]))),
        ("text", Arc::new(StringArray::from(vec!["great value", "awful"]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(trained().join("in.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    done(trained(), "predict runs/reviews-1 in.parquet -o out.parquet");
    let file = fs::File::open(trained().join("out.parquet")).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let out = reader.next().unwrap().unwrap();
    assert_eq!(out.column(0).as_ref(), batch.column(0).as_ref());
    assert_eq!(out.column(1).as_ref(), batch.column(1).as_ref());
    let confidence = out.column_by_name("confidence").unwrap().as_any().downcast_ref::<Float64Array>().unwrap();
    assert!(confidence.null_count() == 0 && confidence.value(0) > 1.0 / 3.0);
}

#[test]
fn predictions_do_not_depend_on_the_rows_around() {
    let predict = |rows: String, name: &str| {
        fs::write(trained().join(format!("{name}.csv")), rows).unwrap();
        done(trained(), &format!("predict runs/reviews-1 {name}.csv -o {name}.out.csv"));
        fs::read_to_string(trained().join(format!("{name}.out.csv"))).unwrap()
    };
    let all = predict(reviews(90), "together");
    let first = predict(reviews(1), "alone");
    assert!(all.starts_with(&first), "{first}");
}

#[test]
fn an_error_in_a_late_row_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained().join("runs/reviews-1");
    fs::write(folder.path().join("in.csv"), reviews(5000) + "1,too,many,fields\n").unwrap();
    let said = failed(folder.path(), &format!("predict {} in.csv -o out.csv", run.display()));
    assert!(said.contains("in.csv:5002: "), "{said}");
    assert_eq!(names(folder.path()), ["in.csv"]);
}

#[test]
fn a_text_is_judged_on_the_command_line() {
    let output = finetone(trained()).args(["predict", "runs/reviews-1", "--text", "a real joy"]).output().unwrap();
    let page = stdout(&output);
    let lines: Vec<Vec<&str>> = page.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["label", "confidence", "negative", "neutral", "positive"]);
    assert_eq!(lines[1].len(), 5);
}

#[test]
fn an_export_opens_again_and_says_the_same() {
    done(trained(), "model export runs/reviews-1 -o exported/model");
    let exported = trained().join("exported/model");
    let card = fs::read_to_string(exported.join("README.md")).unwrap();
    for part in ["pipeline_tag: text-classification", "`negative`, `neutral`, `positive`", "| macro F1 |", "pipeline("]
    {
        assert!(card.contains(part), "`{part}` is missing in:\n{card}");
    }
    let by = |model: &str, out: &str| {
        done(trained(), &format!("predict {model} reviews.csv -o {out}"));
        fs::read(trained().join(out)).unwrap()
    };
    assert_eq!(by("exported/model", "exported.csv"), by("runs/reviews-1", "run.csv"));
    assert!(failed(trained(), "model export runs/reviews-1 -o exported/model").contains("not empty"));
    assert_eq!(names(&trained().join("exported")), ["model"], "no temporary folder is left");
}

#[test]
fn models_are_listed_and_described() {
    let list = done(trained(), "model list");
    assert!(list.contains("runs/reviews-1") && list.contains("gpt2-mini"), "{list}");
    let shown = done(trained(), "model show runs/reviews-1");
    for part in ["bert (BertForSequenceClassification)", "negative, neutral, positive", "2 layers, width 128"] {
        assert!(shown.contains(part), "`{part}` is missing in:\n{shown}");
    }
    assert!(done(trained(), "model show small").contains("trained from scratch"));
    assert!(failed(trained(), "model pull tiny").contains("nothing to download"));
    assert!(failed(trained(), "model pull someone/something").contains("offline"), "the tests have no network");
    assert!(failed(trained(), "predict small reviews.csv -o x.csv").contains("untrained"));
    assert!(failed(trained(), "eval runs/reviews-7 reviews.csv").contains("`reviews-1`"), "neighbours are named");
}
