//! `/traffic`: what classifiers were asked and answered, where the server keeps a record. These routes are ours alone.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use finetone_classify::{Rows, Use};
use finetone_train::{LiveWindows, live_worth_labelling};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::app::App;
use crate::engine::Open;
use crate::error::ApiError;
use crate::http::{JsonBody, Parameters};
use crate::models::Resolved;
use crate::traffic::{DAY, HOUR, MINUTE, Windows, kept_of, look};

/// Texts among which those worth labelling are looked for: the latest.
const AMONG: i64 = 5_000;
/// How many of them are given unless said.
const USUAL_ROWS: i64 = 50;

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/traffic", get(list))
        .route("/traffic/{model}", get(retrieve).delete(forget))
        .route("/traffic/{model}/labels", post(label))
        .route("/traffic/{model}/to_label", get(to_label))
}

async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    app.traffic.settle().await;
    let kept = app.store.kept_answers().await?;
    let data: Vec<Value> = kept.into_iter().map(|kept| kept_of(&kept.model.clone(), Some(kept))).collect();
    let config = app.traffic.config();
    let recording = json!({
        "keeps": config.recording.name(), "days": config.days, "answers": config.answers, "lost": app.traffic.lost(),
    });
    Ok(Json(json!({"object": "list", "data": data, "recording": recording})))
}

async fn named(app: &App, name: &str) -> Result<Resolved, ApiError> {
    app.models.resolve(name, &app.store, &app.folder).await
}

async fn retrieve(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let model = named(&app, &name).await?;
    Ok(Json(look(&app.workplace, &app.traffic, &model, windows(&parameters)?).await?))
}

fn windows(parameters: &Parameters) -> Result<Windows, ApiError> {
    Ok(match parameters.get("window") {
        None => Windows::Fitting,
        Some("minute") => Windows::Of(MINUTE),
        Some("hour") => Windows::Of(HOUR),
        Some("day") => Windows::Of(DAY),
        Some(_) => {
            let answers = parameters.integer("window", 10..=20_000, 0).map_err(|_| {
                let message = "Invalid 'window': give `minute`, `hour`, `day` or a number of answers from 10 to 20000.";
                ApiError::bad_request(message).param("window").code("invalid_value")
            });
            Windows::Of(LiveWindows::Answers(answers? as u32))
        }
    })
}

/// Forgets a record, also that of a model which is not served any more.
async fn forget(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    app.traffic.settle().await;
    let known = named(&app, &name).await;
    let own = known.as_ref().map_or(name.as_str(), |model| model.name.as_str());
    let answers = app.store.forget_answers(own).await?;
    if answers == 0 {
        known?;
    }
    Ok(Json(json!({"object": "traffic", "model": name, "answers": answers, "deleted": true})))
}

/// Notes what was right.
async fn label(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    JsonBody(mut fields): JsonBody,
) -> Result<Json<Value>, ApiError> {
    let model = named(&app, &name).await?;
    let (id, label) = (fields.required_text("id")?, fields.required_text("label")?);
    let index = fields.integer("index", 0..=i64::from(u32::MAX))?.unwrap_or(0);
    fields.refuse_rest()?;
    let classes = classes(&app, &model).await?;
    if !classes.contains(&label) {
        let known: Vec<String> = classes.iter().map(|class| format!("'{class}'")).collect();
        let message = format!("Invalid value: '{label}'. The classes of the model are: {}.", known.join(", "));
        return Err(ApiError::bad_request(message).param("label").code("invalid_value"));
    }
    app.traffic.settle().await;
    if !app.store.label_answer((&id, index), &model.name, &label).await? {
        let message = format!("There is no answer '{id}' with the index {index} in the record of the model '{name}'");
        return Err(ApiError::not_found(message).param("id"));
    }
    Ok(Json(json!({"object": "traffic.label", "id": id, "index": index, "model": model.name, "label": label})))
}

async fn classes(app: &App, model: &Resolved) -> Result<Vec<String>, ApiError> {
    if let Open::Judge(open) = app.engine.open(&model.source, Use::Answers).await?
        && let Rows::Logits(classes) = open.rows()
    {
        return Ok(classes.labels().to_vec());
    }
    let message = format!("The model '{}' is no classifier, so nothing of it is in the record", model.name);
    Err(ApiError::bad_request(message).param("model"))
}

/// Texts that are worth labelling, as a file to fill in. What the model said is left out: who sees an answer tends to agree.
async fn to_label(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<impl IntoResponse, ApiError> {
    let model = named(&app, &name).await?;
    let rows = parameters.integer("rows", 1..=1_000, USUAL_ROWS)? as usize;
    app.traffic.settle().await;
    let open = app.store.open_texts(&model.name, AMONG).await?;
    if open.is_empty() {
        let message =
            "There are no texts without a label in the record: texts are kept by `finetone serve --record texts`";
        return Err(ApiError::not_found(message));
    }
    let chosen = spawn_blocking(move || {
        let (texts, margins): (Vec<String>, Vec<f32>) =
            open.into_iter().map(|open| (open.text, open.margin as f32)).unzip();
        let chosen = live_worth_labelling(&texts, &margins, rows);
        chosen.into_iter().map(|row| texts[row].clone()).collect::<Vec<String>>()
    });
    let file = file(&chosen.await.map_err(|error| ApiError::internal(&error))?)?;
    let head = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"to_label.csv\""),
    ];
    Ok((head, file))
}

fn file(texts: &[String]) -> Result<Vec<u8>, ApiError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(["text", "label"]);
    let written = written.and_then(|()| texts.iter().try_for_each(|text| writer.write_record([text.as_str(), ""])));
    written.map_err(|error| ApiError::internal(&error))?;
    writer.into_inner().map_err(|error| ApiError::internal(&error))
}
