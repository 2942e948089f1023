//! Small data, a very small model, and runs of it.

// Every test crate compiles this file and uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_classify::hub::HubConfig;
use finetone_train::{Control, Listener, Outcome, RunConfig, RunFile, Surroundings, TrainError, TrainEvent};

const GOOD: [&str; 8] =
    ["lovely", "delightful", "superb", "splendid", "charming", "excellent", "wonderful", "brilliant"];
const BAD: [&str; 8] = ["dreadful", "awful", "horrid", "shabby", "broken", "useless", "terrible", "miserable"];
pub const THINGS: [&str; 10] = ["lamp", "chair", "kettle", "phone", "jacket", "tent", "clock", "bike", "pan", "radio"];

/// Rows whose label is a word of the text: what any working model learns.
pub fn write_data(folder: &Path, rows: usize) -> PathBuf {
    let path = folder.join("data.csv");
    let mut text = String::from("text,label\n");
    for i in 0..rows {
        let (sentence, is_good) = sentence(i);
        text.push_str(&format!("\"{sentence}\",{}\n", if is_good { "good" } else { "bad" }));
    }
    fs::write(&path, text).unwrap();
    path
}

/// A sentence about a thing, and whether it is a good one.
pub fn sentence(i: usize) -> (String, bool) {
    let is_good = i.is_multiple_of(2);
    let words = if is_good { GOOD } else { BAD };
    let thing = THINGS[i / 2 % 10];
    let ending = ["after a week", "", "and my sister says so too", "in every way, I must say"][i / 3 % 4];
    (format!("the {thing} number {i} is {} {ending}", words[i / 2 % 8]), is_good)
}

/// A very small BERT, as a configuration to start from scratch.
fn write_config(folder: &Path) -> PathBuf {
    let path = folder.join("micro.json");
    let text = r#"{"model_type": "bert", "vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64}"#;
    fs::write(&path, text).unwrap();
    path
}

pub fn config(folder: &Path, rows: usize, settings: &[&str]) -> RunConfig {
    let mut file = RunFile::default();
    file.set("train", write_data(folder, rows).to_string_lossy().into_owned());
    file.set("model", write_config(folder).to_string_lossy().into_owned());
    for setting in settings {
        file.assign(setting).unwrap();
    }
    file.resolve().unwrap()
}

/// Keeps the events, and stops the run after a step if it is told to.
#[derive(Default)]
pub struct Recorder {
    pub events: Vec<TrainEvent>,
    pub stop_at: Option<(u64, Control)>,
}

impl Listener for Recorder {
    fn on(&mut self, event: &TrainEvent) {
        if let (TrainEvent::Step { step, .. }, Some((stop, control))) = (event, &self.stop_at)
            && step == stop
        {
            control.stop.store(true, Ordering::Relaxed);
        }
        self.events.push(event.clone());
    }
}

/// A cache of models beside the folder of a run, and nothing from elsewhere.
fn offline(folder: &Path) -> HubConfig {
    let cache = folder.with_file_name("hub");
    HubConfig { offline: true, cache, ..HubConfig::from_variables(|_| None, None) }
}

pub fn cpu(threads: usize) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(threads), ..CpuOptions::default() }).unwrap()
}

pub fn run(backend: &Cpu, config: &RunConfig, folder: &Path, recorder: &mut Recorder) -> Result<Outcome, TrainError> {
    let control = recorder.stop_at.as_ref().map(|(_, control)| control.clone()).unwrap_or_default();
    let surroundings =
        Surroundings { hub: &offline(folder), download: &mut (), control: &control, listener: recorder, checkup: None };
    if folder.join("run.toml").exists() {
        finetone_train::resume(backend, folder, surroundings)
    } else {
        finetone_train::train(backend, config, folder, surroundings)
    }
}

pub fn weights(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("model/model.safetensors")).unwrap()
}
