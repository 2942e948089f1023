//! `/embeddings`: texts as vectors.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use finetone_classify::{Rows, Use};
use serde_json::{Value, json};

use super::named_model;
use crate::app::App;
use crate::engine::{Answer, Open};
use crate::error::ApiError;
use crate::http::{Fields, JsonBody};
use crate::reply;

/// The most texts of a request.
const MOST_TEXTS: usize = 2048;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/embeddings", post(create))
}

async fn create(State(app): State<Arc<App>>, JsonBody(mut fields): JsonBody) -> Result<Json<Value>, ApiError> {
    let model = named_model(&app, &mut fields).await?;
    let texts = texts(&mut fields)?;
    let as_base64 = is_base64(&mut fields)?;
    let no_vectors = || ApiError::internal(&"a model opened for vectors has none");
    let Open::Judge(open) = app.engine.open(&model.source, Use::Vectors).await? else { return Err(no_vectors()) };
    let Rows::Vectors(width) = *open.rows() else { return Err(no_vectors()) };
    let wanted = fields.integer("dimensions", 1..=width as i64)?.map_or(width, |wanted| wanted as usize);
    let answers = reply::ask(&app, &open, texts).await?;
    let tokens: usize = answers.iter().map(|(_, tokens)| tokens).sum();
    let shown = |(index, (answer, _)): (usize, &(Answer, usize))| {
        let vector = unit(&answer.row[..wanted]);
        let embedding = if as_base64 { json!(encoded(&vector)) } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = answers.iter().enumerate().map(shown).collect();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(Json(json!({"object": "list", "data": data, "model": model.name, "usage": usage})))
}

fn texts(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let missing = || {
        let message = "Missing required parameter: 'input'.";
        ApiError::bad_request(message).param("input").code("missing_required_parameter")
    };
    let texts = reply::array_of_texts(fields.take("input").ok_or_else(missing)?, "input")?;
    if !(1..=MOST_TEXTS).contains(&texts.len()) || texts.iter().any(String::is_empty) {
        let message = format!("Invalid 'input': give 1 to {MOST_TEXTS} texts, none of them empty.");
        return Err(ApiError::bad_request(message).param("input").code("invalid_value"));
    }
    Ok(texts)
}

fn is_base64(fields: &mut Fields) -> Result<bool, ApiError> {
    match fields.text("encoding_format")?.as_deref() {
        None | Some("float") => Ok(false),
        Some("base64") => Ok(true),
        Some(other) => {
            let message = format!("Invalid value: '{other}'. Supported values are: 'float' and 'base64'.");
            Err(ApiError::bad_request(message).param("encoding_format").code("invalid_value"))
        }
    }
}

/// The vector with length one, as clients that compare by products expect it.
fn unit(vector: &[f64]) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    let length = if length > 0.0 { length } else { 1.0 };
    vector.iter().map(|x| (x / length) as f32).collect()
}

/// Its numbers in four bytes each, the least significant first.
fn encoded(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}
