//! What a run gives to TensorBoard, MLflow and Weights & Biases, read by their own readers.

#[path = "../../../tests/python.rs"]
mod python;
mod workbench;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use finetone_track::{EVENTS_FILE, JsonLines, Trackers};
use finetone_train::{Listener, RunFile, TrainEvent};
use serde_json::{Value, json};
use workbench::{done, failed, reviews, run, stderr};

/// Name to steps and values.
type Points = BTreeMap<String, Vec<(u64, f64)>>;

/// What `events.jsonl` says, under the names that trackers use.
fn expected(run: &Path) -> Points {
    let mut points = Points::new();
    let text = fs::read_to_string(run.join(EVENTS_FILE)).unwrap();
    for event in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let mut take = |prefix: &str, values: &Value| {
            for (key, value) in values.as_object().unwrap() {
                let key = key.trim_start_matches("eval_").replace('.', "_");
                let about = ["event", "step", "best_step"].contains(&key.as_str());
                if let Some(value) = value.as_f64().filter(|_| !about) {
                    points.entry(format!("{prefix}/{key}")).or_default().push((event["step"].as_u64().unwrap(), value));
                }
            }
        };
        match event["event"].as_str().unwrap() {
            "step" => take("train", &event),
            "evaluated" => take("eval", &event["metrics"]),
            "finished" => {
                take("train", &event);
                take("test", &event["metrics"]);
            }
            _ => {}
        }
    }
    points
}

fn points(found: &Value) -> Points {
    let point = |point: &Value| (point[0].as_u64().unwrap(), point[1].as_f64().unwrap());
    let points = |points: &Value| points.as_array().unwrap().iter().map(point).collect();
    found.as_object().unwrap().iter().map(|(name, found)| (name.clone(), points(found))).collect()
}

/// What the readers say, given the run folder and, for MLflow, address and id.
fn read(python: &Path, arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tracking/read.py");
    let text = python::run(Command::new(python).arg("-B").arg(script).args(arguments));
    serde_json::from_str(&text).unwrap()
}

/// The same names, steps and values; TensorBoard's are 32-bit floats.
fn assert_same(tool: &str, found: &Points, expected: &Points) {
    let names = |points: &Points| points.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{tool}");
    for (name, points) in expected {
        let exact =
            |(step, value): &(u64, f64)| (*step, if tool == "tensorboard" { f64::from(*value as f32) } else { *value });
        assert_eq!(found[name], points.iter().map(exact).collect::<Vec<_>>(), "{tool}: {name}");
    }
}

