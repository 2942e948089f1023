//! The routes of text-embeddings-inference for classifiers: `/predict`, `/info`, `/health`, `/metrics`.
//!
//! That server has one model, this one several. It answers with the model that the field `model` names; without it with the
//! newest fine-tuned one, or the first base where there is none.

mod error;
mod inputs;
mod predict;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use finetone_classify::{Rows, Use};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::engine::Open;
use crate::models::Resolved;
use error::TeiError;

/// The routes that compute.
pub fn answers() -> Router<Arc<App>> {
    let predict = || post(predict::predict);
    Router::new().route("/", predict()).route("/predict", predict()).route("/invocations", predict())
}

/// The route that tells of the model.
pub fn info() -> Router<Arc<App>> {
    Router::new().route("/info", get(describe))
}

/// The routes that tell how the server is, to whoever asks.
pub fn health() -> Router<Arc<App>> {
    Router::new().route("/health", get(well)).route("/ping", get(well)).route("/metrics", get(metrics))
}

/// The model that answers.
async fn served_model(app: &App, name: Option<&str>) -> Result<Resolved, TeiError> {
    let newest = match name {
        Some(_) => None,
        None => app.store.models().await?.pop().map(|model| model.id),
    };
    let name = name.or(newest.as_deref()).unwrap_or(&app.models.bases()[0].name);
    Ok(app.models.resolve(name, &app.store, &app.folder).await?)
}

/// The server answers, so it is well.
async fn well() {}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render(app.engine.waiting()))
}

async fn describe(State(app): State<Arc<App>>) -> Result<Json<Value>, TeiError> {
    let model = served_model(&app, None).await?;
    let (kind, most) = match app.engine.open(&model.source, Use::Answers).await? {
        Open::Judge(open) => (kind(open.rows()), open.reader().limit().max_tokens),
        // There is no word for a model that writes; what else it can give are vectors.
        Open::Writer(open) => (json!({"embedding": {"pooling": "mean"}}), open.reader().context()),
    };
    let limits = app.engine.limits();
    Ok(Json(json!({
        "model_id": model.name, "model_sha": null, "model_dtype": "float32", "served_model_name": model.name,
        "model_type": kind,
        "max_concurrent_requests": limits.waiting_texts, "max_input_length": most,
        "max_batch_tokens": limits.batch_tokens, "max_batch_requests": null,
        "max_client_batch_size": inputs::MOST_TEXTS, "auto_truncate": true,
        "tokenization_workers": std::thread::available_parallelism().map_or(1, usize::from),
        "version": env!("CARGO_PKG_VERSION"), "sha": null, "docker_label": null,
    })))
}

fn kind(rows: &Rows) -> Value {
    match rows {
        Rows::Logits(classes) => {
            let names = classes.labels().iter().enumerate();
            let id2label: Map<String, Value> = names.clone().map(|(i, name)| (i.to_string(), json!(name))).collect();
            let label2id: Map<String, Value> = names.map(|(i, name)| (name.clone(), json!(i))).collect();
            json!({"classifier": {"id2label": id2label, "label2id": label2id}})
        }
        Rows::Vectors(_) => json!({"embedding": {"pooling": "mean"}}),
    }
}
