//! Chats with a model.

use finetone_classify::{Classifier, TOKEN_BUDGET, TransformerClassifier};
use finetone_data::Example;
use serde_json::{Value, json};

use crate::server::{LABELS, Server, cpu, number};

#[test]
fn a_chat_answers_with_a_label_and_its_true_probability() {
    let server = Server::start();
    let text = "the net in the tent";
    let body = server.chat(text, &json!({"logprobs": true, "top_logprobs": 5, "temperature": 0})).fine();
    let mut classifier = TransformerClassifier::open(cpu(), &server.folder.path().join("mood"), TOKEN_BUDGET).unwrap();
    let expected = classifier.classify(&[Example::from_text(text)]).unwrap().probabilities;
    let token = &body["choices"][0]["logprobs"]["content"][0];
    let tops = token["top_logprobs"].as_array().unwrap();
    assert_eq!(tops.len(), 3);
    let sum: f64 = tops.iter().map(|top| number(&top["logprob"]).exp()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    for top in tops {
        let label = LABELS.iter().position(|label| top["token"] == *label).unwrap();
        assert!((number(&top["logprob"]).exp() - f64::from(expected[label])).abs() < 1e-6, "{top}");
        assert_eq!(top["bytes"], json!(LABELS[label].as_bytes()));
    }
    assert!(tops.windows(2).all(|pair| number(&pair[0]["logprob"]) >= number(&pair[1]["logprob"])));
    let message = &body["choices"][0]["message"];
    assert_eq!(message, &json!({"role": "assistant", "content": tops[0]["token"], "refusal": null, "annotations": []}));
    assert_eq!((&token["token"], &token["logprob"]), (&tops[0]["token"], &tops[0]["logprob"]));
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("mood")));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    // Five words with a token at each end.
    let usage = &body["usage"];
    assert_eq!([&usage["prompt_tokens"], &usage["completion_tokens"], &usage["total_tokens"]], [7, 1, 8]);
    assert!(body["id"].as_str().unwrap().len() == 38 && body["system_fingerprint"].as_str().unwrap().len() == 13);
    let abstains = |p: &[f32]| p.iter().all(|&p| p < 0.5);
    assert_eq!(body["abstained"], json!(abstains(&expected)));
    let other = classifier.classify(&[Example::from_text("heat")]).unwrap().probabilities;
    let event = &server.chat("heat", &json!({"stream": true})).events()[0];
    assert_eq!(event["abstained"], json!(abstains(&other)));
    let plain = server.chat(text, &json!({"temperature": 0, "logprobs": true})).fine();
    assert_eq!(plain["choices"][0]["logprobs"]["content"][0]["top_logprobs"], json!([]));
    assert_eq!(server.chat(text, &json!({})).fine()["choices"][0]["logprobs"], json!(null));
}

#[test]
fn a_seed_gives_the_same_answers_and_the_temperature_how_different_they_are() {
    let server = Server::start();
    let answers = |more: Value| -> Vec<String> {
        let body = server.chat("a hen at ten", &more).fine();
        assert_eq!(body["usage"]["completion_tokens"], more["n"]);
        let choices = body["choices"].as_array().unwrap();
        let indices: Vec<&Value> = choices.iter().map(|choice| &choice["index"]).collect();
        assert_eq!(json!(indices), json!((0..choices.len()).collect::<Vec<_>>()));
        choices.iter().map(|choice| choice["message"]["content"].as_str().unwrap().to_owned()).collect()
    };
    let drawn = answers(json!({"n": 100, "seed": 7}));
    assert_eq!(drawn, answers(json!({"n": 100, "seed": 7})));
    assert_ne!(drawn, answers(json!({"n": 100, "seed": -8})));
    let kinds = |answers: &[String]| LABELS.iter().filter(|label| answers.iter().any(|said| said == *label)).count();
    assert!(kinds(&drawn) > 1, "{drawn:?}");
    assert_eq!(kinds(&answers(json!({"n": 100, "temperature": 0}))), 1);
    assert_eq!(kinds(&answers(json!({"n": 100, "top_p": 0, "seed": null}))), 1);
}

