//! The record of what classifiers answer.

use std::fs;
use std::path::Path;

use finetone_serve::{RecordConfig, Recording};
use serde_json::{Value, json};

use crate::server::{LABELS, Server};

fn recording(recording: Recording) -> RecordConfig {
    RecordConfig { recording, ..RecordConfig::default() }
}

/// Whether a file of the data folder holds these bytes.
fn holds(folder: &Path, needle: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, needle),
            false => fs::read(path).unwrap().windows(needle.len()).any(|bytes| bytes == needle.as_bytes()),
        }
    })
}

/// Asks about a text by all three routes, and gives the ids of the answers.
fn ask(server: &Server, text: &str) -> Vec<String> {
    let chat = server.chat(text, &json!({"n": 3, "stream": false})).fine();
    let completion = server.post("/v1/completions", &json!({"model": "mood", "prompt": [text, "nine"]})).fine();
    let predicted = server.post("/predict", &json!({"model": "mood", "inputs": [text, "a hen", "nine"]}));
    let id = predicted.header("x-answer-id").to_owned();
    predicted.fine();
    [&chat["id"], &completion["id"]].map(|id| id.as_str().unwrap().to_owned()).into_iter().chain([id]).collect()
}

#[test]
fn answers_of_every_route_are_kept_without_their_texts() {
    let server = Server::recording(recording(Recording::Hashed));
    let text = "the tin tent";
    let ids = ask(&server, text);
    assert!(ids[2].starts_with("pred-") && ids[2].len() == 34, "{ids:?}");
    // What is no answer of a classifier to one text is not kept, nor is a vector.
    server.post("/predict", &json!({"model": "tags", "inputs": text})).fine();
    server
        .post(
            "/v1/chat/completions",
            &json!({"model": "story", "messages": [{"role": "user", "content": "net"}], "max_tokens": 2}),
        )
        .fine();
    server.post("/v1/embeddings", &json!({"model": "mood", "input": text})).fine();
    let list = server.get("/v1/traffic").fine();
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    let mood = &list["data"][0];
    assert_eq!(
        (&mood["model"], &mood["answers"], &mood["texts"], &mood["labelled"]),
        (&json!("mood"), &json!(6), &json!(0), &json!(0))
    );
    assert_eq!(list["recording"], json!({"keeps": "hashed", "days": 30, "answers": 50_000, "lost": 0}));
    let data = server.folder.path().join("data");
    assert!(!holds(&data, text) && holds(&data, "positive") | holds(&data, "negative") | holds(&data, "neutral"));
    let seen = server.get("/v1/traffic/mood").fine();
    assert!(seen["verdict"].as_str().unwrap().starts_with("Too few answers"), "{seen}");
    assert_eq!((&seen["latest"], &seen["windows"][0]["answers"]), (&json!(null), &json!(6)));
    let predicted = server.post("/predict", &json!({"model": "mood", "inputs": [text, "a hen", "nine"]})).fine();
    let abstained =
        predicted.as_array().unwrap().iter().filter(|list| list[0]["score"].as_f64().unwrap() < 0.5).count();
    assert!(seen["left_to_people"].as_f64().is_some_and(|share| (share > 0.0) == (abstained > 0)), "{seen}");
    let none = server.get("/v1/traffic/mood/to_label");
    assert_eq!(none.status, 404);
    assert!(none.text.contains("--record texts"), "{}", none.text);
}

#[test]
fn nothing_is_kept_unless_somebody_wants_it() {
    let server = Server::start();
    server.chat("the net", &json!({})).fine();
    let predicted = server.post("/predict", &json!({"model": "mood", "inputs": "the net"}));
    assert_eq!(predicted.header("x-answer-id"), "");
    let list = server.get("/v1/traffic").fine();
    assert_eq!((&list["data"], &list["recording"]["keeps"]), (&json!([]), &json!("off")));
    assert_eq!(server.get("/v1/traffic/mood").fine()["answers"], 0);
    assert!(!server.folder.path().join("data/record.key").exists());
}

