//! The training loop, on one page.
//!
//! A step: pack a group of texts → forward → loss → backward, for each group of the batch that fits the token budget →
//! norm → clip → AdamW. Everything random is a function of the seed and of how far the run has come, so that a
//! run that was stopped goes on with the same bits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use finetone_backend::{AdamW, Backend, Real};
use finetone_data::batching::micro_batches;
use finetone_data::tokenizer::Tokenizer;
use finetone_evaluate::Metric;
use finetone_model::{Capacity, DropoutKey, Gradients, Model, Moments, Output, PackedBatch, Workspace};

use crate::chats::most_learnt;
use crate::epochs::{Course, Epochs};
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::examiner::{Examiner, Said};
use crate::groups::rate_and_decay;
use crate::material::Rows;
use crate::measure;
use crate::objective::{Judgement, Objective};
use crate::run_config::RunConfig;
use crate::schedule::Plan;
use crate::store::{Best, Progress, Store, save_model};

/// Lets another thread stop a run after its current step.
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// Set it to stop.
    pub stop: Arc<AtomicBool>,
    /// Set it to stop without a checkpoint: the run is somebody else's now.
    pub abandon: Arc<AtomicBool>,
}

impl Control {
    /// Whether the user wants an end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the run is somebody else's.
    pub fn is_abandoned(&self) -> bool {
        self.abandon.load(Ordering::Relaxed)
    }
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All steps are taken, or none helped any more.
    Complete,
    /// The user stopped it, and a checkpoint is saved; or it was abandoned.
    Interrupted,
}

/// A model in training with the memory it needs.
pub struct Trainer<'a, B: Backend> {
    pub(crate) backend: &'a B,
    pub(crate) config: &'a RunConfig,
    pub(crate) model: Model<B>,
    pub(crate) progress: Progress,
    pub(crate) plan: Plan,
    pub(crate) metric: Metric,
    objective: Objective,
    gradients: Gradients<B>,
    moments: Moments<B>,
    workspace: Workspace<B>,
    batch: PackedBatch,
    losses: Vec<B::Real>,
    logits: Vec<B::Real>,
}

/// What one step showed.
struct StepReport {
    loss: f64,
    judged: Judgement,
    grad_norm: f64,
    tokens: usize,
}

impl<'a, B: Backend> Trainer<'a, B> {
    /// A trainer before its first step. `longest` is the number of tokens of the longest text.
    pub fn new(
        backend: &'a B,
        config: &'a RunConfig,
        model: Model<B>,
        (plan, metric, objective): (Plan, Metric, Objective),
        (train, epochs): (&Rows, &Epochs),
    ) -> Self {
        let width = model.config.logits();
        let capacity = largest_group(config, (train, width), epochs);
        Self {
            backend,
            config,
            gradients: Gradients::new(backend, &model.table),
            moments: Gradients::moments(backend, &model.table),
            workspace: Workspace::for_training(backend, &model.config, capacity, config.memory.into()),
            batch: PackedBatch::default(),
            losses: vec![B::Real::default(); capacity.sequences],
            logits: vec![B::Real::default(); capacity.sequences * width],
            progress: Progress { fingerprint: train.fingerprint(), ..Progress::default() },
            model,
            plan,
            metric,
            objective,
        }
    }

    /// Goes on from the newest checkpoint, if there is one.
    ///
    /// # Errors
    /// A checkpoint that cannot be read, or of other data.
    pub fn restore(&mut self, store: &Store) -> Result<(), TrainError> {
        if let Some(step) = store.newest()? {
            let wanted = (step, self.progress.fingerprint);
            self.progress = store.load(self.backend, &mut self.model, &mut self.moments, wanted)?;
            self.gradients.resume(self.backend, &self.moments);
        }
        Ok(())
    }

