//! What every request works with.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::ServeConfig;
use crate::http::Pace;
use crate::traffic::Traffic;
use crate::workplace::Workplace;

/// The state of a running server: a workplace that answers.
pub struct App {
    /// What it was told.
    pub config: ServeConfig,
    /// What it shares with those who work off the jobs.
    pub workplace: Arc<Workplace>,
    /// How often may be asked.
    pub pace: Pace,
    /// Who may explain an answer now.
    pub explaining: Arc<Semaphore>,
    /// What is kept of the answers.
    pub traffic: Traffic,
}

impl Deref for App {
    type Target = Workplace;

    fn deref(&self) -> &Workplace {
        &self.workplace
    }
}
