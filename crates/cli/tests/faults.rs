//! Damaged models, data that cannot be learnt from, disks that are full: each a clear error, and nothing half-written.

mod workbench;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use workbench::{failed, finetone, model_copy, names, reviews, stderr, trained};

/// Damages a copy of the trained model, asks it for predictions and gives the error.
fn with_model(damage: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let model = model_copy(folder.path());
    damage(&model);
    fs::write(folder.path().join("in.csv"), reviews(3)).unwrap();
    let said = failed(folder.path(), "predict model in.csv -o out.csv");
    assert_eq!(names(folder.path()), ["in.csv", "model"], "something was left behind");
    said
}

/// Replaces a part of the weights' header by another of the same length.
fn edit_header(model: &Path, from: &str, to: &str) {
    let path = model.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let position = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    bytes[position..position + from.len()].copy_from_slice(to.as_bytes());
    fs::write(path, bytes).unwrap();
}

fn edit_config(model: &Path, key: &str, value: Value) {
    let path = model.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn truncated_weights() {
    for keep in [0, 4, 100, 50_000] {
        let said = with_model(|model| {
            let path = model.join("model.safetensors");
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..keep]).unwrap();
        });
        assert!(said.contains("model.safetensors"), "{keep}: {said}");
    }
}

#[test]
fn weights_whose_header_lies() {
    let length = |length: u64| {
        move |model: &Path| {
            let path = model.join("model.safetensors");
            let mut bytes = fs::read(&path).unwrap();
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            fs::write(path, bytes).unwrap();
        }
    };
    for lie in [u64::MAX, 1 << 40, 3] {
        assert!(with_model(length(lie)).contains("model.safetensors"));
    }
    let said = with_model(|model| edit_header(model, "\"dtype\":\"F32\"", "\"dtype\":\"F99\""));
    assert!(said.contains("model.safetensors"), "{said}");
    let said = with_model(|model| edit_header(model, "\"data_offsets\":[0,", "\"data_offsets\":[9,"));
    assert!(said.contains("model.safetensors"), "{said}");
}

#[test]
fn a_missing_tensor_and_wrong_shapes() {
    let said = with_model(|model| edit_header(model, "\"classifier.weight\"", "\"classifier.wejght\""));
    assert!(said.contains("`classifier.weight`"), "{said}");
    let said = with_model(|model| edit_config(model, "intermediate_size", json!(640)));
    assert!(said.contains("512") && said.contains("640"), "both shapes are named: {said}");
}

#[test]
fn an_unknown_family() {
    let said = with_model(|model| edit_config(model, "model_type", json!("mamba")));
    assert!(said.contains("`mamba`") && said.contains("`bert`"), "{said}");
    let said = with_model(|model| fs::write(model.join("config.json"), "{").unwrap());
    assert!(said.contains("config.json"), "{said}");
}

#[test]
fn a_tokenizer_of_another_model_and_pickled_weights() {
    let said = with_model(|model| fs::remove_file(model.join("tokenizer.json")).unwrap());
    assert!(said.contains("tokenizer"), "{said}");
    let said = with_model(|model| {
        fs::rename(model.join("model.safetensors"), model.join("pytorch_model.bin")).unwrap();
    });
    assert!(said.contains("pytorch_model.bin") && said.contains("save_pretrained"), "{said}");
}

/// Trains on a file with this content and gives the error.
fn with_data(content: impl AsRef<[u8]>) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.csv"), content).unwrap();
    let said = failed(folder.path(), "train data.csv --model tiny");
    assert_eq!(names(folder.path()), ["data.csv"], "something was left behind");
    said
}

#[test]
fn data_without_rows_or_columns() {
    assert!(with_data("").contains("data.csv"));
    assert!(with_data("text,label\n").contains("data.csv"));
    assert!(with_data("a,b\nc,d\n").contains("`a`, `b`"));
}

#[test]
fn a_line_of_fifty_megabytes() {
    let said = with_data(format!("text,label\n\"{}\",good\n", "x".repeat(50_000_000)));
    assert!(said.contains("data.csv:2"), "{said}");
}

#[test]
fn bytes_that_are_not_text() {
    let mut content = reviews(60).into_bytes();
    content.extend(b"60,caf\xe9,neutral\n");
    let said = with_data(content);
    assert!(said.contains("data.csv:62: "), "{said}");
}

#[test]
fn one_class_and_numbers_for_labels() {
    let one: String = (0..60).map(|i| format!("text number {i},good\n")).collect();
    assert!(with_data(format!("text,label\n{one}")).contains("`good`"));
    let numbers: String = (0..60).map(|i| format!("text number {i},{}\n", i as f64 / 7.0 + 0.01)).collect();
    assert!(with_data(format!("text,label\n{numbers}")).contains("data.csv:2: "));
}

#[test]
fn a_place_that_cannot_be_written_to() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.csv"), reviews(60)).unwrap();
    // Below a file not even the superuser can make a folder.
    let said = failed(folder.path(), "train data.csv --model tiny --out data.csv/run");
    assert!(said.contains("data.csv/run"), "{said}");
    let run = trained().join("runs/reviews-1");
    let run = run.display();
    failed(folder.path(), &format!("predict {run} data.csv -o data.csv/out.csv"));
    failed(folder.path(), &format!("model export {run} -o data.csv/model"));
    failed(folder.path(), &format!("eval {run} data.csv --report data.csv/report.html"));
    assert_eq!(names(folder.path()), ["data.csv"], "something was left behind");
}

#[test]
fn a_full_device() {
    let run = trained().join("runs/reviews-1");
    let line = format!("predict {} {}/reviews.csv -o /dev/full", run.display(), trained().display());
    let said = failed(Path::new("/"), &line);
    assert!(said.contains("/dev/full") && said.contains("free some space"), "{said}");
}

/// A disk of 300 KiB, where the system lets us make one.
#[test]
fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.csv"), reviews(60)).unwrap();
    fs::create_dir(folder.path().join("disk")).unwrap();
    let in_namespace = |script: &str| {
        let script = format!("mount -t tmpfs -o size=300k none disk && {script}");
        let mut command = finetone(folder.path());
        let environment: Vec<_> = command.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
        command = assert_cmd::Command::new("unshare");
        command.current_dir(folder.path()).args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        command.envs(environment.into_iter().filter_map(|(key, value)| Some((key, value?))));
        command.output()
    };
    if !in_namespace("true").is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this system gives no disk of 300 KiB");
        return;
    }
    let train = format!(
        "{} train data.csv --model tiny --out disk/run; echo $? > code; ls -A disk/run/model > left",
        workbench::BINARY
    );
    let said = stderr(&in_namespace(&train).unwrap());
    assert_eq!(fs::read_to_string(folder.path().join("code")).unwrap(), "1\n", "{said}");
    assert!(said.contains("error: disk/run") && said.contains("hint: free some space"), "{said}");
    assert_eq!(fs::read_to_string(folder.path().join("left")).unwrap(), "", "half a model was left");
}
