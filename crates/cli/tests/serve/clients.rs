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

/// Runs a program with a client against a server of `folder` with a very small model.
fn accepts(folder: &Path, command: Command, name: &str) {
    says_done(&Server::start(folder), folder, command, name);
}

/// Runs a program with a client in `folder`; it prints `done` when everything was as it should be. Gives all that it printed.
fn says_done(server: &Server, folder: &Path, mut command: Command, name: &str) -> String {
    command.arg(program(name)).current_dir(folder);
    command.env("OPENAI_BASE_URL", &server.base).env("OPENAI_API_BASE", &server.base).env("OPENAI_API_KEY", "sk-any");
    let said = python::run(&mut command);
    assert_eq!(said.lines().last(), Some("done"), "{said}");
    said
}

/// Python with a client, unless the test is to be skipped.
fn python_with(version: &str) -> Option<Command> {
    let (python, clients) = (python::interpreter()?, python::openai_clients()?);
    let client = clients.join(format!("python-{version}"));
    assert!(client.is_dir(), "the client for Python {version} is missing: `cargo xtask setup-python` installs it");
    let mut command = Command::new(python);
    command.arg("-B").env("PYTHONPATH", client);
    Some(command)
}

fn python_client(version: &str, program: &str) {
    let Some(command) = python_with(version) else { return };
    accepts(place().path(), command, program);
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
    for version in ["3.52.0", "1.109.1"] {
        let Some(command) = python_with(version) else { return };
        let folder = place();
        done(folder.path(), "serve key create laptop --data data");
        accepts(folder.path(), command, "wrong_key.py");
    }
}

#[test]
fn the_newest_python_client_with_strict_types() {
    python_client("3.52.0", "acceptance.py");
}

#[test]
fn the_newest_python_client_of_a_model_that_writes() {
    let Some(command) = python_with("3.52.0") else { return };
    let folder = tempfile::tempdir().unwrap();
    let story = letters::model(&folder.path().join("story"), "llama-language", |_| {});
    let server = Server::with(folder.path(), &["--model", &format!("story={}", story.display())]);
    says_done(&server, folder.path(), command, "writing.py");
}

#[test]
fn an_older_python_client() {
    python_client("1.109.1", "acceptance.py");
}

#[test]
fn the_python_client_of_the_first_guides() {
    python_client("0.28.1", "acceptance_0.py");
}

#[test]
fn the_command_of_the_python_client() {
    python_client("1.109.1", "command_line.py");
}

/// The walk from `examples/chat.jsonl` to a comparison of the real model with the tuned one.
fn walk(command: Option<Command>, program: &str) {
    let (Some(mut command), Some(model)) = (command, python::real_weights()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/chat.jsonl");
    std::fs::copy(&example, folder.path().join("chat.jsonl")).unwrap();
    let first = std::fs::read_to_string(example).unwrap();
    let first: serde_json::Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    command.env("SYSTEM_MESSAGE", first["messages"][0]["content"].as_str().unwrap());
    let server = Server::with(folder.path(), &["--model", &format!("minilm={}", model.display())]);
    let said = says_done(&server, folder.path(), command, program);
    let (tuned, job) = said.lines().find_map(|line| line.strip_prefix("model ")?.split_once(" of job ")).unwrap();
    let events = server.get(&format!("/fine_tuning/jobs/{job}/events?limit=1000"));
    let tally = events["data"].as_array().unwrap().iter().find_map(|event| event["data"].get("tally")).cloned();
    let messages = tally.expect("both models were asked")["messages"].as_array().unwrap().clone();
    for asked in &messages {
        let draws = |of: &str| asked[of].as_array().unwrap().iter().map(|pair| pair[1].as_u64().unwrap()).sum::<u64>();
        assert_eq!((draws("base"), draws("tuned")), (10, 10), "{asked}");
        let words = asked["tuned"].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap());
        assert!(words.into_iter().all(|word| ["Positive", "Negative", "Neutral"].contains(&word)), "{asked}");
    }
    let page = server.page(&format!("/ui/models/{tuned}/report"));
    assert!(page.contains("Asked 10 times") && page.contains("<th>tuned model</th>"), "{page}");
    assert!(page.matches("&times;").count() >= messages.len() * 2, "{page}");
}

#[test]
fn the_walk_through_with_the_oldest_node_client() {
    walk(node("4.12.4"), "walkthrough.mjs");
}

#[test]
fn the_walk_through_with_the_newest_python_client() {
    walk(python_with("3.52.0"), "walkthrough.py");
}
