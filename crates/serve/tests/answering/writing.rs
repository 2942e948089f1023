//! Models that write: the tiny language models of the golden files, with letters for tokens.

use std::path::Path;

use finetone_data::chat::{Message, Role};
use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::letters::LETTERS;
use crate::server::{Server, cpu, number};

/// The end of a text among the tokens.
const END: u32 = 51;
/// Tokens that transformers wrote behind each prompt.
const WRITTEN: usize = 32;

/// A prompt, what transformers wrote behind it, and the logarithms of its probabilities.
struct Golden {
    prompt: Vec<u32>,
    ids: Vec<u32>,
    logarithms: Vec<f64>,
}

impl Golden {
    fn read(name: &str, most: usize) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name).join("golden.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let whole = |name: &str| -> Vec<u32> {
            let bytes = file.tensor(name).unwrap().data();
            bytes.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as u32).collect()
        };
        let (ids, starts) = (whole("ids"), whole("starts"));
        let texts = starts.windows(2).map(|pair| &ids[pair[0] as usize..pair[1] as usize]);
        let longest = texts.max_by_key(|text| text.len()).unwrap();
        let logarithms = file.tensor("greedy_log").unwrap();
        let logarithms = logarithms.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b)));
        // A text ends where its end is written; transformers was told to go on.
        let ids: Vec<u32> = whole("greedy").into_iter().take(WRITTEN).take_while(|&id| id != END).collect();
        Self { prompt: longest[..5.min(most - WRITTEN)].to_vec(), ids, logarithms: logarithms.take(WRITTEN).collect() }
    }

    fn text(&self) -> String {
        self.ids.iter().filter_map(|&id| LETTERS.chars().nth(id as usize)).collect()
    }
}

/// A completion of `story`, with further fields.
fn complete(server: &Server, more: &Value) -> Value {
    let mut body = json!({"model": "story", "prompt": Golden::read("llama-language", 64).prompt, "temperature": 0,
        "max_tokens": WRITTEN});
    more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
    server.post("/v1/completions", &body).fine()
}

fn text_of(body: &Value) -> String {
    body["choices"][0]["text"].as_str().unwrap().to_owned()
}

/// A chat with a model that writes and never comes to an end by itself.
fn chat(server: &Server, model: &str, more: &Value) -> crate::server::Said {
    let mut body = json!({"model": model, "max_tokens": 20, "logit_bias": {"51": -100}});
    more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
    server.chat("is it good?", &body)
}

#[test]
fn the_most_probable_text_is_that_of_transformers() {
    let server = Server::start();
    for (model, name, most) in [("story", "llama-language", 64), ("tale", "gpt2-language", 36)] {
        let golden = Golden::read(name, most);
        let body = complete(&server, &json!({"model": model, "prompt": golden.prompt, "logprobs": 2}));
        assert_eq!(text_of(&body), golden.text(), "{name}");
        let logs = &body["choices"][0]["logprobs"];
        let found = logs["token_logprobs"].as_array().unwrap();
        assert_eq!(found.len(), golden.ids.len());
        for (found, wanted) in found.iter().zip(&golden.logarithms) {
            assert!((number(found) - wanted).abs() < 1e-4, "{name}: {found}, not {wanted}");
        }
        let usage = &body["usage"];
        assert_eq!([&usage["prompt_tokens"], &usage["completion_tokens"]], [golden.prompt.len(), golden.ids.len()]);
        let finish = if golden.ids.len() < WRITTEN { "stop" } else { "length" };
        assert_eq!(body["choices"][0]["finish_reason"], finish);
    }
}

