//! One job after the other is trained.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use finetone_train::{Control, Outcome, RunConfig, RunFile, TrainError};
use tokio::runtime::Handle;

use super::fault::JobFault;
use super::integrations;
use super::material::Material;
use super::recorder::Recorder;
use super::results;
use crate::app::App;
use crate::error::ApiError;
use crate::store::{JobRow, Status};

/// Models of epochs that are kept beside the final one.
const KEPT_EPOCHS: i64 = 3;

/// Trains the jobs that wait, one after the other, until the server is stopped.
pub async fn train_jobs(app: Arc<App>) {
    let mut bell = app.work.listen();
    while bell.goes_on() {
        bell.settle(train_next(&app).await).await;
    }
}

/// Says whether there was a job to train.
async fn train_next(app: &Arc<App>) -> Result<bool, sqlx::Error> {
    let Some(job) = app.store.claim_job().await? else { return Ok(false) };
    train(app, &job).await?;
    Ok(true)
}

async fn train(app: &Arc<App>, job: &JobRow) -> Result<(), sqlx::Error> {
    let control = app.work.begin(&job.id);
    // Whoever moved the job on before there was something to stop has left that in the database.
    let ended = if status(app, job).await? == Some(Status::Running) {
        run(app, job, control).await
    } else {
        Ok(Outcome::Interrupted { step: 0 })
    };
    app.work.end();
    let finished = match ended {
        Ok(Outcome::Finished(())) => results::collect(app, job).await,
        // It was paused or cancelled, or the server is stopped and goes on with it when it is started again.
        Ok(Outcome::Interrupted { .. }) => Ok(()),
        Err(fault) => Err(fault),
    };
    if let Err(fault) = finished {
        app.store.fail_job(&job.id, &fault.json()).await?;
    }
    match status(app, job).await? {
        // It was paused and resumed again before it had stopped.
        Some(Status::Running) if !app.work.is_closed() => app.store.requeue_jobs().await?,
        Some(Status::Failed | Status::Cancelled) => remove_folder(app, &job.id).await,
        _ => {}
    }
    Ok(())
}

async fn status(app: &App, job: &JobRow) -> Result<Option<Status>, sqlx::Error> {
    Ok(app.store.job(&job.id).await?.map(|job| job.status))
}

/// What a job that came to nothing leaves is of no use.
pub async fn remove_folder(app: &App, job: &str) {
    let folder = app.folder.job(job);
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder)).await;
    if let Ok(Err(error)) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("error: {job}: {error}");
    }
}

async fn run(app: &Arc<App>, job: &JobRow, control: Control) -> Result<Outcome<()>, JobFault> {
    let base = base(app, job).await?;
    let folder = results::run_folder(app, &job.id);
    if finetone_train::is_finished(&folder) {
        return Ok(Outcome::Finished(()));
    }
    if folder.exists() && !folder.join("run.toml").exists() {
        // An earlier process was killed before the run had begun.
        std::fs::remove_dir_all(&folder).map_err(|error| JobFault::internal(job, &error))?;
    }
    let config = config(app, job, &base).map_err(|error| JobFault::of_training(&error))?;
    let files: Vec<_> = [Material::training(app, job)].into_iter().chain(Material::validation(app, job)).collect();
    let mut recorder = Recorder::new(app.store.clone(), Handle::current(), job.clone(), files.clone());
    let workshop = Arc::clone(&app.workshop);
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
pub async fn base(app: &App, job: &JobRow) -> Result<PathBuf, JobFault> {
    let base = app.models.resolve(&job.model, &app.store, &app.folder).await;
    base.map(|base| base.source).map_err(|error: ApiError| JobFault {
        code: "model_not_available",
        param: Some("model"),
        message: error.message().to_owned(),
    })
}

/// The settings of a run for a job whose files are validated.
fn config(app: &App, job: &JobRow, base: &Path) -> Result<RunConfig, TrainError> {
    let used = &job.hyperparameters;
    let mut file = RunFile::default();
    file.set("train", Material::training(app, job).path.display().to_string());
    // All examples are learnt from, as clients count on; what is measured comes in a file of its own.
    file.set("test_fraction", 0.0);
    file.set("validation_fraction", 0.0);
    if let Some(validation) = Material::validation(app, job) {
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
