//! A server that is killed at any moment loses no job, runs none twice, and shows no half file.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use finetone_data::split::random::Random;
use serde_json::{Value, json};

use super::process::{Server, chat};

const KILLS: usize = 20;
const JOBS: usize = 3;

/// Begins an upload that never ends.
fn half_an_upload(server: &Server) -> TcpStream {
    let address = server.base.trim_start_matches("http://").trim_end_matches("/v1");
    let mut stream = TcpStream::connect(address).unwrap();
    let head = "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\
                Content-Type: multipart/form-data; boundary=line\r\n\r\n--line\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"half.jsonl\"\r\n\r\n{\"messages\": [";
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn twenty_kills_lose_no_job_and_run_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let file = server.upload(&chat(40));
    let asked = json!({"model": "micro", "training_file": file, "seed": 3, "hyperparameters": {"n_epochs": 25, "batch_size": 4}});
    let jobs: Vec<String> =
        (0..JOBS).map(|_| server.post("/fine_tuning/jobs", &asked)["id"].as_str().unwrap().to_owned()).collect();
    let mut random = Random::new(11);
    for _ in 0..KILLS {
        let upload = half_an_upload(&server);
        std::thread::sleep(Duration::from_millis(random.below(700) as u64));
        server.kill();
        drop(upload);
        server = Server::start(folder.path());
        let files = server.get("/files?purpose=fine-tune");
        assert_eq!(files["data"].as_array().unwrap().len(), 1, "{files}");
    }
    let ended: Vec<Value> = jobs.iter().map(|id| server.finished(id)).collect();
    for job in &ended {
        assert_eq!(job["status"], "succeeded", "{job}");
        let events = server.get(&format!("/fine_tuning/jobs/{}/events?limit=1000", job["id"].as_str().unwrap()));
        let events: Vec<&Value> = events["data"].as_array().unwrap().iter().rev().collect();
        let steps = events.iter().filter_map(|event| event["data"]["step"].as_i64());
        assert_eq!(steps.collect::<Vec<_>>(), (1..=250).collect::<Vec<_>>());
        for once in ["Files validated", "Fine-tuning job started", "New fine-tuned model", "The job has success"] {
            let told = events.iter().filter(|event| event["message"].as_str().unwrap().starts_with(once)).count();
            assert_eq!(told, 1, "{once}");
        }
    }
    assert_eq!(server.get("/fine_tuning/jobs")["data"].as_array().unwrap().len(), JOBS);
    assert_eq!(server.get("/files?purpose=fine-tune-results")["data"].as_array().unwrap().len(), JOBS);
    // With the same seed all of them are the same model, bit for bit, wherever they were killed.
    let weights = |job: &Value| {
        let run = folder.path().join("data/jobs").join(job["id"].as_str().unwrap()).join("run");
        std::fs::read(run.join("model/model.safetensors")).unwrap()
    };
    assert!(ended.iter().all(|job| weights(job) == weights(&ended[0])));
}
