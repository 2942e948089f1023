//! What the tests of the command share: the binary, small data and a model to damage.

// Every test binary compiles this file and uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use assert_cmd::Command;
use tempfile::TempDir;

/// The command.
pub const BINARY: &str = env!("CARGO_BIN_EXE_finetone");

/// The command, run in `folder`, with nothing from the environment that changes what it does.
pub fn finetone(folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(folder).env("HF_HUB_OFFLINE", "1").env("HF_HOME", folder.join("hf")).env("COLUMNS", "100");
    for variable in ["HF_TOKEN", "HF_ENDPOINT", "HF_HUB_CACHE", "FINETONE_ISA", "CLICOLOR_FORCE", "MLFLOW_TRACKING_URI"]
    {
        command.env_remove(variable);
    }
    command
}

/// Runs a command line, words separated by spaces.
pub fn run(folder: &Path, line: &str) -> Output {
    finetone(folder).args(line.split_whitespace()).output().expect("the binary starts")
}

/// Runs a command line that must succeed, and gives its standard output.
pub fn done(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    assert!(output.status.success(), "`{line}` failed:\n{}", stderr(&output));
    stdout(&output)
}

/// Runs a command line that must fail with one error and a hint, and gives what it said.
pub fn failed(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "`{line}` should have failed:\n{said}");
    assert!(said.contains("error: "), "`{line}` gave no error:\n{said}");
    assert!(said.contains("\nhint: "), "`{line}` gave no hint:\n{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("the output is UTF-8")
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("the messages are UTF-8")
}

/// `rows` short reviews of three classes, all different.
pub fn reviews(rows: usize) -> String {
    let things = ["kettle", "hotel", "phone", "dinner", "chair", "repair"];
    let words = [
        ("negative", ["broken", "awful", "late and rude"]),
        ("neutral", ["delivered", "as described", "of middle size"]),
        ("positive", ["lovely", "great value", "a real joy"]),
    ];
    let row = |i: usize| {
        let (label, says) = words[i % 3];
        format!("{i},\"the {}, number {i}, was {}\",{label}\n", things[i % 6], says[i / 3 % 3])
    };
    let rows: String = (0..rows).map(row).collect();
    format!("id,text,label\n{rows}")
}

/// A folder with `reviews.csv` and the run of a tiny model, made once for each test binary.
pub fn trained() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("there is a place for temporary files");
        fs::write(folder.path().join("reviews.csv"), reviews(90)).expect("it can be written to");
        done(folder.path(), "train reviews.csv --model tiny --epochs 2 --learning-rate 1e-3 --threads 1");
        folder
    });
    folder.path()
}

/// A copy of the trained model, to be damaged.
pub fn model_copy(folder: &Path) -> PathBuf {
    let (from, to) = (trained().join("runs/reviews-1/model"), folder.join("model"));
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    to
}

/// The names of everything in a folder, hidden files included, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
