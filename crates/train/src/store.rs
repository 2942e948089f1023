//! Checkpoints: one safetensors file each, written whole or not at all.
//!
//! `checkpoints/step-N.safetensors` holds everything a run needs to go on after step N with the same bits: the weights, the
//! two moments, and the progress in the file's metadata. `checkpoints/best-N.safetensors` holds the weights of the best
//! evaluation. A file appears under its name only when it is complete and on disk.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use finetone_backend::{Backend, Real};
use finetone_model::{Model, Moments};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// How far a run has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimiser steps taken.
    pub step: u64,
    /// Forward passes taken: the key of the dropout masks.
    pub passes: u64,
    /// Tokens trained on.
    pub num_tokens: u64,
    /// Sum of the steps' losses.
    pub loss_sum: f64,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// Evaluations since it.
    pub evaluations_since_best: u64,
    /// Fingerprint of the training texts.
    pub fingerprint: u64,
}

/// An evaluation that was the best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// After this step.
    pub step: u64,
    /// Value of the metric that chooses.
    pub value: f64,
    /// Loss on the validation texts, which decides between equal values.
    pub loss: f64,
}

/// The folder of a run's checkpoints.
pub struct Store {
    folder: PathBuf,
}

const FIRST: &str = "moments.first";
const SECOND: &str = "moments.second";
const PROGRESS: &str = "progress";

impl Store {
    /// The checkpoints of the run in `run`.
    pub fn new(run: &Path) -> Self {
        Self { folder: run.join("checkpoints") }
    }

    /// The step of the newest checkpoint, if there is any.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn newest(&self) -> Result<Option<u64>, TrainError> {
        Ok(self.steps("step-")?.into_iter().max())
    }

    /// Saves everything, then removes what it makes superfluous.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save<B: Backend>(
        &self,
        backend: &B,
        model: &Model<B>,
        moments: &Moments<B>,
        progress: &Progress,
    ) -> Result<(), TrainError> {
        let mut tensors = weights(backend, model);
        for (name, moment) in [(FIRST, &moments.0), (SECOND, &moments.1)] {
            let mut values = vec![B::Real::default(); model.table.gradient_len()];
            let len = values.len();
            backend.read(&mut values, moment, 0..len);
            tensors.push((name.to_owned(), bytes(values.into_iter().map(|v| v.to_f64() as f32))));
        }
        let progress_text = serde_json::to_string(progress).expect("progress has a JSON form");
        self.write(
            &file_name("step-", progress.step),
            &tensors,
            HashMap::from([(PROGRESS.to_owned(), progress_text)]),
        )?;
        let best = progress.best.map(|best| best.step);
        self.remove("step-", |step| step != progress.step)?;
        self.remove("best-", |step| Some(step) != best)
    }

    /// Saves the weights of the best evaluation.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save_best<B: Backend>(&self, backend: &B, model: &Model<B>, step: u64) -> Result<(), TrainError> {
        self.write(&file_name("best-", step), &weights(backend, model), HashMap::new())
    }

    /// Restores weights, moments and progress from the checkpoint of `step`, if it is of texts with this fingerprint.
    ///
    /// # Errors
    /// A file that cannot be read or belongs to other texts or another model.
    pub fn load<B: Backend>(
        &self,
        backend: &B,
        model: &mut Model<B>,
        moments: &mut Moments<B>,
        (step, fingerprint): (u64, u64),
    ) -> Result<Progress, TrainError> {
        let path = self.folder.join(file_name("step-", step));
        let data = std::fs::read(&path).map_err(TrainError::io(&path))?;
        let wrong = |problem: String| TrainError::Checkpoint { path: path.clone(), problem };
        let (_, metadata) = SafeTensors::read_metadata(&data).map_err(|error| wrong(error.to_string()))?;
        let text = metadata.metadata().as_ref().and_then(|m| m.get(PROGRESS));
        let text = text.ok_or_else(|| wrong("it is no checkpoint of a run".into()))?;
        let progress: Progress = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if progress.fingerprint != fingerprint {
            return Err(wrong("the training data have changed since the run was started".into()));
        }
        let file = SafeTensors::deserialize(&data).map_err(|error| wrong(error.to_string()))?;
        restore_weights(backend, model, &file).map_err(&wrong)?;
        for (name, moment) in [(FIRST, &mut moments.0), (SECOND, &mut moments.1)] {
            let values = numbers(&file, name, model.table.gradient_len()).map_err(&wrong)?;
            let values: Vec<B::Real> = values.into_iter().map(|v| B::Real::from_f64(f64::from(v))).collect();
            backend.write(moment, &values);
        }
        Ok(progress)
    }

    /// Restores the weights of the best evaluation.
    ///
    /// # Errors
    /// A file that cannot be read or belongs to another model.
    pub fn load_best<B: Backend>(&self, backend: &B, model: &mut Model<B>, step: u64) -> Result<(), TrainError> {
        let path = self.folder.join(file_name("best-", step));
        let data = std::fs::read(&path).map_err(TrainError::io(&path))?;
        let wrong = |problem: String| TrainError::Checkpoint { path: path.clone(), problem };
        let file = SafeTensors::deserialize(&data).map_err(|error| wrong(error.to_string()))?;
        restore_weights(backend, model, &file).map_err(wrong)
    }

    /// Removes all checkpoints of a finished run.
    ///
    /// # Errors
    /// A folder that cannot be removed.
    pub fn clear(&self) -> Result<(), TrainError> {
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(TrainError::io(&self.folder)(error)),
            _ => Ok(()),
        }
    }

    fn write(
        &self,
        name: &str,
        tensors: &[(String, Vec<u8>)],
        metadata: HashMap<String, String>,
    ) -> Result<(), TrainError> {
        std::fs::create_dir_all(&self.folder).map_err(TrainError::io(&self.folder))?;
        let views = tensors.iter().map(|(name, data)| {
            let view = TensorView::new(Dtype::F32, vec![data.len() / 4], data).expect("whole numbers of four bytes");
            (name.as_str(), view)
        });
        let path = self.folder.join(name);
        let unfinished = self.folder.join(format!("{name}.unfinished"));
        let written = safetensors::serialize_to_file(views, Some(metadata), &unfinished).map_err(|error| match error {
            SafeTensorError::IoError(source) => TrainError::io(&path)(source),
            other => TrainError::Checkpoint { path: path.clone(), problem: other.to_string() },
        });
        let kept = written.and_then(|()| persist(&unfinished, &path).map_err(TrainError::io(&path)));
        if kept.is_err() {
            // What was written so far is of no use; the error that is reported is the first one.
            let _ = std::fs::remove_file(&unfinished);
        }
        kept
    }

    fn steps(&self, prefix: &str) -> Result<Vec<u64>, TrainError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(TrainError::io(&self.folder)(error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| name.strip_prefix(prefix)?.strip_suffix(".safetensors")?.parse().ok()).collect())
    }

    fn remove(&self, prefix: &str, superfluous: impl Fn(u64) -> bool) -> Result<(), TrainError> {
        for step in self.steps(prefix)?.into_iter().filter(|&step| superfluous(step)) {
            let path = self.folder.join(file_name(prefix, step));
            std::fs::remove_file(&path).map_err(TrainError::io(&path))?;
        }
        Ok(())
    }
}