#[test]
fn a_stream_has_its_events_in_order() {
    let server = Server::start();
    let more = json!({"n": 2, "seed": 1, "stream": true, "stream_options": {"include_usage": true}, "logprobs": true});
    let said = server.chat("the tea", &more);
    assert_eq!((said.status, said.header("cache-control")), (200, "no-cache"));
    let events = said.events();
    let whole = server.chat("the tea", &json!({"n": 2, "seed": 1})).fine();
    let content = |index: usize| whole["choices"][index]["message"]["content"].clone();
    let deltas: Vec<(Value, Value, Value)> = events[..6]
        .iter()
        .map(|event| {
            let choice = &event["choices"][0];
            (choice["index"].clone(), choice["delta"].clone(), choice["finish_reason"].clone())
        })
        .collect();
    let role = json!({"role": "assistant", "content": "", "refusal": null});
    let expected = [
        (json!(0), role.clone(), json!(null)),
        (json!(1), role, json!(null)),
        (json!(0), json!({"content": content(0)}), json!(null)),
        (json!(1), json!({"content": content(1)}), json!(null)),
        (json!(0), json!({}), json!("stop")),
        (json!(1), json!({}), json!("stop")),
    ];
    assert_eq!(deltas, expected);
    assert_eq!(events[2]["choices"][0]["logprobs"]["content"][0]["token"], content(0));
    assert!(
        events[..6].iter().all(|event| event["usage"].is_null() && event.as_object().unwrap().contains_key("usage"))
    );
    assert_eq!((&events[6]["choices"], &events[6]["usage"]), (&json!([]), &whole["usage"]));
    assert_eq!(events.len(), 7);
    assert!(events.iter().all(|event| event["id"] == events[0]["id"] && event["created"] == events[0]["created"]));
    assert!(events.iter().all(|event| event["object"] == "chat.completion.chunk"));
    let without = server.chat("the tea", &json!({"stream": true})).events();
    assert!(without.len() == 3 && without.iter().all(|event| event.get("usage").is_none()));
}

