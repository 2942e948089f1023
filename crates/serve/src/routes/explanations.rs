//! `/explanations`: which words decided about a text, which turn of a conversation, and which texts are nearest to it of those that
//! the model keeps. This route is ours alone.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use finetone_classify::{Explanation, Rows, Use};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use super::named_model;
use crate::app::App;
use crate::engine::{Open, OpenModel};
use crate::error::ApiError;
use crate::http::JsonBody;
use crate::models::Resolved;
use crate::reply::{self, Question};

/// Seconds after which the server may explain another text.
const AGAIN_IN: u64 = 2;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/explanations", post(create))
}

async fn create(State(app): State<Arc<App>>, JsonBody(mut fields): JsonBody) -> Result<Json<Value>, ApiError> {
    let model = named_model(&app, &mut fields).await?;
    let question = match fields.text("input")? {
        Some(text) => Question::Text(text),
        None => Question::Chat(reply::messages(&mut fields)?),
    };
    fields.refuse_rest()?;
    let open = classifier(&app, &model).await?;
    let found = explained(&app, &model, question.text(&open)?).await?;
    let Rows::Logits(classes) = open.rows() else { return Err(ApiError::internal(&"a classifier has no classes")) };
    let named = classes.labels().iter().zip(&found.probabilities).map(|(label, &p)| (label.clone(), json!(p)));
    let mut shown = json!(found.why(classes.labels()));
    shown["object"] = "explanation".into();
    shown["model"] = model.name.as_str().into();
    shown["probabilities"] = Value::Object(named.collect::<Map<String, Value>>());
    shown["log_odds"] = found.log_odds.0.into();
    shown["log_odds_without_words"] = found.log_odds.1.into();
    shown["neighbours"] = found.neighbours.iter().map(|near| near.json(classes.labels())).collect();
    Ok(Json(shown))
}

/// A model that chooses one of several classes by the text alone.
async fn classifier(app: &App, model: &Resolved) -> Result<Arc<OpenModel>, ApiError> {
    let refused = |why: &str| {
        let message = format!("Answers of the model '{}' are not explained by words: {why}", model.name);
        ApiError::bad_request(message).param("model")
    };
    let Open::Judge(open) = app.engine.open(&model.source, Use::Answers).await? else {
        return Err(refused("it writes"));
    };
    match open.rows() {
        Rows::Logits(classes) if !classes.is_multi_label() && classes.labels().len() > 1 => {}
        Rows::Logits(_) => return Err(refused("it does not choose between classes")),
        Rows::Vectors(_) => return Err(refused("it has not been trained to classify")),
    }
    match open.reader().columns().first() {
        Some(column) => Err(refused(&format!("it reads the column '{column}' beside the text"))),
        None => Ok(open),
    }
}

/// What decided. An explanation takes as long as hundreds of answers, so there is one at a time, also of clients that left.
async fn explained(app: &App, model: &Resolved, text: String) -> Result<Explanation, ApiError> {
    let turn = Arc::clone(&app.explaining).try_acquire_owned();
    let turn = turn
        .map_err(|_| ApiError::too_many("The server explains one text at a time; try again in a moment", AGAIN_IN))?;
    let (workshop, source) = (Arc::clone(&app.workshop), model.source.clone());
    let work = move || {
        let found = workshop.explain(&source, &text);
        drop(turn);
        found
    };
    let found = spawn_blocking(work).await.map_err(|error| ApiError::internal(&error))?;
    found.map_err(|error| ApiError::internal(&error))
}
