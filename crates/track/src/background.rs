//! A tracker on a thread of its own: training hands it numbers and goes on.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::error::TrackError;
use crate::numbers::Numbers;

/// Messages that wait for a tracker; more are counted and not kept.
const QUEUE: usize = 16_384;
/// Numbers that are handed over together.
const TOGETHER: usize = 100;
/// Pauses before something is tried again: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a pause looks whether it should end.
const TICK: Duration = Duration::from_millis(50);
/// What a request may take that is under way when time is up.
const ONE_REQUEST: Duration = Duration::from_secs(2);

/// A run that begins or goes on.
#[derive(Debug, Clone)]
pub struct Run {
    pub folder: std::path::PathBuf,
    pub name: String,
    /// The name of the whole, where this is one of several trials.
    pub group: Option<String>,
    /// The step it goes on from; 0 for a new one.
    pub resumed_from: u64,
    pub began: SystemTime,
    /// The settings.
    pub settings: Value,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Finished,
    /// It can be resumed.
    Interrupted,
    Failed,
}

/// Where numbers go. What fails in passing is asked for again in the same words.
pub trait Sink: Send + 'static {
    fn begin(&mut self, run: &Run) -> Result<(), TrackError>;
    fn log(&mut self, numbers: &[Arc<Numbers>]) -> Result<(), TrackError>;
    fn end(&mut self, end: End, time: SystemTime) -> Result<(), TrackError>;
    /// The folder or the address of the run that was begun last.
    fn place(&self) -> Option<String>;
}

/// What the thread is told.
#[derive(Debug, Clone)]
pub enum Message {
    Begin(Arc<Run>),
    Log(Arc<Numbers>),
    End(End, SystemTime),
}

/// The near end of a tracker.
pub struct Background {
    name: &'static str,
    queue: SyncSender<Message>,
    /// The moment after which nobody waits any more.
    deadline: Arc<OnceLock<Instant>>,
    closed: Receiver<Closing>,
    /// Whether some message found no place.
    lost: bool,
    /// Whether that was the beginning of a run, so that its numbers must not be taken for those of another.
    missed: bool,
}

/// What the far end leaves.
struct Closing {
    place: Option<String>,
    /// Whether messages came to nothing.
    lost: bool,
}

impl Background {
    /// Starts the thread.
    pub fn start(name: &'static str, sink: impl Sink) -> Self {
        let (queue, messages) = sync_channel(QUEUE);
        let (done, closed) = channel();
        let deadline = Arc::new(OnceLock::new());
        let courier =
            Courier { name, sink, messages, deadline: Arc::clone(&deadline), pause: FIRST_PAUSE, told: false };
        // Whoever left does not want to know how it ended.
        thread::spawn(move || drop(done.send(courier.work())));
        Self { name, queue, deadline, closed, lost: false, missed: false }
    }

    /// Hands a message over, if there is room. Never waits.
    pub fn send(&mut self, message: Message) {
        let begins = matches!(message, Message::Begin(_));
        if self.missed && !begins {
            return;
        }
        // A thread that gave up has said so.
        let full = matches!(self.queue.try_send(message), Err(TrySendError::Full(_)));
        self.lost |= full;
        self.missed = full && begins;
    }

    /// Lets the thread do what is left, for at most so long, and says if something did not get through. Returns where the
    /// run is.
    pub fn close(self, patience: Duration) -> Option<String> {
        let _ = self.deadline.set(Instant::now() + patience);
        // Without a sender the thread ends when the queue is empty.
        drop(self.queue);
        let closing = self.closed.recv_timeout(patience + ONE_REQUEST).unwrap_or(Closing { place: None, lost: true });
        if self.lost || closing.lost {
            anstream::eprintln!(
                "warning: {}: not everything got through in time; all of it is in `{}` in the run folder",
                self.name,
                crate::EVENTS_FILE
            );
        }
        closing.place
    }
}

/// The far end.
struct Courier<S> {
    name: &'static str,
    sink: S,
    messages: Receiver<Message>,
    deadline: Arc<OnceLock<Instant>>,
    pause: Duration,
    /// Whether it was said that something is tried again.
    told: bool,
}

impl<S: Sink> Courier<S> {
    fn work(mut self) -> Closing {
        let mut waiting: Vec<Message> = Vec::new();
        loop {
            if waiting.is_empty() {
                match self.messages.recv() {
                    Ok(message) => waiting.push(message),
                    Err(_) => return Closing { place: self.sink.place(), lost: false },
                }
            }
            waiting.extend(self.messages.try_iter().take(TOGETHER - waiting.len()));
            match self.deliver(&waiting) {
                Ok(delivered) => drop(waiting.drain(..delivered)),
                Err(error) if error.is_passing() => {
                    if !self.wait(&error) {
                        return Closing { place: self.sink.place(), lost: true };
                    }
                }
                Err(error) => {
                    anstream::eprintln!("warning: {}: {error}; the run goes on without it", self.name);
                    return Closing { place: None, lost: false };
                }
            }
        }
    }

    /// Hands over the first message, or all the numbers that are first; returns how many messages that were.
    fn deliver(&mut self, waiting: &[Message]) -> Result<usize, TrackError> {
        let numbers: Vec<Arc<Numbers>> = waiting.iter().map_while(Message::numbers).collect();
        match &waiting[0] {
            Message::Begin(run) => self.sink.begin(run)?,
            Message::End(end, time) => self.sink.end(*end, *time)?,
            Message::Log(_) => self.sink.log(&numbers)?,
        }
        self.pause = FIRST_PAUSE;
        Ok(numbers.len().max(1))
    }

    /// Waits before the next try, longer each time; false if there is no time for one. What comes meanwhile stays in the
    /// queue, where it is bounded.
    fn wait(&mut self, error: &TrackError) -> bool {
        if !std::mem::replace(&mut self.told, true) {
            anstream::eprintln!("warning: {}: {error}; this is tried again while the run goes on", self.name);
        }
        let until = Instant::now() + self.pause;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        while self.deadline.get().is_none() && Instant::now() < until {
            thread::sleep(TICK);
        }
        let Some(deadline) = self.deadline.get() else { return true };
        // At the end there is no time for long pauses.
        thread::sleep(FIRST_PAUSE);
        Instant::now() < *deadline
    }
}

impl Message {
    fn numbers(&self) -> Option<Arc<Numbers>> {
        if let Self::Log(numbers) = self { Some(Arc::clone(numbers)) } else { None }
    }
}

#[cfg(test)]
mod tests;
