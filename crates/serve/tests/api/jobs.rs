//! Jobs: from a request to results, and everything that comes between.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use finetone_serve::BaseModel;
use finetone_train::Tracker;
use serde_json::{Value, json};

use super::client::{Part, Server, chat, eventually};

/// A server whose training takes no step until it may.
fn waiting() -> Server {
    let server = Server::start();
    server.bench.waits.store(true, Ordering::SeqCst);
    server
}

fn path(job: &str, rest: &str) -> String {
    format!("/fine_tuning/jobs/{job}{rest}")
}

#[test]
fn a_job_goes_from_its_files_to_its_results() {
    let server = Server::start();
    let file = server.uploaded(&chat(12));
    let asked = json!({
        "model": "gpt-3.5-turbo", "training_file": file, "suffix": "mood", "seed": 7,
        "hyperparameters": {"n_epochs": 4, "batch_size": 5}, "metadata": {"for": "a test"},
    });
    let created = server.post("/fine_tuning/jobs", &asked).json(200);
    let auto = json!({"n_epochs": 4, "batch_size": 5, "learning_rate_multiplier": "auto"});
    let expected = json!({
        "object": "fine_tuning.job", "id": created["id"], "model": "small", "created_at": created["created_at"],
        "finished_at": null, "fine_tuned_model": null, "organization_id": "org-personal", "result_files": [],
        "status": "validating_files", "validation_file": null, "training_file": file, "hyperparameters": auto,
        "trained_tokens": null, "error": null, "user_provided_suffix": "mood", "seed": 7, "estimated_finish": null,
        "integrations": [], "method": {"type": "supervised", "supervised": {"hyperparameters": auto}},
        "metadata": {"for": "a test"}, "usage_metrics": null, "shared_with_openai": false,
    });
    assert_eq!(created, expected);
    let id = created["id"].as_str().unwrap();
    assert!(id.starts_with("ftjob-") && id.len() == 30);
    let job = server.wait(id, "succeeded");
    assert_eq!(job["hyperparameters"], json!({"n_epochs": 4, "batch_size": 5, "learning_rate_multiplier": 1.0}));
    assert_eq!(job["method"]["supervised"]["hyperparameters"], job["hyperparameters"]);
    assert_eq!((&job["trained_tokens"], &job["estimated_finish"]), (&json!(120), &Value::Null));
    assert!(job["finished_at"].as_i64() >= job["created_at"].as_i64());
    let config = server.bench.configs.lock().unwrap()[0].clone();
    assert_eq!((config.epochs, config.batch_size, config.seed, config.keep_epochs), (Some(4.0), 5, 7, 3));
}

#[test]
fn an_integration_is_an_offline_run_of_the_job() {
    let server = Server::start();
    let file = server.uploaded(&chat(12));
    let asked = json!([{"type": "wandb", "wandb": {"project": "moods", "tags": ["a", "b"]}}]);
    let id = server.job(&json!({"model": "small", "training_file": file, "integrations": asked}));
    let job = server.wait(&id, "succeeded");
    let shown = json!({"project": "moods", "name": null, "entity": null, "tags": ["a", "b"]});
    assert_eq!(job["integrations"], json!([{"type": "wandb", "wandb": shown}]));
    let track = server.bench.configs.lock().unwrap()[0].track.clone();
    assert_eq!((track.to.as_slice(), track.project()), (&[Tracker::Wandb][..], "moods"));
    assert_eq!(track.name.as_ref(), Some(&id));
    assert_eq!(track.tags, ["a", "b"]);
    let told = server.messages(&id).into_iter().find(|message| message.contains("wandb sync")).unwrap();
    assert!(told.contains(&format!("jobs/{id}/run/wandb")), "{told}");
}

