//! Open models: loaded when they are asked for, shared by all who ask, closed when their memory is needed.
//!
//! A model has a thread of its own and a queue before it. Texts are read (prepared, tokenised) by whoever asks, so that the
//! thread does nothing but compute; it takes what waits, up to a number of tokens, and never waits while there is something to
//! do. A full queue refuses at once instead of letting everybody wait longer. Models that write have a thread that gives its
//! requests a token each in turn ([`writer`]).

mod error;
mod queue;
mod telling;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use finetone_classify::{Reading, Rows, Served, TextReader, Use};
use finetone_data::Example;
use finetone_data::tokenizer::Keep;
use tokio::sync::{OnceCell, mpsc, oneshot};
use tokio::task::spawn_blocking;

pub use error::EngineError;
pub use queue::Answer;
pub use writer::{OpenWriter, Written};

use crate::metrics::Metrics;
use crate::workshop::{Opened, Workshop};
use queue::Waiting;

/// What the engine may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Bytes of the weights of all open models. One model is always open, however large it is.
    pub model_bytes: usize,
    /// Texts that may wait for a model; more are refused.
    pub waiting_texts: usize,
    /// Tokens computed together; a longer text is computed alone.
    pub batch_tokens: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self { model_bytes: 4 << 30, waiting_texts: 4096, batch_tokens: finetone_classify::TOKEN_BUDGET }
    }
}

/// Bytes of texts that are read in no time worth mentioning.
const SHORT: usize = 1024;

/// The open models.
pub struct Engine {
    workshop: Arc<dyn Workshop>,
    limits: EngineLimits,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

/// A model folder, or whatever else the workshop opens, and what it is opened for.
type Key = (PathBuf, Use);

#[derive(Default)]
struct State {
    open: BTreeMap<Key, Slot>,
    /// How often a model was asked for: the clock of the eviction.
    asked: u64,
    threads: Vec<JoinHandle<()>>,
    closed: bool,
}

/// A model that is open or being opened.
struct Slot {
    model: Arc<OnceCell<Open>>,
    last_asked: u64,
}

/// An open model of either kind.
#[derive(Clone)]
pub enum Open {
    /// One that judges texts.
    Judge(Arc<OpenModel>),
    /// One that writes.
    Writer(Arc<OpenWriter>),
}

impl Open {
    fn bytes(&self) -> usize {
        match self {
            Self::Judge(model) => model.bytes,
            Self::Writer(model) => model.bytes,
        }
    }

    /// Whether its thread has ended, which is a bug.
    fn is_closed(&self) -> bool {
        match self {
            Self::Judge(model) => model.queue.is_closed(),
            Self::Writer(model) => model.queue.is_closed(),
        }
    }

    fn waiting(&self) -> usize {
        match self {
            Self::Judge(model) => model.queue.max_capacity() - model.queue.capacity(),
            Self::Writer(model) => model.queue.max_capacity() - model.queue.capacity(),
        }
    }
}

impl Engine {
    /// An engine without open models.
    pub fn new(workshop: Arc<dyn Workshop>, limits: EngineLimits, metrics: Arc<Metrics>) -> Self {
        Self { workshop, limits, metrics, state: Mutex::default() }
    }

    /// What it may use.
    pub fn limits(&self) -> EngineLimits {
        self.limits
    }

    /// The open model of a folder; opens it if need be, and closes those that were not asked for longest if memory is short.
    ///
    /// # Errors
    /// A folder that cannot be opened; an engine that is shut down.
    pub async fn open(&self, source: &Path, wanted: Use) -> Result<Open, EngineError> {
        let key = (source.to_owned(), wanted);
        loop {
            let slot = self.state().slot(&key)?;
            match slot.get_or_try_init(|| self.load(&key)).await {
                Ok(model) if !model.is_closed() => {
                    self.state().make_room(&key, self.limits.model_bytes);
                    return Ok(model.clone());
                }
                // Its thread ended by a bug: it is opened anew.
                Ok(_) => self.state().forget(&key, &slot),
                Err(error) => {
                    self.state().forget(&key, &slot);
                    return Err(error);
                }
            }
        }
    }

    /// Closes a model that will not be asked for any more. What it has accepted is still computed.
    pub fn close(&self, source: &Path) {
        self.state().open.retain(|(open, _), _| open != source);
    }

    /// How many texts wait for their model.
    pub fn waiting(&self) -> usize {
        self.state().models().map(|(_, model)| model.waiting()).sum()
    }

    /// Takes nothing more and returns when everything that was accepted is computed.
    pub async fn shut_down(&self) {
        let threads = {
            let mut state = self.state();
            state.closed = true;
            state.open.clear();
            std::mem::take(&mut state.threads)
        };
        // A thread that panicked has said so, and there is nothing left to be waited for.
        let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        drop(spawn_blocking(join).await);
    }

