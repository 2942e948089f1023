//! The calls of a run: `monitor/history.jsonl`, a line for each.
//!
//! Lines are only ever added, each by one write that is on disk before the call ends. What a call that was killed left of a line
//! is closed by the next and passed over, so nothing that was complete is lost.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Record;
use crate::error::TrainError;

/// The calls so far.
pub struct History {
    path: PathBuf,
    pub records: Vec<Record>,
    /// Lines that could not be read.
    damaged: usize,
}

impl History {
    /// Reads what is there.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join("history.jsonl");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(TrainError::io(&path)(error)),
        };
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let (mut records, mut damaged) = (Vec::new(), 0);
        for line in lines {
            match serde_json::from_slice(line) {
                Ok(record) => records.push(record),
                Err(_) => damaged += 1,
            }
        }
        Ok(Self { path, records, damaged })
    }

    /// What to know before trusting it.
    pub fn notice(&self) -> Option<String> {
        let lines = if self.damaged == 1 { "1 line".to_owned() } else { format!("{} lines", self.damaged) };
        (self.damaged > 0).then(|| format!("{}: {lines} cannot be read and are passed over", self.path.display()))
    }

    /// Adds a call.
    pub fn append(&mut self, record: Record) -> Result<(), TrainError> {
        let line = serde_json::to_string(&record).expect("a record has a JSON form");
        self.write(&line).map_err(TrainError::io(&self.path))?;
        self.records.push(record);
        Ok(())
    }

    fn write(&self, line: &str) -> std::io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
        let before = if ends_a_line(&mut file)? { "" } else { "\n" };
        file.write_all(format!("{before}{line}\n").as_bytes())?;
        file.sync_all()
    }
}

/// Whether a line added to the file would be a line of its own.
fn ends_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The time to the second.
pub fn now() -> String {
    time(Timestamp::now().as_second())
}

/// A time in seconds since 1970 as RFC 3339 has it.
pub fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use finetone_evaluate::{Drift, DriftSample};

    fn record(file: &str) -> Record {
        let numbers = DriftSample { lengths: vec![3, 4], predicted: vec![0, 1], ..DriftSample::default() };
        let sample = DriftSample { confidences: vec![0.7, 0.8], ..numbers };
        let source = "validation rows of the run".into();
        Record {
            at: now(),
            file: file.into(),
            fingerprint: "00".into(),
            rows: 2,
            labelled: 0,
            reference: super::super::ReferenceFacts { source, rows: 2, accuracy: None, confidence: 0.75 },
            accuracy: None,
            f1_macro: None,
            expected_accuracy: None,
            confidence: 0.75,
            shares: Default::default(),
            drift: Drift::new((&sample, &sample), 2, &[], 0).unwrap(),
            stream: None,
        }
    }

    #[test]
    fn a_torn_line_is_closed_and_nothing_else_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        History::read(folder.path()).unwrap().append(record("one.csv")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 1, whole.len() / 2, whole.len() - 2] {
            std::fs::write(&path, [&whole[..], &whole[..cut]].concat()).unwrap();
            History::read(folder.path()).unwrap().append(record("two.csv")).unwrap();
            let history = History::read(folder.path()).unwrap();
            let files: Vec<&str> = history.records.iter().map(|record| record.file.as_str()).collect();
            assert_eq!((files, history.damaged), (vec!["one.csv", "two.csv"], usize::from(cut > 0)), "cut at {cut}");
            assert_eq!(history.notice().is_some(), cut > 0);
        }
    }

    #[test]
    fn a_line_without_its_end_still_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, serde_json::to_string(&record("one.csv")).unwrap()).unwrap();
        let mut history = History::read(folder.path()).unwrap();
        history.append(record("two.csv")).unwrap();
        assert_eq!(History::read(folder.path()).unwrap().records, history.records);
    }
}
