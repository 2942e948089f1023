//! Offline runs of Weights & Biases: a folder that `wandb sync` sends to its server. Nothing is sent from here.
//!
//! The folder is the one that the official client writes without a network: `wandb/offline-run-TIME-ID` with
//! `run-ID.wandb`, a log of the records in [`messages`].

mod log;
mod messages;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use finetone_train::Tracking;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::background::{End, Run, Sink};
use crate::error::TrackError;
use crate::numbers::{Numbers, seconds};
use log::Log;
use messages::{Item, Record};

/// The folder in the run folder.
const FOLDER: &str = "wandb";
/// The name of the step that charts go by.
const STEP: &str = "train/global_step";
/// Characters of an id.
const ID_LENGTH: usize = 8;

/// Writes offline runs.
pub struct Wandb {
    tracking: Tracking,
    open: Option<Open>,
}

/// The run that is being written.
struct Open {
    folder: PathBuf,
    log: Log,
    began: SystemTime,
    /// Lines of history so far.
    lines: u64,
    /// The last value of each name.
    summary: Map<String, Value>,
}

impl Wandb {
    /// A writer for runs under these names.
    pub fn new(tracking: &Tracking) -> Self {
        Self { tracking: tracking.clone(), open: None }
    }

    /// What stands before the first number.
    fn records(&self, run: &Run, id: &str) -> Vec<Record> {
        let began = seconds(run.began);
        let config = run.settings.as_object().into_iter().flatten();
        let config = config.map(|(name, value)| Item::new(name, value)).collect();
        vec![
            Record::header(),
            Record::run(messages::Run {
                run_id: id.into(),
                entity: self.tracking.entity.clone().unwrap_or_default(),
                project: self.tracking.project().into(),
                config: Some(messages::Items { update: config }),
                run_group: run.group.clone().unwrap_or_default(),
                display_name: run.name.clone(),
                tags: self.tracking.tags.clone(),
                start_time: Some(messages::Time::new(began)),
            }),
            // Charts go by the step of training and not by the number of the line.
            Record::metric(STEP, "", ""),
            Record::metric("", "*", STEP),
        ]
    }
}

impl Sink for Wandb {
    fn begin(&mut self, run: &Run) -> Result<(), TrackError> {
        let parent = run.folder.join(FOLDER);
        // A resumed run is written again from its events, so that it stands in one file without a break.
        let known = if run.resumed_from > 0 { known(&parent) } else { None };
        let (folder, id) = known.unwrap_or_else(|| fresh(&parent, run));
        let path = folder.join(format!("run-{id}.wandb"));
        let files = folder.join("files");
        fs::create_dir_all(&files).map_err(TrackError::file(&files))?;
        let log = Log::create(&path)?;
        let mut open = Open { folder, log, began: run.began, lines: 0, summary: Map::new() };
        self.records(run, &id).iter_mut().try_for_each(|record| open.log.write(record))?;
        for numbers in Numbers::before(&run.folder, run.resumed_from, run.began) {
            open.write(&numbers)?;
        }
        open.log.flush()?;
        self.open = Some(open);
        Ok(())
    }

    fn log(&mut self, numbers: &[Arc<Numbers>]) -> Result<(), TrackError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        numbers.iter().try_for_each(|numbers| open.write(numbers))?;
        open.log.flush()
    }

    fn end(&mut self, end: End, time: SystemTime) -> Result<(), TrackError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let runtime = (seconds(time) - seconds(open.began)).max(0.0);
        open.summary.insert("_wandb".into(), json!({"runtime": runtime as u64}));
        let summary = open.summary.iter().map(|(name, value)| Item::new(name, value)).collect();
        open.log.write(&mut Record::summary(summary))?;
        // What was interrupted did not fail, but is not complete.
        open.log.write(&mut Record::exit(i32::from(end != End::Finished), runtime as i32))?;
        open.log.flush()?;
        let path = open.folder.join("files").join("wandb-summary.json");
        fs::write(&path, Value::Object(open.summary.clone()).to_string()).map_err(TrackError::file(&path))
    }

    fn place(&self) -> Option<String> {
        Some(self.open.as_ref()?.folder.display().to_string())
    }
}

impl Open {
    fn write(&mut self, numbers: &Numbers) -> Result<(), TrackError> {
        let time = seconds(numbers.time);
        let mut line = Map::new();
        line.extend(numbers.values.iter().map(|(name, value)| (name.clone(), json!(value))));
        line.insert(STEP.into(), numbers.step.into());
        line.insert("_timestamp".into(), json!(time));
        line.insert("_runtime".into(), json!((time - seconds(self.began)).max(0.0)));
        line.insert("_step".into(), self.lines.into());
        let items = line.iter().map(|(name, value)| Item::new(name, value)).collect();
        self.log.write(&mut Record::history(items, self.lines as i64))?;
        self.lines += 1;
        self.summary.extend(line);
        Ok(())
    }
}

/// The offline run that a folder has already, and its id.
fn known(parent: &Path) -> Option<(PathBuf, String)> {
    let entries = parent.read_dir().ok()?.filter_map(Result::ok);
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    let folder = folders
        .into_iter()
        .rfind(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("offline-run-")))?;
    let id = folder.file_name()?.to_str()?.rsplit('-').next()?.to_owned();
    Some((folder, id))
}

fn fresh(parent: &Path, run: &Run) -> (PathBuf, String) {
    let id = id(&run.folder, run.began);
    let began = Timestamp::try_from(run.began).unwrap_or(Timestamp::UNIX_EPOCH);
    (parent.join(format!("offline-run-{}-{id}", began.strftime("%Y%m%d_%H%M%S"))), id)
}

/// Letters and digits that no other run has: they follow from the folder and the time.
fn id(folder: &Path, time: SystemTime) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (std::path::absolute(folder).ok(), time, std::process::id()).hash(&mut hasher);
    let mut rest = hasher.finish();
    let digit = |_| {
        let digit = char::from_digit((rest % 36) as u32, 36);
        rest /= 36;
        digit
    };
    (0..ID_LENGTH).filter_map(digit).collect()
}
