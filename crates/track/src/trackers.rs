//! Everybody who gets the numbers of a run, behind one listener.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use finetone_train::{Listener, Tracker, Tracking, TrainEvent};
use serde::Serialize;
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

/// Gives the numbers of a run, or of several runs that belong together, to the trackers that its settings name. Each works on a
/// thread of its own, so that nothing of it stops or delays the training; files for TensorBoard and Weights & Biases lie in the
/// folder of each run.
pub struct Trackers {
    all: Vec<(Tracker, Background)>,
    /// What the whole is called.
    name: String,
    /// The folder of the whole.
    folder: PathBuf,
    settings: Value,
    /// Whether a run has begun and not ended.
    open: bool,
}

impl Trackers {
    /// The trackers of what happens in `folder` by these settings; none is asked for anything before it begins.
    ///
    /// # Errors
    /// Trackers that name no server.
    pub fn new(tracking: &Tracking, settings: &impl Serialize, folder: &Path) -> Result<Self, TrackError> {
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
            folder: folder.to_owned(),
            settings: told(settings),
            open: false,
        })
    }

    /// Gives all numbers so far of a run in `folder` that no [`TrainEvent`] tells of, such as a trial of a search, from step 1
    /// on; all but the last may have been given before.
    pub fn tell(&mut self, folder: &Path, settings: &impl Serialize, numbers: Vec<Numbers>) {
        let known = numbers.len().saturating_sub(1) as u64;
        self.begin(folder, known, told(settings));
        numbers.into_iter().for_each(|numbers| self.send(&Message::Log(Arc::new(numbers))));
        self.end(End::Finished);
    }

    /// Whether anybody gets anything.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
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

    /// One of several runs is called as its folder within that of the whole.
    fn begin(&mut self, folder: &Path, resumed_from: u64, settings: Value) {
        let part = folder.strip_prefix(&self.folder).ok().filter(|part| !part.as_os_str().is_empty());
        let (name, group) = match part {
            Some(part) => (format!("{}/{}", self.name, part.display()), Some(self.name.clone())),
            None => (self.name.clone(), None),
        };
        let (folder, began) = (folder.to_owned(), SystemTime::now());
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
            TrainEvent::Started { run, resumed_from, .. } => self.begin(run, *resumed_from, self.settings.clone()),
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
fn told(settings: &impl Serialize) -> Value {
    let mut settings = serde_json::to_value(settings).unwrap_or_default();
    if let Some(settings) = settings.as_object_mut() {
        settings.remove("track");
    }
    settings
}
