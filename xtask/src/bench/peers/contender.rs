//! Who takes part: a command and how to read what it leaves.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::results::Metric;

/// Stands in an argument for the number of the round, which serves as seed.
pub const ROUND: &str = "{round}";

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This project's.
    Ours,
    /// Another's.
    Peer,
}

/// A command that is run once a round.
#[derive(Debug, Clone)]
pub struct Contender {
    /// The name of its row.
    pub name: String,
    /// Whose program it is.
    pub side: Side,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments, in which [`ROUND`] stands for the number of the round.
    pub arguments: Vec<String>,
    /// How its output is read.
    pub reading: Reading,
    /// Whether another process keeps a core busy meanwhile.
    pub beside_a_busy_process: bool,
}

/// How the output of a command is read.
#[derive(Debug, Clone)]
pub enum Reading {
    /// One JSON object about a step.
    Step,
    /// A JSON object a line for each engine, which names itself.
    Engines,
    /// One JSON object about a product of matrices.
    Product,
    /// One JSON object of the Trainer.
    Trainer,
    /// The events of our run in this folder, in whose path [`ROUND`] stands for the number of the round.
    Run(PathBuf),
    /// Nothing but time and memory.
    Process,
}

/// What a process left.
#[derive(Debug, Default)]
pub struct Finished {
    /// Standard output.
    pub stdout: String,
    /// Seconds from start to end.
    pub seconds: f64,
    /// The most memory it had, in bytes, where the system tells.
    pub peak_bytes: Option<f64>,
}

/// Values of one row from one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The row.
    pub name: String,
    /// What was measured.
    pub values: Vec<(Metric, f64)>,
}

impl Contender {
    /// One without arguments.
    pub fn new(name: &str, side: Side, program: &Path, reading: Reading) -> Self {
        let (program, name) = (program.to_owned(), name.to_owned());
        Self { name, side, program, arguments: Vec::new(), reading, beside_a_busy_process: false }
    }

    /// With these arguments, which are separated by spaces.
    pub fn words(mut self, words: &str) -> Self {
        self.arguments.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    /// With a path as an argument.
    pub fn path(mut self, path: &Path) -> Self {
        self.arguments.push(path.display().to_string());
        self
    }

    /// The arguments in this round.
    pub fn arguments_in(&self, round: usize) -> Vec<String> {
        self.arguments.iter().map(|argument| argument.replace(ROUND, &round.to_string())).collect()
    }

    /// The folder that a round leaves behind, if it does; it must not be there when the round begins.
    pub fn leftover(&self, round: usize) -> Option<PathBuf> {
        match &self.reading {
            Reading::Run(folder) => Some(in_round(folder, round)),
            _ => None,
        }
    }

    /// Reads what a run left.
    pub fn read(&self, finished: &Finished, round: usize) -> Result<Vec<Sample>> {
        let of = |values| vec![Sample { name: self.name.clone(), values }];
        Ok(match &self.reading {
            Reading::Step => of(step(&last_object(&finished.stdout)?)?),
            Reading::Trainer => of(trainer(&last_object(&finished.stdout)?, finished)?),
            Reading::Process => of(process(finished)),
            Reading::Run(folder) => {
                let path = in_round(folder, round).join("events.jsonl");
                let events =
                    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                of(run(&events, finished)?)
            }
            Reading::Product => of(vec![(Metric::Gigaflops, number(&last_object(&finished.stdout)?, "gflops")?)]),
            Reading::Engines => self.engines(&finished.stdout)?,
        })
    }

    /// A sample for each engine. Those of a peer name themselves; one of ours has the name of its row.
    fn engines(&self, stdout: &str) -> Result<Vec<Sample>> {
        let objects = objects(stdout);
        ensure!(!objects.is_empty(), "it printed no JSON");
        let sample = |object: &Value| {
            let named = object["peer"].as_str().filter(|_| self.side == Side::Peer);
            let name = named.map_or_else(|| self.name.clone(), str::to_owned);
            Ok(Sample { name, values: engine(object)? })
        };
        objects.iter().map(sample).collect()
    }
}

fn engine(object: &Value) -> Result<Vec<(Metric, f64)>> {
    Ok(vec![
        (Metric::TextsPerSecond, number(object, "texts_per_s")?),
        (Metric::TokensPerSecond, number(object, "tokens_per_s")?),
        (Metric::OneText, number(object, "single_text_median_s")?),
    ])
}

fn in_round(path: &Path, round: usize) -> PathBuf {
    path.display().to_string().replace(ROUND, &round.to_string()).into()
}

fn step(object: &Value) -> Result<Vec<(Metric, f64)>> {
    Ok(vec![
        (Metric::StepSeconds, number(&object["step_s"], "median")?),
        (Metric::TokensPerSecond, number(object, "tokens_per_s")?),
        (Metric::PeakMemory, number(object, "peak_rss_bytes")?),
    ])
}

fn trainer(object: &Value, finished: &Finished) -> Result<Vec<(Metric, f64)>> {
    Ok(vec![
        (Metric::WholeSeconds, finished.seconds),
        (Metric::TokensPerSecond, number(object, "tokens_real")? / number(object, "train_s")?),
        (Metric::PeakMemory, number(object, "peak_rss_bytes")?),
        (Metric::Accuracy, number(object, "accuracy")?),
        (Metric::MacroF1, number(object, "f1_macro")?),
    ])
}

fn process(finished: &Finished) -> Vec<(Metric, f64)> {
    let memory = finished.peak_bytes.map(|bytes| (Metric::PeakMemory, bytes));
    [(Metric::WholeSeconds, finished.seconds)].into_iter().chain(memory).collect()
}

/// Our own run. Tokens a second leave the evaluations out, as the Trainer's do, and nothing else.
fn run(events: &str, finished: &Finished) -> Result<Vec<(Metric, f64)>> {
    let events = objects(events);
    let of = |kind: &'static str| events.iter().filter(move |event| event["event"] == kind);
    let end = of("finished").next_back().context("the run has no event `finished`")?;
    let tokens = number(of("step").next_back().context("the run has no step")?, "num_tokens")?;
    let evaluations: f64 = of("evaluated").filter_map(|event| event["seconds"].as_f64()).sum();
    let mut values = process(finished);
    values.extend([
        (Metric::TokensPerSecond, tokens / (number(end, "train_runtime")? - evaluations)),
        (Metric::Accuracy, number(&end["metrics"], "accuracy")?),
        (Metric::MacroF1, number(&end["metrics"], "f1_macro")?),
    ]);
    Ok(values)
}

/// The lines that are JSON objects; programs print other lines as well.
fn objects(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(Value::is_object).collect()
}

fn last_object(text: &str) -> Result<Value> {
    objects(text).pop().context("it printed no JSON")
}

fn number(object: &Value, key: &str) -> Result<f64> {
    object[key].as_f64().with_context(|| format!("`{key}` is missing or no number"))
}

#[cfg(test)]
#[path = "contender_tests.rs"]
mod tests;
