//! The routes of text-embeddings-inference.

use serde_json::{Value, json};

use crate::server::Server;

fn scores(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|item| item["score"].as_f64().unwrap()).collect()
}

/// A flat list is one text's answer.
fn is_flat(answer: &Value) -> bool {
    answer[0].is_object()
}

#[test]
fn every_form_of_inputs_is_answered() {
    let server = Server::start();
    let ask = |inputs: Value| server.post("/predict", &json!({"inputs": inputs, "model": "mood"})).fine();
    let one = ask(json!("the net"));
    assert!(is_flat(&one) && one.as_array().unwrap().len() == 3);
    let sum: f64 = scores(&one).iter().sum();
    assert!((sum - 1.0).abs() < 1e-6 && scores(&one).is_sorted_by(|a, b| a >= b), "{one}");
    let mut labels: Vec<&str> = one.as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["negative", "neutral", "positive"]);
    assert_eq!(ask(json!(["the net"])), one);
    let pair = ask(json!(["the", "net"]));
    assert_eq!(pair, one, "a pair is one text");
    let three = ask(json!(["the net", "nine", "the net"]));
    assert_eq!((&three[0], &three[2], three.as_array().unwrap().len()), (&one, &one, 3));
    assert_eq!(ask(json!([["the net"], ["the", "net"]])), json!([one, one]));
    assert_eq!(ask(json!(vec![["the net"]; 32])).as_array().unwrap().len(), 32);
    // The first base answers where nothing was fine-tuned and no model is named; the other two routes are the same.
    for path in ["/predict", "/", "/invocations"] {
        assert_eq!(server.post(path, &json!({"inputs": "the net"})).fine(), one, "{path}");
    }
}

#[test]
fn raw_scores_are_the_logits() {
    let server = Server::start();
    let ask = |model: &str, raw: bool| {
        server.post("/predict", &json!({"inputs": "the net", "raw_scores": raw, "model": model})).fine()
    };
    let (raw, soft) = (scores(&ask("mood", true)), scores(&ask("mood", false)));
    let sum: f64 = raw.iter().map(|score| score.exp()).sum();
    assert!(raw.iter().zip(&soft).all(|(score, p)| (score.exp() / sum - p).abs() < 1e-6), "{raw:?} {soft:?}");
    // The same weights with a sigmoid for each label.
    let tags = scores(&ask("tags", false));
    assert!(raw.iter().zip(&tags).all(|(score, p)| (1.0 / (1.0 + (-score).exp()) - p).abs() < 1e-6), "{tags:?}");
}

#[test]
fn long_texts_are_cut_where_it_is_said_or_refused() {
    let server = Server::start();
    let long = format!("{} hen", "the net ".repeat(40));
    let ask = |more: Value| {
        let mut body = json!({"inputs": long, "model": "mood"});
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        server.post("/predict", &body)
    };
    let usual = ask(json!({}));
    assert_eq!(usual.header("x-compute-tokens"), "40");
    let usual = usual.fine();
    assert_eq!(ask(json!({"truncate": true, "truncation_direction": "Right"})).fine(), usual);
    assert_ne!(ask(json!({"truncation_direction": "left"})).fine(), usual);
    let refused = ask(json!({"truncate": false}));
    assert_eq!((refused.status, &refused.json()["error_type"]), (422, &json!("Validation")));
    assert!(refused.json()["error"].as_str().unwrap().contains("40"), "{}", refused.text);
}

#[test]
fn errors_have_their_kind() {
    let server = Server::start();
    for (body, status, kind) in [
        (json!({"inputs": []}), 400, "Empty"),
        (json!({"inputs": ""}), 400, "Empty"),
        (json!({"inputs": vec![["a"]; 33]}), 422, "Validation"),
        (json!({"inputs": 7}), 422, "Validation"),
        (json!({"input": "a"}), 422, "Validation"),
        (json!([1]), 422, "Validation"),
        (json!({"inputs": "a", "truncate": "no"}), 422, "Validation"),
        (json!({"inputs": "a", "raw_scores": 1}), 422, "Validation"),
        (json!({"inputs": "a", "truncation_direction": "up"}), 422, "Validation"),
        (json!({"inputs": "a", "model": "nobody"}), 422, "Validation"),
        (json!({"inputs": "a", "model": "plain"}), 424, "Backend"),
    ] {
        let said = server.post("/predict", &body);
        assert_eq!((said.status, &said.json()["error_type"]), (status, &json!(kind)), "{body}: {}", said.text);
        assert!(said.json()["error"].is_string());
    }
    let broken = server.post_text("/predict", "{\"inputs\":");
    assert_eq!((broken.status, &broken.json()["error_type"]), (400, &json!("Validation")));
}

#[test]
fn the_server_tells_of_itself() {
    let server = Server::start();
    for path in ["/health", "/ping"] {
        let said = server.get(path);
        assert_eq!((said.status, said.text.as_str()), (200, ""), "{path}");
    }
    let info = server.get("/info").fine();
    let labels = json!({"negative": 0, "neutral": 1, "positive": 2});
    assert_eq!((&info["model_type"]["classifier"]["label2id"], &info["model_id"]), (&labels, &json!("mood")));
    assert_eq!(info["model_type"]["classifier"]["id2label"]["2"], "positive");
    assert_eq!((&info["max_input_length"], &info["max_client_batch_size"]), (&json!(40), &json!(32)));
    let said = server.post("/predict", &json!({"inputs": ["the net", "nine", "a hen"], "model": "mood"}));
    assert_eq!((said.header("x-compute-type"), said.header("x-compute-characters")), ("cpu", "16"));
    assert_eq!(said.header("x-compute-tokens"), "11");
    for name in ["x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"] {
        assert!(said.header(name).parse::<u64>().is_ok(), "{name}: {}", said.header(name));
    }
    server.post("/predict", &json!({"inputs": []}));
    server.chat("the net", &json!({}));
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for line in [
        "te_request_count{method=\"/predict\"} 2",
        "te_request_count{method=\"/chat/completions\"} 1",
        "te_request_success{method=\"/predict\"} 1",
        "te_request_failure{err=\"400\"} 1",
        "te_predict_count 3",
        "te_predict_success 3",
        "te_request_duration_count 2",
        "te_batch_next_tokens_sum 15",
        "te_queue_size 0",
    ] {
        assert!(metrics.text.lines().any(|found| found == line), "{line} is not in\n{}", metrics.text);
    }
}
