//! What a run tells its listeners: a closed list of events, each a line of `events.jsonl`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainEvent {
    /// The data are read, the model is there, the first step is about to be taken.
    Started {
        /// The run folder.
        run: PathBuf,
        /// The model as the user named it.
        model: String,
        /// The machine, such as `cpu f32 avx512, 2 threads`.
        backend: String,
        /// Numbers in the model.
        parameters: usize,
        /// Numbers that are trained.
        trainable: usize,
        /// Names of the classes.
        labels: Vec<String>,
        /// Training texts.
        train_rows: usize,
        /// Validation texts; 0 without validation.
        validation_rows: usize,
        /// Test texts; 0 without a test.
        test_rows: usize,
        /// Optimiser steps of the whole run.
        steps: u64,
        /// Epochs of the whole run.
        epochs: f64,
        /// The step that a resumed run goes on from; 0 for a new one.
        resumed_from: u64,
    },
    /// Something worth knowing that is no error.
    Notice {
        /// A sentence.
        message: String,
    },
    /// One optimiser step.
    Step {
        /// Its number, from 1.
        step: u64,
        /// Epochs seen so far.
        epoch: f64,
        /// Mean training loss of the batch.
        loss: f64,
        /// Share of what the batch asks for that the model thought likeliest, before the step: of its labels for a
        /// classifier (of all yes/no answers where a text may have several), of its tokens for a language model.
        mean_token_accuracy: f64,
        /// Mean entropy of the probabilities that the model gave to these answers, in nats.
        entropy: f64,
        /// Norm of the gradient before clipping.
        grad_norm: f64,
        /// Rate of the backbone in this step.
        learning_rate: f64,
        /// Tokens trained on since the start of the run.
        num_tokens: u64,
        /// Tokens per second of this step.
        tokens_per_second: f64,
    },
    /// The model was measured on the validation texts.
    Evaluated {
        /// After this step.
        step: u64,
        /// Epochs seen so far.
        epoch: f64,
        /// Metrics by name, such as `eval_loss` and `eval_f1_macro`, and how long measuring took: `eval_runtime` in seconds,
        /// `eval_samples_per_second` and, for groups of texts that are computed together, `eval_steps_per_second`.
        metrics: BTreeMap<String, f64>,
        /// Name of the metric that chooses the best checkpoint, such as `f1_macro`.
        metric: String,
        /// Its value.
        value: f64,
        /// Whether it is the best so far.
        best: bool,
    },
    /// A checkpoint is safe on disk.
    Checkpoint {
        /// After this step.
        step: u64,
    },
    /// The user stopped the run; it can be resumed.
    Interrupted {
        /// After this step.
        step: u64,
    },
    /// No evaluation was better for as long as the patience allows.
    StoppedEarly {
        /// After this step.
        step: u64,
        /// The step whose weights are kept.
        best_step: u64,
    },
    /// One of several fits begins: a fold, a seed, a part of a study. Its own events follow, up to [`Self::TrialFinished`].
    TrialStarted {
        /// What it is called, such as `fold 2 of 5`.
        name: String,
    },
    /// One of several fits is measured.
    TrialFinished {
        /// What it is called.
        name: String,
        /// Accuracy and macro F1 by name.
        metrics: BTreeMap<String, f64>,
        /// Which texts they are of: `test`, `validation` or `training`.
        measured_on: String,
        /// Seconds it took.
        seconds: f64,
        /// Whether that was in an earlier process.
        again: bool,
    },
    /// The model is trained and measured.
    Finished {
        /// Optimiser steps taken.
        step: u64,
        /// The step whose weights are the model.
        best_step: u64,
        /// Seconds of training of this process, evaluation included.
        train_runtime: f64,
        /// Texts per second of training.
        train_samples_per_second: f64,
        /// Steps per second of training.
        train_steps_per_second: f64,
        /// Mean loss of all steps.
        train_loss: f64,
        /// Floating-point operations of all steps as transformers counts them: 6 for each token and each parameter that is
        /// no embedding.
        total_flos: f64,
        /// Final metrics on the test texts (or the validation texts where there is no test), by name.
        metrics: BTreeMap<String, f64>,
        /// Which texts those are: `test` or `validation`.
        measured_on: String,
    },
}

impl TrainEvent {
    /// The step it belongs to; `None` for what precedes the first.
    pub fn step(&self) -> Option<u64> {
        match self {
            Self::Started { .. } | Self::Notice { .. } | Self::TrialStarted { .. } | Self::TrialFinished { .. } => None,
            Self::Step { step, .. }
            | Self::Evaluated { step, .. }
            | Self::Checkpoint { step }
            | Self::Interrupted { step }
            | Self::StoppedEarly { step, .. }
            | Self::Finished { step, .. } => Some(*step),
        }
    }
}

/// Something that shows or stores events. Listeners must not fail: what they cannot do they report on their own.
pub trait Listener {
    /// Called in order, on the training thread.
    fn on(&mut self, event: &TrainEvent);
}

/// Hears nothing: for what was told already, or is told in another way.
pub struct Unheard;

impl Listener for Unheard {
    fn on(&mut self, _event: &TrainEvent) {}
}

/// Passes each event to several listeners.
#[derive(Default)]
pub struct Listeners<'a> {
    all: Vec<&'a mut dyn Listener>,
}

impl<'a> Listeners<'a> {
    /// Adds a listener behind the others.
    pub fn add(&mut self, listener: &'a mut dyn Listener) {
        self.all.push(listener);
    }
}

impl Listener for Listeners<'_> {
    fn on(&mut self, event: &TrainEvent) {
        for listener in &mut self.all {
            listener.on(event);
        }
    }
}
