//! From an upload to a model that was really trained.

use serde_json::json;

use super::process::{Server, chat};

#[test]
fn a_job_with_a_validation_file_learns_and_says_how_good_its_model_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (training, validation) = (server.upload(&chat(60)), server.upload(&chat(15)));
    let asked = json!({
        "model": "gpt-3.5-turbo", "training_file": training, "validation_file": validation, "seed": 1,
        "hyperparameters": {"n_epochs": 12, "batch_size": 4, "learning_rate_multiplier": 10},
    });
    let created = server.post("/fine_tuning/jobs", &asked);
    let id = created["id"].as_str().unwrap();
    let job = server.finished(id);
    assert_eq!(job["status"], "succeeded", "{job}");
    assert!(job["trained_tokens"].as_i64().unwrap() > 60 * 12 * 5);

    let events = server.get(&format!("/fine_tuning/jobs/{id}/events?limit=1000"));
    let events: Vec<_> = events["data"].as_array().unwrap().iter().rev().cloned().collect();
    let steps: Vec<_> = events.iter().filter(|event| event["type"] == "metrics").collect();
    let numbers: Vec<_> = steps.iter().map(|event| event["data"]["step"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=180).collect::<Vec<_>>());
    let last = &steps[179]["data"];
    assert!(last["train_loss"].as_f64() < steps[0]["data"]["train_loss"].as_f64());
    for key in ["valid_loss", "valid_mean_token_accuracy", "full_valid_loss", "full_valid_mean_token_accuracy"] {
        assert!(last[key].is_f64() && steps[0]["data"][key].is_null(), "{key}: {last}");
    }
    let message = steps[179]["message"].as_str().unwrap();
    assert!(
        message.starts_with("Step 180/180: training loss=") && message.contains(", full validation loss="),
        "{message}"
    );
    let measured =
        events.iter().find(|event| event["message"].as_str().unwrap().starts_with("Measured on the validation"));
    let accuracy = measured.expect("the model is measured")["data"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
    assert!(!events.iter().any(|event| event["message"].as_str().unwrap().contains("/data/")), "{events:?}");

    let checkpoints = server.get(&format!("/fine_tuning/jobs/{id}/checkpoints"));
    let names: Vec<_> =
        checkpoints["data"].as_array().unwrap().iter().map(|c| &c["fine_tuned_model_checkpoint"]).collect();
    assert_eq!(names[0], &job["fine_tuned_model"], "the last checkpoint is the model: {names:?}");
    let numbers: Vec<_> = checkpoints["data"].as_array().unwrap().iter().map(|c| c["step_number"].as_i64()).collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
    for name in names {
        let asked = json!({"model": name, "messages": [{"role": "user", "content": "it was lovely"}]});
        let answer = server.post("/chat/completions", &asked);
        assert!(answer["choices"][0]["message"]["content"].is_string(), "{answer}");
    }
    let tally = events.iter().find_map(|event| event["data"].get("tally")).expect("the job asks its model");
    assert_eq!(tally["messages"].as_array().unwrap().len(), 5);
    assert_eq!((&tally["file"], tally["base_fault"].is_string()), (&json!("validation_file"), true), "{tally}");
    let table = server.bytes(&format!("/files/{}/content?format=csv", job["result_files"][0].as_str().unwrap()));
    assert_eq!(String::from_utf8(table).unwrap().lines().count(), 181);
}

#[cfg(unix)]
#[test]
fn an_interrupted_server_saves_its_job_and_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let file = server.upload(&chat(30));
    let asked = json!({"model": "micro", "training_file": file, "hyperparameters": {"n_epochs": 50, "batch_size": 2}});
    let id = server.post("/fine_tuning/jobs", &asked)["id"].as_str().unwrap().to_owned();
    let step = |server: &Server| {
        let events = server.get(&format!("/fine_tuning/jobs/{id}/events?limit=1"));
        events["data"][0]["data"]["step"].as_i64()
    };
    while step(&server).is_none_or(|step| step < 3) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let ended = server.stop();
    assert_eq!(ended.code(), Some(0));
    let server = Server::start(folder.path());
    assert_eq!(server.finished(&id)["status"], "succeeded");
    let events = server.get(&format!("/fine_tuning/jobs/{id}/events?limit=1000"));
    let events = events["data"].as_array().unwrap();
    assert!(events.iter().any(|event| event["message"].as_str().unwrap().starts_with("Training goes on from step")));
    assert_eq!(events.iter().filter(|event| event["type"] == "metrics").count(), 750);
}
