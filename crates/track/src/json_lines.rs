//! Events as lines of JSON in the run folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use finetone_train::{Listener, TrainEvent};
use serde_json::Value;

/// The file's name in the run folder.
pub const EVENTS_FILE: &str = "events.jsonl";

/// Writes `events.jsonl` into the folder that [`TrainEvent::Started`] names.
///
/// The file is opened only then, because the folder is the trainer's to make; what came before is kept until then. A resumed
/// run first cuts the file back to its checkpoint, so that no step stands there twice, and a line that a killed process tore
/// goes with it. The events of a trial go into the trial's own folder; the run's file has its beginning and its end alone.
/// Every event is on its way to the disk before the call returns.
#[derive(Default)]
pub struct JsonLines {
    state: State,
    /// What waits while a trial has its own file.
    outer: State,
}

#[derive(Default)]
enum State {
    /// No folder yet; the events so far.
    #[default]
    Waiting,
    /// Lines that came before the folder was known.
    Early(Vec<TrainEvent>),
    Open {
        path: PathBuf,
        out: BufWriter<File>,
    },
    /// Trouble was reported; nothing is written any more.
    Broken,
}

impl JsonLines {
    /// A listener that waits for the run to start.
    pub fn new() -> Self {
        Self::default()
    }

    fn start(&mut self, folder: &Path, resumed_from: u64) {
        let early = match std::mem::take(&mut self.state) {
            State::Early(events) => events,
            State::Open { .. } | State::Waiting => Vec::new(),
            State::Broken => {
                self.state = State::Broken;
                return;
            }
        };
        let path = folder.join(EVENTS_FILE);
        self.state = match open(&path, resumed_from) {
            Ok(file) => State::Open { path, out: BufWriter::new(file) },
            Err(error) => broken(&path, &error),
        };
        for event in &early {
            self.write(event);
        }
    }

    fn write(&mut self, event: &TrainEvent) {
        match &mut self.state {
            State::Waiting => self.state = State::Early(vec![event.clone()]),
            State::Early(events) => events.push(event.clone()),
            State::Open { path, out } => {
                if let Err(error) = write_line(out, event) {
                    self.state = broken(path, &error);
                }
            }
            State::Broken => {}
        }
    }
}

impl Listener for JsonLines {
    fn on(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Started { run, resumed_from, .. } => self.start(run, *resumed_from),
            TrainEvent::TrialFinished { .. } => self.state = std::mem::take(&mut self.outer),
            _ => {}
        }
        self.write(event);
        if let TrainEvent::TrialStarted { .. } = event {
            self.outer = std::mem::take(&mut self.state);
        }
    }
}

fn write_line(out: &mut BufWriter<File>, event: &TrainEvent) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn broken(path: &Path, error: &io::Error) -> State {
    anstream::eprintln!("warning: {}: {error}; the run goes on without this file", path.display());
    State::Broken
}

/// The file, ready for the events after step `resumed_from`.
fn open(path: &Path, resumed_from: u64) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let keep = if resumed_from == 0 { 0 } else { length_up_to(&file, resumed_from)? };
    file.set_len(keep)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

/// Bytes of the whole lines before the first event of a step after `step`, or the first line that is torn.
fn length_up_to(file: &File, step: u64) -> io::Result<u64> {
    let mut reader = BufReader::new(file);
    let (mut length, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)?;
        let complete = line.last() == Some(&b'\n');
        // Only the step is looked at, so that events of other versions are kept too.
        let event: Option<Value> = serde_json::from_slice(&line).ok().filter(|_| complete);
        match event {
            Some(event) if event["step"].as_u64().is_none_or(|found| found <= step) => length += bytes as u64,
            _ => return Ok(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn started(run: &Path, resumed_from: u64) -> TrainEvent {
        TrainEvent::Started {
            run: run.to_owned(),
            model: "tiny".into(),
            backend: "cpu".into(),
            parameters: 1,
            trainable: 1,
            labels: vec!["a".into(), "b".into()],
            train_rows: 1,
            validation_rows: 0,
            test_rows: 0,
            steps: 9,
            epochs: 1.0,
            resumed_from,
        }
    }

    fn notice(message: &str) -> TrainEvent {
        TrainEvent::Notice { message: message.into() }
    }

    fn names(folder: &Path) -> Vec<String> {
        let text = fs::read_to_string(folder.join(EVENTS_FILE)).unwrap();
        let event = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let name = |event: Value| match event["step"].as_u64() {
            Some(step) => format!("{} {step}", event["event"].as_str().unwrap()),
            None => event["event"].as_str().unwrap().to_owned(),
        };
        text.lines().map(|line| name(event(line))).collect()
    }

    fn run(folder: &Path, resumed_from: u64, steps: std::ops::RangeInclusive<u64>) {
        let mut log = JsonLines::new();
        log.on(&notice("before the folder is known"));
        log.on(&started(folder, resumed_from));
        steps.for_each(|step| log.on(&TrainEvent::Checkpoint { step }));
    }

    #[test]
    fn every_event_is_a_line_that_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), 0, 1..=2);
        assert_eq!(names(folder.path()), ["notice", "started", "checkpoint 1", "checkpoint 2"]);
        let text = fs::read_to_string(folder.path().join(EVENTS_FILE)).unwrap();
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events[1], serde_json::to_value(started(folder.path(), 0)).unwrap());
        assert_eq!(events[1]["steps"], 9);
    }

    #[test]
    fn a_resumed_run_cuts_back_to_its_checkpoint_and_mends_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), 0, 1..=5);
        let path = folder.path().join(EVENTS_FILE);
        let mut torn = fs::read(&path).unwrap();
        torn.extend(b"{\"event\":\"checkpoint\",\"st");
        fs::write(&path, torn).unwrap();
        run(folder.path(), 3, 4..=4);
        let first = ["notice", "started", "checkpoint 1", "checkpoint 2", "checkpoint 3"];
        let then = ["notice", "started", "checkpoint 4"];
        assert_eq!(names(folder.path()), [&first[..], &then[..]].concat());
    }

    #[test]
    fn a_trial_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (run, trial) = (folder.path().join("run"), folder.path().join("run/seed-1"));
        let mut log = JsonLines::new();
        log.on(&notice("of the run"));
        log.on(&TrainEvent::TrialStarted { name: "seed 1".into() });
        log.on(&notice("of the trial"));
        log.on(&started(&trial, 0));
        let (name, measured_on) = ("seed 1".to_owned(), "test".to_owned());
        log.on(&TrainEvent::TrialFinished { name, metrics: BTreeMap::new(), measured_on, seconds: 1.0, again: false });
        log.on(&started(&run, 0));
        assert_eq!(names(&trial), ["notice", "started"]);
        assert_eq!(names(&run), ["notice", "trial_started", "trial_finished", "started"]);
    }

    #[test]
    fn a_run_that_starts_anew_starts_the_file_anew() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), 0, 1..=5);
        run(folder.path(), 0, 1..=1);
        assert_eq!(names(folder.path()), ["notice", "started", "checkpoint 1"]);
    }

    #[test]
    fn a_file_that_cannot_be_written_does_not_stop_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let mut log = JsonLines::new();
        log.on(&started(&file, 0));
        log.on(&TrainEvent::Checkpoint { step: 1 });
        assert!(matches!(log.state, State::Broken));
    }
}
