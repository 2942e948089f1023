//! Checkpoints: one safetensors file each, written whole or not at all.
//!
//! `checkpoints/step-N.safetensors` holds everything a run needs to go on after step N with the same bits: the weights that are
//! trained, their two moments, and the progress in the file's metadata. `checkpoints/best-N.safetensors` holds the weights of the
//! best evaluation. Frozen weights are where the run took them from, so a checkpoint of adapters is small; a fingerprint tells
//! when they have changed there. A file appears under its name only when it is complete and on disk.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use finetone_backend::{Backend, Real};
use finetone_classify::{ClassifyError, Neighbourhood};
use finetone_data::tokenizer::Tokenizer;
use finetone_model::checkpoint::{self, BaseModel};
use finetone_model::{Model, Moments, ParamId, ParamTable};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::material::fnv_1a;
use crate::tensor_file::{self, Tensor, TensorFile};

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

/// Where a run's checkpoints are: in its folder, or for a run that leaves nothing behind the best weights in memory.
pub struct Store {
    folder: PathBuf,
    /// The folder of the models of single epochs.
    epochs: PathBuf,
    /// The trained weights of the best evaluation, where no file is written.
    memory: Option<RefCell<Vec<Vec<f32>>>>,
}

const FIRST: &str = "moments.first";
const SECOND: &str = "moments.second";
const PROGRESS: &str = "progress";
const FROZEN: &str = "frozen";

/// So many values of each frozen parameter are in the fingerprint of them all: another model differs in all of its values.
const FINGERPRINTED: usize = 64;

impl Store {
    /// The checkpoints of the run in `run`.
    pub fn new(run: &Path) -> Self {
        Self { folder: run.join("checkpoints"), epochs: run.join("epochs"), memory: None }
    }

    /// Nothing but the weights of the best evaluation, in memory: the run cannot be resumed.
    pub fn in_memory() -> Self {
        Self { folder: PathBuf::new(), epochs: PathBuf::new(), memory: Some(RefCell::default()) }
    }

    /// The step of the newest checkpoint, if there is any.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn newest(&self) -> Result<Option<u64>, TrainError> {
        if self.memory.is_some() {
            return Ok(None);
        }
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
        if self.memory.is_some() {
            return Ok(());
        }
        let progress_text = serde_json::to_string(progress).expect("progress has a JSON form");
        let frozen = frozen_fingerprint(backend, model).to_string();
        let notes = HashMap::from([(PROGRESS.to_owned(), progress_text), (FROZEN.to_owned(), frozen)]);
        self.write(&file_name("step-", progress.step), notes, backend, model, Some(moments))?;
        let best = progress.best.map(|best| best.step);
        self.remove("step-", |step| step != progress.step)?;
        self.remove("best-", |step| Some(step) != best)
    }

    /// Saves the weights of the best evaluation.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save_best<B: Backend>(&self, backend: &B, model: &Model<B>, step: u64) -> Result<(), TrainError> {
        if let Some(memory) = &self.memory {
            let trained = trained(&model.table);
            *memory.borrow_mut() =
                trained.iter().map(|&id| model.parameters.values(backend, &model.table, id)).collect();
            return Ok(());
        }
        self.write(&file_name("best-", step), HashMap::new(), backend, model, None)
    }

    /// Restores weights, moments and progress from the checkpoint of `step`, if it is of texts with this fingerprint. The frozen
    /// weights of `model` are those that the run began with.
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
        let mut file = TensorFile::open(&path).map_err(damaged(&path))?;
        let wrong = |problem: String| TrainError::Checkpoint { path: path.clone(), problem };
        let text = file.note(PROGRESS).ok_or_else(|| wrong("it is no checkpoint of a run".into()))?;
        let progress: Progress = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if progress.fingerprint != fingerprint {
            return Err(wrong("the training data have changed since the run was started".into()));
        }
        if file.note(FROZEN) != Some(&frozen_fingerprint(backend, model).to_string()) {
            return Err(wrong("the pretrained model has changed since the run was started".into()));
        }
        restore_weights(backend, model, &mut file).map_err(damaged(&path))?;
        for (name, moment) in [(FIRST, &mut moments.0), (SECOND, &mut moments.1)] {
            let values = file.values(name, model.table.gradient_len()).map_err(damaged(&path))?;
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
        if let Some(memory) = &self.memory {
            let (memory, trained) = (memory.borrow(), trained(&model.table));
            trained.into_iter().zip(&*memory).for_each(|(id, values)| model.parameters.set_values(backend, id, values));
            return Ok(());
        }
        let path = self.folder.join(file_name("best-", step));
        let mut file = TensorFile::open(&path).map_err(damaged(&path))?;
        restore_weights(backend, model, &mut file).map_err(damaged(&path))
    }

    /// Where the model after the epoch that ends with `step` is kept.
    pub fn epoch(&self, step: u64) -> PathBuf {
        self.epochs.join(format!("step-{step:08}"))
    }

    /// Removes the models of all epochs but the last `kept`.
    ///
    /// # Errors
    /// A folder that cannot be read or removed.
    pub fn remove_epochs(&self, kept: usize) -> Result<(), TrainError> {
        let entries = std::fs::read_dir(&self.epochs).map_err(TrainError::io(&self.epochs))?;
        let entries: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut folders = entries.map_err(TrainError::io(&self.epochs))?;
        folders.sort();
        let superfluous = folders.len().saturating_sub(kept);
        folders[..superfluous].iter().try_for_each(|old| std::fs::remove_dir_all(old).map_err(TrainError::io(old)))
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

    /// Writes the weights, and the moments if there are any, as a file that is there whole or not at all.
    fn write<B: Backend>(
        &self,
        name: &str,
        notes: HashMap<String, String>,
        backend: &B,
        model: &Model<B>,
        moments: Option<&Moments<B>>,
    ) -> Result<(), TrainError> {
        std::fs::create_dir_all(&self.folder).map_err(TrainError::io(&self.folder))?;
        let (path, unfinished) = (self.folder.join(name), self.folder.join(format!("{name}.unfinished")));
        let trained = model.table.iter().filter(|(_, spec)| spec.trainable);
        let weights = trained.map(|(id, spec)| Tensor {
            name: &spec.name,
            len: spec.shape.len(),
            source: Source::Weight(model.parameters.get(id)),
        });
        let moments = moments.into_iter().flat_map(|moments| [(FIRST, &moments.0), (SECOND, &moments.1)]);
        let moments = moments.map(|(name, moment)| Tensor {
            name,
            len: model.table.gradient_len(),
            source: Source::<B>::Buffer(moment),
        });
        let mut values = Vec::new();
        let tensors: Vec<_> = weights.chain(moments).collect();
        let written = tensor_file::write(&unfinished, notes, &tensors, |source, range, piece| {
            values.resize(piece.len(), B::Real::default());
            match source {
                Source::Weight(weight) => backend.read_weight(&mut values, weight, range),
                Source::Buffer(buffer) => backend.read(&mut values, buffer, range),
            }
            piece.iter_mut().zip(&values).for_each(|(place, value)| *place = value.to_f64() as f32);
        });
        let kept = written.and_then(|()| persist(&unfinished, &path)).map_err(TrainError::io(&path));
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

/// Writes a file whole or not at all.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), TrainError> {
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, text).and_then(|()| persist(&unfinished, path)).map_err(|error| {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&unfinished);
        TrainError::io(path)(error)
    })
}

