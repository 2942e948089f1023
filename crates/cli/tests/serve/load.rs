//! Many clients at once beside a training: every answer is that of `predict`, and the training does not notice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::process::{Server, chat, micro};
use super::workbench::{done, reviews, trained};

const CLIENTS: usize = 24;
/// The fewest requests of each client, should the training be over before.
const REQUESTS: usize = 40;

/// Texts of very different lengths.
fn texts() -> Vec<String> {
    let sentences: Vec<String> = reviews(60).lines().skip(1).map(|line| line.replace(['"', ','], " ")).collect();
    (0..sentences.len()).map(|i| sentences[i..sentences.len().min(i + 1 + i % 7)].join(" ")).collect()
}

/// What `predict` says about each text: the probability of each label.
fn predicted(folder: &Path, texts: &[String]) -> Vec<BTreeMap<String, f32>> {
    let lines: String = texts.iter().map(|text| json!({"text": text}).to_string() + "\n").collect();
    fs::write(folder.join("texts.jsonl"), lines).unwrap();
    let model = trained().join("runs/reviews-1/model");
    done(folder, &format!("predict {} texts.jsonl -o said.jsonl --threads 1 --quiet", model.display()));
    let said = fs::read_to_string(folder.join("said.jsonl")).unwrap();
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let columns = row.as_object().unwrap().iter();
        let scores = columns.filter_map(|(name, value)| Some((name.strip_prefix("probability_")?, value)));
        scores.map(|(label, value)| (label.to_owned(), value.as_f64().unwrap() as f32)).collect()
    };
    said.lines().map(row).collect()
}

/// Asks for all texts again and again while `goes_on`; gives how often the server had no room.
fn client(
    url: &str,
    first: usize,
    texts: &[String],
    expected: &[BTreeMap<String, f32>],
    goes_on: &AtomicBool,
) -> usize {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let (mut asked, mut refused) = (0, 0);
    while asked < REQUESTS || goes_on.load(Ordering::Relaxed) {
        let place = (first + asked) % texts.len();
        let request = agent.post(url).header("content-type", "application/json");
        let mut answer = request.send(json!({"inputs": texts[place], "model": "mood"}).to_string()).unwrap();
        let said = answer.body_mut().read_to_string().unwrap();
        match answer.status().as_u16() {
            200 => {
                let scores: Vec<Value> = serde_json::from_str(&said).unwrap();
                let score =
                    |item: &Value| (item["label"].as_str().unwrap().to_owned(), item["score"].as_f64().unwrap() as f32);
                let scores: BTreeMap<String, f32> = scores.iter().map(score).collect();
                assert_eq!(scores, expected[place], "{}", texts[place]);
            }
            429 => refused += 1,
            other => panic!("{other}: {said}"),
        }
        asked += 1;
    }
    refused
}

/// The steps of a finished job, and the weights that it left.
fn trained_in(server: &Server, folder: &Path, job: &str) -> (Vec<i64>, Vec<u8>) {
    assert_eq!(server.finished(job)["status"], "succeeded");
    let events = server.get(&format!("/fine_tuning/jobs/{job}/events?limit=1000"));
    let steps = events["data"].as_array().unwrap().iter().rev().filter_map(|event| event["data"]["step"].as_i64());
    let weights = folder.join("data/jobs").join(job).join("run/model/model.safetensors");
    (steps.collect(), fs::read(weights).unwrap())
}

#[test]
fn many_clients_hear_what_predict_says_and_a_training_does_not_notice() {
    let folder = tempfile::tempdir().unwrap();
    let (texts, model) = (texts(), trained().join("runs/reviews-1/model"));
    let expected = predicted(folder.path(), &texts);
    let models = [format!("mood={}", model.display()), format!("micro={}", micro(folder.path()).display())];
    // Few places in the queue, so that some of the clients find it full.
    let arguments = ["--model", &models[0], "--model", &models[1], "--waiting-texts", "8", "--batch-tokens", "512"];
    let server = Server::with(folder.path(), &arguments);
    let file = server.upload(&chat(40));
    let asked = json!({"model": "micro", "training_file": file, "seed": 3, "hyperparameters": {"n_epochs": 25, "batch_size": 4}});
    let job = || server.post("/fine_tuning/jobs", &asked)["id"].as_str().unwrap().to_owned();
    let alone = trained_in(&server, folder.path(), &job());

    let beside = job();
    let (url, goes_on) = (server.base.trim_end_matches("/v1").to_owned() + "/predict", AtomicBool::new(true));
    let (result, refused) = thread::scope(|scope| {
        let ask = |first: usize| client(&url, first * 7, &texts, &expected, &goes_on);
        let clients: Vec<_> = (0..CLIENTS).map(|first| scope.spawn(move || ask(first))).collect();
        let result = trained_in(&server, folder.path(), &beside);
        goes_on.store(false, Ordering::Relaxed);
        (result, clients.into_iter().map(|client| client.join().unwrap()).sum::<usize>())
    });
    assert_eq!(result.0, (1..=250).collect::<Vec<_>>());
    assert!(result == alone, "the training took other steps or has other weights");
    let metrics = server.page("/metrics");
    let counted = metrics.lines().find_map(|line| line.strip_prefix("te_request_failure{err=\"429\"} "));
    assert_eq!(counted.map_or(0, |count| count.parse::<usize>().unwrap()), refused, "{metrics}");
}
