//! The OpenAPI document says what the server does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::server::{Said, Server};

fn call(server: &Server, method: &str, path: &str) -> Said {
    // No body here is a good one: what is looked for is whether the route is there.
    let path = path.replace("{model}", "nobody").replace("{file_id}", "file-0").replace("{job_id}", "ftjob-0");
    match method {
        "get" => server.get(&path),
        "delete" => server.delete(&path),
        _ => server.post_text(&path, "[]"),
    }
}

#[test]
fn the_document_names_the_routes_that_there_are() {
    let server = Server::start();
    let document = server.get("/openapi.json").fine();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "delete"] {
            let said = call(&server, method, path);
            let missing = said.status == 405 || said.text.contains("Invalid URL");
            match item.get(method) {
                Some(operation) => {
                    assert!(!missing, "{method} {path} is in the document alone: {}", said.text);
                    assert!(ids.insert(operation["operationId"].to_string()), "{operation}");
                }
                None => assert!(missing, "{method} {path} is not in the document: {}", said.text),
            }
        }
    }
}

#[test]
fn what_the_document_refers_to_is_in_it() {
    let server = Server::start();
    let document = server.get("/openapi.json").fine();
    let mut rest = vec![&document];
    let mut references = 0;
    while let Some(value) = rest.pop() {
        if let Some(Value::String(reference)) = value.get("$ref") {
            let found = document.pointer(reference.strip_prefix('#').unwrap());
            assert!(found.is_some_and(Value::is_object), "{reference}");
            references += 1;
        }
        match value {
            Value::Object(map) => rest.extend(map.values()),
            Value::Array(values) => rest.extend(values),
            _ => {}
        }
    }
    assert!(references > 50, "{references}");
    // An answer has the fields that its schema requires.
    let required = |schema: &str| document["components"]["schemas"][schema]["required"].clone();
    for (schema, answer) in [
        ("ChatCompletion", server.chat("the net", &json!({}))),
        ("Models", server.get("/v1/models")),
        ("Info", server.get("/info")),
        ("Embeddings", server.post("/v1/embeddings", &json!({"model": "mood", "input": "the net"}))),
        ("Explanation", server.post("/v1/explanations", &json!({"model": "mood", "input": "the net"}))),
        ("TrafficList", server.get("/v1/traffic")),
        ("Traffic", server.get("/v1/traffic/mood")),
        ("Completion", server.post("/v1/completions", &json!({"model": "mood", "prompt": "the net"}))),
    ] {
        let answer = answer.fine();
        let names = required(schema);
        let missing = names.as_array().unwrap().iter().find(|name| answer.get(name.as_str().unwrap()).is_none());
        assert_eq!(missing, None, "{schema}: {answer}");
    }
}
