//! The Python with PyTorch and transformers that some tests compare with, for the test crates that include this file.
//!
//! `eval "$(cargo xtask setup-python)"` prepares it. A test without it says so on standard error and passes, so that nobody
//! needs Python to work on the project; where `FINETONE_REQUIRE_PYTHON` is 1, as in CI, it fails instead.

// Every test crate compiles this file and uses a part of it.
#![allow(dead_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter with the packages, unless the test is to be skipped.
pub fn interpreter() -> Option<PathBuf> {
    required("FINETONE_PYTHON")
}

/// The folder of a BERT with real weights, unless the test is to be skipped.
pub fn real_weights() -> Option<PathBuf> {
    required("FINETONE_MINILM")
}

/// The folder with OpenAI's clients, one folder for each version, unless the test is to be skipped.
pub fn openai_clients() -> Option<PathBuf> {
    required("FINETONE_OPENAI_CLIENTS")
}

/// Says why a test does nothing, where it is seen even though the test passes.
pub fn tell_skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // Unlike `eprintln!`, this is not captured.
    let _ = writeln!(std::io::stderr(), "skipped: {name}: {why}");
}

/// The browser that the interpreter's packages can move, unless the test is to be skipped.
pub fn chromium() -> Option<PathBuf> {
    required("FINETONE_CHROMIUM")
}

/// Whether nothing may be skipped.
pub fn is_required() -> bool {
    std::env::var("FINETONE_REQUIRE_PYTHON").is_ok_and(|value| value == "1")
}

fn required(variable: &str) -> Option<PathBuf> {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    if value.is_none() {
        assert!(!is_required(), "`{variable}` is not set, and `FINETONE_REQUIRE_PYTHON` asks that nothing is skipped");
        tell_skipped(&format!("`{variable}` is not set"));
    }
    value
}

/// Runs a script of `xtask/golden` that must succeed, and gives what it printed.
pub fn script(python: &Path, name: &str, arguments: &[&std::ffi::OsStr]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xtask/golden").join(name);
    run(Command::new(python).arg("-B").arg(script).args(arguments))
}

/// Runs a command that must succeed, and gives what it printed.
pub fn run(command: &mut Command) -> String {
    command.env("HF_HUB_OFFLINE", "1").env("TOKENIZERS_PARALLELISM", "false").env("OMP_NUM_THREADS", "1");
    let output = command.output().expect("the interpreter starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{}{said}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).expect("the output is UTF-8")
}
