//! OpenAI's own clients, unchanged but for the base URL.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Server, chat};
use super::workbench::done;
use super::{letters, python};

/// A place with the files that the programs upload.
fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("training_set.jsonl"), chat(30)).unwrap();
    std::fs::write(folder.path().join("validation_set.jsonl"), chat(9)).unwrap();
    folder
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/clients").join(name)
}

/// Runs a program with a client in `folder`; it prints `done` when everything was as it should be.
fn accepts(folder: &Path, command: Command, name: &str) {
    accepted(&Server::start(folder), folder, command, name);
}

fn accepted(server: &Server, folder: &Path, mut command: Command, name: &str) {
    command.arg(program(name)).current_dir(folder);
    command.env("OPENAI_BASE_URL", &server.base).env("OPENAI_API_KEY", "sk-any");
    assert_eq!(python::run(&mut command).lines().last(), Some("done"));
}

fn python_client(version: &str) {
    let (Some(python), Some(clients)) = (python::interpreter(), python::openai_clients()) else { return };
    let mut command = Command::new(python);
    command.arg("-B").env("PYTHONPATH", clients.join(format!("python-{version}")));
    accepts(place().path(), command, "acceptance.py");
}

/// Node with a client, unless the test is to be skipped.
fn node(version: &str) -> Option<Command> {
    let client = python::openai_clients()?.join(format!("node-{version}"));
    if !client.join("node_modules").is_dir() {
        // Only where there is no Node: `setup-python` installs the client otherwise.
        assert!(!python::is_required(), "the client for Node {version} is missing");
        python::tell_skipped(&format!("there is no client {version} for Node"));
        return None;
    }
    let mut command = Command::new("node");
    command.env("OPENAI_CLIENT", client);
    Some(command)
}

fn node_client(version: &str) {
    let Some(command) = node(version) else { return };
    accepts(place().path(), command, "acceptance.mjs");
}

#[test]
fn the_newest_node_client() {
    node_client("6.49.0");
}

#[test]
fn an_older_node_client() {
    node_client("4.104.0");
}

#[test]
fn the_node_client_of_the_first_guides() {
    node_client("4.12.4");
}

#[test]
fn a_wrong_key_is_told_after_a_large_upload() {
    for version in ["6.49.0", "4.104.0"] {
        let Some(command) = node(version) else { return };
        let folder = place();
        done(folder.path(), "serve key create laptop --data data");
        accepts(folder.path(), command, "wrong_key.mjs");
    }
}

#[test]
fn the_newest_python_client_with_strict_types() {
    python_client("3.52.0");
}

#[test]
fn the_newest_python_client_of_a_model_that_writes() {
    let (Some(python), Some(clients)) = (python::interpreter(), python::openai_clients()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let story = letters::model(&folder.path().join("story"), "llama-language", |_| {});
    let server = Server::start_with(folder.path(), &[("story", &story)]);
    let mut command = Command::new(python);
    command.arg("-B").env("PYTHONPATH", clients.join("python-3.52.0"));
    accepted(&server, folder.path(), command, "writing.py");
}

#[test]
fn an_older_python_client() {
    python_client("1.109.1");
}