#[test]
fn the_events_tell_the_story_in_words_that_programs_look_for() {
    let server = Server::start();
    let file = server.uploaded(&chat(10));
    let id = server
        .job(&json!({"model": "small", "training_file": file, "hyperparameters": {"n_epochs": 2, "batch_size": 5}}));
    let job = server.wait(&id, "succeeded");
    let model = job["fine_tuned_model"].as_str().unwrap();
    let mut messages = server.messages(&id);
    let at_epoch =
        messages.iter().position(|message| message.starts_with("Checkpoint created at step 2 with")).unwrap();
    let snapshot = messages.remove(at_epoch);
    assert!(snapshot.ends_with(":ckpt-step-2"), "{snapshot}");
    let expected = [
        format!("Created fine-tuning job: {id}"),
        format!("Validating training file: {file}"),
        "Files validated, moving job to queued state".into(),
        "Fine-tuning job started".into(),
        format!("{file}: 2 rows are copies"),
        "Step 1/4: training loss=1.00".into(),
        "Step 2/4: training loss=0.50".into(),
        "Step 3/4: training loss=0.33".into(),
        "Step 4/4: training loss=0.25".into(),
        "Measured on the training examples (which say nothing about new ones: give a validation file): accuracy=0.7500, \
         macro F1=0.5000"
            .into(),
        format!("Checkpoint created at step 4 with Snapshot ID: {model}"),
        format!("New fine-tuned model created: {model}"),
        "The job has successfully completed".into(),
    ];
    assert_eq!(messages, expected);
    let events = server.get(&path(&id, "/events?limit=300")).json(200);
    let step = events["data"].as_array().unwrap().iter().find(|event| event["type"] == "metrics").unwrap();
    assert_eq!(step["object"], "fine_tuning.job.event");
    let mut data = step["data"].clone();
    // Speeds are those of this machine.
    let mut speed = |key: &str| data.as_object_mut().unwrap().remove(key).and_then(|value| value.as_f64()).unwrap();
    assert!((speed("samples_per_second") / speed("steps_per_second") - 5.0).abs() < 1e-9);
    let expected = json!({
        "step": 4, "train_loss": 0.25, "total_steps": 4, "train_mean_token_accuracy": 0.5, "grad_norm": 1.0,
        "learning_rate": 0.001, "tokens_per_second": 100.0,
    });
    assert_eq!((&data, &step["level"]), (&expected, &json!("info")));
}

#[test]
fn checkpoints_are_models_and_the_last_is_the_model() {
    let server = Server::start();
    let file = server.uploaded(&chat(10));
    let id = server
        .job(&json!({"model": "small", "training_file": file, "hyperparameters": {"n_epochs": 3, "batch_size": 5}}));
    let job = server.wait(&id, "succeeded");
    let list = server.get(&path(&id, "/checkpoints")).json(200);
    let all = list["data"].as_array().unwrap();
    let steps: Vec<_> = all.iter().map(|checkpoint| checkpoint["step_number"].as_i64().unwrap()).collect();
    assert_eq!(steps, [6, 4, 2]);
    assert_eq!(all[0]["fine_tuned_model_checkpoint"], job["fine_tuned_model"]);
    assert_eq!(all[0]["metrics"]["train_loss"], json!(1.0 / 6.0));
    assert_eq!((&list["first_id"], &list["last_id"]), (&all[0]["id"], &all[2]["id"]));
    for checkpoint in all {
        let name = checkpoint["fine_tuned_model_checkpoint"].as_str().unwrap();
        server.get(&format!("/models/{name}")).json(200);
    }
    let page =
        server.get(&path(&id, &format!("/checkpoints?limit=1&after={}", all[1]["id"].as_str().unwrap()))).json(200);
    assert_eq!((&page["data"][0], &page["has_more"]), (&all[2], &json!(false)));
}

#[test]
fn the_result_file_is_a_table_in_base64() {
    let server = Server::start();
    let file = server.uploaded(&chat(10));
    let id = server
        .job(&json!({"model": "small", "training_file": file, "hyperparameters": {"n_epochs": 1, "batch_size": 5}}));
    let job = server.wait(&id, "succeeded");
    let result = job["result_files"][0].as_str().unwrap();
    let about = server.get(&format!("/files/{result}")).json(200);
    assert_eq!((&about["purpose"], &about["filename"]), (&json!("fine-tune-results"), &json!("step_metrics.csv")));
    let content = server.get(&format!("/files/{result}/content"));
    let table = base64::engine::general_purpose::STANDARD.decode(&content.bytes).unwrap();
    let expected = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,1.0,0.5,,\n2,0.5,0.5,,\n";
    assert_eq!(String::from_utf8(table).unwrap(), expected);
    assert_eq!(server.get(&format!("/files/{result}/content?format=csv")).bytes, expected.as_bytes());
    assert_eq!(about["bytes"], expected.len());
}

