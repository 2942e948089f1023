//! The thread beside a worker: it renews the worker's claim, and stops its training at the deadline or when the user wants it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use finetone_train::Control;

use crate::error::SearchError;
use crate::search::Worker;
use crate::store::Store;

/// How often a claim is renewed, and how often somebody looks whether things have changed.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(1);
pub const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// What a worker's claim is renewed for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum At {
    /// Nothing.
    Nothing,
    /// A trial.
    Trial(u64),
    /// The winner on fresh folds, which does not count as time of the search.
    Confirmation,
}

/// What the worker and the thread that renews its claims say to each other.
pub struct Pulse {
    pub at: Mutex<At>,
    /// Stops or abandons the training that goes on.
    pub control: Control,
    pub deadline: Option<Instant>,
    done: AtomicBool,
}

impl Pulse {
    pub fn new(deadline: Option<Instant>) -> Self {
        Self { at: Mutex::new(At::Nothing), control: Control::default(), deadline, done: AtomicBool::new(false) }
    }

    /// From now on the claim is for this.
    pub fn set(&self, at: At) {
        let mut place = self.at.lock().expect("nobody panics while holding it");
        *place = at;
        self.control.abandon.store(false, Ordering::Relaxed);
    }

    /// Does `work` while claims are renewed on another thread and the wishes of `user` are passed on.
    ///
    /// # Errors
    /// A database that cannot be opened once more, and those of `work`.
    pub fn during<T>(
        &self,
        worker: &mut Worker<'_>,
        work: impl FnOnce(&mut Worker<'_>) -> Result<T, SearchError>,
    ) -> Result<T, SearchError> {
        let mut store = worker.store.again()?;
        let (name, user) = (worker.name.clone(), worker.user.clone());
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || self.beat(&mut store, &name, &user));
            let done = work(worker);
            self.done.store(true, Ordering::Relaxed);
            thread.thread().unpark();
            done
        })
    }

    fn beat(&self, store: &mut Store, worker: &str, user: &Control) {
        let mut last = Instant::now();
        while !self.done.load(Ordering::Relaxed) {
            let is_late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if user.is_stopped() || is_late {
                self.control.stop.store(true, Ordering::Relaxed);
            }
            if last.elapsed() >= BETWEEN_RENEWALS {
                last = Instant::now();
                self.renew(store, worker);
            }
            std::thread::park_timeout(BETWEEN_LOOKS);
        }
    }

    /// What cannot be renewed now may be a second later; if it never is, the claim lapses, and that is noticed.
    fn renew(&self, store: &mut Store, worker: &str) {
        let at = self.at.lock().expect("nobody panics while holding it");
        let is_ours = match *at {
            At::Confirmation => store.renew_confirmation(worker).map(|()| true),
            At::Trial(number) => store.renew(worker, Some(number)),
            At::Nothing => store.renew(worker, None),
        };
        if matches!(is_ours, Ok(false)) {
            self.control.abandon.store(true, Ordering::Relaxed);
        }
    }
}
