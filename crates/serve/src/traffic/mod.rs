//! The record of what classifiers are asked and answer, where whoever serves wants one.
//!
//! Answers are noted behind the requests: a request leaves a note in a queue and waits for nothing. One task writes what has
//! gathered, in one transaction ([`writer`]). Where it cannot keep up, or the disk is full, notes are lost and counted; answers
//! never are. What is kept says how the model does on today's texts, as `finetone monitor` does for files ([`view`]).

mod hash;
mod reference;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::ServeError;
use crate::reply::Judged;
use crate::store::{NewAnswer, Store, now};
use hash::Hasher;
pub use reference::References;
pub use view::{DAY, HOUR, MINUTE, Windows, kept_of, look};

/// Notes that may wait to be written; more are lost.
const WAITING: usize = 4096;
/// Bytes of their texts; with more of them notes are lost, too.
const WAITING_BYTES: usize = 64 << 20;
/// The longest text that is kept, in bytes; of a longer one the beginning is.
const LONGEST_TEXT: usize = 32 << 10;

/// What is kept of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recording {
    /// Nothing.
    #[default]
    Off,
    /// Time, length in words, class, confidence, and of the text a hash by a key that lies in the data folder.
    Hashed,
    /// The same with the text.
    Texts,
}

impl Recording {
    /// Its name in answers and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hashed => "hashed",
            Self::Texts => "texts",
        }
    }
}

/// What is kept, how much of it and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordConfig {
    /// What is kept of an answer.
    pub recording: Recording,
    /// Days after which an answer is forgotten, also one that was kept by an earlier server.
    pub days: u32,
    /// Answers of each model, of which the latest are kept.
    pub answers: u32,
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self { recording: Recording::Off, days: 30, answers: 50_000 }
    }
}

/// The record: where requests leave their notes.
pub struct Traffic {
    config: RecordConfig,
    notes: mpsc::Sender<Note>,
    waiting: Arc<Waiting>,
    writer: std::sync::Mutex<Option<JoinHandle<()>>>,
    /// What answers are held against.
    pub references: References,
}

/// What the task is told.
enum Note {
    /// Answers of one request.
    Answers(Vec<Noted>),
    /// Everything before this is to be written now.
    Settle(oneshot::Sender<()>),
    /// Nothing comes behind this.
    End,
}

/// An answer of a request.
struct Noted {
    id: String,
    number: i64,
    model: String,
    created_at: i64,
    judged: Judged,
}

impl Traffic {
    /// Opens the record of the data folder `folder` in the database `store`.
    ///
    /// # Errors
    /// A key that cannot be read or made.
    pub fn open(config: RecordConfig, store: Store, folder: &Path) -> Result<Self, ServeError> {
        let hasher = match config.recording {
            Recording::Off => None,
            Recording::Hashed | Recording::Texts => Some(Hasher::open(folder)?),
        };
        let (notes, waiting) = mpsc::channel(WAITING);
        let shared = Arc::new(Waiting::default());
        let writer = writer::Writer::new(config, store, hasher, Arc::clone(&shared));
        let writer = std::sync::Mutex::new(Some(tokio::spawn(writer.run(waiting))));
        Ok(Self { config, notes, waiting: shared, writer, references: References::default() })
    }

    /// What is kept.
    pub fn config(&self) -> RecordConfig {
        self.config
    }

    /// Whether anything is kept, so that requests need to say what they judged.
    pub fn is_on(&self) -> bool {
        self.config.recording != Recording::Off
    }

    /// Notes that were lost since the server was started.
    pub fn lost(&self) -> u64 {
        self.waiting.lost()
    }

    /// Notes what a model said to the texts of a request, whose answer has this id. Waits for nothing.
    pub fn note(&self, model: &str, id: &str, judged: impl IntoIterator<Item = Judged>) {
        if !self.is_on() {
            return;
        }
        let noted = |(number, judged)| {
            let (id, model) = (id.to_owned(), model.to_owned());
            Noted { id, number, model, created_at: now(), judged }
        };
        let noted: Vec<Noted> = (0..).zip(judged).map(noted).collect();
        let (answers, bytes) = (noted.len(), bytes(&noted));
        if answers == 0 {
            return;
        }
        if !self.waiting.takes(bytes) {
            return self.waiting.lose(answers);
        }
        if self.notes.try_send(Note::Answers(noted)).is_err() {
            self.waiting.gives_back(bytes);
            self.waiting.lose(answers);
        }
    }

    /// Returns when everything that was noted before is written, or lost.
    pub async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        if self.notes.send(Note::Settle(done)).await.is_ok() {
            let _ = settled.await;
        }
    }

    /// Writes what was noted and ends the task.
    pub async fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(writer) = writer
            && self.notes.send(Note::End).await.is_ok()
        {
            let _ = writer.await;
        }
    }
}

/// What waits to be written, and what never was.
#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    lost: AtomicU64,
}

impl Waiting {
    /// Whether there is room for texts of so many bytes, which then have it.
    fn takes(&self, bytes: usize) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= WAITING_BYTES;
        if !fits {
            self.gives_back(bytes);
        }
        fits
    }

    /// Makes room again.
    fn gives_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts answers that are not in the record.
    fn lose(&self, answers: usize) {
        self.lost.fetch_add(answers as u64, Ordering::Relaxed);
    }

    fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// What texts take while they wait.
fn bytes(noted: &[Noted]) -> usize {
    noted.iter().map(|noted| noted.judged.text.len()).sum()
}

/// A row of the record.
fn row(noted: Noted, recording: Recording, hasher: &Hasher) -> NewAnswer {
    let Noted { id, number, model, created_at, judged: Judged { text, label, confidence, margin, abstained } } = noted;
    let length = finetone_data::words::words(&text).count() as i64;
    let hash = hasher.hash(&text);
    let text = (recording == Recording::Texts).then(|| kept(&text));
    NewAnswer {
        id,
        number,
        model,
        created_at,
        text,
        hash,
        length,
        predicted: label,
        confidence: f64::from(confidence),
        margin: f64::from(margin),
        abstained,
    }
}

/// A text as it is kept: without the character that PostgreSQL has no place for, and not too long.
fn kept(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_TEXT)].replace('\0', "\u{FFFD}")
}