fn file_name(prefix: &str, step: u64) -> String {
    format!("{prefix}{step:08}.safetensors")
}

/// Puts a finished file under its name so that it survives a loss of power.
pub(crate) fn persist(unfinished: &Path, path: &Path) -> std::io::Result<()> {
    File::open(unfinished)?.sync_all()?;
    std::fs::rename(unfinished, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn weights<B: Backend>(backend: &B, model: &Model<B>) -> Vec<(String, Vec<u8>)> {
    let table = &model.table;
    table
        .iter()
        .map(|(id, spec)| (spec.name.clone(), bytes(model.parameters.values(backend, table, id).into_iter())))
        .collect()
}

fn bytes(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values.flat_map(f32::to_le_bytes).collect()
}

fn restore_weights<B: Backend>(backend: &B, model: &mut Model<B>, file: &SafeTensors<'_>) -> Result<(), String> {
    let all: Vec<_> = model.table.iter().map(|(id, spec)| (id, spec.name.clone(), spec.shape.len())).collect();
    for (id, name, len) in all {
        model.parameters.set_values(backend, id, &numbers(file, &name, len)?);
    }
    Ok(())
}

fn numbers(file: &SafeTensors<'_>, name: &str, len: usize) -> Result<Vec<f32>, String> {
    let tensor = file.tensor(name).map_err(|_| format!("`{name}` is missing"))?;
    if tensor.shape() != [len] || tensor.dtype() != Dtype::F32 {
        return Err(format!("`{name}` has another size than the model of this run"));
    }
    Ok(tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}