#[test]
fn what_cannot_be_asked_for_is_told_by_its_field() {
    let server = Server::start();
    let file = server.uploaded(&chat(10));
    let other = server.upload(&[Part::Text("purpose", "assistants"), Part::File("a.txt", b"x")]).json(200);
    let wrong = [
        (json!({"training_file": file}), "model", "Missing required parameter: 'model'."),
        (json!({"model": "small"}), "training_file", "Missing required parameter: 'training_file'."),
        (json!({"model": "x"}), "model", "Model x is not available for fine-tuning or does not exist."),
        (json!({"model": "small", "training_file": "file-x"}), "training_file", "invalid training_file: file-x"),
        (json!({"model": "small", "training_file": other["id"]}), "training_file", "its purpose is 'assistants'"),
        (json!({"validation_file": "file-y"}), "validation_file", "invalid validation_file: file-y"),
        (json!({"nepochs": 2}), "nepochs", "invalid nepochs: 2, extra inputs are not permitted"),
        (json!({"hyperparameters": {"nepochs": 2}}), "hyperparameters.nepochs", "extra inputs are not permitted"),
        (json!({"hyperparameters": {"n_epochs": 51}}), "hyperparameters.n_epochs", "Expected a value <= 50"),
        (json!({"hyperparameters": 3}), "hyperparameters", "expected an object"),
        (json!({"suffix": "a:b"}), "suffix", "letters"),
        (json!({"suffix": 7}), "suffix", "expected a string"),
        (json!({"seed": -1}), "seed", "below minimum"),
        (json!({"seed": 2_147_483_648_i64}), "seed", "above maximum"),
        (json!({"method": {"type": "dpo"}}), "method", "only 'supervised' is"),
        (json!({"integrations": [{"type": "wandb"}]}), "integrations[0].wandb.project", "required parameter"),
        (json!({"integrations": [{"type": "mlflow"}]}), "integrations[0].type", "only 'wandb' is"),
        (
            json!({"integrations": [{"type": "wandb", "wandb": {"project": "a", "tags": [1]}}]}),
            "integrations[0].wandb.tags",
            "an array of strings",
        ),
        (
            json!({"integrations": [{"type": "wandb", "wandb": {"project": " "}}]}),
            "integrations[0].wandb",
            "names of 1 to",
        ),
        (
            json!({"integrations": [{"type": "wandb", "wandb": {"project": "a", "key": "b"}}]}),
            "integrations[0].wandb.key",
            "extra inputs",
        ),
        (json!({"integrations": [{}, {}]}), "integrations", "Only one"),
        (json!({"integrations": "wandb"}), "integrations", "an array"),
        (json!({"metadata": {"a": 1}}), "metadata.a", "expected a string"),
        (json!({"metadata": {"a": "x".repeat(513)}}), "metadata", "at most"),
    ];
    for (asked, param, says) in wrong {
        let mut body = json!({"model": "small", "training_file": file});
        let is_missing = says.starts_with("Missing");
        let whole = if is_missing {
            asked.clone()
        } else {
            asked.as_object().unwrap().iter().for_each(|(key, value)| body[key] = value.clone());
            body
        };
        let (message, of, _) = server.post("/fine_tuning/jobs", &whole).error(400);
        assert!(message.contains(says) && of == param, "{asked}: {message} ({of})");
    }
    assert_eq!(server.get("/fine_tuning/jobs").json(200)["data"], json!([]));
    let nulls = json!({"model": "small", "training_file": file, "suffix": null, "validation_file": null, "seed": null,
        "method": null, "integrations": [], "metadata": null,
        "hyperparameters": {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}});
    let job = server.job(&nulls);
    let used = server.wait(&job, "succeeded")["hyperparameters"].clone();
    assert_eq!(used, json!({"n_epochs": 10, "batch_size": 1, "learning_rate_multiplier": 1.0}));
}

