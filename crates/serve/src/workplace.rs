//! What working off jobs takes, with or without a server around it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::config::WorkplaceConfig;
use crate::data_folder::DataFolder;
use crate::engine::{Engine, EngineLimits};
use crate::error::ServeError;
use crate::jobs::{Work, train_next, validate_next, work_off};
use crate::metrics::Metrics;
use crate::models::Models;
use crate::store::Store;
use crate::workshop::Workshop;

/// The data folder with its database, and what computes. Several processes may each have one over the same.
pub struct Workplace {
    /// Where files, jobs and models lie.
    pub folder: DataFolder,
    /// What is remembered.
    pub store: Store,
    /// Names of models and what they mean.
    pub models: Models,
    /// Who works off the jobs.
    pub work: Work,
    /// How long a job stays with a worker that says nothing.
    pub lease: Duration,
    /// The models that answer.
    pub engine: Engine,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What computes.
    pub workshop: Arc<dyn Workshop>,
}

impl Workplace {
    /// Opens folder and database. Whoever comes first takes up what earlier processes left: jobs at work wait for their turn
    /// again, files that nobody knows go.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn open(
        config: &WorkplaceConfig,
        limits: EngineLimits,
        workshop: Arc<dyn Workshop>,
    ) -> Result<Self, ServeError> {
        let folder = DataFolder::open(&config.data, config.database.is_shared())?;
        let store = Store::open(&config.database, &config.data).await?;
        if config.database.is_shared() {
            let name = folder.name()?;
            if store.folder(&name).await? != name {
                return Err(ServeError::OtherFolder { folder: config.data.clone(), database: config.database.clone() });
            }
        }
        if folder.is_first() {
            store.end_claims().await?;
            folder.keep_only(&store.remaining_files().await?)?;
        }
        if config.database.is_shared() {
            folder.share()?;
        }
        let (models, metrics) = (Models::new(config), Arc::new(Metrics::default()));
        let engine = Engine::new(Arc::clone(&workshop), limits, Arc::clone(&metrics));
        Ok(Self { folder, store, models, work: Work::default(), lease: config.lease, engine, metrics, workshop })
    }

    /// Begins to work off jobs, as many at a time as `trainings` says; with none, others have to.
    pub fn begin(self: &Arc<Self>, trainings: usize) -> Vec<JoinHandle<()>> {
        let train = (0..trainings).map(|_| tokio::spawn(work_off(Arc::clone(self), train_next)));
        let validate = (trainings > 0).then(|| tokio::spawn(work_off(Arc::clone(self), validate_next)));
        train.chain(validate).collect()
    }
}
