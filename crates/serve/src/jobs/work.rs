//! How those who work on jobs are woken and stopped.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use finetone_train::Control;
use tokio::sync::watch;

use crate::workplace::Workplace;

/// How often to look without being rung: another process may have left something to do.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long to wait after the database did not answer.
pub const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// The bell, and the jobs that are being trained.
#[derive(Debug, Default)]
pub struct Work {
    bell: watch::Sender<bool>,
    current: Mutex<HashMap<String, Control>>,
}

impl Work {
    /// Lets everybody look for something to do.
    pub fn ring(&self) {
        self.bell.send_modify(|_| {});
    }

    /// Ends the work: what is being trained is saved and stopped.
    pub fn close(&self) {
        self.bell.send_replace(true);
        for control in self.current().values() {
            control.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Stops the training of a job after its current step, if it is trained here.
    pub fn interrupt(&self, job: &str) {
        if let Some(control) = self.current().get(job) {
            control.stop.store(true, Ordering::Relaxed);
        }
    }

    /// What can stop the training of `job` from now on.
    pub fn begin(&self, job: &str) -> Control {
        let control = Control::default();
        self.current().insert(job.to_owned(), control.clone());
        if self.is_closed() {
            control.stop.store(true, Ordering::Relaxed);
        }
        control
    }

    /// `job` is not being trained any more.
    pub fn end(&self, job: &str) {
        self.current().remove(job);
    }

    /// Whether the work is to end.
    pub fn is_closed(&self) -> bool {
        *self.bell.borrow()
    }

    /// Somebody who hears the bell.
    pub fn listen(&self) -> Bell {
        Bell(self.bell.subscribe())
    }

    fn current(&self) -> std::sync::MutexGuard<'_, HashMap<String, Control>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does `next` again and again until the process is stopped; it says whether there was anything to do.
pub async fn work_off<F>(place: Arc<Workplace>, next: fn(Arc<Workplace>) -> F)
where
    F: Future<Output = Result<bool, sqlx::Error>>,
{
    let mut bell = place.work.listen();
    while bell.goes_on() {
        bell.settle(next(Arc::clone(&place)).await).await;
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

    /// Waits until it makes sense to look again: at once where something was found, for the bell or a while where nothing was
    /// or the database did not answer.
    pub async fn settle(&mut self, found: Result<bool, sqlx::Error>) {
        match found {
            Ok(true) => {}
            Ok(false) => drop(tokio::time::timeout(LOOK_AGAIN, self.0.changed()).await),
            Err(error) => {
                eprintln!("error: {error}");
                tokio::time::sleep(AFTER_TROUBLE).await;
            }
        }
    }
}
