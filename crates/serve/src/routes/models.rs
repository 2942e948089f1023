//! `/models`: list, get, delete.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::store::TunedModel;
use crate::upload;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/models", get(list)).route("/models/{model}", get(retrieve).delete(delete))
}

/// A model as clients see it. Bases and aliases are as old as 2024: clients only want a number.
fn shown(id: &str, created: i64, owner: &str) -> Value {
    json!({"id": id, "object": "model", "created": created, "owned_by": owner})
}

const BASES_CREATED: i64 = 1_704_067_200;

/// The key `fine_tuning_job` is ours: the pages look there for the report.
fn shown_tuned(model: &TunedModel) -> Value {
    let mut shown = shown(&model.id, model.created_at, "personal");
    shown["fine_tuning_job"] = model.job.as_str().into();
    shown
}

/// Bases and aliases; an alias says what it stands for.
fn known(app: &App) -> impl Iterator<Item = Value> {
    let bases = app.models.bases().iter().map(|base| shown(&base.name, BASES_CREATED, "system"));
    let aliases = app.models.aliases().iter();
    bases.chain(aliases.map(|(alias, base)| shown(alias, BASES_CREATED, &format!("alias of {base}"))))
}

async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let tuned = app.store.models().await?;
    let data: Vec<Value> = known(&app).chain(tuned.iter().map(shown_tuned)).collect();
    Ok(Json(json!({"object": "list", "data": data})))
}

async fn retrieve(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    if let Some(found) = known(&app).find(|model| model["id"] == name.as_str()) {
        return Ok(Json(found));
    }
    let model = app.store.model(&name).await?.ok_or_else(|| ApiError::no_model(&name))?;
    Ok(Json(shown_tuned(&model)))
}

async fn delete(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    if known(&app).any(|model| model["id"] == name.as_str()) {
        let message = format!("The model '{name}' was given when the server was started and cannot be deleted");
        return Err(ApiError::bad_request(message).param("model"));
    }
    let model = app.store.model(&name).await?.ok_or_else(|| ApiError::no_model(&name))?;
    if let Some(job) = app.store.job_that_begins_with(&name).await? {
        let message = format!("The fine-tuning job {job} begins with the model: cancel it first");
        return Err(ApiError::bad_request(message).param("model"));
    }
    app.store.delete_model(&name).await?;
    let folder = app.folder.join(&model.folder);
    app.engine.close(&folder);
    app.traffic.references.forget(&folder);
    upload::blocking(move || std::fs::remove_dir_all(folder)).await?;
    Ok(Json(json!({"id": name, "object": "model", "deleted": true})))
}
