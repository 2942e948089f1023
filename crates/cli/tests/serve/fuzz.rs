//! Requests made up from the OpenAPI document by schemathesis, right ones and wrong ones.

use std::process::Command;

use super::process::{Server, chat};
use super::python;
use super::workbench::trained;

/// Requests to each operation in each phase; more find more, and take longer.
const CASES: &str = "40";

#[test]
fn no_request_makes_the_server_fail_and_every_answer_is_as_described() {
    let Some(python) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = trained().join("runs/reviews-1/model");
    let server = Server::with(folder.path(), &["--model", &format!("mood={}", model.display())]);
    server.upload(&chat(12));
    let document = server.base.trim_end_matches("/v1").to_owned() + "/openapi.json";
    let mut command = Command::new(python);
    command.args([
        "-B",
        "-m",
        "schemathesis.cli",
        "run",
        &document,
        "--max-examples",
        CASES,
        "--generation-deterministic",
    ]);
    // Requests that differ between two calls are none of these checks' business; what is random is the request alone.
    command.args(["--checks", "not_a_server_error,response_schema_conformance,content_type_conformance"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--no-color"]);
    command.args(["--warnings", "off", "--continue-on-failure"]).current_dir(folder.path());
    python::run(&mut command);
    assert_eq!(server.get("/models")["object"], "list", "the server still answers");
}