#[test]
fn a_stream_says_the_same_in_its_order() {
    let server = Server::start();
    let more = json!({"n": 2, "seed": 5, "logprobs": true, "top_logprobs": 2});
    let whole = chat(&server, "story", &more).fine();
    let mut streamed = more;
    streamed["stream"] = true.into();
    streamed["stream_options"] = json!({"include_usage": true});
    let events = chat(&server, "story", &streamed).events();
    let usage = events.last().unwrap();
    assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &whole["usage"]));
    for index in 0..2 {
        let of_choice: Vec<&Value> =
            events.iter().map(|event| &event["choices"][0]).filter(|choice| choice["index"] == index).collect();
        assert_eq!(of_choice[0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
        let content: String = of_choice.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!(whole["choices"][index]["message"]["content"], content);
        let logs: Vec<Value> =
            of_choice.iter().flat_map(|c| c["logprobs"]["content"].as_array().cloned().unwrap_or_default()).collect();
        assert_eq!(whole["choices"][index]["logprobs"]["content"], json!(logs));
        let (last, others) = of_choice.split_last().unwrap();
        assert_eq!((&last["delta"], &last["finish_reason"]), (&json!({}), &whole["choices"][index]["finish_reason"]));
        assert!(others.len() > 10 && others.iter().all(|choice| choice["finish_reason"].is_null()));
    }
    let parts = complete(&server, &json!({"echo": true, "prompt": "a sad tale", "logit_bias": {"51": -100}}));
    let streamed = json!({"model": "story", "prompt": "a sad tale", "temperature": 0, "max_tokens": WRITTEN, "echo": true,
        "logit_bias": {"51": -100}, "stream": true});
    let events = server.post("/v1/completions", &streamed).events();
    let text: String = events.iter().map(|event| event["choices"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(text, text_of(&parts));
    assert!(text.starts_with("a sad tale") && events.len() > 10);
}

#[test]
fn tokens_joined_are_the_text_and_have_their_bytes_and_alternatives() {
    let server = Server::start();
    let body = chat(&server, "story", &json!({"logprobs": true, "top_logprobs": 20, "seed": 2})).fine();
    let content = body["choices"][0]["message"]["content"].as_str().unwrap();
    let tokens = body["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(tokens.iter().map(|token| token["token"].as_str().unwrap()).collect::<String>(), content);
    for token in tokens {
        assert_eq!(token["bytes"], json!(token["token"].as_str().unwrap().as_bytes()));
        let tops = token["top_logprobs"].as_array().unwrap();
        assert!(
            tops.len() == 20 && tops.windows(2).all(|pair| number(&pair[0]["logprob"]) >= number(&pair[1]["logprob"]))
        );
        let sum: f64 = tops.iter().map(|top| number(&top["logprob"]).exp()).sum();
        assert!(sum < 1.0 + 1e-9, "{sum}");
        let own = tops.iter().find(|top| top["token"] == token["token"]);
        assert!(own.is_none_or(|own| own["logprob"] == token["logprob"]), "{token}");
    }
}

#[test]
fn a_seed_gives_the_same_text_and_texts_of_one_request_differ() {
    let server = Server::start();
    let texts = |more: Value| chat(&server, "story", &more).fine()["choices"].clone();
    let first = texts(json!({"seed": 7, "n": 3}));
    assert_eq!(first, texts(json!({"seed": 7, "n": 3})));
    assert_ne!(first, texts(json!({"seed": 8, "n": 3})));
    assert!(first[0]["message"] != first[1]["message"] && first[1]["message"] != first[2]["message"]);
    let cold = texts(json!({"temperature": 0, "n": 2}));
    assert_eq!(
        (&cold[0]["message"], &texts(json!({"top_p": 0}))[0]["message"]),
        (&cold[1]["message"], &cold[0]["message"])
    );
}

#[test]
fn a_stop_ends_the_text_before_it_even_across_tokens() {
    let server = Server::start();
    let drawn = json!({"temperature": 1, "seed": 3, "logit_bias": {"51": -100}, "logprobs": 0});
    let whole = text_of(&complete(&server, &drawn));
    let letters: Vec<char> = whole.chars().collect();
    // The first three letters that come nowhere earlier.
    let at = (1..letters.len() - 3)
        .find(|&at| whole.find(&letters[at..at + 3].iter().collect::<String>()) == Some(at))
        .unwrap();
    let stop: String = letters[at..at + 3].iter().collect();
    let mut stopped = drawn;
    stopped["stop"] = json!([stop, "never"]);
    let body = complete(&server, &stopped);
    assert_eq!(
        (text_of(&body), &body["choices"][0]["finish_reason"]),
        (letters[..at].iter().collect(), &json!("stop"))
    );
    let tokens = body["choices"][0]["logprobs"]["tokens"].as_array().unwrap().clone();
    assert_eq!(tokens.iter().map(|token| token.as_str().unwrap()).collect::<String>(), text_of(&body));
}

#[test]
fn penalties_and_biases_steer_what_is_written() {
    let server = Server::start();
    let forced = complete(&server, &json!({"logit_bias": {"5": 100}, "max_tokens": 6}));
    let letter = LETTERS.chars().nth(5).unwrap().to_string();
    assert_eq!(text_of(&forced), letter.repeat(6));
    // Whoever is forced to say a letter and is fined for each time says others too.
    let fined = complete(&server, &json!({"logit_bias": {"5": 20}, "frequency_penalty": 2, "presence_penalty": 2}));
    let free = complete(&server, &json!({"logit_bias": {"5": 20}}));
    let count = |body: &Value| text_of(body).matches(&letter).count();
    assert!(count(&fined) < count(&free), "{} and {}", text_of(&fined), text_of(&free));
}

#[test]
fn an_answer_of_a_closed_set_is_one_token_with_its_true_probability() {
    let server = Server::start();
    let words = ["Positive".to_owned(), "Negative".to_owned()];
    let served = finetone_generate::Served::open(cpu(), &server.folder.path().join("closed")).unwrap();
    let asked = [Message::new(Role::User, "is it good?")];
    let (prompt, choices) = served.reader.closed(&asked, &words).unwrap();
    let weights = served.model.weigh(&prompt, &choices).unwrap();
    let enumerated = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": words}}});
    for (model, more, quote) in [
        ("closed", json!({}), ""),
        // The same model that writes freely, held to the same words.
        ("story", json!({"response_format": enumerated}), "\""),
    ] {
        let mut asked = json!({"logprobs": true, "top_logprobs": 5, "n": 30, "seed": 1});
        more.as_object().unwrap().iter().for_each(|(name, value)| asked[name] = value.clone());
        let body = chat(&server, model, &asked).fine();
        let choices = body["choices"].as_array().unwrap();
        let said = |choice: &Value| choice["message"]["content"].as_str().unwrap().trim_matches('"').to_owned();
        assert!(choices.iter().all(|choice| words.contains(&said(choice)) && choice["finish_reason"] == "stop"));
        let tokens = choices[0]["logprobs"]["content"].as_array().unwrap();
        let token = &tokens[usize::from(!quote.is_empty())];
        assert_eq!((tokens.len(), &body["usage"]["prompt_tokens"]), (1 + 2 * quote.len(), &json!(prompt.len())));
        let tops = token["top_logprobs"].as_array().unwrap();
        assert_eq!(tops.len(), 2);
        for top in tops {
            let word = words.iter().position(|word| top["token"] == *word).unwrap();
            assert!(
                (number(&top["logprob"]).exp() - weights[word]).abs() < 1e-9,
                "{model}: {top}, not {}",
                weights[word]
            );
        }
    }
    let completed = server.post("/v1/completions", &json!({"model": "closed", "prompt": "is it good?"})).fine();
    assert!(words.contains(&text_of(&completed)));
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is() {
    let server = Server::start();
    let long = "a ".repeat(40);
    let refused = |path: &str, body: &Value| {
        let said = server.post(path, body);
        assert_eq!(said.status, 400, "{body}: {}", said.text);
        let error = said.json()["error"].clone();
        (error["param"].clone(), error["code"].clone())
    };
    let user = |text: &str| json!([{"role": "user", "content": text}]);
    let (chats, completions) = ("/v1/chat/completions", "/v1/completions");
    for stream in [false, true] {
        let body = json!({"model": "story", "messages": user(&long), "stream": stream});
        assert_eq!(refused(chats, &body), (json!("messages"), json!("context_length_exceeded")));
    }
    for (prompt, code) in [
        (json!(long), "context_length_exceeded"),
        (json!([[1, 52]]), "invalid_value"),
        (json!([]), "invalid_value"),
        (json!([[]]), "invalid_value"),
    ] {
        assert_eq!(refused(completions, &json!({"model": "story", "prompt": prompt})), (json!("prompt"), json!(code)));
    }
    let odd = json!({"model": "story", "prompt": [1, "a"]});
    assert_eq!(refused(completions, &odd), (json!("prompt[1]"), json!("invalid_type")));
    let bias = json!({"model": "story", "messages": user("a"), "logit_bias": {"tea": 1}});
    assert_eq!(refused(chats, &bias), (json!("logit_bias.tea"), json!("invalid_value")));
    let any = json!({"model": "story", "messages": user("a"), "response_format": {"type": "json_object"}});
    assert_eq!(refused(chats, &any).0, json!("response_format"));
    // As many tokens as there is room for, however many are asked for.
    let body = complete(&server, &json!({"max_tokens": 100_000, "prompt": "a sad tale", "logit_bias": {"51": -100}}));
    assert_eq!((&body["usage"]["total_tokens"], &body["choices"][0]["finish_reason"]), (&json!(65), &json!("length")));
}

#[test]
fn the_other_routes_know_models_that_write() {
    let server = Server::start();
    let refused = server.post("/predict", &json!({"inputs": "a", "model": "story"}));
    assert_eq!((refused.status, &refused.json()["error_type"]), (424, &json!("Backend")));
    let vectors = server.post("/v1/embeddings", &json!({"model": "story", "input": "a sad tale"})).fine();
    assert_eq!(vectors["data"][0]["embedding"].as_array().unwrap().len(), 24);
}

#[test]
fn many_answers_at_once_are_what_each_is_alone() {
    let server = Server::start();
    let ask = |seed: usize| chat(&server, "story", &json!({"seed": seed})).fine()["choices"].clone();
    let alone: Vec<Value> = (0..12).map(ask).collect();
    let together: Vec<Value> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12).map(|seed| scope.spawn(move || ask(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(alone, together);
}
