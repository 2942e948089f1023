//! A run as a person follows it: a bar on a terminal, plain lines elsewhere.

mod words;

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use finetone_train::{Listener, TrainEvent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use words::short;
pub use words::{duration, grouped, parameters};

/// How often plain lines tell the step.
const BETWEEN_LINES: Duration = Duration::from_secs(5);
/// How much rarer they are within a trial, whose line comes at its end.
const RARER_IN_TRIALS: u32 = 12;
/// Weight of the past in the smoothed loss and speed.
const SMOOTHING: f64 = 0.95;

/// Shows events to a person.
pub struct Terminal {
    view: View,
    colour: bool,
    progress: Progress,
    /// The trial that goes on.
    trial: Option<String>,
    /// Whether a trial has shown what all of them have in common.
    introduced: bool,
}

enum View {
    Bar(ProgressBar),
    Lines { out: Box<dyn Write + Send>, every: Duration, last: Option<Instant> },
    Quiet,
}

/// Where the run stands.
#[derive(Default)]
struct Progress {
    steps: u64,
    resumed_from: u64,
    began: Option<Instant>,
    loss: Smoothed,
    speed: Smoothed,
    evaluation: String,
}

/// An exponential mean that is right from the first value on.
#[derive(Default)]
struct Smoothed {
    sum: f64,
    weight: f64,
}

impl Smoothed {
    fn add(&mut self, value: f64) {
        self.sum = SMOOTHING * self.sum + (1.0 - SMOOTHING) * value;
        self.weight = SMOOTHING * self.weight + (1.0 - SMOOTHING);
    }

    fn value(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

impl Terminal {
    /// On standard error: a bar where that is a terminal, plain lines where it is not, nothing if `quiet`.
    pub fn stderr(quiet: bool) -> Self {
        let stderr = std::io::stderr();
        if quiet {
            return Self::new(View::Quiet, false);
        }
        if stderr.is_terminal() {
            let colour = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
            return Self::bar(ProgressDrawTarget::stderr(), colour);
        }
        Self::lines(Box::new(stderr), BETWEEN_LINES)
    }

    /// Plain lines: one for every evaluation, and one for a step whenever `every` has passed.
    pub fn lines(out: Box<dyn Write + Send>, every: Duration) -> Self {
        Self::new(View::Lines { out, every, last: None }, false)
    }

    /// A bar on `target`, with lines for evaluations and notices above it.
    pub fn bar(target: ProgressDrawTarget, colour: bool) -> Self {
        let template =
            if colour { "{bar:24.cyan/dim} {pos}/{len}  {wide_msg}" } else { "{bar:24} {pos}/{len}  {wide_msg}" };
        let style = ProgressStyle::with_template(template).expect("the template is written above");
        let bar = ProgressBar::with_draw_target(None, target).with_finish(ProgressFinish::Abandon);
        bar.set_style(style.progress_chars("━╸─"));
        Self::new(View::Bar(bar), colour)
    }

    fn new(view: View, colour: bool) -> Self {
        Self { view, colour, progress: Progress::default(), trial: None, introduced: false }
    }

    fn line(&mut self, text: &str) {
        match &mut self.view {
            View::Bar(bar) => bar.println(text),
            // A terminal that went away must not stop the run.
            View::Lines { out, .. } => drop(writeln!(out, "{text}")),
            View::Quiet => {}
        }
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn started(&mut self, event: &TrainEvent) {
        let TrainEvent::Started { steps, resumed_from, .. } = event else { return };
        self.progress =
            Progress { steps: *steps, resumed_from: *resumed_from, began: Some(Instant::now()), ..Progress::default() };
        if !self.is_repetition() {
            opening(event).iter().for_each(|line| self.line(line));
        }
        if let View::Bar(bar) = &self.view {
            // The bar of an earlier trial was taken away.
            bar.reset();
            bar.set_length(*steps);
            bar.set_position(*resumed_from);
        }
    }

    fn step(&mut self, step: u64, epoch: f64, learning_rate: f64) {
        let progress = &self.progress;
        let name = self.trial.as_ref().map(|name| format!("{name}  ")).unwrap_or_default();
        let mut message = format!(
            "{name}epoch {epoch:.2}  loss {:.4}  rate {learning_rate:.1e}  {} tokens/s",
            progress.loss.value(),
            grouped(progress.speed.value().round() as u64),
        );
        if let Some(left) = progress.left(step) {
            message += &format!("  {} left", duration(left));
        }
        match &mut self.view {
            View::Bar(bar) => {
                bar.set_position(step);
                bar.set_message(message + &progress.evaluation);
            }
            View::Lines { every, last, .. } => {
                let now = Instant::now();
                let (every, ends) = match self.trial {
                    Some(_) => (*every * RARER_IN_TRIALS, false),
                    None => (*every, step == progress.steps),
                };
                // The first step is told at once: it shows that the run is alive.
                if last.is_none_or(|last| now - last >= every) || ends {
                    *last = Some(now);
                    let line = format!("step {step}/{}  {message}", progress.steps);
                    self.line(&line);
                }
            }
            View::Quiet => {}
        }
    }

    fn evaluated(&mut self, event: &TrainEvent) {
        let TrainEvent::Evaluated { step, metrics, metric, value, best, .. } = event else { return };
        let mark = if *best { self.styled(AnsiColor::Green.on_default(), " (best so far)") } else { String::new() };
        let names: &[&str] = match metrics.contains_key("eval_entropy") {
            true => &["accuracy", "f1_macro", "mean_token_accuracy", "loss"],
            false => &["accuracy", "loss"],
        };
        let others = names.iter().copied().filter(|name| name != metric);
        let others = others.filter_map(|name| Some((name, metrics.get(&format!("eval_{name}"))?)));
        let others: String = others.map(|(name, value)| format!(", {name} {value:.4}")).collect();
        self.progress.evaluation = format!("  {metric} {value:.4}");
        if self.trial.is_some() {
            return;
        }
        let line = format!("step {step}/{}  evaluation: {metric} {value:.4}{mark}{others}", self.progress.steps);
        self.line(&line);
    }

    /// Whether what is told was told by an earlier trial.
    fn is_repetition(&self) -> bool {
        self.trial.is_some() && self.introduced
    }

    fn tried(&mut self, event: &TrainEvent) {
        let TrainEvent::TrialFinished { name, metrics, measured_on, seconds, again } = event else { return };
        (self.trial, self.introduced) = (None, self.introduced || !again);
        let values: Vec<String> = metrics.iter().map(|(metric, value)| format!("{metric} {value:.4}")).collect();
        let time = if *again { "done before".to_owned() } else { duration(Duration::from_secs_f64(seconds.max(0.0))) };
        self.line(&format!("{name}: {} on the {measured_on} texts ({time})", values.join(", ")));
    }

    fn end(&mut self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }
}

impl Progress {
    fn left(&self, step: u64) -> Option<Duration> {
        let done = step.saturating_sub(self.resumed_from);
        let elapsed = self.began?.elapsed().as_secs_f64();
        let left = self.steps.saturating_sub(step) as f64;
        (done > 0).then(|| Duration::from_secs_f64(elapsed / done as f64 * left))
    }
}

/// What a run is about to do.
fn opening(event: &TrainEvent) -> Vec<String> {
    let TrainEvent::Started { model, backend, trainable, train_rows, validation_rows, test_rows, .. } = event else {
        return Vec::new();
    };
    let TrainEvent::Started { run, steps, epochs, resumed_from, parameters: all, .. } = event else {
        return Vec::new();
    };
    let trained =
        if trainable == all { String::new() } else { format!(", {} of them trained", parameters(*trainable)) };
    let rows = |count: &usize| grouped(*count as u64);
    let mut lines = vec![
        format!("model:  {model}, {} parameters{trained}", parameters(*all)),
        format!("device: {backend}"),
        format!(
            "texts:  {} to train on, {} validation, {} test",
            rows(train_rows),
            rows(validation_rows),
            rows(test_rows)
        ),
        format!("steps:  {} ({} epoch{})", grouped(*steps), short(*epochs), if *epochs == 1.0 { "" } else { "s" }),
        format!("run:    {}", run.display()),
    ];
    if *resumed_from > 0 {
        lines.push(format!("goes on after step {}", grouped(*resumed_from)));
    }
    lines
}

impl Listener for Terminal {
    fn on(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Started { .. } => self.started(event),
            TrainEvent::TrialStarted { name } => self.trial = Some(name.clone()),
            TrainEvent::TrialFinished { .. } => self.tried(event),
            TrainEvent::Notice { .. } if self.is_repetition() => {}
            TrainEvent::Notice { message } => {
                let note = self.styled(AnsiColor::Cyan.on_default(), "note:");
                self.line(&format!("{note} {message}"));
            }
            TrainEvent::Step { step, epoch, loss, learning_rate, tokens_per_second, .. } => {
                self.progress.loss.add(*loss);
                self.progress.speed.add(*tokens_per_second);
                self.step(*step, *epoch, *learning_rate);
            }
            TrainEvent::Evaluated { .. } => self.evaluated(event),
            TrainEvent::Checkpoint { .. } => {}
            TrainEvent::Interrupted { .. } => self.end(),
            TrainEvent::StoppedEarly { step, best_step } => {
                self.line(&format!(
                    "no better evaluation for long enough: stopped after step {step}, kept step {best_step}"
                ));
            }
            TrainEvent::Finished { step, train_runtime, train_samples_per_second, .. } => {
                self.end();
                if self.trial.is_some() {
                    return;
                }
                let time = duration(Duration::from_secs_f64(train_runtime.max(0.0)));
                self.line(&format!("trained to step {step} in {time} ({train_samples_per_second:.1} texts/s)"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