/// A server of MLflow, ended with the test.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(python: &Path, folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(folder.join("server.log")).unwrap();
        let mut command = Command::new(python);
        command.args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1", "--port", &port.to_string()]);
        command.args(["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "artifacts"]);
        command.current_dir(folder).stdout(Stdio::null()).stderr(log);
        // The server starts others, which must end with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let server = Self { process: command.spawn().unwrap(), address: format!("http://127.0.0.1:{port}") };
        let began = Instant::now();
        while ureq::get(format!("{}/health", server.address)).call().is_err() {
            let log = fs::read_to_string(folder.join("server.log")).unwrap();
            assert!(began.elapsed() < Duration::from_secs(180), "the server did not start:\n{log}");
            std::thread::sleep(Duration::from_millis(200));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        #[cfg(unix)]
        drop(Command::new("kill").args(["--", &format!("-{}", self.process.id())]).status());
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What all readers say of a run, which MLflow knows by the id that is kept in the folder.
fn read_all(python: &Path, run: &Path, server: &Server) -> Value {
    let kept: Value = serde_json::from_str(&fs::read_to_string(run.join("mlflow.json")).unwrap()).unwrap();
    read(python, &[run.to_str().unwrap(), &server.address, kept["run_id"].as_str().unwrap()])
}

/// A folder with data and a recipe that names all trackers.
fn place(address: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("reviews.csv"), reviews(90)).unwrap();
    let recipe = format!(
        "track = {{ to = [\"tensorboard\", \"mlflow\", \"wandb\"], project = \"moods\", name = \"first\", entity = \"we\", \
         tags = [\"a test\"], mlflow_tracking_uri = \"{address}\" }}\n"
    );
    fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
    let run = folder.path().join("run");
    (folder, run)
}

#[test]
fn one_run_reads_the_same_in_every_tool() {
    let Some(python) = python::interpreter() else { return };
    let server_folder = tempfile::tempdir().unwrap();
    let server = Server::start(&python, server_folder.path());
    let (folder, run) = place(&server.address);
    let settings = "--model tiny --epochs 3 --learning-rate 1e-3 --threads 1 --out run --recipe recipe.toml";
    let told = done(folder.path(), &format!("train reviews.csv {settings}"));
    let found = read_all(&python, &run, &server);
    let expected = expected(&run);
    let curves = "train/loss train/grad_norm train/learning_rate train/epoch train/mean_token_accuracy train/num_tokens \
                  train/entropy eval/loss eval/runtime eval/samples_per_second eval/steps_per_second \
                  eval/mean_token_accuracy eval/accuracy eval/f1_macro eval/f1_weighted eval/f1_neutral eval/ece \
                  train/train_runtime train/train_samples_per_second train/train_steps_per_second train/total_flos \
                  train/train_loss test/accuracy";
    curves.split(' ').for_each(|name| assert!(expected.contains_key(name), "{name} is not logged"));
    for tool in ["tensorboard", "wandb", "mlflow"] {
        assert_same(tool, &points(&found["points"][tool]), &expected);
    }
    let (wandb, mlflow) = (&found["about"]["wandb"], &found["about"]["mlflow"]);
    for (key, value) in [("name", json!("first")), ("epochs", json!(3.0)), ("tags", json!(["a test"]))] {
        assert_eq!((&wandb[key], &mlflow[key]), (&value, &value), "{key}");
    }
    assert_eq!((&wandb["project"], &wandb["entity"], &wandb["exit_code"]), (&json!("moods"), &json!("we"), &json!(0)));
    assert_eq!((&mlflow["experiment"], &mlflow["status"]), (&json!("moods"), &json!("FINISHED")));
    for shown in ["tensorboard --logdir", "wandb sync", &format!("{}/#/experiments/", server.address)] {
        assert!(told.contains(shown), "`{shown}` is not told:\n{told}");
    }
}

fn step(step: u64, loss: f64) -> TrainEvent {
    let epoch = step as f64 / 6.0;
    let (mean_token_accuracy, entropy, grad_norm, learning_rate) = (0.5, 0.25, 2.0, 1e-3);
    let (num_tokens, tokens_per_second) = (10 * step, 100.0);
    TrainEvent::Step {
        step,
        epoch,
        loss,
        mean_token_accuracy,
        entropy,
        grad_norm,
        learning_rate,
        num_tokens,
        tokens_per_second,
    }
}

/// One process of a run: it begins after a step and is killed or finishes after another.
fn session(folder: &Path, (resumed_from, last): (u64, u64), loss: f64, finishes: bool) {
    let mut file = RunFile::default();
    file.set("train", "reviews.csv");
    file.assign("track=[\"tensorboard\", \"wandb\"]").unwrap();
    let config = file.resolve().unwrap();
    let (mut log, mut trackers) = (JsonLines::new(), Trackers::new(&config.track, &config, folder).unwrap());
    let mut tell = |event: TrainEvent| {
        log.on(&event);
        trackers.on(&event);
    };
    tell(TrainEvent::Started {
        run: folder.to_owned(),
        model: "tiny".into(),
        backend: "cpu".into(),
        parameters: 1,
        trainable: 1,
        labels: vec!["a".into(), "b".into()],
        train_rows: 1,
        validation_rows: 0,
        test_rows: 0,
        steps: 6,
        epochs: 1.0,
        resumed_from,
    });
    (resumed_from + 1..=last).for_each(|number| tell(step(number, loss)));
    if finishes {
        tell(TrainEvent::Finished {
            step: last,
            best_step: last,
            train_runtime: 1.0,
            train_samples_per_second: 1.0,
            train_steps_per_second: 1.0,
            train_loss: loss,
            total_flos: 6e15,
            metrics: BTreeMap::new(),
            measured_on: "validation".into(),
        });
    }
    trackers.finish();
}

#[test]
fn a_resumed_run_has_every_step_once() {
    let Some(python) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    // The first process is killed two steps after its checkpoint; the second takes them again.
    session(folder.path(), (0, 5), 1.0, false);
    // Files of TensorBoard are named by their second.
    std::thread::sleep(Duration::from_millis(1100));
    session(folder.path(), (3, 6), 0.5, true);
    let found = read(&python, &[folder.path().to_str().unwrap()]);
    let losses = [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.5), (5, 0.5), (6, 0.5)];
    let expected = expected(folder.path());
    assert_eq!(expected["train/loss"], losses);
    for tool in ["tensorboard", "wandb"] {
        assert_same(tool, &points(&found["points"][tool]), &expected);
    }
    assert_eq!(found["about"]["wandb"]["exit_code"], 0);
}

#[test]
fn trackers_that_cannot_be_are_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("reviews.csv"), reviews(30)).unwrap();
    let said = failed(folder.path(), "train reviews.csv --track mlflow");
    assert!(said.contains("not the address of its server") && said.contains("MLFLOW_TRACKING_URI"), "{said}");
    let said = stderr(&run(folder.path(), "train reviews.csv --track tensorbord"));
    assert!(said.contains("unknown variant `tensorbord`") && said.contains("`tensorboard`"), "{said}");
    assert_eq!(workbench::names(folder.path()), ["reviews.csv"], "nothing is left behind");
}

