//! What every request works with.

use std::sync::Arc;

use crate::config::ServeConfig;
use crate::data_folder::DataFolder;
use crate::engine::Engine;
use crate::http::Pace;
use crate::jobs::Work;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::store::Store;
use crate::workshop::Workshop;

/// The state of a running server.
pub struct App {
    /// What it was told.
    pub config: ServeConfig,
    /// Where files, jobs and models lie.
    pub folder: DataFolder,
    /// What it remembers.
    pub store: Store,
    /// Names of models and what they mean.
    pub models: Models,
    /// The models that answer.
    pub engine: Engine,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who works off the jobs.
    pub work: Work,
    /// How often may be asked.
    pub pace: Pace,
    /// What computes.
    pub workshop: Arc<dyn Workshop>,
}
