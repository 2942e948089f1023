//! What happens in a training, written down as the events of its job.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

use finetone_train::events::Listener;
use finetone_train::{Control, TrainEvent};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use super::material::Material;
use super::work::AFTER_TROUBLE;
use crate::store::{Claim, JobRow, NewEvent, Store, now};

/// Where the events of a claimed job are written down.
pub struct Log {
    /// What is remembered.
    pub store: Store,
    /// Where the store is waited for.
    pub runtime: Handle,
    /// The job, as long as it is ours.
    pub claim: Claim,
    /// What stops the training when it is not.
    pub control: Control,
}

impl Log {
    /// Waits until something is written down. A step that was taken and not told would be missing for ever, so training waits
    /// as well, until the database answers or the job is somebody else's.
    fn keep(&self, write: impl AsyncFn(&Store, &Claim) -> Result<bool, sqlx::Error>) {
        while !self.control.is_abandoned() {
            match self.runtime.block_on(write(&self.store, &self.claim)) {
                Ok(true) => return,
                Ok(false) => self.control.abandon.store(true, Ordering::Relaxed),
                Err(error) => {
                    eprintln!("error: {}: {error}", self.claim.job);
                    std::thread::sleep(AFTER_TROUBLE);
                }
            }
        }
    }
}

/// Writes the events of one job.
pub struct Recorder {
    log: Log,
    job: JobRow,
    /// Its files, which events call by their ids.
    files: Vec<Material>,
    steps: u64,
    /// When this process took its first step, and which that was.
    began: Option<(Instant, u64)>,
    /// When the step before this one was over.
    latest: Option<Instant>,
}

/// What a step measured of itself.
struct Measured {
    loss: f64,
    accuracy: f64,
    grad_norm: f64,
    learning_rate: f64,
    tokens_per_second: f64,
}

impl Recorder {
    /// A recorder that writes to `log`.
    pub fn new(log: Log, job: JobRow, files: Vec<Material>) -> Self {
        Self { log, job, files, steps: 0, began: None, latest: None }
    }

    fn without_paths(&self, message: &str) -> String {
        self.files.iter().fold(message.to_owned(), |message, file| file.without_path(&message))
    }

    fn started(&mut self, steps: u64, resumed_from: u64) {
        self.steps = steps;
        self.log.keep(async |store, claim| store.forget_steps_after(claim, resumed_from).await);
        if resumed_from > 0 {
            let event = NewEvent::info(format!("Training goes on from step {resumed_from}/{steps}"));
            self.log.keep(async |store, claim| store.add_event(claim, &event).await);
        }
    }

    fn step(&mut self, step: u64, measured: &Measured, tokens: u64) {
        let (began, first) = *self.began.get_or_insert_with(|| (Instant::now(), step));
        let message = format!("Step {step}/{}: training loss={:.2}", self.steps, measured.loss);
        let data = self.numbers(step, measured);
        let event = NewEvent::metrics(step, message, data);
        self.log.keep(async |store, claim| store.add_event(claim, &event).await);
        let per_step = began.elapsed().as_secs_f64() / (step - first).max(1) as f64;
        let left = (self.steps - step.min(self.steps)) as f64 * per_step;
        let estimated_finish = now() + left.ceil() as i64;
        self.log.keep(async |store, claim| store.keep_progress(claim, tokens, estimated_finish).await);
    }

    /// The numbers that clients know, and some more that the pages draw.
    fn numbers(&mut self, step: u64, measured: &Measured) -> Value {
        let mut data = json!({"step": step, "train_loss": measured.loss, "total_steps": self.steps});
        data["train_mean_token_accuracy"] = measured.accuracy.into();
        data["grad_norm"] = measured.grad_norm.into();
        data["learning_rate"] = measured.learning_rate.into();
        data["tokens_per_second"] = measured.tokens_per_second.into();
        let now = Instant::now();
        if let Some(latest) = self.latest.replace(now) {
            let per_second = 1.0 / (now - latest).as_secs_f64();
            data["steps_per_second"] = per_second.into();
            data["samples_per_second"] = (per_second * self.job.hyperparameters.batch_size.unwrap_or(1) as f64).into();
        }
        data
    }

    /// Adds what was measured on the validation file to the step after which it was: all of it is measured each time.
    fn evaluated(&self, step: u64, metrics: &BTreeMap<String, f64>) {
        let loss = metrics["eval_loss"];
        self.log.keep(async |store, claim| {
            let Some(known) = store.step(&claim.job, step).await? else { return Ok(true) };
            let message = format!("{}, validation loss={loss:.2}, full validation loss={loss:.2}", known.message);
            let data = known.data.and_then(|text| serde_json::from_str(&text).ok());
            let mut data: Map<String, Value> = data.unwrap_or_default();
            for (key, value) in [("loss", loss), ("mean_token_accuracy", metrics["eval_mean_token_accuracy"])] {
                data.insert(format!("valid_{key}"), value.into());
                data.insert(format!("full_valid_{key}"), value.into());
            }
            if let Some(f1) = metrics.get("eval_f1_macro") {
                data.insert("valid_f1_macro".into(), (*f1).into());
            }
            store.add_event(claim, &NewEvent::metrics(step, message, data.into())).await
        });
    }
}

impl Listener for Recorder {
    fn on(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Started { steps, resumed_from, .. } => self.started(*steps, *resumed_from),
            TrainEvent::Notice { message } => {
                let event = NewEvent::info(self.without_paths(message));
                self.log.keep(async |store, claim| store.add_event_once(claim, &event).await);
            }
            &TrainEvent::Step {
                step,
                loss,
                mean_token_accuracy: accuracy,
                num_tokens,
                grad_norm,
                learning_rate,
                tokens_per_second,
                ..
            } => {
                self.step(step, &Measured { loss, accuracy, grad_norm, learning_rate, tokens_per_second }, num_tokens);
            }
            TrainEvent::Evaluated { step, metrics, .. } => self.evaluated(*step, metrics),
            TrainEvent::Finished { step, best_step, metrics, measured_on, .. } => {
                self.log.keep(async |store, claim| store.keep_final_step(claim, *best_step).await);
                if best_step < step {
                    let message =
                        format!("The model is that of step {best_step}, which did best on the validation examples");
                    self.log.keep(async |store, claim| store.add_event_once(claim, &NewEvent::info(&message)).await);
                }
                let event = NewEvent::info(measured(metrics, measured_on)).data(json!(metrics));
                self.log.keep(async |store, claim| store.add_event_once(claim, &event).await);
            }
            // A stop is told by whoever asked for it; a job is a single training without folds or seeds.
            TrainEvent::Checkpoint { .. }
            | TrainEvent::Interrupted { .. }
            | TrainEvent::StoppedEarly { .. }
            | TrainEvent::TrialStarted { .. }
            | TrainEvent::TrialFinished { .. } => {}
        }
    }
}

/// The numbers that say how good a model is, and on what.
fn measured(metrics: &BTreeMap<String, f64>, on: &str) -> String {
    let shown = [
        ("accuracy", "accuracy"),
        ("f1_macro", "macro F1"),
        ("ece", "calibration error"),
        ("mean_token_accuracy", "token accuracy"),
    ];
    let shown = shown.iter().filter_map(|(key, name)| Some(format!("{name}={:.4}", metrics.get(*key)?)));
    let caution = if on == "training" { " (which say nothing about new ones: give a validation file)" } else { "" };
    format!("Measured on the {on} examples{caution}: {}", shown.collect::<Vec<_>>().join(", "))
}
