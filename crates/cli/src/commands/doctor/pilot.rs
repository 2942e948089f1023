//! How long a training on chats would take here: a few of its steps are tried.

use std::path::Path;

use finetone_classify::hub::HubConfig;
use finetone_data::{DataError, OpenOptions, Reader, Writer};
use finetone_train::events::{Listener, TrainEvent};
use finetone_train::{Control, RunConfig, Surroundings, TrainingPrecision, train};

use crate::device::{DeviceArgs, decide, of_run};
use crate::failure::Failure;
use crate::progress::Download;

/// Chats that the steps are made of, at least.
const CHATS: usize = 64;
/// Steps that are timed, after one that warms up.
pub const STEPS: usize = 8;

/// Seconds of a step of `batch_size` chats with this model on this machine; `None` where such a model cannot be trained on the
/// chats, or not in the memory there is.
///
/// # Errors
/// A file that cannot be read, no place for a temporary folder.
pub fn seconds_of_a_step(
    (file, open): (&Path, &OpenOptions),
    model: &str,
    batch_size: usize,
) -> Result<Option<f64>, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    let chats = folder.path().join("chats.jsonl");
    copy_chats(Reader::open(file, open)?, &chats, CHATS.max(batch_size))?;
    let config = RunConfig {
        train: chats,
        model: model.to_owned(),
        batch_size,
        epochs: Some((1 + STEPS) as f64),
        max_steps: Some(1 + STEPS as u64),
        test_fraction: 0.0,
        validation_fraction: 0.0,
        precision: decide(TrainingPrecision::Auto)?,
        ..RunConfig::default()
    };
    let cpu = DeviceArgs::default().open(of_run(config.precision))?;
    let mut clock = Clock::default();
    let tried = cpu.install(|| {
        let surroundings = Surroundings {
            hub: &HubConfig::from_env(),
            download: &mut Download::default(),
            control: &Control::default(),
            listener: &mut clock,
            checkup: None,
        };
        train(&cpu, &config, &folder.path().join("run"), surroundings)
    });
    Ok(tried.ok().map(|_| clock.mean()))
}

fn copy_chats(chats: Reader, to: &Path, most: usize) -> Result<(), DataError> {
    let mut writer = Writer::create(to, &chats, &[])?;
    for chat in chats.take(most) {
        writer.write(&chat?, &[])?;
    }
    writer.finish()
}

/// Hears how long each step took.
#[derive(Default)]
struct Clock {
    seconds: Vec<f64>,
    tokens: u64,
}

impl Clock {
    fn mean(&self) -> f64 {
        let timed = &self.seconds[1.min(self.seconds.len())..];
        timed.iter().sum::<f64>() / timed.len().max(1) as f64
    }
}

impl Listener for Clock {
    fn on(&mut self, event: &TrainEvent) {
        if let TrainEvent::Step { num_tokens, tokens_per_second, .. } = event {
            self.seconds.push((num_tokens - self.tokens) as f64 / tokens_per_second);
            self.tokens = *num_tokens;
        }
    }
}
