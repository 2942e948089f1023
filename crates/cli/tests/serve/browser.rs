//! The pages in a real browser, which a program moves as a person would.

use std::path::Path;
use std::process::Command;

use super::process::{Server, chat, micro};
use super::python;
use super::workbench::done;

/// Runs one walk of the program in the folder; it prints `done` when everything was as it should be.
fn walk(folder: &Path, name: &str, server: &Server, key: &str) {
    let (Some(python), Some(chromium)) = (python::interpreter(), python::chromium()) else { return };
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/browser/pages.py");
    let mut command = Command::new(python);
    command.arg("-B").arg(program).args([name, server.base.trim_end_matches("/v1"), key]).current_dir(folder);
    command.env("CHROMIUM", chromium);
    assert_eq!(python::run(&mut command).lines().last(), Some("done"));
}

#[test]
fn from_an_upload_to_answers_of_the_new_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = format!("micro={}", micro(folder.path()).display());
    let server = Server::with(folder.path(), &["--model", &model, "--record", "texts"]);
    std::fs::write(folder.path().join("training <img src=x>.jsonl"), chat(60)).unwrap();
    std::fs::write(folder.path().join("validation.jsonl"), chat(15)).unwrap();
    std::fs::write(folder.path().join("broken.jsonl"), chat(2) + "{\"messages\": \n").unwrap();
    walk(folder.path(), "train", &server, "");
}

#[test]
fn a_server_with_keys_asks_for_one_once() {
    let folder = tempfile::tempdir().unwrap();
    let key = done(folder.path(), "serve key create laptop --data data");
    let server = Server::start(folder.path());
    walk(folder.path(), "key", &server, key.trim());
}