    /// Takes the steps that are left.
    ///
    /// # Errors
    /// A loss or gradient that is no number, a checkpoint that cannot be written, a device that failed.
    pub fn train(
        &mut self,
        (course, validation): (&Course<'_, B>, &Rows),
        store: &Store,
        control: &Control,
        listener: &mut dyn Listener,
    ) -> Result<End, TrainError> {
        let mut examiner = None;
        while self.progress.step < self.plan.steps && !self.out_of_patience() {
            let epoch = self.progress.step / self.plan.steps_per_epoch;
            let done = self.progress.step % self.plan.steps_per_epoch;
            let (train, batches) = course.epoch(self.backend, self.config, epoch)?;
            for batch in batches.iter().skip(done as usize) {
                self.step_and_tell(&train, batch, listener)?;
                let step = self.progress.step;
                let stop = control.is_stopped() && step < self.plan.steps;
                if self.plan.ends_epoch(step) {
                    self.keep_epoch(course.tokenizer, store)?;
                }
                if self.plan.evaluates_after(step) && !validation.is_empty() {
                    let examiner = examiner.get_or_insert_with(|| self.examiner(validation));
                    self.evaluate(validation, examiner, store, listener)?;
                }
                if control.is_abandoned() {
                    return Ok(End::Interrupted);
                }
                if self.plan.evaluates_after(step) || stop {
                    self.checkpoint(store, listener)?;
                }
                if stop {
                    listener.on(&TrainEvent::Interrupted { step });
                    return Ok(End::Interrupted);
                }
                if step == self.plan.steps || self.out_of_patience() {
                    break;
                }
            }
        }
        if let Some(best) = self.progress.best.filter(|_| self.progress.step < self.plan.steps) {
            listener.on(&TrainEvent::StoppedEarly { step: self.progress.step, best_step: best.step });
        }
        Ok(End::Complete)
    }

    fn step_and_tell(&mut self, train: &Rows, batch: &[usize], listener: &mut dyn Listener) -> Result<(), TrainError> {
        let start = Instant::now();
        let learning_rate = self.plan.rate(self.progress.step + 1);
        let report = self.step(train, batch, learning_rate)?;
        self.progress.step += 1;
        self.progress.num_tokens += report.tokens as u64;
        self.progress.loss_sum += report.loss;
        listener.on(&TrainEvent::Step {
            step: self.progress.step,
            epoch: self.plan.epoch(self.progress.step),
            loss: report.loss,
            mean_token_accuracy: report.judged.accuracy(),
            entropy: report.judged.mean_entropy(),
            grad_norm: report.grad_norm,
            learning_rate,
            num_tokens: self.progress.num_tokens,
            tokens_per_second: report.tokens as f64 / start.elapsed().as_secs_f64(),
        });
        Ok(())
    }

    /// One optimiser step over the texts `batch`.
    fn step(&mut self, train: &Rows, batch: &[usize], rate: f64) -> Result<StepReport, TrainError> {
        let weight = self.objective.weight(train, batch);
        let budget = self.config.token_budget;
        let (mut loss, mut judged, mut tokens) = (0.0, Judgement::default(), 0);
        for group in micro_batches(batch, &train.costs(budget, self.model.config.logits()), budget) {
            let (of_group, judged_of_group) = self.accumulate(train, &group, weight);
            loss += of_group / weight;
            judged = judged + judged_of_group;
            tokens += self.batch.tokens();
        }
        let grad_norm = self.gradients.norm(self.backend);
        self.backend.synchronize().map_err(finetone_classify::ClassifyError::from)?;
        for (what, value) in [("loss", loss), ("gradient", grad_norm)] {
            if !value.is_finite() {
                let lines: Vec<String> = batch.iter().map(|&i| train.lines[i].to_string()).collect();
                let (step, lines) = (self.progress.step + 1, lines.join(", "));
                return Err(TrainError::NotFinite { step, what, value, lines, learning_rate: rate });
            }
        }
        self.update(rate, grad_norm);
        Ok(StepReport { loss, judged, grad_norm, tokens })
    }

    /// Forward and backward over one group; returns the sum of its losses, and how its labels were judged.
    fn accumulate(&mut self, train: &Rows, group: &[usize], weight: f64) -> (f64, Judgement) {
        let texts = train.encoded();
        texts.pack(group, self.model.config.position_offset, &mut self.batch);
        texts.give_states(self.backend, group, &mut self.workspace);
        self.objective.ask(train, group, &mut self.batch);
        let dropout = Some(DropoutKey { seed: self.config.seed, step: self.progress.passes });
        self.progress.passes += 1;
        let pass = self.model.pass(self.backend, &self.batch, dropout);
        let transformer = &self.model.transformer;
        transformer.forward(&pass, &mut self.workspace);
        let (loss, targets) = self.objective.of(train, group, weight);
        let answers = self.batch.answers();
        let losses = &mut self.losses[..answers];
        transformer.loss(&pass, &mut self.workspace, losses, targets, loss);
        let logits = &mut self.logits[..answers * self.model.config.logits()];
        self.backend.read(logits, self.workspace.logits(), 0..logits.len());
        let judged = self.objective.judge(logits);
        transformer.backward(&pass, &mut self.gradients, &mut self.workspace);
        (losses.iter().map(|v| v.to_f64()).sum(), judged)
    }

    /// Clips and moves every trained parameter.
    fn update(&mut self, rate: f64, grad_norm: f64) {
        let clip = self.config.max_grad_norm;
        // The small number is PyTorch's; it keeps the quotient finite for a norm of zero.
        let gradient_scale = if clip > 0.0 { (clip / (grad_norm + 1e-6)).min(1.0) } else { 1.0 };
        let blocks = self.model.config.num_hidden_layers;
        let Model { table, parameters, .. } = &mut self.model;
        for (id, spec) in table.iter() {
            if !spec.trainable {
                continue;
            }
            let (factor, weight_decay) = rate_and_decay(spec, blocks, self.config);
            let update = AdamW {
                rate: rate * factor,
                beta1: self.config.beta1,
                beta2: self.config.beta2,
                epsilon: self.config.epsilon,
                weight_decay,
                step: self.progress.step + 1,
                gradient_scale,
            };
            self.gradients.adamw(self.backend, (table, parameters), id, &mut self.moments, &update);
        }
    }

    /// Gives back the memory of training. What follows the last step only reads the model.
    pub fn release(&mut self) {
        let Self { backend, model, .. } = self;
        // Fresh zeros are no memory yet.
        self.gradients = Gradients::new(*backend, &model.table);
        self.moments = Gradients::moments(*backend, &model.table);
        self.workspace = Workspace::for_training(*backend, &model.config, (0, 0), self.config.memory.into());
    }

    /// Memory to measure the model on `rows`.
    pub fn examiner(&self, rows: &Rows) -> Examiner<B> {
        Examiner::new(self.backend, &self.model, measured_tokens(self.config), rows)
    }

    /// What the model says about `rows`.
    ///
    /// # Errors
    /// A device that failed.
    pub fn said(&self, rows: &Rows, examiner: &mut Examiner<B>) -> Result<Said, TrainError> {
        examiner.examine(self.backend, &self.model, rows)
    }

    fn evaluate(
        &mut self,
        validation: &Rows,
        examiner: &mut Examiner<B>,
        store: &Store,
        listener: &mut dyn Listener,
    ) -> Result<(), TrainError> {
        let start = Instant::now();
        let (mut metrics, value) = self.measured(validation, self.said(validation, examiner)?)?;
        let (step, loss) = (self.progress.step, metrics["eval_loss"]);
        // Where the metric cannot tell two evaluations apart, as before a rare class is first predicted, the loss does.
        let best = self
            .progress
            .best
            .is_none_or(|best| self.metric.is_better(value, best.value) || (value == best.value && loss < best.loss));
        if best {
            store.save_best(self.backend, &self.model, step)?;
            self.progress.best = Some(Best { step, value, loss });
            self.progress.evaluations_since_best = 0;
        } else {
            self.progress.evaluations_since_best += 1;
        }
        metrics.extend(measure::speed(start.elapsed().as_secs_f64(), validation.len(), examiner.groups()));
        listener.on(&TrainEvent::Evaluated {
            step,
            epoch: self.plan.epoch(step),
            metrics,
            metric: self.metric.to_string(),
            value,
            best,
        });
        Ok(())
    }

    /// The metrics of what was said about the validation texts, and the value of the one that chooses.
    fn measured(&self, validation: &Rows, said: Said) -> Result<(BTreeMap<String, f64>, f64), TrainError> {
        let head = &self.model.config.head;
        let kind = (head.labels.as_slice(), head.output == Output::MultiLabel);
        let predictions = |probabilities| measure::predictions(kind, &validation.targets, probabilities);
        let predictions = said.probabilities.map(predictions).transpose()?;
        let mut metrics = predictions.as_ref().map(measure::summary).transpose()?.unwrap_or_default();
        if let Some(tokens) = said.tokens {
            metrics.extend(tokens.of_tokens("eval_"));
            metrics.insert("eval_num_tokens".into(), self.progress.num_tokens as f64);
        }
        // Of a language model the loss is that of its tokens, whatever its answers are worth.
        let value = match predictions.filter(|_| self.metric != Metric::Loss) {
            Some(predictions) => self.metric.compute(&predictions)?,
            None => metrics["eval_loss"],
        };
        Ok((metrics, value))
    }

    fn checkpoint(&self, store: &Store, listener: &mut dyn Listener) -> Result<(), TrainError> {
        store.save(self.backend, &self.model, &self.moments, &self.progress)?;
        listener.on(&TrainEvent::Checkpoint { step: self.progress.step });
        Ok(())
    }

    /// Keeps the model of this epoch, and no more of the earlier ones than are asked for.
    fn keep_epoch(&self, tokenizer: &Tokenizer, store: &Store) -> Result<(), TrainError> {
        if self.config.keep_epochs > 0 {
            save_model(self.backend, (&self.model, None), tokenizer, &store.epoch(self.progress.step))?;
            store.remove_epochs(self.config.keep_epochs)?;
        }
        Ok(())
    }

    fn out_of_patience(&self) -> bool {
        self.config.early_stopping.is_some_and(|patience| self.progress.evaluations_since_best >= patience)
    }
}

/// Tokens of a batch when the model is measured: enough to keep the machine busy, few beside those of training.
pub fn measured_tokens(config: &RunConfig) -> usize {
    config.token_budget.min(1024)
}

/// The most tokens that are computed at a time, and the most sequences or rows of `logits` each: the budget, or less where no
/// batch has as many, or more for a text that alone is longer.
pub fn largest_group(config: &RunConfig, (train, logits): (&Rows, usize), epochs: &Epochs) -> Capacity {
    let largest_batch = |mut numbers: Vec<usize>| -> usize {
        let step = config.step_size().min(epochs.rows());
        if epochs.are_plain() {
            numbers.sort_unstable_by(|a, b| b.cmp(a));
            numbers.iter().take(step).sum()
        } else {
            // A text may be drawn more than once for a batch, and a copy is at most as long as the longest text.
            numbers.iter().copied().max().unwrap_or(1).saturating_mul(step)
        }
    };
    let longest = train.lengths.iter().copied().max().unwrap_or(1);
    let tokens = config.token_budget.min(largest_batch(train.lengths.clone())).max(longest);
    let mut sequences = largest_batch(train.sequences().collect()).min(tokens);
    if let Some(longest) = train.learnt.iter().map(Vec::len).max() {
        let answers = largest_batch(train.answers().collect()).min(most_learnt(logits)).max(longest);
        sequences = sequences.max(answers.min(tokens));
    }
    Capacity { tokens, sequences, from_block: train.encoded().from_block() }
}