/// Writes a model as a Hugging Face folder, which is there whole or not at all, with the texts that it keeps.
pub(crate) fn save_model<B: Backend>(
    backend: &B,
    (model, neighbourhood): (&Model<B>, Option<&Neighbourhood>),
    tokenizer: &Tokenizer,
    finished: &Path,
) -> Result<(), TrainError> {
    write_folder(tokenizer, (finished, "model.safetensors"), |folder| {
        neighbourhood.map_or(Ok(()), |kept| kept.save(folder, &model.config.head.labels))?;
        Ok(checkpoint::save(backend, model, folder)?)
    })
}

/// Writes the adapters of a model as a folder of PEFT, which is there whole or not at all.
pub(crate) fn save_adapter<B: Backend>(
    backend: &B,
    model: &Model<B>,
    tokenizer: &Tokenizer,
    base: &BaseModel,
    finished: &Path,
) -> Result<(), TrainError> {
    let weights = "adapter_model.safetensors";
    write_folder(tokenizer, (finished, weights), |folder| Ok(checkpoint::save_adapter(backend, model, base, folder)?))
}

fn write_folder(
    tokenizer: &Tokenizer,
    (finished, weights): (&Path, &str),
    write: impl FnOnce(&Path) -> Result<(), ClassifyError>,
) -> Result<(), TrainError> {
    let unfinished = finished.with_extension("unfinished");
    for old in [unfinished.as_path(), finished] {
        if old.exists() {
            std::fs::remove_dir_all(old).map_err(TrainError::io(old))?;
        }
    }
    std::fs::create_dir_all(&unfinished).map_err(TrainError::io(&unfinished))?;
    tokenizer.save(&unfinished).map_err(ClassifyError::from)?;
    write(&unfinished)?;
    let weights = unfinished.join(weights);
    File::open(&weights).and_then(|file| file.sync_all()).map_err(TrainError::io(&weights))?;
    std::fs::rename(&unfinished, finished).map_err(TrainError::io(finished))
}

/// What a tensor of a checkpoint is read from.
enum Source<'a, B: Backend> {
    Weight(&'a B::Weight),
    Buffer(&'a B::Buffer),
}

/// The parameters that training changes, in the order of the table.
fn trained(table: &ParamTable) -> Vec<ParamId> {
    table.iter().filter(|(_, spec)| spec.trainable).map(|(id, _)| id).collect()
}

fn restore_weights<B: Backend>(backend: &B, model: &mut Model<B>, file: &mut TensorFile) -> std::io::Result<()> {
    let Model { table, parameters, .. } = model;
    for (id, spec) in table.iter().filter(|(_, spec)| spec.trainable) {
        parameters.set_values(backend, id, &file.values(&spec.name, spec.shape.len())?);
    }
    Ok(())
}

/// A number that changes when the frozen weights do.
fn frozen_fingerprint<B: Backend>(backend: &B, model: &Model<B>) -> u64 {
    let mut values = Vec::new();
    let frozen = model.table.iter().filter(|(_, spec)| !spec.trainable);
    fnv_1a(frozen.flat_map(|(id, spec)| {
        let some = 0..spec.shape.len().min(FINGERPRINTED);
        values.resize(some.len(), B::Real::default());
        backend.read_weight(&mut values, model.parameters.get(id), some);
        values.iter().map(|value| value.to_f64().to_bits()).collect::<Vec<_>>()
    }))
}

/// Tells a file that cannot be read from one that is not what it should be.
fn damaged(path: &Path) -> impl Fn(std::io::Error) -> TrainError {
    move |error| match error.kind() {
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            TrainError::Checkpoint { path: path.to_owned(), problem: error.to_string() }
        }
        _ => TrainError::io(path)(error),
    }
}