#[test]
fn files_that_cannot_be_learnt_from_fail_the_job_with_their_fault() {
    let server = Server::start();
    let line = |messages: Value| json!({"messages": messages}).to_string() + "\n";
    let (user, answer) = (json!({"role": "user", "content": "a"}), json!({"role": "assistant", "content": "b"}));
    let open: String =
        (0..12).map(|i| line(json!([user, {"role": "assistant", "content": format!("answer {i}")}]))).collect();
    let faulty = [
        (chat(9), "invalid_n_examples", "Training file has 9 example(s), but must have at least 10 examples"),
        (chat(10) + &line(json!([user])), "invalid_file_format", "Example 11"),
        (chat(10) + "{\"prompt\": \"a\"}\n", "invalid_file_format", "Example 11"),
        (open, "invalid_training_file", "different answers"),
    ];
    for (content, code, says) in faulty {
        let id = server.job(&json!({"model": "small", "training_file": server.uploaded(&content)}));
        let error = server.wait(&id, "failed")["error"].clone();
        assert_eq!((&error["code"], &error["param"]), (&json!(code), &json!("training_file")), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
        let last = server.get(&path(&id, "/events?limit=1")).json(200)["data"][0].clone();
        assert_eq!((&last["level"], &last["message"]), (&json!("error"), &json!(message)));
    }
    let unknown = chat(12) + &line(json!([user, answer]));
    let validation = server.uploaded(&unknown);
    let id = server
        .job(&json!({"model": "small", "training_file": server.uploaded(&chat(12)), "validation_file": validation}));
    assert_eq!(server.wait(&id, "failed")["error"]["param"], "validation_file");
}

#[test]
fn a_language_model_learns_any_answers() {
    let writer = BaseModel { name: "writer".into(), source: "writer".into() };
    let server = Server::with(Arc::new(tempfile::tempdir().unwrap()), |config| config.workplace.models.push(writer));
    let line = |i| {
        json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": format!("answer {i}")}]})
            .to_string()
            + "\n"
    };
    let file = server.uploaded(&(0..12).map(line).collect::<String>());
    let id = server.job(&json!({"model": "writer", "training_file": file, "validation_file": file}));
    server.wait(&id, "succeeded");
    let id = server.job(&json!({"model": "small", "training_file": file}));
    assert_eq!(server.wait(&id, "failed")["error"]["code"], "invalid_training_file");
}

#[test]
fn a_job_can_be_paused_and_goes_on_where_it_was() {
    let server = waiting();
    let file = server.uploaded(&chat(10));
    let id = server
        .job(&json!({"model": "small", "training_file": file, "hyperparameters": {"n_epochs": 2, "batch_size": 5}}));
    server.wait(&id, "running");
    let refused = server.post_nothing(&path(&id, "/resume")).error(400);
    assert!(refused.0.contains("its status is 'running'"), "{}", refused.0);
    assert_eq!(server.post_nothing(&path(&id, "/pause")).json(200)["status"], "paused");
    server.post_nothing(&path(&id, "/pause")).error(400);
    server.bench.waits.store(false, Ordering::SeqCst);
    assert_eq!(server.post(&path(&id, "/resume"), &json!({})).json(200)["status"], "queued");
    server.wait(&id, "succeeded");
    let steps: Vec<u64> = server.bench.steps.lock().unwrap().iter().map(|(_, step)| *step).collect();
    assert_eq!(steps, [1, 2, 3, 4]);
    let messages = server.messages(&id);
    let count = |what: &str| messages.iter().filter(|message| message.starts_with(what)).count();
    let counts = ["Fine-tuning job started", "Fine-tuning job paused", "Fine-tuning job resumed", "Step "].map(count);
    assert_eq!(counts, [1, 1, 1, 4]);
}

#[test]
fn a_job_can_be_cancelled_until_it_is_over_with_any_body() {
    let server = waiting();
    let file = server.uploaded(&chat(10));
    let job = || server.job(&json!({"model": "small", "training_file": file}));
    let (running, queued) = (job(), job());
    server.wait(&running, "running");
    server.wait(&queued, "queued");
    assert_eq!(server.post(&path(&queued, "/cancel"), &json!({})).json(200)["status"], "cancelled");
    let cancelled = server.post_bytes(&path(&running, "/cancel"), "application/json", b"").json(200);
    assert!(cancelled["status"] == "cancelled" && cancelled["finished_at"].is_i64() && cancelled["error"].is_null());
    for id in [&running, &queued] {
        let (message, ..) = server.post_nothing(&path(id, "/cancel")).error(400);
        assert!(message.contains("its status is 'cancelled'"), "{message}");
        let folder = server.folder.path().join("data/jobs").join(id);
        eventually("the folder to go", || (!folder.exists()).then_some(()));
    }
    assert!(server.bench.steps.lock().unwrap().is_empty());
    let unknown = server.post_nothing(&path("ftjob-x", "/cancel")).error(404);
    assert_eq!(
        unknown,
        ("Could not find fine tune: ftjob-x".into(), json!("fine_tune_id"), json!("fine_tune_not_found"))
    );
}

#[test]
fn jobs_of_a_stopped_server_go_on_when_it_is_started_again() {
    let server = waiting();
    let file = server.uploaded(&chat(10));
    let job = |epochs: i64| {
        server.job(
            &json!({"model": "small", "training_file": file, "hyperparameters": {"n_epochs": epochs, "batch_size": 5}}),
        )
    };
    let (first, second) = (job(1), job(2));
    server.wait(&first, "running");
    server.wait(&second, "queued");
    let server = server.again();
    for (id, steps) in [(&first, 2), (&second, 4)] {
        server.wait(id, "succeeded");
        let messages = server.messages(id);
        for step in 1..=steps {
            let told = messages.iter().filter(|message| message.starts_with(&format!("Step {step}/{steps}:"))).count();
            assert_eq!(told, 1, "{messages:?}");
        }
    }
    let order: Vec<u64> = server.bench.steps.lock().unwrap().iter().map(|(_, step)| *step).collect();
    assert_eq!(order, [1, 2, 1, 2, 3, 4], "the job that waited longest comes first");
}

#[test]
fn jobs_are_listed_in_pages_and_by_what_was_noted_with_them() {
    let server = waiting();
    let file = server.uploaded(&chat(10));
    let notes = [json!(null), json!({"a": "b c", "d": "e"}), json!({"a": "other"})];
    let mut ids: Vec<String> = notes
        .iter()
        .map(|note| server.job(&json!({"model": "small", "training_file": file, "metadata": note})))
        .collect();
    ids.reverse();
    let listed = |query: &str| -> Vec<String> {
        let list = server.get(&format!("/fine_tuning/jobs{query}")).json(200);
        list["data"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(""), ids);
    assert_eq!(listed("?limit=1"), ids[..1]);
    assert_eq!(listed(&format!("?limit=1&after={}", ids[0])), ids[1..2]);
    assert!(listed(&format!("?after={}", ids[2])).is_empty());
    for query in ["?metadata%5Ba%5D=b%20c", "?metadata%5Ba%5D=b+c", "?metadata[a]=b%20c&metadata[d]=e"] {
        assert_eq!(listed(query), ids[1..2], "{query}");
    }
    assert_eq!(listed("?metadata=null"), ids[2..]);
    assert!(listed("?metadata[a]=b%20c&metadata[d]=x").is_empty());
    let events = server.get(&path(&ids[2], "/events?limit=1")).json(200);
    assert_eq!(events["has_more"], true);
    let last = events["data"][0]["id"].as_str().unwrap();
    assert_eq!(server.get(&path(&ids[2], &format!("/events?after={last}&limit=300"))).json(200)["has_more"], false);
}
