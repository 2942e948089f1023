//! How those who work on jobs are woken and stopped.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use finetone_train::Control;
use tokio::sync::watch;

/// How long to wait after the database did not answer.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// The bell, and the job that is being trained.
#[derive(Debug, Default)]
pub struct Work {
    bell: watch::Sender<bool>,
    current: Mutex<Option<(String, Control)>>,
}

impl Work {
    /// Lets everybody look for something to do.
    pub fn ring(&self) {
        self.bell.send_modify(|_| {});
    }

    /// Ends the work: what is being trained is saved and stopped.
    pub fn close(&self) {
        self.bell.send_replace(true);
        if let Some((_, control)) = &*self.current() {
            control.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Stops the training of a job after its current step, if it is this one that is being trained.
    pub fn interrupt(&self, job: &str) {
        if let Some((_, control)) = self.current().as_ref().filter(|(id, _)| id == job) {
            control.stop.store(true, Ordering::Relaxed);
        }
    }

    /// What can stop the training of `job` from now on.
    pub fn begin(&self, job: &str) -> Control {
        let control = Control::default();
        *self.current() = Some((job.to_owned(), control.clone()));
        if self.is_closed() {
            control.stop.store(true, Ordering::Relaxed);
        }
        control
    }

    /// Nothing is being trained any more.
    pub fn end(&self) {
        *self.current() = None;
    }

    /// Whether `job` is being trained.
    pub fn is_at(&self, job: &str) -> bool {
        self.current().as_ref().is_some_and(|(id, _)| id == job)
    }

    /// Whether the work is to end.
    pub fn is_closed(&self) -> bool {
        *self.bell.borrow()
    }

    /// Somebody who hears the bell.
    pub fn listen(&self) -> Bell {
        Bell(self.bell.subscribe())
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<(String, Control)>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells a worker that there may be something to do.
pub struct Bell(watch::Receiver<bool>);

impl Bell {
    /// Forgets what was rung so far; says whether the work goes on. Whoever calls this and then finds nothing to do misses
    /// nothing by waiting.
    pub fn goes_on(&mut self) -> bool {
        !*self.0.borrow_and_update()
    }

    /// Waits until it makes sense to look again: at once where something was found, for the bell where nothing was, a while
    /// where the database did not answer.
    pub async fn settle(&mut self, found: Result<bool, sqlx::Error>) {
        match found {
            Ok(true) => {}
            // The sender lives as long as the server; without it there is nothing to wait for either.
            Ok(false) => drop(self.0.changed().await),
            Err(error) => {
                eprintln!("error: {error}");
                tokio::time::sleep(AFTER_TROUBLE).await;
            }
        }
    }
}
