//! `/fine_tuning/jobs`: create, list, get, cancel, pause, resume, events, checkpoints.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{listed, no_cursor};
use crate::app::App;
use crate::error::ApiError;
use crate::http::{JsonBody, Parameters};
use crate::jobs::{remove_folder, request};
use crate::store::{CheckpointRow, EventRow, Hyperparameters, JobRow, MetadataFilter, NewEvent, Page, Status};

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/fine_tuning/jobs", post(create).get(list))
        .route("/fine_tuning/jobs/{id}", get(retrieve))
        .route("/fine_tuning/jobs/{id}/cancel", post(cancel))
        .route("/fine_tuning/jobs/{id}/pause", post(pause))
        .route("/fine_tuning/jobs/{id}/resume", post(resume))
        .route("/fine_tuning/jobs/{id}/events", get(events))
        .route("/fine_tuning/jobs/{id}/checkpoints", get(checkpoints))
}

fn shown_hyperparameters(used: &Hyperparameters) -> Value {
    let auto = || Value::from("auto");
    json!({
        "n_epochs": used.n_epochs.map_or_else(auto, Value::from),
        "batch_size": used.batch_size.map_or_else(auto, Value::from),
        "learning_rate_multiplier": used.learning_rate_multiplier.map_or_else(auto, Value::from),
    })
}

/// JSON that the server wrote itself.
fn stored(json: Option<&String>) -> Value {
    json.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}

/// A job as clients see it, with every key.
fn shown(job: &JobRow) -> Value {
    let is_done = job.status == Status::Succeeded;
    let hyperparameters = shown_hyperparameters(&job.hyperparameters);
    json!({
        "object": "fine_tuning.job",
        "id": job.id,
        "model": job.model,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "fine_tuned_model": is_done.then_some(&job.tuned_name),
        "organization_id": "org-personal",
        "result_files": job.result_file.iter().collect::<Vec<_>>(),
        "status": job.status.word(),
        "validation_file": job.validation_file,
        "training_file": job.training_file,
        "hyperparameters": hyperparameters,
        "trained_tokens": job.trained_tokens.filter(|_| is_done),
        "error": stored(job.error.as_ref()),
        "user_provided_suffix": job.suffix,
        "seed": job.seed,
        "estimated_finish": job.estimated_finish,
        "integrations": job.integrations.as_ref().map_or_else(|| json!([]), |text| stored(Some(text))),
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        "metadata": stored(job.metadata.as_ref()),
        "usage_metrics": null,
        "shared_with_openai": false,
    })
}

async fn known(app: &App, id: &str) -> Result<JobRow, ApiError> {
    let missing = || {
        let message = format!("Could not find fine tune: {id}");
        ApiError::not_found(message).param("fine_tune_id").code("fine_tune_not_found")
    };
    app.store.job(id).await?.ok_or_else(missing)
}

async fn create(State(app): State<Arc<App>>, JsonBody(body): JsonBody) -> Result<Json<Value>, ApiError> {
    let job = request::read(&app, body).await?;
    let files = match &job.validation_file {
        Some(validation) => {
            format!("Validating training file: {} and validation file: {validation}", job.training_file)
        }
        None => format!("Validating training file: {}", job.training_file),
    };
    let mut events = vec![format!("Created fine-tuning job: {}", job.id), files];
    if job.integrations.is_some() {
        events.push(format!(
            "Weights & Biases: an offline run will lie in jobs/{}/run/wandb of the data folder; nothing is sent until \
             somebody calls `wandb sync` there",
            job.id
        ));
    }
    let events: Vec<NewEvent> = events.into_iter().map(|message| NewEvent::info(message).data(json!({}))).collect();
    app.store.add_job(&job, &events).await?;
    app.work.ring();
    Ok(Json(shown(&job)))
}

async fn list(State(app): State<Arc<App>>, parameters: Parameters) -> Result<Json<Value>, ApiError> {
    let page = Page::new(&parameters, 20)?;
    let filter = if parameters.get("metadata") == Some("null") {
        MetadataFilter::Without
    } else {
        let pairs = parameters.within("metadata").map(|(key, value)| (key.to_owned(), value.to_owned()));
        MetadataFilter::With(pairs.collect())
    };
    let found = app.store.jobs(&filter, &page).await?;
    let (jobs, more) = found.ok_or_else(|| no_cursor("FineTuningJob", &page))?;
    Ok(Json(listed(jobs.iter().map(shown).collect(), more)))
}

async fn retrieve(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    Ok(Json(shown(&known(&app, &id).await?)))
}

/// Moves a job on if it is in one of the states `from`, and lets whoever works on it know.
async fn move_on(
    app: &App,
    id: &str,
    (from, to): (&[Status], Status),
    (verb, event): (&str, NewEvent),
) -> Result<Json<Value>, ApiError> {
    let job = known(app, id).await?;
    let Some(moved) = app.store.move_job(&job.id, from, to, &event).await? else {
        let status = known(app, id).await?.status.word();
        return Err(
            ApiError::bad_request(format!("Job {id} cannot be {verb}: its status is '{status}'")).param("fine_tune_id")
        );
    };
    if to == Status::Queued {
        app.work.ring();
    } else {
        app.work.interrupt(id);
    }
    Ok(Json(shown(&moved)))
}

/// The body is not looked at: clients send none, or `{}`.
async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let from = [Status::ValidatingFiles, Status::Queued, Status::Running, Status::Paused];
    let event = NewEvent::info("Fine-tuning job cancelled");
    let cancelled = move_on(&app, &id, (&from, Status::Cancelled), ("cancelled", event)).await?;
    if !app.store.is_claimed(&id).await? {
        remove_folder(&app, &id).await;
    }
    Ok(cancelled)
}

async fn pause(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let event = NewEvent::info("Fine-tuning job paused");
    move_on(&app, &id, (&[Status::Queued, Status::Running], Status::Paused), ("paused", event)).await
}

async fn resume(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let event = NewEvent::info("Fine-tuning job resumed");
    move_on(&app, &id, (&[Status::Paused], Status::Queued), ("resumed", event)).await
}

fn shown_event(event: &EventRow) -> Value {
    json!({
        "object": "fine_tuning.job.event",
        "id": event.id,
        "created_at": event.created_at,
        "level": event.level,
        "message": event.message,
        "type": if event.step.is_some() { "metrics" } else { "message" },
        "data": stored(event.data.as_ref()),
    })
}

async fn events(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let (job, page) = (known(&app, &id).await?, Page::new(&parameters, 20)?);
    let found = app.store.events(&job.id, &page).await?;
    let (events, more) = found.ok_or_else(|| no_cursor("FineTuningJobEvent", &page))?;
    Ok(Json(listed(events.iter().map(shown_event).collect(), more)))
}

fn shown_checkpoint(job: &JobRow, checkpoint: &CheckpointRow) -> Value {
    json!({
        "object": "fine_tuning.job.checkpoint",
        "id": checkpoint.id,
        "created_at": checkpoint.created_at,
        "fine_tuned_model_checkpoint": checkpoint.model,
        "fine_tuning_job_id": job.id,
        "metrics": stored(Some(&checkpoint.metrics)),
        "step_number": checkpoint.step,
    })
}

async fn checkpoints(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let (job, page) = (known(&app, &id).await?, Page::new(&parameters, 10)?);
    let found = app.store.checkpoints(&job.id, &page).await?;
    let (checkpoints, more) = found.ok_or_else(|| no_cursor("FineTuningJobCheckpoint", &page))?;
    Ok(Json(listed(checkpoints.iter().map(|row| shown_checkpoint(&job, row)).collect(), more)))
}
