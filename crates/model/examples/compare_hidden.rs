//! Compares the hidden states of real weights with those that transformers computed:
//!
//! ```text
//! python xtask/golden/hidden.py MODEL_DIR texts.txt hidden.json
//! cargo run --release -p finetone-model --example compare_hidden -- MODEL_DIR hidden.json
//! ```
//!
//! Fails when a number differs by more than 1e-4.

use std::path::Path;
use std::process::ExitCode;

use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use finetone_model::{Model, PackedBatch, Workspace};
use serde::Deserialize;

const TOLERANCE: f32 = 1e-4;

/// What `hidden.py` wrote about one text.
#[derive(Deserialize)]
struct Entry {
    ids: Vec<u32>,
    /// One row for each token.
    hidden: Vec<Vec<f32>>,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, answers] = &arguments[..] else { return Err("usage: compare_hidden MODEL_DIR hidden.json".into()) };
    let entries: Vec<Entry> = serde_json::from_slice(&std::fs::read(answers)?)?;
    let backend = Cpu::new(CpuOptions::default())?;
    let folder = ModelFolder::open(Path::new(folder))?;
    let (model, _) = folder.load(&backend, folder.config().clone(), HeadImport::FreshWhereMissing(0))?;
    let ours = hidden(&backend, &model, &entries);
    let theirs: Vec<f32> = entries.iter().flat_map(|entry| entry.hidden.concat()).collect();
    Ok(report(&entries, &ours, &theirs))
}

/// The hidden states of all texts, packed into one batch.
fn hidden(backend: &Cpu, model: &Model<Cpu>, entries: &[Entry]) -> Vec<f32> {
    let sequences = entries.iter().map(|entry| entry.ids.as_slice());
    let batch = PackedBatch::pack(sequences, model.config.position_offset);
    let mut workspace = Workspace::for_inference(backend, &model.config, batch.tokens(), batch.sequences());
    model.transformer.forward(&model.pass(backend, &batch, None), &mut workspace);
    let mut values = vec![0.0; batch.tokens() * model.config.hidden_size];
    let range = 0..values.len();
    finetone_backend::Backend::read(backend, &mut values, workspace.hidden(), range);
    values
}

fn report(entries: &[Entry], ours: &[f32], theirs: &[f32]) -> ExitCode {
    if ours.len() != theirs.len() {
        println!("{} numbers instead of {}", ours.len(), theirs.len());
        return ExitCode::FAILURE;
    }
    // `f32::max` would pass over a NaN.
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, |most, x| if x <= most { most } else { x });
    let longest = entries.iter().map(|entry| entry.ids.len()).max().unwrap_or(0);
    println!("{} texts of up to {longest} tokens: hidden states differ by {worst:.2e} at most", entries.len());
    if worst <= TOLERANCE { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
