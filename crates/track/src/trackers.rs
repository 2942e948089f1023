//! Everybody who gets the numbers of a run, behind one listener.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use finetone_train::{Listener, RunConfig, Tracker, TrainEvent};
use serde_json::Value;

use crate::background::{Background, End, Message, Run};
use crate::error::TrackError;
use crate::mlflow::Mlflow;
use crate::numbers::Numbers;
use crate::tensorboard::Tensorboard;
use crate::wandb::Wandb;

/// How long the end of a run waits for a server.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the numbers of a run are, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Who has them.
    pub tracker: Tracker,
    /// The folder with its files, or the address of its page.
    pub found: String,
}

/// Gives the numbers of a run to the trackers that its settings name. Each works on a thread of its own, so that nothing of it
/// stops or delays the training; files for TensorBoard and Weights & Biases lie in the run folder.
pub struct Trackers {
    all: Vec<(Tracker, Background)>,
    /// What the run is called.
    name: String,
    settings: Value,
    /// The trial that goes on.
    trial: Option<String>,
    /// Whether a run has begun and not ended.
    open: bool,
}

impl Trackers {
    /// The trackers of a run in `folder`; none is asked for anything before it begins.
    ///
    /// # Errors
    /// Settings that name no server.
    pub fn new(config: &RunConfig, folder: &Path) -> Result<Self, TrackError> {
        let tracking = &config.track;
        let start = |&tracker: &Tracker| {
            let background = match tracker {
                Tracker::Tensorboard => Background::start(tracker.name(), Tensorboard::default()),
                Tracker::Mlflow => Background::start(tracker.name(), Mlflow::new(tracking)?),
                Tracker::Wandb => Background::start(tracker.name(), Wandb::new(tracking)),
            };
            Ok((tracker, background))
        };
        Ok(Self {
            all: tracking.to.iter().map(start).collect::<Result<_, TrackError>>()?,
            name: tracking.name.clone().unwrap_or_else(|| name_of(folder)),
            settings: settings(config),
            trial: None,
            open: false,
        })
    }

    /// Ends what the run left open, waits a little for what is still on its way, and says where everything is.
    pub fn finish(mut self) -> Vec<Place> {
        if self.open {
            self.end(End::Failed);
        }
        let places = self.all.into_iter().filter_map(|(tracker, background)| {
            let found = background.close(PATIENCE)?;
            Some(Place { tracker, found })
        });
        places.collect()
    }

    fn send(&mut self, message: &Message) {
        self.all.iter_mut().for_each(|(_, background)| background.send(message.clone()));
    }

    fn begin(&mut self, folder: &Path, resumed_from: u64) {
        let (name, group) = match &self.trial {
            Some(trial) => (format!("{}, {trial}", self.name), Some(self.name.clone())),
            None => (self.name.clone(), None),
        };
        let (folder, settings, began) = (folder.to_owned(), self.settings.clone(), SystemTime::now());
        self.open = true;
        self.send(&Message::Begin(Arc::new(Run { folder, name, group, resumed_from, began, settings })));
    }

    fn end(&mut self, end: End) {
        self.open = false;
        self.send(&Message::End(end, SystemTime::now()));
    }
}

impl Listener for Trackers {
    fn on(&mut self, event: &TrainEvent) {
        if self.all.is_empty() {
            return;
        }
        match event {
            TrainEvent::TrialStarted { name } => self.trial = Some(name.clone()),
            TrainEvent::TrialFinished { .. } => self.trial = None,
            TrainEvent::Started { run, resumed_from, .. } => self.begin(run, *resumed_from),
            TrainEvent::Interrupted { .. } => self.end(End::Interrupted),
            _ => {
                let event = serde_json::to_value(event).unwrap_or_default();
                if let Some(numbers) = Numbers::of(&event, SystemTime::now()) {
                    self.send(&Message::Log(Arc::new(numbers)));
                }
            }
        }
        if matches!(event, TrainEvent::Finished { .. }) {
            self.end(End::Finished);
        }
    }
}

/// The last part of a folder's path.
fn name_of(folder: &Path) -> String {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| PathBuf::from(folder));
    whole.file_name().map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The settings but for who is told of them, which may name a server by its password.
fn settings(config: &RunConfig) -> Value {
    let mut settings = serde_json::to_value(config).unwrap_or_default();
    if let Some(settings) = settings.as_object_mut() {
        settings.remove("track");
    }
    settings
}
