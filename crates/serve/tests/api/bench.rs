//! A workshop that computes nothing: its steps take no time worth mentioning, its models are empty folders.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use finetone_classify::Use;
use finetone_classify::source::SourceError;
use finetone_serve::{OpenError, Opened, Workshop};
use finetone_train::TrainEvent;

use crate::stand_in::*;

/// The workshop, with what tests look at and turn.
#[derive(Default)]
pub struct Bench {
    /// While it is set, no training takes a step.
    pub waits: AtomicBool,
    /// The settings of every training that was begun or gone on with.
    pub configs: Mutex<Vec<RunConfig>>,
    /// The folder and number of every step that was taken.
    pub steps: Mutex<Vec<(String, u64)>>,
}

impl Bench {
    fn rows(config: &RunConfig) -> u64 {
        let rows = fs::read_to_string(&config.train).unwrap();
        rows.lines().count() as u64
    }

    /// Takes one step after the other until it is stopped.
    fn steps(
        &self,
        folder: &Path,
        (from, to, per_epoch): (u64, u64, u64),
        control: &Control,
        listener: &mut dyn Listener,
    ) -> u64 {
        for step in from + 1..=to {
            while self.waits.load(Ordering::SeqCst) && !control.is_stopped() {
                std::thread::sleep(Duration::from_millis(2));
            }
            if control.is_stopped() {
                fs::write(folder.join("progress"), (step - 1).to_string()).unwrap();
                return step - 1;
            }
            self.steps.lock().unwrap().push((folder.display().to_string(), step));
            listener.on(&TrainEvent::Step {
                step,
                epoch: step as f64 / per_epoch as f64,
                loss: 1.0 / step as f64,
                mean_token_accuracy: 0.5,
                entropy: 0.6,
                grad_norm: 1.0,
                learning_rate: 1e-3,
                num_tokens: 10 * step,
                tokens_per_second: 100.0,
            });
            if step % per_epoch == 0 {
                fs::create_dir_all(folder.join(format!("epochs/step-{step:08}"))).unwrap();
            }
        }
        to
    }
}

impl Workshop for Bench {
    fn train(
        &self,
        config: &RunConfig,
        folder: &Path,
        control: &Control,
        listener: &mut (dyn Listener + Send),
    ) -> Result<Outcome<()>, TrainError> {
        self.configs.lock().unwrap().push(config.clone());
        fs::create_dir_all(folder.join("model")).unwrap();
        fs::write(folder.join("run.toml"), config.to_toml()).unwrap();
        let from = fs::read_to_string(folder.join("progress")).map_or(0, |text| text.parse().unwrap());
        let per_epoch = Self::rows(config).div_ceil(config.batch_size as u64);
        let steps = per_epoch * config.epochs.unwrap() as u64;
        listener.on(&started(folder, config, (steps, from)));
        listener.on(&TrainEvent::Notice { message: format!("{}: 2 rows are copies", config.train.display()) });
        let step = self.steps(folder, (from, steps, per_epoch), control, listener);
        if step < steps {
            return Ok(Outcome::Interrupted { step });
        }
        listener.on(&TrainEvent::Finished {
            step,
            best_step: step,
            train_runtime: 1.0,
            train_samples_per_second: 1.0,
            train_steps_per_second: 1.0,
            train_loss: 0.5,
            total_flos: 6e3,
            metrics: [("accuracy".to_owned(), 0.75), ("f1_macro".to_owned(), 0.5)].into(),
            measured_on: "training".into(),
        });
        fs::write(folder.join("report.json"), "{}").unwrap();
        Ok(Outcome::Finished(()))
    }

    fn writes_answers(&self, source: &Path) -> Result<bool, TrainError> {
        Ok(source.ends_with("writer"))
    }

    never!(explain);
    never!(reference);

    fn open(&self, source: &Path, _: Use) -> Result<Opened, OpenError> {
        Err(ClassifyError::from(SourceError::NoFolder { path: source.to_owned() }).into())
    }
}

fn started(folder: &Path, config: &RunConfig, (steps, resumed_from): (u64, u64)) -> TrainEvent {
    TrainEvent::Started {
        run: folder.to_owned(),
        model: config.model.clone(),
        backend: "none".into(),
        parameters: 1,
        trainable: 1,
        labels: Vec::new(),
        train_rows: 1,
        validation_rows: 0,
        test_rows: 0,
        steps,
        epochs: config.epochs.unwrap(),
        resumed_from,
    }
}
