//! The learning rate over the steps, and which step falls into which epoch.

use std::f64::consts::PI;

use crate::choices::Schedule;
use crate::run_config::RunConfig;

/// Fewer steps than this leave a fresh head half-trained.
const ENOUGH_STEPS: f64 = 400.0;

/// Epochs of a pretrained model unless written: three, and on small files as many as give 400 steps, at most ten.
fn usual_epochs(steps_per_epoch: u64) -> f64 {
    (ENOUGH_STEPS / steps_per_epoch as f64).ceil().clamp(3.0, 10.0)
}

/// How many steps a run has and what happens after which.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Epochs as set, or as usual for so many texts; `max_steps` may end the run before.
    pub epochs: f64,
    /// Optimiser steps of one epoch.
    pub steps_per_epoch: u64,
    /// Optimiser steps of the run.
    pub steps: u64,
    /// Steps between evaluations.
    pub eval_every: u64,
    warmup: u64,
    schedule: Schedule,
    rate: f64,
}

impl Plan {
    /// The plan for this many training texts.
    pub fn new(config: &RunConfig, rows: usize) -> Self {
        let steps_per_epoch = rows.div_ceil(config.step_size()).max(1) as u64;
        let epochs = config.epochs.unwrap_or_else(|| usual_epochs(steps_per_epoch));
        let wanted = (epochs * steps_per_epoch as f64).ceil() as u64;
        let steps = wanted.min(config.max_steps.unwrap_or(u64::MAX)).max(1);
        Self {
            epochs,
            steps_per_epoch,
            steps,
            eval_every: config.eval_every.unwrap_or(steps_per_epoch).min(steps),
            warmup: (config.warmup * steps as f64).ceil() as u64,
            schedule: config.schedule,
            rate: config.learning_rate,
        }
    }

    /// The rate of step `step`, from 1: a rise over the warm-up, then the schedule, as Transformers counts it (the first
    /// step after `w` warm-up steps has the full rate).
    pub fn rate(&self, step: u64) -> f64 {
        let done = (step - 1) as f64;
        let (warmup, steps) = (self.warmup as f64, self.steps as f64);
        if done < warmup {
            return self.rate * done / warmup;
        }
        let share = (done - warmup) / (steps - warmup).max(1.0);
        self.rate
            * match self.schedule {
                Schedule::Constant => 1.0,
                Schedule::Linear => 1.0 - share,
                Schedule::Cosine => 0.5 * (1.0 + (PI * share).cos()),
            }
    }

    /// Epochs seen after `step` steps.
    pub fn epoch(&self, step: u64) -> f64 {
        step as f64 / self.steps_per_epoch as f64
    }

    /// Whether an epoch, or the run, ends with this step.
    pub fn ends_epoch(&self, step: u64) -> bool {
        step.is_multiple_of(self.steps_per_epoch) || step == self.steps
    }

    /// Whether the model is measured after this step.
    pub fn evaluates_after(&self, step: u64) -> bool {
        step.is_multiple_of(self.eval_every) || step == self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(schedule: Schedule, warmup: f64) -> Plan {
        let config =
            RunConfig { epochs: Some(2.0), batch_size: 10, warmup, schedule, learning_rate: 1.0, ..Default::default() };
        Plan::new(&config, 95)
    }

    #[test]
    fn the_last_short_batch_counts_as_a_step() {
        let plan = plan(Schedule::Linear, 0.0);
        assert_eq!((plan.steps_per_epoch, plan.steps, plan.eval_every), (10, 20, 10));
        assert_eq!(plan.epoch(15), 1.5);
        assert!(plan.evaluates_after(10) && plan.evaluates_after(20) && !plan.evaluates_after(15));
    }

    #[test]
    fn few_texts_are_seen_more_often() {
        let epochs = |rows| Plan::new(&RunConfig::default(), rows).epochs;
        assert_eq!([100, 656, 873, 2000, 6920].map(epochs), [10.0, 10.0, 8.0, 4.0, 3.0]);
        let set = RunConfig { epochs: Some(1.5), ..Default::default() };
        assert_eq!(Plan::new(&set, 100).epochs, 1.5);
    }

    #[test]
    fn rates_are_those_of_transformers() {
        // transformers.get_linear_schedule_with_warmup(opt, 2, 20) and its cosine twin, at steps 0, 1, 2, 11 and 19.
        let linear = plan(Schedule::Linear, 0.1);
        let cosine = plan(Schedule::Cosine, 0.1);
        for (step, expected) in [(1, 0.0), (2, 0.5), (3, 1.0), (12, 0.5), (20, 1.0 / 18.0)] {
            assert!((linear.rate(step) - expected).abs() < 1e-12, "linear step {step}: {}", linear.rate(step));
        }
        for (step, expected) in [(1, 0.0), (2, 0.5), (3, 1.0), (12, 0.5), (20, 0.007_596_123_493_895_97)] {
            assert!((cosine.rate(step) - expected).abs() < 1e-12, "cosine step {step}: {}", cosine.rate(step));
        }
        assert_eq!(plan(Schedule::Constant, 0.0).rate(20), 1.0);
    }
}
