//! What the answers of a model are held against, computed once for each model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use finetone_train::LiveReference;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::workshop::Workshop;

/// The references of the models that were looked at.
#[derive(Default)]
pub struct References(Mutex<HashMap<PathBuf, Arc<OnceCell<OfRun>>>>);

/// What the run of a model kept.
#[derive(Clone, Default)]
pub struct OfRun {
    /// Nothing where no run stands behind the model.
    pub reference: Option<Arc<LiveReference>>,
    /// Why there is none although there should be.
    pub notice: Option<String>,
}

impl References {
    /// What the run of the model at `source` kept. Whoever asks first waits until its rows are judged; all others with it.
    pub async fn of(&self, workshop: &Arc<dyn Workshop>, source: &Path) -> OfRun {
        let cell = Arc::clone(self.cells().entry(source.to_owned()).or_default());
        cell.get_or_init(|| compute(Arc::clone(workshop), source.to_owned())).await.clone()
    }

    /// Forgets that of a model which is gone.
    pub fn forget(&self, source: &Path) {
        self.cells().remove(source);
    }

    /// A panic while the lock is held leaves nothing half done.
    fn cells(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Arc<OnceCell<OfRun>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn compute(workshop: Arc<dyn Workshop>, source: PathBuf) -> OfRun {
    match spawn_blocking(move || workshop.reference(&source)).await {
        Ok(Ok(reference)) => OfRun { reference: reference.map(Arc::new), notice: None },
        Ok(Err(error)) => {
            // Where the rows lie is nobody's business but the server's.
            eprintln!("note: answers cannot be held against the run of their model: {error}");
            let notice =
                "The rows that the run of the model kept for validation cannot be read; the server has told why.";
            OfRun { reference: None, notice: Some(notice.into()) }
        }
        Err(_) => OfRun::default(),
    }
}
