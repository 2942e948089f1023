//! The files of a job are read before it waits for its turn.

use std::path::Path;
use std::sync::Arc;

use finetone_data::chat::{default_batch_size, default_epochs};

use super::fault::JobFault;
use super::material::Material;
use super::training::{base, remove_folder};
use crate::app::App;
use crate::store::{Hyperparameters, JobRow, NewEvent, Status};

/// Looks at the files of new jobs, one job after the other, until the server is stopped.
pub async fn validate_jobs(app: Arc<App>) {
    let mut bell = app.work.listen();
    while bell.goes_on() {
        bell.settle(validate_next(&app).await).await;
    }
}

/// Says whether there was a job to look at.
async fn validate_next(app: &Arc<App>) -> Result<bool, sqlx::Error> {
    let Some(job) = app.store.next_to_validate().await? else { return Ok(false) };
    validate(app, &job).await?;
    Ok(true)
}

async fn validate(app: &Arc<App>, job: &JobRow) -> Result<(), sqlx::Error> {
    let (reader, of) = (Arc::clone(app), job.clone());
    let read = match base(app, job).await {
        Ok(base) => tokio::task::spawn_blocking(move || read(&reader, &of, &base)).await,
        Err(fault) => Ok(Err(fault)),
    };
    let read = read.unwrap_or_else(|panic| Err(JobFault::internal(job, &panic)));
    let used = match read {
        Ok(examples) => used(&job.hyperparameters, examples),
        Err(fault) => {
            app.store.fail_job(&job.id, &fault.json()).await?;
            remove_folder(app, &job.id).await;
            return Ok(());
        }
    };
    app.store.settle(&job.id, &used).await?;
    let event = NewEvent::info("Files validated, moving job to queued state");
    if app.store.move_job(&job.id, &[Status::ValidatingFiles], Status::Queued, &event).await? {
        app.work.ring();
    } else {
        // It was cancelled while its files were read.
        remove_folder(app, &job.id).await;
    }
    Ok(())
}

/// How many examples there are to learn from, once everything is found to be fine for a job that begins with `base`: a language
/// model learns any answers, a classifier those of a closed set.
fn read(app: &App, job: &JobRow, base: &Path) -> Result<usize, JobFault> {
    let internal = |error: std::io::Error| JobFault::internal(job, &error);
    std::fs::create_dir_all(app.folder.job(&job.id)).map_err(internal)?;
    let training = Material::training(app, job);
    training.place(app).map_err(internal)?;
    let examples = training.check()?;
    training.check_number(examples)?;
    let is_free = app.workshop.writes_answers(base).map_err(|error| JobFault::of_training(&error))?;
    let answers = if is_free { None } else { Some(training.answers(None)?) };
    if let Some(validation) = Material::validation(app, job) {
        validation.place(app).map_err(internal)?;
        validation.check()?;
        answers.map(|answers| validation.answers(Some(answers))).transpose()?;
    }
    Ok(examples)
}

/// What `auto` means for so many examples.
fn used(asked: &Hyperparameters, examples: usize) -> Hyperparameters {
    Hyperparameters {
        n_epochs: asked.n_epochs.or(Some(default_epochs(examples) as i64)),
        batch_size: asked.batch_size.or(Some(default_batch_size(examples) as i64)),
        learning_rate_multiplier: asked.learning_rate_multiplier.or(Some(1.0)),
    }
}
