//! Files of chats in every command that takes a file.

mod workbench;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use workbench::{done, failed, names, run, stderr, stdout};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/chat.jsonl")
}

/// A folder with the example chats and a model trained on them for a few steps, made once.
fn trained() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(examples(), folder.path().join("chat.jsonl")).unwrap();
        done(folder.path(), "train chat.jsonl --model tiny --epochs 2 --learning-rate 1e-3 --threads 1 --out run");
        folder
    });
    folder.path()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Runs the doctor on a file with this content; gives the exit code and the page.
fn examined(content: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("chat.jsonl"), content).unwrap();
    let output = run(folder.path(), "doctor chat.jsonl");
    assert_eq!(stderr(&output), "");
    (output.status.code(), stdout(&output))
}

#[test]
fn the_example_is_sound() {
    let text = fs::read_to_string(examples()).unwrap();
    assert!(text.lines().count() >= 60);
    let (code, page) = examined(&text);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(page);
}

#[test]
fn every_fault_has_its_name_and_place() {
    let text = fs::read_to_string(examples()).unwrap();
    let mut lines: Vec<String> = text.lines().take(30).map(str::to_owned).collect();
    lines[2] = lines[2].replace("\"content\": \"Neutral\"", "\"context\": \"Neutral\"");
    lines[4].truncate(40);
    lines[7] = lines[7].replace("\"role\": \"assistant\"", "\"role\": \"model\"");
    lines[9] = lines[9].replace("\"Positive\"}", "\"Positive\", \"weight\": 0.5}");
    lines.insert(5, String::new());
    let (code, page) = examined(&lines.join("\r\n"));
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(page);
}

#[test]
fn free_answers_are_for_a_model_that_writes() {
    let folder = tempfile::tempdir().unwrap();
    let chat = |i: usize| {
        let messages = [("user", format!("What is {i} and {i}?")), ("assistant", format!("It is {}.", 2 * i))];
        let messages = messages.map(|(role, content)| serde_json::json!({"role": role, "content": content}));
        serde_json::json!({ "messages": messages }).to_string() + "\n"
    };
    fs::write(folder.path().join("sums.jsonl"), (0..40).map(chat).collect::<String>()).unwrap();
    let page = done(folder.path(), "doctor sums.jsonl");
    assert!(page.contains("no classifier can be trained on it: 40 different answers in 40 chats"), "{page}");
    let said = failed(folder.path(), "train sums.jsonl --model tiny");
    assert!(said.contains("no closed set of labels") && said.contains("a model that writes them"), "{said}");
    assert_eq!(names(folder.path()), ["sums.jsonl"]);
}

#[test]
fn a_classifier_is_trained_measured_and_asked() {
    let folder = trained();
    let config = json(&fs::read_to_string(folder.join("run/model/config.json")).unwrap());
    assert_eq!(config["finetone"]["preparation"]["chat"], "last_user");
    assert_eq!(config["id2label"], serde_json::json!({"0": "Negative", "1": "Neutral", "2": "Positive"}));
    let measured = json(&done(folder, "eval run chat.jsonl --json"));
    assert_eq!(measured["n"], 72);
    done(folder, "predict run chat.jsonl -o labelled.jsonl --quiet");
    let (before, after) = (examples(), folder.join("labelled.jsonl"));
    let [before, after] = [before, after].map(|path| fs::read_to_string(path).unwrap());
    assert_eq!(before.lines().count(), after.lines().count());
    for (before, after) in before.lines().zip(after.lines()) {
        assert!(after.starts_with(before.trim_end_matches('}')), "{after}");
        let row = json(after);
        assert!(["Negative", "Neutral", "Positive"].contains(&row["label"].as_str().unwrap()), "{after}");
        assert!(row["probability_Positive"].is_number());
    }
    // The answer is not read: a question alone gets what the same question with its answer got, and so does the plain text.
    let asked = r#"{"messages": [{"role": "user", "content": "The soup was cold, the waiter colder."}]}"#;
    fs::write(folder.join("asked.jsonl"), format!("{asked}\n")).unwrap();
    done(folder, "predict run asked.jsonl -o answered.jsonl --quiet");
    let answered = json(&fs::read_to_string(folder.join("answered.jsonl")).unwrap());
    let place = before.lines().position(|line| line.contains("The soup was cold")).unwrap();
    assert_eq!(answered["confidence"], json(after.lines().nth(place).unwrap())["confidence"]);
    fs::write(folder.join("plain.csv"), "text\n\"The soup was cold, the waiter colder.\"\n").unwrap();
    done(folder, "predict run plain.csv -o plain.jsonl --quiet");
    let plain = json(&fs::read_to_string(folder.join("plain.jsonl")).unwrap());
    assert_eq!(answered["confidence"], plain["confidence"]);
    // What was predicted stands beside the messages and is not taken for an answer.
    assert_eq!(json(&done(folder, "eval run labelled.jsonl --json"))["n"], 72);
}

#[test]
fn chats_are_explored() {
    let found = json(&done(trained(), "explore chat.jsonl --json"));
    assert_eq!((&found["rows"], &found["text_column"]), (&Value::from(72), &Value::from("prompt")));
    assert_eq!(found["columns"], Value::Array(Vec::new()));
}

#[test]
fn the_doctor_knows_a_model() {
    let found = json(&done(trained(), "doctor chat.jsonl --test chat.jsonl --model run --json"));
    assert_eq!((found["chats"].as_array().map(Vec::len), &found["chat_text"]), (Some(2), &Value::from("last_user")));
    assert_eq!(found["chats"][0]["token_limit"], 512);
    assert!(found["memory_bytes"].as_u64().unwrap() > 100 << 20);
    assert!(found["training_seconds"].as_f64().unwrap() > 0.0);
    let page = done(trained(), "doctor chat.jsonl --model run");
    assert!(page.contains("time of a training") && page.contains("by 8 steps that were tried"), "{page}");
    assert_eq!((&found["classes"][2]["label"], &found["classes"][2]["rows"]), (&"Positive".into(), &24.into()));
}

