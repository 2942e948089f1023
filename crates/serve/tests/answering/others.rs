//! Completions, vectors, and many requests at once.

use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::server::{LABELS, Server, number};

#[test]
fn completions_answer_each_prompt() {
    let server = Server::start();
    let ask = |more: Value| {
        let mut body = json!({"model": "mood", "prompt": ["the net", "nine"], "temperature": 0});
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        server.post("/v1/completions", &body)
    };
    let body = ask(json!({"n": 2, "logprobs": 2, "echo": true, "seed": 3, "best_of": 2})).fine();
    let choices = body["choices"].as_array().unwrap();
    assert_eq!((choices.len(), &body["object"]), (4, &json!("text_completion")));
    assert_eq!(
        json!([7, 4, 11]),
        json!([body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"], body["usage"]["total_tokens"]])
    );
    for (index, choice) in choices.iter().enumerate() {
        let prompt = ["the net", "nine"][index / 2];
        let label = choice["text"].as_str().unwrap().strip_prefix(prompt).unwrap();
        assert!(LABELS.contains(&label) && choice["index"] == index, "{choice}");
        let logs = &choice["logprobs"];
        assert_eq!((&logs["tokens"], &logs["text_offset"]), (&json!([label]), &json!([prompt.len()])));
        assert_eq!(logs["top_logprobs"][0].as_object().unwrap().len(), 2);
        assert_eq!(logs["top_logprobs"][0][label], logs["token_logprobs"][0]);
    }
    let one = ask(json!({"prompt": "the net"})).fine();
    let nothing = ask(json!({"max_tokens": 0, "prompt": "nine"})).fine()["choices"][0].clone();
    assert_eq!((&nothing["text"], &nothing["finish_reason"]), (&json!(""), &json!("length")));
    let events = ask(json!({"prompt": "the net", "stream": true, "stream_options": {"include_usage": true}})).events();
    let texts: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["text"]).collect();
    assert_eq!(texts, [&one["choices"][0]["text"], &json!(""), &json!(null)]);
    assert_eq!((&events[1]["choices"][0]["finish_reason"], &events[2]["usage"]), (&json!("stop"), &one["usage"]));
    for (more, param) in [
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": ""}), "prompt"),
        (json!({"prompt": null}), "prompt"),
        (json!({"prompt": [[1, 2]]}), "prompt[0]"),
        (json!({"logprobs": 6}), "logprobs"),
        (json!({"best_of": 1, "n": 2}), "best_of"),
    ] {
        let said = ask(more.clone());
        assert_eq!((said.status, &said.json()["error"]["param"]), (400, &json!(param)), "{more}");
    }
}

#[test]
fn vectors_have_length_one_in_both_encodings() {
    let server = Server::start();
    let ask = |more: Value| {
        let mut body = json!({"model": "plain", "input": ["the net", "a hen at ten"]});
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        server.post("/v1/embeddings", &body)
    };
    let vectors = |body: &Value| -> Vec<Vec<f64>> {
        let data = body["data"].as_array().unwrap().iter();
        data.map(|item| item["embedding"].as_array().unwrap().iter().map(number).collect()).collect()
    };
    let body = ask(json!({})).fine();
    let floats = vectors(&body);
    assert_eq!(floats.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20]);
    let length = |vector: &[f64]| vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    assert!(floats.iter().all(|vector| (length(vector) - 1.0).abs() < 1e-6));
    assert_eq!(
        (&body["usage"], &body["data"][1]["index"]),
        (&json!({"prompt_tokens": 10, "total_tokens": 10}), &json!(1))
    );
    let coded = ask(json!({"encoding_format": "base64"})).fine();
    for (item, expected) in coded["data"].as_array().unwrap().iter().zip(&floats) {
        let bytes = BASE64_STANDARD.decode(item["embedding"].as_str().unwrap()).unwrap();
        let numbers = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
        assert!(numbers.zip(expected).all(|(a, b)| a == *b as f32) && bytes.len() == 80);
    }
    // Fewer numbers are the first ones, brought to length one again.
    let short = &vectors(&ask(json!({"dimensions": 5, "input": "the net"})).fine())[0];
    let factor = length(&floats[0][..5]);
    assert!(short.len() == 5 && short.iter().zip(&floats[0]).all(|(a, b)| (a - b / factor).abs() < 1e-6));
    // A classifier has vectors as well.
    assert_eq!(vectors(&ask(json!({"model": "mood"})).fine())[0].len(), 20);
    for (more, param) in [
        (json!({"input": []}), "input"),
        (json!({"input": [""]}), "input"),
        (json!({"input": null}), "input"),
        (json!({"input": [1, 2]}), "input[0]"),
        (json!({"dimensions": 21}), "dimensions"),
        (json!({"encoding_format": "hex"}), "encoding_format"),
    ] {
        let said = ask(more.clone());
        assert_eq!((said.status, &said.json()["error"]["param"]), (400, &json!(param)), "{more}");
    }
}

#[test]
fn what_is_computed_beside_a_text_changes_no_bit_of_its_answer() {
    let server = Server::start();
    let words = ["the", "net", "in", "tent", "nine", "tin", "tea", "hen"];
    let texts: Vec<String> =
        (1..40).map(|n| (0..n).map(|i| words[(n * 7 + i * i) % 8]).collect::<Vec<_>>().join(" ")).collect();
    let scores = |text: &String| {
        let mut items = server.post("/predict", &json!({"inputs": text, "raw_scores": true, "model": "mood"})).fine();
        items.as_array_mut().unwrap().sort_by_key(|item| item["label"].to_string());
        items.to_string()
    };
    let alone: Vec<String> = texts.iter().map(scores).collect();
    let together: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = texts.iter().map(|text| scope.spawn(|| scores(text))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(alone, together);
    let metrics = server.get("/metrics").text;
    let batches = metrics.lines().find_map(|line| line.strip_prefix("te_batch_next_size_count ")).unwrap();
    assert!(batches.parse::<usize>().unwrap() <= 2 * texts.len(), "{batches}");
}