    async fn load(&self, key: &Key) -> Result<Open, EngineError> {
        let (workshop, (source, wanted)) = (self.workshop.clone(), key.clone());
        let opened = spawn_blocking(move || workshop.open(&source, wanted)).await;
        match opened.map_err(|_| EngineError::Stopped)?? {
            Opened::Judge(Served { reader, rows, bytes, compute }) => {
                let (queue, waiting) = mpsc::channel(self.limits.waiting_texts);
                let (tokens, metrics) = (self.limits.batch_tokens, self.metrics.clone());
                self.start(move || queue::run(compute, waiting, tokens, &metrics))?;
                Ok(Open::Judge(Arc::new(OpenModel { reader, rows, bytes, queue })))
            }
            Opened::Writer(finetone_generate::Served { reader, bytes, model }) => {
                let (queue, waiting) = mpsc::channel(self.limits.waiting_texts);
                let shared = reader.clone();
                self.start(move || writer::run(model.as_ref(), &shared, waiting))?;
                Ok(Open::Writer(Arc::new(OpenWriter::new(reader, bytes, queue))))
            }
        }
    }

    /// Starts the thread of a model.
    fn start(&self, run: impl FnOnce() + Send + 'static) -> Result<(), EngineError> {
        let thread = thread::Builder::new().name("model".into()).spawn(run).map_err(EngineError::Thread)?;
        let mut state = self.state();
        state.threads.retain(|thread| !thread.is_finished());
        state.threads.push(thread);
        Ok(())
    }

    /// A panic while the lock is held leaves nothing half done that matters here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The place of a model, which counts as asked for.
    fn slot(&mut self, key: &Key) -> Result<Arc<OnceCell<Open>>, EngineError> {
        if self.closed {
            return Err(EngineError::ShuttingDown);
        }
        self.asked += 1;
        let slot = self.open.entry(key.clone()).or_insert_with(|| Slot { model: Arc::default(), last_asked: 0 });
        slot.last_asked = self.asked;
        Ok(slot.model.clone())
    }

    /// The models that are open.
    fn models(&self) -> impl Iterator<Item = (&Key, &Open)> {
        self.open.iter().filter_map(|(key, slot)| Some((key, slot.model.get()?)))
    }

    /// Closes models until the rest fits, `keep` last of all.
    fn make_room(&mut self, keep: &Key, budget: usize) {
        while self.models().map(|(_, model)| model.bytes()).sum::<usize>() > budget {
            let others = self.models().filter(|(key, _)| *key != keep).map(|(key, _)| key);
            let Some(oldest) = others.min_by_key(|key| self.open[*key].last_asked).cloned() else { return };
            self.open.remove(&oldest);
        }
    }

    /// Gives up a place, unless somebody has taken it anew.
    fn forget(&mut self, key: &Key, slot: &Arc<OnceCell<Open>>) {
        if self.open.get(key).is_some_and(|open| Arc::ptr_eq(&open.model, slot)) {
            self.open.remove(key);
        }
    }
}

/// A model that judges. It closes when nobody holds it any more, which is not before all answers are given.
pub struct OpenModel {
    reader: Arc<TextReader>,
    rows: Rows,
    bytes: usize,
    queue: mpsc::Sender<Waiting>,
}

impl OpenModel {
    /// What its answers are.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// How it reads texts.
    pub fn reader(&self) -> &TextReader {
        &self.reader
    }

    /// Reads texts as the model does: a few words at once, more on a thread that may take its time. Of those that are too long
    /// `keep` says what is kept, where it is not what the model was trained on.
    ///
    /// # Errors
    /// None but that of a bug.
    pub async fn read(&self, texts: Vec<String>, keep: Option<Keep>) -> Result<Vec<Reading>, EngineError> {
        let (reader, bytes) = (self.reader.clone(), texts.iter().map(String::len).sum::<usize>());
        let read = move || {
            let examples: Vec<Example> = texts.iter().map(|text| Example::from_text(text)).collect();
            reader.read(&examples, keep)
        };
        // To hand a text to another thread and back takes longer than to read a short one.
        if bytes <= SHORT {
            return Ok(read());
        }
        spawn_blocking(read).await.map_err(|_| EngineError::Stopped)
    }

    /// An answer for each text, in their order. All of them are accepted, or none; whoever stops waiting is not computed for.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`] where they find no room in the queue, and whatever the computation may fail by.
    pub async fn answer(&self, readings: Vec<Reading>) -> Result<Vec<Answer>, EngineError> {
        let (given, most) = (readings.len(), self.queue.max_capacity());
        if given > most {
            return Err(EngineError::TooMany { given, most });
        }
        let room = self.queue.try_reserve_many(given).map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => EngineError::Overloaded,
            mpsc::error::TrySendError::Closed(()) => EngineError::Stopped,
        })?;
        let mut replies = Vec::with_capacity(readings.len());
        let since = Instant::now();
        for (place, reading) in room.zip(readings) {
            let (reply, answer) = oneshot::channel();
            place.send(Waiting { reading, since, reply });
            replies.push(answer);
        }
        let mut answers = Vec::with_capacity(replies.len());
        for reply in replies {
            answers.push(reply.await.map_err(|_| EngineError::Stopped)??);
        }
        Ok(answers)
    }
}
