//! One job after the other is trained.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use finetone_train::{Control, Outcome, RunConfig, RunFile, TrainError};
use tokio::runtime::Handle;

use super::claimed::{hold_folder, while_claimed};
use super::fault::JobFault;
use super::integrations;
use super::material::Material;
use super::recorder::{Log, Recorder};
use super::results;
use crate::error::ApiError;
use crate::store::{Claim, JobRow, Status};
use crate::workplace::Workplace;

/// Models of epochs that are kept beside the final one.
const KEPT_EPOCHS: i64 = 3;

/// Trains the next job that waits; says whether there was one.
pub async fn train_next(place: Arc<Workplace>) -> Result<bool, sqlx::Error> {
    let place = &place;
    let Some((job, claim)) = place.store.claim_to_train(place.lease).await? else { return Ok(false) };
    let control = place.work.begin(&job.id);
    let done = while_claimed(place, &claim, &control, train(place, &job, &claim, &control)).await;
    place.work.end(&job.id);
    done?;
    // Whoever cancels the job while it is claimed leaves its folder to its worker.
    place.store.give_back(&claim).await?;
    if let Some(Status::Failed | Status::Cancelled) = status(place, &job).await? {
        remove_folder(place, &job.id).await;
    }
    Ok(true)
}

async fn train(place: &Arc<Workplace>, job: &JobRow, claim: &Claim, control: &Control) -> Result<(), sqlx::Error> {
    // Whoever moved the job on before there was something to stop has left that in the database.
    let ended = match status(place, job).await? {
        Some(Status::Running) => run_alone(place, job, claim, control).await,
        _ => Ok(Outcome::Interrupted { step: 0 }),
    };
    let finished = match ended {
        Ok(Outcome::Finished(())) => results::collect(place, job, claim).await,
        // It was paused, cancelled or taken away; or this worker is stopped, and another one goes on with it.
        Ok(Outcome::Interrupted { .. }) => Ok(()),
        Err(fault) => Err(fault),
    };
    match finished {
        Err(fault) => place.store.fail_job(claim, &fault.json()).await,
        Ok(()) => Ok(()),
    }
}

/// Runs a job while nobody else is in its folder.
async fn run_alone(
    place: &Arc<Workplace>,
    job: &JobRow,
    claim: &Claim,
    control: &Control,
) -> Result<Outcome<()>, JobFault> {
    match hold_folder(place, claim, control).await.map_err(|error| JobFault::internal(job, &error))? {
        Some(_held) => run(place, job, claim, control).await,
        None => Ok(Outcome::Interrupted { step: 0 }),
    }
}

async fn status(place: &Workplace, job: &JobRow) -> Result<Option<Status>, sqlx::Error> {
    Ok(place.store.job(&job.id).await?.map(|job| job.status))
}

/// What a job that came to nothing leaves is of no use.
pub async fn remove_folder(place: &Workplace, job: &str) {
    let folder = place.folder.job(job);
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder)).await;
    if let Ok(Err(error)) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("error: {job}: {error}");
    }
}

async fn run(place: &Arc<Workplace>, job: &JobRow, claim: &Claim, control: &Control) -> Result<Outcome<()>, JobFault> {
    let base = base(place, job).await?;
    let folder = results::run_folder(place, &job.id);
    if finetone_train::is_finished(&folder) {
        return Ok(Outcome::Finished(()));
    }
    if folder.exists() && !folder.join("run.toml").exists() {
        // An earlier process was killed before the run had begun.
        std::fs::remove_dir_all(&folder).map_err(|error| JobFault::internal(job, &error))?;
    }
    let config = config(place, job, &base).map_err(|error| JobFault::of_training(&error))?;
    let files: Vec<_> = [Material::training(place, job)].into_iter().chain(Material::validation(place, job)).collect();
    let log =
        Log { store: place.store.clone(), runtime: Handle::current(), claim: claim.clone(), control: control.clone() };
    let mut recorder = Recorder::new(log, job.clone(), files.clone());
    let (workshop, control) = (Arc::clone(&place.workshop), control.clone());
    let work = move || workshop.train(&config, &folder, &control, &mut recorder);
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(error)) => {
            let fault = JobFault::of_training(&error);
            let message = files.iter().fold(fault.message, |message, file| file.without_path(&message));
            Err(JobFault { message, ..fault })
        }
        Err(panic) => Err(JobFault::internal(job, &panic)),
    }
}

/// Where the model lies that a job begins with.
pub async fn base(place: &Workplace, job: &JobRow) -> Result<PathBuf, JobFault> {
    let base = place.models.of_job(job, &place.store, &place.folder).await;
    base.map(|base| base.source).map_err(|error: ApiError| JobFault {
        code: "model_not_available",
        param: Some("model"),
        message: error.message().to_owned(),
    })
}

/// The settings of a run for a job whose files are validated.
fn config(place: &Workplace, job: &JobRow, base: &Path) -> Result<RunConfig, TrainError> {
    let used = &job.hyperparameters;
    let mut file = RunFile::default();
    file.set("train", Material::training(place, job).path.display().to_string());
    // All examples are learnt from, as clients count on; what is measured comes in a file of its own.
    file.set("test_fraction", 0.0);
    file.set("validation_fraction", 0.0);
    if let Some(validation) = Material::validation(place, job) {
        file.set("validation", validation.path.display().to_string());
    }
    file.set("model", base.display().to_string());
    file.set("epochs", used.n_epochs.unwrap_or(1));
    file.set("batch_size", used.batch_size.unwrap_or(1));
    file.set("seed", job.seed);
    file.set("keep_epochs", KEPT_EPOCHS);
    let config = file.resolve()?;
    let learning_rate = config.learning_rate * used.learning_rate_multiplier.unwrap_or(1.0);
    Ok(RunConfig { learning_rate, track: integrations::tracking(job), ..config })
}
