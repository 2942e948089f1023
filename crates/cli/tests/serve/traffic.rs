//! The record of what a served model is asked, as whoever serves it meets it.

use serde_json::{Value, json};

use super::process::{Server, chat, micro};
use super::workbench::run;

/// A server that keeps texts.
fn server(folder: &std::path::Path) -> Server {
    let model = format!("micro={}", micro(folder).display());
    Server::with(folder, &["--model", &model, "--record", "texts", "--record-days", "7"])
}

/// Asks about each of the texts.
fn ask(server: &Server, model: &str, texts: &[String]) {
    let said = server.post("/completions", &json!({"model": model, "prompt": texts}));
    assert_eq!(said["choices"].as_array().map(Vec::len), Some(texts.len()), "{said}");
}

fn drift(traffic: &Value, kind: &str) -> f64 {
    let findings = traffic["latest"]["drift"].as_array().unwrap_or_else(|| panic!("nothing is compared: {traffic}"));
    findings.iter().find(|one| one["kind"] == kind).unwrap()["p_adjusted"].as_f64().unwrap()
}

#[test]
fn what_a_tuned_model_is_asked_is_held_against_its_validation_file_and_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = server(folder.path());
    let (training, validation) = (first.upload(&chat(60)), first.upload(&chat(45)));
    let hyperparameters = json!({"n_epochs": 12, "batch_size": 4, "learning_rate_multiplier": 10});
    let asked = json!({"model": "micro", "training_file": training, "validation_file": validation, "seed": 1,
        "hyperparameters": hyperparameters});
    let job = first.finished(first.post("/fine_tuning/jobs", &asked)["id"].as_str().unwrap());
    let model = job["fine_tuned_model"].as_str().unwrap().to_owned();
    assert_eq!(first.get("/traffic")["data"], json!([]), "the tally of a job is no traffic");
    let words = ["lovely", "dreadful", "delivered"];
    let same: Vec<String> =
        (60..120).map(|number| format!("the parcel, number {number}, was {}", words[number % 3])).collect();
    ask(&first, &model, &same);
    let traffic = first.get(&format!("/traffic/{model}"));
    assert_eq!(
        (&traffic["reference"]["source"], &traffic["reference"]["answers"]),
        (&json!("validation rows of the run"), &json!(45))
    );
    assert!(traffic["verdict"].as_str().unwrap().starts_with("No drift found"), "{traffic}");
    assert!(traffic["latest"]["expected_accuracy"]["low"].is_number(), "{traffic}");
    // What was answered is there after a kill.
    first.kill();
    let second = server(folder.path());
    let other: Vec<String> =
        (0..200).map(|number| format!("zebra {number} crossing seven quiet rivers before dawn, dreadful")).collect();
    ask(&second, &model, &other);
    let traffic = second.get(&format!("/traffic/{model}"));
    assert_eq!(traffic["answers"], 260);
    assert!(drift(&traffic, "length") < 0.001 && drift(&traffic, "vocabulary") < 0.01, "{traffic}");
    assert!(traffic["verdict"].as_str().unwrap().starts_with("The texts have changed"), "{traffic}");
    let deleted = second.delete(&format!("/models/{model}"));
    assert_eq!(deleted["deleted"], true, "{deleted}");
    assert_eq!(second.get("/traffic")["data"], json!([]));
}

#[test]
fn what_cannot_be_kept_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for flags in ["--record everything", "--record-days 0", "--record texts --record-answers 10"] {
        let output = run(folder.path(), &format!("serve {flags}"));
        assert_eq!(output.status.code(), Some(2), "{flags}");
    }
}
