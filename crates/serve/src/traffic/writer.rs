//! The task that writes the record.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::hash::Hasher;
use super::{Note, Noted, RecordConfig, Waiting, bytes, row};
use crate::store::{NewAnswer, Store, now};

/// The most notes of one transaction.
const TOGETHER: usize = 256;
/// How often is looked for what is too old.
const TRIMMED: Duration = Duration::from_secs(3600);
/// Answers after which is looked for what is too much.
const TRIMMED_AFTER: usize = 1000;
const SECONDS_OF_A_DAY: i64 = 86_400;

/// What it takes to write the record.
pub(super) struct Writer {
    config: RecordConfig,
    store: Store,
    hasher: Option<Hasher>,
    waiting: Arc<Waiting>,
    /// Whether the last attempt failed, which was told then.
    in_trouble: bool,
    /// Answers that were written since the record was trimmed.
    untrimmed: usize,
}

impl Writer {
    pub(super) fn new(config: RecordConfig, store: Store, hasher: Option<Hasher>, waiting: Arc<Waiting>) -> Self {
        Self { config, store, hasher, waiting, in_trouble: false, untrimmed: 0 }
    }

    /// Writes what is noted until the end is.
    pub(super) async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        let mut clock = interval(TRIMMED);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gathered = Vec::with_capacity(TOGETHER);
        loop {
            tokio::select! {
                count = notes.recv_many(&mut gathered, TOGETHER) => {
                    if count == 0 || self.write(gathered.drain(..)).await {
                        return;
                    }
                }
                _ = clock.tick() => self.trim().await,
            }
            if self.untrimmed >= TRIMMED_AFTER {
                self.trim().await;
            }
        }
    }

    /// Writes notes, and says whether the end is among them.
    async fn write(&mut self, notes: impl Iterator<Item = Note>) -> bool {
        let (mut noted, mut settled, mut is_end) = (Vec::new(), Vec::new(), false);
        for note in notes {
            match note {
                Note::Answers(more) => noted.extend(more),
                Note::Settle(done) => settled.push(done),
                Note::End => is_end = true,
            }
        }
        if !noted.is_empty() {
            self.keep(noted).await;
        }
        // Whoever has stopped waiting in the meantime misses nothing.
        for done in settled {
            let _ = done.send(());
        }
        is_end
    }

    async fn keep(&mut self, noted: Vec<Noted>) {
        self.waiting.gives_back(bytes(&noted));
        let Some(hasher) = &self.hasher else { return };
        let rows: Vec<NewAnswer> = noted.into_iter().map(|noted| row(noted, self.config.recording, hasher)).collect();
        let written = self.store.add_answers(&rows).await;
        if written.is_err() {
            self.waiting.lose(rows.len());
        } else {
            self.untrimmed += rows.len();
        }
        self.tell(written);
    }

    async fn trim(&mut self) {
        self.untrimmed = 0;
        let oldest = now() - SECONDS_OF_A_DAY * i64::from(self.config.days);
        let trimmed = self.store.trim_answers(oldest, i64::from(self.config.answers)).await;
        self.tell(trimmed);
    }

    /// Tells the first failure and the first success behind it.
    fn tell(&mut self, done: Result<(), sqlx::Error>) {
        match done {
            Err(error) if !self.in_trouble => {
                eprintln!(
                    "error: the record of the answers cannot be written: {error}; answers are given all the same"
                );
                self.in_trouble = true;
            }
            Ok(()) if self.in_trouble => {
                let lost = self.waiting.lost();
                eprintln!("note: the record of the answers goes on; {lost} answers are missing in it");
                self.in_trouble = false;
            }
            _ => {}
        }
    }
}
