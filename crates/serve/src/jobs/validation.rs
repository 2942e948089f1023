//! The files of a job are read before it waits for its turn.

use std::path::Path;
use std::sync::Arc;

use finetone_data::chat::{default_batch_size, default_epochs};
use finetone_train::Control;

use super::claimed::while_claimed;
use super::fault::JobFault;
use super::material::Material;
use super::training::{base, remove_folder};
use crate::store::{Claim, Hyperparameters, JobRow, NewEvent, Status};
use crate::workplace::Workplace;

/// Looks at the files of the next new job; says whether there was one.
pub async fn validate_next(place: Arc<Workplace>) -> Result<bool, sqlx::Error> {
    let place = &place;
    let Some((job, claim)) = place.store.claim_to_validate(place.lease).await? else { return Ok(false) };
    while_claimed(place, &claim, &Control::default(), validate(place, &job, &claim)).await?;
    place.store.give_back(&claim).await?;
    match place.store.job(&job.id).await?.map(|job| job.status) {
        Some(Status::Queued) => place.work.ring(),
        // It may have been cancelled while its files were read.
        Some(Status::Failed | Status::Cancelled) => remove_folder(place, &job.id).await,
        _ => {}
    }
    Ok(true)
}

async fn validate(place: &Arc<Workplace>, job: &JobRow, claim: &Claim) -> Result<(), sqlx::Error> {
    let (reader, of) = (Arc::clone(place), job.clone());
    let read = match base(place, job).await {
        Ok(base) => tokio::task::spawn_blocking(move || read(&reader, &of, &base)).await,
        Err(fault) => Ok(Err(fault)),
    };
    match read.unwrap_or_else(|panic| Err(JobFault::internal(job, &panic))) {
        Ok(examples) => {
            let event = NewEvent::info("Files validated, moving job to queued state");
            place.store.queue_job(claim, &used(&job.hyperparameters, examples), &event).await
        }
        Err(fault) => place.store.fail_job(claim, &fault.json()).await,
    }
}

/// How many examples there are to learn from, once everything is found to be fine for a job that begins with `base`: a language
/// model learns any answers, a classifier those of a closed set.
fn read(place: &Workplace, job: &JobRow, base: &Path) -> Result<usize, JobFault> {
    let internal = |error: std::io::Error| JobFault::internal(job, &error);
    std::fs::create_dir_all(place.folder.job(&job.id)).map_err(internal)?;
    let training = Material::training(place, job);
    training.put(place).map_err(internal)?;
    let examples = training.check()?;
    training.check_number(examples)?;
    let is_free = place.workshop.writes_answers(base).map_err(|error| JobFault::of_training(&error))?;
    let answers = if is_free { None } else { Some(training.answers(None)?) };
    if let Some(validation) = Material::validation(place, job) {
        validation.put(place).map_err(internal)?;
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
