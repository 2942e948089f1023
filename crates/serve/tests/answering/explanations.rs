//! Why a classifier answered as it did.

use finetone_classify::{Kept, Neighbourhood};
use serde_json::{Value, json};

use crate::server::{LABELS, Server, number};

#[test]
fn the_words_of_an_answer_add_up_and_make_the_text() {
    let server = Server::start();
    let text = "the  net in the tent";
    let found = server.post("/v1/explanations", &json!({"model": "mood", "input": text})).fine();
    let pieces = found["pieces"].as_array().unwrap();
    assert_eq!(pieces.iter().map(|piece| piece["text"].as_str().unwrap()).collect::<String>(), text);
    let sum: f64 = pieces.iter().filter_map(|piece| piece["adds"].as_f64()).sum();
    let difference = number(&found["log_odds"]) - number(&found["log_odds_without_words"]);
    assert!((sum - difference).abs() <= 0.01 * difference.abs().max(0.1), "{found}");
    let named = |key: &str| number(&found["probabilities"][found[key].as_str().unwrap()]);
    assert!((named("label") / named("against")).ln() - number(&found["log_odds"]) < 1e-3, "{found}");
    // The answer of the model is what is explained, and a chat is the text that its user says.
    let answer = server.chat(text, &json!({"temperature": 0})).fine();
    assert_eq!(answer["choices"][0]["message"]["content"], found["label"]);
    let messages = json!([{"role": "system", "content": "Be kind."}, {"role": "user", "content": text}]);
    assert_eq!(server.post("/v1/explanations", &json!({"model": "mood", "messages": messages})).fine(), found);
    let call = json!({"model": "mood", "input": "Agent: the net\n\nCustomer: bad tea"});
    let turns = server.post("/explanations", &call).fine()["turns"].clone();
    let speakers: Vec<&Value> = turns.as_array().unwrap().iter().map(|turn| &turn["speaker"]).collect();
    assert_eq!(speakers, ["Agent", "Customer"]);
}

#[test]
fn the_kept_texts_that_are_nearest_are_shown() {
    let server = Server::start();
    let call = json!({"model": "mood", "input": "the net"});
    assert_eq!(server.post("/v1/explanations", &call).fine()["neighbours"], json!([]), "it keeps none");
    let server = Server::start();
    let kept = |line: u64| Kept { classes: vec![line as usize % 3], line, text: Some(format!("text {line}")) };
    // Twenty numbers for each text, as many as the model has for one.
    let vectors = (0..100).map(|number| (number * number % 17) as f32).collect();
    let hood = Neighbourhood::new(vectors, (1..6).map(kept).collect());
    hood.save(&server.folder.path().join("mood"), &LABELS.map(str::to_owned)).unwrap();
    let found = server.post("/v1/explanations", &call).fine();
    let near = found["neighbours"].as_array().unwrap();
    assert_eq!(near.len(), 3, "{found}");
    assert!(near.windows(2).all(|pair| number(&pair[0]["similarity"]) >= number(&pair[1]["similarity"])), "{found}");
    for one in near {
        let line = one["line"].as_u64().unwrap();
        assert_eq!(
            (&one["labels"], &one["text"]),
            (&json!([LABELS[line as usize % 3]]), &json!(format!("text {line}")))
        );
    }
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let server = Server::start();
    for (body, status, param) in [
        (json!({"model": "story", "input": "net"}), 400, json!("model")),
        (json!({"model": "plain", "input": "net"}), 400, json!("model")),
        (json!({"model": "tags", "input": "net"}), 400, json!("model")),
        (json!({"model": "nobody", "input": "net"}), 404, json!("model")),
        (json!({"model": "mood"}), 400, json!("messages")),
        (json!({"model": "mood", "input": ["net"]}), 400, json!("input")),
        (json!({"model": "mood", "input": ""}), 400, json!("messages")),
        (json!({"model": "mood", "input": "net", "steps": 3}), 400, json!("steps")),
        (json!({"input": "net"}), 400, json!(null)),
    ] {
        let said = server.post("/v1/explanations", &body);
        assert_eq!((said.status, &said.json()["error"]["param"]), (status, &param), "{body}: {}", said.text);
    }
}