#[test]
fn faulty_chats_stop_a_training_and_a_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(examples()).unwrap().replacen("\"role\": \"user\"", "\"roll\": \"user\"", 1);
    fs::write(folder.path().join("chat.jsonl"), text).unwrap();
    let said = failed(folder.path(), "train chat.jsonl --model tiny");
    assert!(said.contains("chat.jsonl:1: 1 row that is no chat"), "{said}");
    let said = failed(folder.path(), &format!("predict {} chat.jsonl -o out.jsonl", trained().join("run").display()));
    assert!(said.contains("chat.jsonl:1: message 2 is missing key `role`"), "{said}");
    assert_eq!(names(folder.path()), ["chat.jsonl"]);
}

#[test]
fn turns_before_the_question_are_read_as_they_were_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let earlier =
        r#"{"role": "user", "content": "Can you judge?"}, {"role": "assistant", "content": "Yes."}, {"role": "user""#;
    let text = fs::read_to_string(examples()).unwrap().replace("{\"role\": \"user\"", earlier);
    fs::write(folder.path().join("chat.jsonl"), &text).unwrap();
    let page = done(folder.path(), "doctor chat.jsonl");
    assert!(page.contains("a classifier reads all turns of a chat\n"), "{page}");
    done(folder.path(), "train chat.jsonl --model tiny --epochs 1 --threads 1 --out run --quiet");
    assert!(done(folder.path(), "model show run").contains("all turns of a chat"));
    // The same turns as a text of their own get the same answer; the question alone gets another.
    let first: Value = json(text.lines().next().unwrap());
    let question = first["messages"][3]["content"].as_str().unwrap();
    let written = format!("User: Can you judge?\nAssistant: Yes.\nUser: {question}");
    let rows = [written.as_str(), question].map(|text| serde_json::json!({ "text": text }).to_string() + "\n");
    fs::write(folder.path().join("texts.jsonl"), rows.concat()).unwrap();
    let confidences = |file: &str| -> Vec<Value> {
        done(folder.path(), &format!("predict run {file} -o out.jsonl --quiet"));
        let rows = fs::read_to_string(folder.path().join("out.jsonl")).unwrap();
        rows.lines().map(|line| json(line)["confidence"].clone()).collect()
    };
    let (chats, texts) = (confidences("chat.jsonl"), confidences("texts.jsonl"));
    assert_eq!(chats[0], texts[0]);
    assert_ne!(chats[0], texts[1]);
}

#[test]
fn a_language_model_is_trained_measured_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    fs::copy(examples(), place.join("chat.jsonl")).unwrap();
    let told = done(place, "train chat.jsonl --model llama-tiny --set max_steps=3 --threads 1 --out run");
    assert!(told.contains("macro F1") && told.contains("Tokens of the answers, test chats:"), "{told}");
    let events = fs::read_to_string(place.join("run/events.jsonl")).unwrap();
    assert!(events.contains("\"eval_mean_token_accuracy\"") && events.contains("\"eval_f1_Positive\""), "{events}");
    let config = json(&fs::read_to_string(place.join("run/model/config.json")).unwrap());
    assert_eq!(config["architectures"][0], "LlamaForCausalLM");
    assert_eq!(config["finetone"]["chat"]["answers"], serde_json::json!(["Negative", "Neutral", "Positive"]));
    assert!(place.join("run/model/chat_template.jinja").is_file());

    let measured = json(&done(place, "eval run chat.jsonl --json"));
    assert!(measured["f1"]["Neutral"].is_number() && measured["n"].as_u64() >= Some(60), "{measured}");
    done(place, "predict run chat.jsonl -o out.jsonl --quiet");
    let out = fs::read_to_string(place.join("out.jsonl")).unwrap();
    let sums = out.lines().map(|line| {
        let row = json(line);
        ["Negative", "Neutral", "Positive"]
            .map(|word| row[format!("probability_{word}")].as_f64().unwrap())
            .iter()
            .sum()
    });
    assert!(sums.into_iter().all(|sum: f64| (sum - 1.0).abs() < 1e-6));
    assert!(done(place, "predict run --text Lovely!").contains("Positive"));

    let said = failed(place, "train chat.jsonl --model tiny --set task=chat");
    assert!(said.contains("cannot write") && said.contains("hint:"), "{said}");
    assert!(
        failed(place, "train chat.jsonl --model llama-tiny --ladder").contains("`ladder` is for models"),
        "the ladder"
    );
}

#[test]
fn free_answers_have_no_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let chat = |i: usize| {
        format!(
            "{{\"messages\": [{{\"role\": \"user\", \"content\": \"Say {i}\"}}, \
             {{\"role\": \"assistant\", \"content\": \"I say {i}\"}}]}}\n"
        )
    };
    fs::write(place.join("chat.jsonl"), (0..40).map(chat).collect::<String>()).unwrap();
    let told = done(place, "train chat.jsonl --model gpt2-tiny --set max_steps=2 --threads 1 --out run");
    assert!(told.contains("the answers are free") && told.contains("perplexity"), "{told}");
    for line in ["eval run chat.jsonl", "predict run --text Hello"] {
        let said = failed(place, line);
        assert!(said.contains("in its own words") && said.contains("hint:"), "{said}");
    }
    done(place, "model export run -o exported");
    assert!(fs::read_to_string(place.join("exported/README.md")).unwrap().contains("text-generation"));
}