#[test]
fn every_trial_of_a_search_is_a_run_in_every_tool() {
    let Some(python) = python::interpreter() else { return };
    let server_folder = tempfile::tempdir().unwrap();
    let server = Server::start(&python, server_folder.path());
    let (folder, _) = place(&server.address);
    fs::write(folder.path().join("space.toml"), "[epochs]\nlow = 1\nhigh = 2\n[batch_size]\nchoices = [4, 8, 16]\n")
        .unwrap();
    let settings = "--trials 4 --folds 2 --space space.toml --no-confirm --threads 1 --out moods --recipe recipe.toml";
    let told = done(folder.path(), &format!("search reviews.csv {settings} --set max_steps=2"));
    let study = rusqlite::Connection::open(folder.path().join("moods/study.db")).unwrap();
    let mut rows = study.prepare("SELECT trial, rung, value FROM score ORDER BY trial, rung").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let mut scores: BTreeMap<i64, Vec<(u64, f64)>> = BTreeMap::new();
    for (trial, rung, score) in rows.map(Result::unwrap) {
        let rung: i64 = rung;
        scores.entry(trial).or_default().push((rung as u64 + 1, score));
    }
    assert!(scores.len() == 4 && scores.values().any(|scores| scores.len() > 1), "{scores:?}");
    for (trial, scores) in scores {
        let run = folder.path().join(format!("moods/trials/{trial}"));
        let found = read_all(&python, &run, &server);
        for tool in ["tensorboard", "wandb", "mlflow"] {
            let score = points(&found["points"][tool]).remove("eval/f1_macro").unwrap();
            let exact = |&(step, score): &(u64, f64)| {
                (step, if tool == "tensorboard" { f64::from(score as f32) } else { score })
            };
            assert_eq!(score, scores.iter().map(exact).collect::<Vec<_>>(), "trial {trial} in {tool}");
        }
        assert_eq!(found["about"]["mlflow"]["name"], format!("first/trials/{trial}"));
    }
    for shown in
        ["tensorboard --logdir moods/trials", "-exec wandb sync", &format!("{}/#/experiments/", server.address)]
    {
        assert!(told.contains(shown), "`{shown}` is not told:\n{told}");
    }
}
