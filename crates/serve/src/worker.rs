//! A worker: the jobs of a server, without the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::WorkplaceConfig;
use crate::engine::EngineLimits;
use crate::error::ServeError;
use crate::server::{GLANCE, runtime};
use crate::workplace::Workplace;
use crate::workshop::Workshop;

/// Works off jobs until `stop` becomes true, as many at a time as `config` says; `ready` is called before the first. What is
/// being trained then is saved, and another worker goes on with it. Blocks.
///
/// # Errors
/// See [`ServeError`]; a database of a single process is one.
pub fn work(
    config: &WorkplaceConfig,
    workshop: Arc<dyn Workshop>,
    stop: Arc<AtomicBool>,
    ready: impl FnOnce(),
) -> Result<(), ServeError> {
    config.check()?;
    if !config.database.is_shared() {
        let hint = "give it with `--database` or `FINETONE_DATABASE_URL`; `finetone serve` works off its jobs itself";
        let problem = "a worker needs the database that it shares with its server".into();
        return Err(ServeError::Setting { problem, hint: hint.into() });
    }
    runtime(&config.data)?.block_on(async {
        let workplace = Arc::new(Workplace::open(config, EngineLimits::default(), workshop).await?);
        let tasks = workplace.begin(config.trainings);
        ready();
        while !stop.load(Ordering::SeqCst) {
            tokio::time::sleep(GLANCE).await;
        }
        workplace.work.close();
        for task in tasks {
            let _ = task.await;
        }
        workplace.engine.shut_down().await;
        workplace.store.close().await;
        Ok(())
    })
}
