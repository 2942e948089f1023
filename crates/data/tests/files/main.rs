//! Data files from the outside: what is read, what is written back, and what is refused.

mod chats;
mod doctor;
mod faults;
mod hostile;
mod languages;
mod real;
mod round_trip;

#[path = "../../../../tests/real_data.rs"]
mod real_data;

use std::path::{Path, PathBuf};

use finetone_data::{DataError, OpenOptions, Reader, Row};

/// A folder with one file in it.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("a small file");
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Messages without the folder, which differs on every run.
    fn plain(&self, message: &impl ToString) -> String {
        message.to_string().replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn open(path: &Path) -> Result<Reader, DataError> {
    Reader::open(path, &OpenOptions::default())
}

fn rows(path: &Path) -> Result<Vec<Row>, DataError> {
    open(path)?.collect()
}

fn cells(row: &Row) -> Vec<String> {
    (0..row.source().header.len()).map(|column| row.text(column).expect("text").into_owned()).collect()
}
