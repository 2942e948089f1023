//! What the server's jobs and answers are computed by.

use std::path::Path;

use finetone_backend_cpu::Cpu;
use finetone_classify::hub::HubConfig;
use finetone_classify::source::{ModelSource, ResolvedModel, SourceError};
use finetone_classify::{ClassifyError, Compute, Reading, Served, Use};
use finetone_serve::Workshop;
use finetone_track::JsonLines;
use finetone_train::events::{Listener, Listeners};
use finetone_train::{
    Control, Outcome, RunConfig, Surroundings, TrainError, TrainingPrecision, resume, saved_config, train,
};

use crate::device::{DeviceArgs, decide, of_run};
use crate::failure::Failure;
use crate::progress::Download;

/// The processor of this machine. Training and answers have threads of their own, so that neither waits for the other.
pub struct CpuWorkshop {
    precision: TrainingPrecision,
    training: Cpu,
    answers: Cpu,
    /// Tokens that are computed together for answers.
    batch_tokens: usize,
}

impl CpuWorkshop {
    /// Starts the threads, as many as `device` says.
    pub fn open(device: DeviceArgs, batch_tokens: usize) -> Result<Self, Failure> {
        let precision = decide(TrainingPrecision::Auto)?;
        let open = || device.open(of_run(precision));
        Ok(Self { precision, training: open()?, answers: open()?, batch_tokens })
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

/// A model that computes on the threads of its processor alone: a thread of another's would wait for them at every product.
struct OnItsThreads {
    cpu: Cpu,
    compute: Box<dyn Compute>,
}

impl Compute for OnItsThreads {
    fn compute(&mut self, readings: &[Reading]) -> Result<Vec<Vec<f64>>, ClassifyError> {
        self.cpu.install(|| self.compute.compute(readings))
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
        let mut log = JsonLines::new();
        let cpu = &self.training;
        let outcome = cpu.install(|| {
            let mut listeners = Listeners::default();
            listeners.add(&mut log);
            listeners.add(listener);
            let surroundings = Surroundings {
                hub: &HubConfig::from_env(),
                download: &mut Download::default(),
                control,
                listener: &mut listeners,
                checkup: None,
            };
            if goes_on { resume(cpu, folder, surroundings) } else { train(cpu, &config, folder, surroundings) }
        })?;
        Ok(match outcome {
            Outcome::Finished(_) => Outcome::Finished(()),
            Outcome::Interrupted { step } => Outcome::Interrupted { step },
        })
    }

    fn open(&self, source: &Path, wanted: Use) -> Result<Served, ClassifyError> {
        let text = source.to_string_lossy();
        match ModelSource::resolve(&text, &HubConfig::from_env(), &mut Download::default())? {
            ResolvedModel::Folder { folder, .. } => {
                let served = Served::open(self.answers.clone(), &folder, wanted, self.batch_tokens)?;
                let compute = Box::new(OnItsThreads { cpu: self.answers.clone(), compute: served.compute });
                Ok(Served { compute, ..served })
            }
            ResolvedModel::Scratch(_) | ResolvedModel::Config(_) => {
                Err(SourceError::Untrained { text: text.into_owned() }.into())
            }
        }
    }
}