#[test]
fn labels_that_come_back_count() {
    let server = Server::recording(recording(Recording::Hashed));
    let ids = ask(&server, "the tin tent");
    let post = |body: Value| server.post("/v1/traffic/mood/labels", &body);
    let answer = server.post("/predict", &json!({"model": "mood", "inputs": "a hen"})).fine()[0]["label"].clone();
    let wrong = LABELS.iter().find(|label| answer != **label).unwrap();
    let noted = post(json!({"id": ids[2], "index": 1, "label": answer})).fine();
    assert_eq!(noted, json!({"object": "traffic.label", "id": ids[2], "index": 1, "model": "mood", "label": answer}));
    post(json!({"id": ids[0], "label": wrong})).fine();
    // The last word counts.
    post(json!({"id": ids[2], "index": 1, "label": wrong})).fine();
    let seen = server.get("/v1/traffic/mood").fine();
    let window = &seen["windows"][0];
    assert_eq!((&seen["labelled"], &window["labelled"]), (&json!(2), &json!(2)));
    assert!(window["accuracy"]["value"].as_f64().unwrap() < 0.6, "{window}");
    for (body, status, param) in [
        (json!({"id": ids[2], "label": "great"}), 400, "label"),
        (json!({"id": ids[2], "index": 3, "label": "neutral"}), 404, "id"),
        (json!({"id": "pred-nothing", "label": "neutral"}), 404, "id"),
        (json!({"label": "neutral"}), 400, "id"),
        (json!({"id": ids[2], "label": "neutral", "why": "x"}), 400, "why"),
        (json!({"id": ids[2], "index": -1, "label": "neutral"}), 400, "index"),
    ] {
        let said = post(body.clone());
        assert_eq!((said.status, &said.json()["error"]["param"]), (status, &json!(param)), "{body}: {}", said.text);
    }
    let unknown = server.post("/v1/traffic/mood/labels", &json!({"id": ids[2], "label": "great"}));
    assert!(unknown.text.contains("'negative', 'neutral', 'positive'"), "{}", unknown.text);
    assert_eq!(server.post("/v1/traffic/story/labels", &json!({"id": "a", "label": "b"})).status, 400);
    assert_eq!(server.post("/v1/traffic/nobody/labels", &json!({"id": "a", "label": "b"})).status, 404);
}

#[test]
fn kept_texts_are_given_to_be_labelled_and_their_words_are_watched() {
    let server = Server::recording(recording(Recording::Texts));
    let hostile = "the \"net\", \nin";
    let words = ["net", "tent", "tin", "hen", "tea"];
    for round in 0..25 {
        let texts: Vec<String> =
            (0..10).map(|i| format!("the {} in {}", words[i % 5], words[(i + round) % 5])).collect();
        server.post("/predict", &json!({"model": "mood", "inputs": texts})).fine();
    }
    server.post("/predict", &json!({"model": "mood", "inputs": hostile})).fine();
    let seen = server.get("/v1/traffic/mood?window=100").fine();
    assert_eq!((&seen["answers"], &seen["texts"], &seen["window"]), (&json!(251), &json!(251), &json!("100")));
    let windows: Vec<i64> =
        seen["windows"].as_array().unwrap().iter().map(|one| one["answers"].as_i64().unwrap()).collect();
    assert_eq!(windows, [100, 100, 51]);
    // `mood` is no run of ours: the first answers are what the later ones are held against.
    assert_eq!(
        (&seen["reference"]["source"], &seen["reference"]["answers"]),
        (&json!("first answers in the record"), &json!(200))
    );
    assert!(seen["verdict"].as_str().unwrap().starts_with("No drift found"), "{seen}");
    let kinds: Vec<&Value> = seen["latest"]["drift"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["length", "predictions", "confidence"]);
    let file = server.get("/v1/traffic/mood/to_label?rows=1000");
    assert!(file.header("content-disposition").contains("attachment") && file.text.starts_with("text,label\n"));
    // Twenty-five different texts, of which those with the same words once, and the one in quotes.
    assert!(file.text.contains("\"the \"\"net\"\", \nin\",\n") && file.text.lines().count() < 25, "{}", file.text);
    assert_eq!(server.get("/v1/traffic/mood/to_label?rows=2").text.lines().count(), 3);
    for path in ["?window=week", "?window=5", "/to_label?rows=0", "/to_label?rows=x"] {
        assert_eq!(server.get(&format!("/v1/traffic/mood{path}")).status, 400, "{path}");
    }
    assert_eq!(server.delete("/v1/traffic/mood").fine()["answers"], 251);
    assert_eq!(server.get("/v1/traffic/mood").fine()["answers"], 0);
    assert!(!server.get("/v1/traffic").fine()["data"].as_array().unwrap().iter().any(|one| one["model"] == "mood"));
    assert_eq!((server.delete("/v1/traffic/nobody").status, server.get("/v1/traffic/nobody").status), (404, 404));
}