#[test]
fn an_answer_has_the_form_that_is_asked_for() {
    let server = Server::start();
    let schema = |labels: &Value| {
        let label = json!({"type": "string", "enum": labels});
        let schema = json!({"type": "object", "properties": {"mood": label}, "required": ["mood"]});
        json!({"type": "json_schema", "json_schema": {"name": "mood", "strict": true, "schema": schema}})
    };
    let more =
        json!({"response_format": schema(&json!(["Positive", "Negative"])), "logprobs": true, "top_logprobs": 9});
    let choice = server.chat("neat", &more).fine()["choices"][0].clone();
    let content = choice["message"]["content"].as_str().unwrap();
    let said: Value = serde_json::from_str(content).unwrap();
    assert!(["Positive", "Negative"].iter().any(|label| said == json!({"mood": label})), "{said}");
    let tokens = choice["logprobs"]["content"].as_array().unwrap();
    let joined: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
    assert_eq!((joined.as_str(), tokens.len()), (content, 3));
    let sum: f64 = tokens[1]["top_logprobs"].as_array().unwrap().iter().map(|top| number(&top["logprob"]).exp()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "of the labels that are allowed: {sum}");
    let cut = server.chat("neat", &json!({"response_format": {"type": "json_object"}, "max_tokens": 1})).fine();
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    assert_eq!(cut["choices"][0]["message"]["content"], "{\"label\":\"");
    let one = server.chat("neat", &json!({"max_completion_tokens": 1})).fine();
    assert_eq!(one["choices"][0]["finish_reason"], "stop");
    let stopped = server.chat("neat", &json!({"stop": ["e", "i", "x"], "logprobs": true})).fine();
    let content = stopped["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(["n", "pos"].contains(&content), "{content}");
    assert_eq!(stopped["choices"][0]["logprobs"]["content"][0]["token"], content);
    let none = server.chat("neat", &json!({"response_format": schema(&json!(["Happy"]))}));
    assert_eq!((none.status, none.json()["error"]["code"].clone()), (400, json!("invalid_value")));
}

#[test]
fn a_wrong_request_is_told_what_is_wrong() {
    let server = Server::start();
    for (more, param, code) in [
        (json!({"temperature": 3}), "temperature", "decimal_above_max_value"),
        (json!({"temperature": -0.1}), "temperature", "decimal_below_min_value"),
        (json!({"top_p": 1.01}), "top_p", "decimal_above_max_value"),
        (json!({"n": 0}), "n", "integer_below_min_value"),
        (json!({"n": 129}), "n", "integer_above_max_value"),
        (json!({"n": 1.5}), "n", "invalid_type"),
        (json!({"max_tokens": 0}), "max_tokens", "integer_below_min_value"),
        (json!({"max_completion_tokens": 0}), "max_completion_tokens", "integer_below_min_value"),
        (json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs", "integer_above_max_value"),
        (json!({"logprobs": 1}), "logprobs", "invalid_type"),
        (json!({"presence_penalty": 2.5}), "presence_penalty", "decimal_above_max_value"),
        (json!({"logit_bias": {"50256": -101}}), "logit_bias.50256", "decimal_below_min_value"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), "stop", "array_above_max_length"),
        (json!({"stop": 7}), "stop", "invalid_type"),
        (json!({"seed": "x"}), "seed", "invalid_type"),
        (json!({"stream": "yes"}), "stream", "invalid_type"),
        (json!({"response_format": {"type": "xml"}}), "response_format.type", "invalid_value"),
        (json!({"messages": []}), "messages", "empty_array"),
        (json!({"messages": null}), "messages", "missing_required_parameter"),
        (json!({"messages": "hello"}), "messages", "invalid_type"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content", "missing_required_parameter"),
        (json!({"messages": [{"content": "hello"}]}), "messages[0].role", "missing_required_parameter"),
        (json!({"messages": [{"role": "cat", "content": "mew"}]}), "messages[0].role", "invalid_value"),
        (json!({"messages": [{"role": "user", "content": 1}]}), "messages[0].content", "invalid_type"),
        (json!({"messages": [{"role": "user", "content": " "}]}), "messages", "invalid_value"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (json!({"model": "nobody"}), "model", "model_not_found"),
    ] {
        let said = server.chat("hello", &more);
        let error = &said.json()["error"];
        assert_eq!((&error["param"], &error["code"]), (&json!(param), &json!(code)), "{more}: {error}");
        assert_eq!(said.status, if code == "model_not_found" { 404 } else { 400 }, "{more}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    for (more, param) in [
        (json!({"top_logprobs": 2}), json!("top_logprobs")),
        (json!({"stream_options": {"include_usage": true}}), json!("stream_options")),
        (json!({"model": null}), json!(null)),
        (json!({"model": "tags"}), json!("model")),
    ] {
        let said = server.chat("hello", &more);
        assert_eq!((said.status, &said.json()["error"]["param"]), (400, &param), "{more}");
    }
    // What clients of next year send is ignored.
    let more = json!({"user": "me", "tools": [], "verbosity": "low", "never_heard_of": {"a": 1}, "temperature": null});
    server.chat("hello", &more).fine();
    let parts = json!([{"type": "text", "text": "the "}, {"type": "text", "text": "net"}]);
    let body =
        server.chat("", &json!({"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": parts}]}));
    assert_eq!(body.fine()["usage"]["prompt_tokens"], 4);
    assert_eq!(server.post_text("/v1/chat/completions", "{").status, 400);
    assert_eq!(server.get("/v1/chat/completions").status, 405);
    assert_eq!(server.get("/v1/chat/completions/chatcmpl-1").status, 404);
}

#[test]
fn a_base_without_a_head_answers_with_a_word_of_the_instructions() {
    let server = Server::start();
    let ask = |system: &str, more: Value| {
        let mut body = json!({"model": "gpt-3.5-turbo", "temperature": 0, "messages": [
            {"role": "system", "content": system}, {"role": "user", "content": "the good tea"}]});
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        server.post("/chat/completions", &body)
    };
    let body =
        ask("Say \"tea\", \"tent\", or \"hen\", nothing else.", json!({"logprobs": true, "top_logprobs": 3})).fine();
    let tops = body["choices"][0]["logprobs"]["content"][0]["top_logprobs"].as_array().unwrap().clone();
    let mut words: Vec<&str> = tops.iter().map(|top| top["token"].as_str().unwrap()).collect();
    assert_eq!(body["choices"][0]["message"]["content"], words[0]);
    words.sort_unstable();
    assert_eq!(words, ["hen", "tea", "tent"]);
    // The name of what answered, not of what it stands in for.
    assert_eq!((&body["model"], &body["usage"]["prompt_tokens"]), (&json!("plain"), &json!(5)));
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": ["net", "tin"]}}});
    let content =
        ask("Be helpful.", json!({"response_format": schema})).fine()["choices"][0]["message"]["content"].clone();
    assert!([json!("\"net\""), json!("\"tin\"")].contains(&content), "{content}");
    let error = ask("Be helpful.", json!({}));
    assert_eq!(error.status, 400);
    assert!(error.json()["error"]["message"].as_str().unwrap().contains("has not been trained to classify"));
}
