//! Several processes on one PostgreSQL database.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use finetone_data::split::random::Random;
use serde_json::{Value, json};

use super::postgres::Cluster;
use super::process::{Server, chat, micro};
use super::workbench::{BINARY, failed, run, stderr};

const KILLS: usize = 14;
const JOBS: usize = 10;
/// The shortest lease: what a killed worker had is another's so soon.
const LEASE: &str = "3";

/// A worker; it is killed when it is dropped.
struct Worker(Child);

impl Worker {
    /// Starts a worker beside the server of `folder/data` and waits until it works.
    fn start(folder: &Path, database: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.current_dir(folder).args(["worker", "--data", "data", "--threads", "1", "--lease", LEASE]);
        command.env("FINETONE_DATABASE_URL", database).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(
            line.starts_with("working off the jobs of PostgreSQL `jobs` at /") && !line.contains("s3cret"),
            "{line}"
        );
        Self(child)
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Asks it to stop, and says how it ended.
    fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        self.0.wait().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already, as the test wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that trains nothing, and what it takes to start workers beside it.
struct Shop {
    cluster: Cluster,
    folder: tempfile::TempDir,
    url: String,
    server: Server,
    file: String,
}

impl Shop {
    /// A shop, unless the test is to be skipped.
    fn open() -> Option<Self> {
        let cluster = Cluster::start()?;
        let (folder, url) = (tempfile::tempdir().unwrap(), cluster.create("jobs"));
        let model = format!("micro={}", micro(folder.path()).display());
        let server =
            Server::with(folder.path(), &["--model", &model, "--no-worker", "--lease", LEASE, "--database", &url]);
        let file = server.upload(&chat(40));
        Some(Self { cluster, folder, url, server, file })
    }

    fn worker(&self) -> Worker {
        Worker::start(self.folder.path(), &self.url)
    }

    /// A new job of so many epochs, each of ten steps.
    fn job(&self, epochs: u64) -> String {
        self.job_in_batches(epochs, 4)
    }

    /// A new job of so many epochs of forty texts.
    fn job_in_batches(&self, epochs: u64, batch_size: u64) -> String {
        let hyperparameters = json!({"n_epochs": epochs, "batch_size": batch_size});
        let asked =
            json!({"model": "micro", "training_file": self.file, "seed": 3, "hyperparameters": hyperparameters});
        self.server.post("/fine_tuning/jobs", &asked)["id"].as_str().unwrap().to_owned()
    }

    /// What the database has in a column of a job.
    fn column(&self, job: &str, column: &str) -> String {
        self.cluster.query("jobs", &format!("SELECT {column} FROM jobs WHERE id = '{job}'")).trim().to_owned()
    }

    /// The messages of a job, the oldest first.
    fn messages(&self, job: &str) -> Vec<String> {
        let events = self.server.get(&format!("/fine_tuning/jobs/{job}/events?limit=2000"));
        let events = events["data"].as_array().unwrap().iter().rev();
        events.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until a job has taken so many steps.
    fn wait_for_step(&self, job: &str, step: u64) {
        wait(&format!("step {step}"), || {
            self.messages(job).iter().any(|message| message.starts_with(&format!("Step {step}/")))
        });
    }

    /// Looks at a job that is over: everything happened once, and in its order.
    fn check(&self, job: &str, steps: u64) {
        let ended = self.server.finished(job);
        assert_eq!(ended["status"], "succeeded", "{ended}");
        let messages = self.messages(job);
        let step = |message: &String| message.strip_prefix("Step ")?.split('/').next()?.parse().ok();
        let told: Vec<u64> = messages.iter().filter_map(step).collect();
        assert_eq!(told, (1..=steps).collect::<Vec<_>>(), "{messages:?}");
        for once in ["Files validated", "Fine-tuning job started", "New fine-tuned model", "The job has success"] {
            assert_eq!(messages.iter().filter(|message| message.starts_with(once)).count(), 1, "{once}: {messages:?}");
        }
    }

    fn weights(&self, job: &str) -> Vec<u8> {
        let run = self.folder.path().join("data/jobs").join(job).join("run");
        std::fs::read(run.join("model/model.safetensors")).unwrap()
    }

    /// How often a job was gone on with.
    fn resumed(&self, job: &str) -> usize {
        self.messages(job).iter().filter(|message| message.starts_with("Training goes on from step")).count()
    }
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn workers_that_are_killed_lose_no_job_and_run_none_twice() {
    let Some(shop) = Shop::open() else { return };
    let mut workers = vec![shop.worker()];
    let undisturbed = shop.job(25);
    shop.check(&undisturbed, 250);
    workers.push(shop.worker());
    let jobs: Vec<String> = (0..JOBS).map(|_| shop.job(25)).collect();
    let mut random = Random::new(5);
    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_millis(200 + random.below(600) as u64));
        let killed = random.below(2);
        workers[killed] = shop.worker();
    }
    for job in &jobs {
        shop.check(job, 250);
        assert!(shop.weights(job) == shop.weights(&undisturbed), "the model is another one than without a kill");
    }
    assert!(jobs.iter().map(|job| shop.resumed(job)).sum::<usize>() > 0, "no kill hit a training");
    let count = |path: &str| shop.server.get(path)["data"].as_array().unwrap().len();
    assert_eq!(count("/fine_tuning/jobs?limit=100"), JOBS + 1);
    assert_eq!(count("/files?purpose=fine-tune-results"), JOBS + 1);
}

#[test]
fn a_stopped_worker_gives_its_job_back_at_once() {
    let Some(shop) = Shop::open() else { return };
    let worker = shop.worker();
    let job = shop.job(30);
    shop.wait_for_step(&job, 13);
    assert_eq!(worker.stop().code(), Some(0));
    assert_eq!(shop.column(&job, "status || coalesce(claim, '')"), "queued");
    let _worker = shop.worker();
    shop.check(&job, 300);
    assert_eq!(shop.resumed(&job), 1);
}

#[test]
fn jobs_are_paused_resumed_and_cancelled_wherever_they_are() {
    let Some(shop) = Shop::open() else { return };
    let _worker = shop.worker();
    // Two thousand steps, of which no machine takes all while somebody pauses, resumes and cancels.
    let job = shop.job_in_batches(50, 1);
    let ask = |what: &str| shop.server.post(&format!("/fine_tuning/jobs/{job}/{what}"), &json!({}))["status"].clone();
    shop.wait_for_step(&job, 3);
    assert_eq!(ask("pause"), "paused");
    wait("the worker to stop", || shop.column(&job, "claim IS NULL") == "t");
    let steps = shop.messages(&job).len();
    assert_eq!(ask("resume"), "queued");
    wait("the job to go on", || shop.messages(&job).len() > steps + 5);
    assert_eq!(ask("cancel"), "cancelled");
    let folder = shop.folder.path().join("data/jobs").join(&job);
    assert!(folder.exists(), "its worker is still there");
    wait("its folder to go", || !folder.exists());
    assert_eq!(shop.server.job(&job)["status"], Value::from("cancelled"));
}

#[test]
fn a_worker_that_wakes_up_too_late_leaves_the_job_to_the_next() {
    let Some(shop) = Shop::open() else { return };
    let sleeper = shop.worker();
    let job = shop.job(50);
    shop.wait_for_step(&job, 12);
    sleeper.signal("-STOP");
    let claim = shop.column(&job, "claim");
    let _next = shop.worker();
    wait("another worker to have it", || shop.column(&job, "claim") != claim);
    sleeper.signal("-CONT");
    shop.check(&job, 500);
    assert_eq!(shop.resumed(&job), 1);
    assert_eq!(sleeper.stop().code(), Some(0));
}

#[test]
fn a_worker_in_another_folder_is_told_so() {
    let Some(shop) = Shop::open() else { return };
    let said = failed(shop.folder.path(), &format!("worker --data other --database {}", shop.url));
    assert!(said.contains("other: the files of PostgreSQL `jobs`") && said.contains("--data"), "{said}");
}

#[test]
fn a_worker_needs_a_database_and_tells_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let said = failed(folder.path(), "worker --data d");
    assert!(said.contains("--database") && said.contains("FINETONE_DATABASE_URL"), "{said}");
    let said = failed(folder.path(), "worker --data d --database mysql://me:s3cret@host/a");
    assert!(said.contains("postgres://") && !said.contains("s3cret"), "{said}");
    for command in ["worker", "serve --model a=tiny", "serve key list"] {
        let said = failed(folder.path(), &format!("{command} --data d --database postgres://me:s3cret@127.0.0.1:1/a"));
        assert!(said.contains("PostgreSQL `a` at 127.0.0.1:1") && !said.contains("s3cret"), "{said}");
    }
    for line in ["worker --jobs 0", "worker --lease 1", "worker extra"] {
        let output = run(folder.path(), line);
        assert_eq!(output.status.code(), Some(2), "`{line}`: {}", stderr(&output));
    }
}
