//! What the server's jobs and answers are computed by.

use std::path::{Path, PathBuf};

use finetone_backend_cpu::{Cpu, Precision};
use finetone_classify::hub::HubConfig;
use finetone_classify::source::{ModelSource, ResolvedModel, SourceError};
use finetone_classify::{ClassifyError, Compute, Explanation, Reading, Served, TransformerClassifier, Use};
use finetone_data::Example;
use finetone_generate::{
    Choices, Event, GenerateError, Language, Request, Served as ServedWriter, Writing, is_language_model,
};
use finetone_serve::{OpenError, Opened, Workshop};
use finetone_track::{JsonLines, Trackers};
use finetone_train::events::{Listener, Listeners};
use finetone_train::{
    Control, LiveReference, Outcome, RunConfig, Surroundings, TrainError, TrainingPrecision, resume, saved_config,
    train, writes_answers,
};

use super::reference;
use crate::device::{DeviceArgs, decide, of_run};
use crate::failure::Failure;
use crate::progress::Download;

/// The processor of this machine. Training and answers have threads of their own, so that neither waits for the other.
pub struct CpuWorkshop {
    precision: TrainingPrecision,
    training: Cpu,
    answers: Cpu,
    /// For explanations, whose numbers would not add up with fewer bits.
    exact: Cpu,
    /// Tokens that are computed together for answers.
    batch_tokens: usize,
}

impl CpuWorkshop {
    /// Starts the threads, as many as `device` says.
    pub fn open(device: DeviceArgs, batch_tokens: usize) -> Result<Self, Failure> {
        let precision = decide(TrainingPrecision::Auto)?;
        let open = || device.open(of_run(precision));
        let exact = device.open(Precision::F32)?;
        Ok(Self { precision, training: open()?, answers: open()?, exact, batch_tokens })
    }

    /// A run that goes on must have begun in the precision of this machine.
    fn check(&self, begun: TrainingPrecision) -> Result<(), TrainError> {
        if begun == self.precision {
            return Ok(());
        }
        let (begun, here) = (begun.name(), self.precision.name());
        let problem = format!("the training was begun in `{begun}`; this machine computes in `{here}`");
        Err(TrainError::Setting { problem, hint: "create the job again".into() })
    }
}

/// What computes on the threads of its processor alone: a thread of another's would wait for them at every product.
struct OnItsThreads<M> {
    cpu: Cpu,
    model: M,
}

impl Compute for OnItsThreads<Box<dyn Compute>> {
    fn compute(&mut self, readings: &[Reading]) -> Result<Vec<Vec<f64>>, ClassifyError> {
        self.cpu.install(|| self.model.compute(readings))
    }
}

impl Language for OnItsThreads<Box<dyn Language>> {
    fn begin(&self, request: Request) -> Result<Box<dyn Writing + '_>, GenerateError> {
        Ok(Box::new(OnItsThreads { cpu: self.cpu.clone(), model: self.model.begin(request)? }))
    }

    fn weigh(&self, prompt: &[u32], choices: &Choices) -> Result<Vec<f64>, GenerateError> {
        self.cpu.install(|| self.model.weigh(prompt, choices))
    }
}

impl Writing for OnItsThreads<Box<dyn Writing + '_>> {
    fn step(&mut self) -> Result<Option<(usize, Event)>, GenerateError> {
        self.cpu.install(|| self.model.step())
    }

    fn halt(&mut self) {
        self.model.halt();
    }
}

/// The folder that a source stands for.
fn folder_of(source: &Path) -> Result<PathBuf, ClassifyError> {
    let text = source.to_string_lossy();
    match ModelSource::resolve(&text, &HubConfig::from_env(), &mut Download::default())? {
        ResolvedModel::Folder { folder, .. } => Ok(folder),
        ResolvedModel::Scratch(_) | ResolvedModel::Config(_) => {
            Err(SourceError::Untrained { text: text.into_owned() }.into())
        }
    }
}

impl Workshop for CpuWorkshop {
    fn train(
        &self,
        config: &RunConfig,
        folder: &Path,
        control: &Control,
        listener: &mut (dyn Listener + Send),
    ) -> Result<Outcome<()>, TrainError> {
        let goes_on = folder.join("run.toml").is_file();
        if goes_on {
            self.check(saved_config(folder)?.precision)?;
        }
        let config = RunConfig { precision: self.precision, ..config.clone() };
        let trackers = Trackers::new(&config.track, &config, folder);
        let mut trackers = trackers.map_err(|error| TrainError::Setting {
            problem: error.to_string(),
            hint: error.hint().unwrap_or_default(),
        })?;
        let mut log = JsonLines::new();
        let cpu = &self.training;
        let outcome = cpu.install(|| {
            let mut listeners = Listeners::default();
            listeners.add(&mut log);
            listeners.add(&mut trackers);
            listeners.add(listener);
            let surroundings = Surroundings {
                hub: &HubConfig::from_env(),
                download: &mut Download::default(),
                control,
                listener: &mut listeners,
                checkup: None,
            };
            if goes_on { resume(cpu, folder, surroundings) } else { train(cpu, &config, folder, surroundings) }
        });
        trackers.finish();
        Ok(match outcome? {
            Outcome::Finished(_) => Outcome::Finished(()),
            Outcome::Interrupted { step } => Outcome::Interrupted { step },
        })
    }

    fn writes_answers(&self, source: &Path) -> Result<bool, TrainError> {
        writes_answers(&source.to_string_lossy(), &HubConfig::from_env(), &mut Download::default())
    }

    fn open(&self, source: &Path, wanted: Use) -> Result<Opened, OpenError> {
        let folder = folder_of(source)?;
        let cpu = self.answers.clone();
        if wanted == Use::Answers && is_language_model(&folder)? {
            let served = ServedWriter::open(cpu.clone(), &folder)?;
            let model = Box::new(OnItsThreads { cpu, model: served.model });
            return Ok(ServedWriter { model, ..served }.into());
        }
        let served = Served::open(cpu.clone(), &folder, wanted, self.batch_tokens)?;
        let compute = Box::new(OnItsThreads { cpu, model: served.compute });
        Ok(Served { compute, ..served }.into())
    }

    fn explain(&self, source: &Path, text: &str) -> Result<Explanation, ClassifyError> {
        let folder = folder_of(source)?;
        self.exact.install(|| {
            TransformerClassifier::open(self.exact.clone(), &folder, self.batch_tokens)?
                .showing_neighbours()?
                .explain(&Example::from_text(text))
        })
    }

    fn reference(&self, source: &Path) -> Result<Option<LiveReference>, TrainError> {
        reference::of_folder(&self.answers, &folder_of(source)?)
    }
}
