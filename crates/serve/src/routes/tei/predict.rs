//! `/predict`: texts to scored labels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use finetone_classify::{Classes, Reading, Rows, Use};
use finetone_data::tokenizer::Keep;
use serde_json::{Map, Value, json};

use super::error::TeiError;
use super::inputs::Inputs;
use super::served_model;
use crate::app::App;
use crate::engine::{Answer, Open};
use crate::ids;
use crate::reply::{Computed, Judged};

/// What is asked.
struct Request {
    inputs: Inputs,
    /// A model's name; this server has several.
    model: Option<String>,
    /// Whether a text that is too long is cut, or refused.
    truncate: bool,
    /// The part that is kept of it; none is the part that the model was trained on.
    keep: Option<Keep>,
    raw_scores: bool,
}

pub async fn predict(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, TeiError> {
    let start = Instant::now();
    let request = Request::parse(&body)?;
    app.metrics.predicting(request.inputs.texts.len());
    let model = served_model(&app, request.model.as_deref()).await?;
    let refused = |why: &str| TeiError::backend(format!("`{}` is not a classifier: {why}", model.name));
    let Open::Judge(open) = app.engine.open(&model.source, Use::Answers).await? else {
        return Err(refused("it writes; ask it at /v1/chat/completions"));
    };
    let Rows::Logits(classes) = open.rows() else { return Err(refused("it has not been trained to classify")) };
    if let [column, ..] = open.reader().columns() {
        return Err(TeiError::backend(format!("`{}` reads the column `{column}` beside the text", model.name)));
    }
    let characters = request.inputs.texts.iter().map(|text| text.chars().count()).sum();
    let noted = if app.traffic.is_on() { request.inputs.texts.clone() } else { Vec::new() };
    let readings = open.read(request.inputs.texts, request.keep).await?;
    if !request.truncate && readings.iter().any(|reading| reading.truncated) {
        let most = open.reader().limit().max_tokens;
        return Err(TeiError::validation(format!("`inputs` must have less than {most} tokens")));
    }
    let tokens = readings.iter().map(|reading: &Reading| reading.ids.len()).sum();
    let (texts, tokenization) = (readings.len(), start.elapsed());
    let answers = open.answer(readings).await?;
    let computed = Computed::of(&answers, tokenization);
    app.metrics.computed(characters, &computed);
    app.metrics.predicted(texts, start.elapsed(), &computed);
    let mut lists: Vec<Value> = answers.iter().map(|answer| scored(classes, answer, request.raw_scores)).collect();
    let body = if request.inputs.is_batch { Value::Array(lists) } else { lists.swap_remove(0) };
    let mut head = head(characters, tokens, start.elapsed(), &computed);
    head.extend(note(&app, &model.name, classes, noted.into_iter().zip(&answers)));
    Ok((head, Json(body)).into_response())
}

impl Request {
    fn parse(body: &[u8]) -> Result<Self, TeiError> {
        let fields: Value = serde_json::from_slice(body).map_err(|error| TeiError::malformed(error.to_string()))?;
        let Value::Object(mut fields) = fields else {
            return Err(TeiError::validation("the body must be a JSON object with the field `inputs`"));
        };
        let inputs = fields.shift_remove("inputs").ok_or_else(|| TeiError::validation("missing field `inputs`"))?;
        Ok(Self {
            inputs: Inputs::of(inputs)?,
            model: fields.get("model").and_then(Value::as_str).map(str::to_owned),
            truncate: boolean(&fields, "truncate", true)?,
            keep: keep(&fields)?,
            raw_scores: boolean(&fields, "raw_scores", false)?,
        })
    }
}

fn boolean(fields: &Map<String, Value>, name: &str, usual: bool) -> Result<bool, TeiError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(usual),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(TeiError::validation(format!("`{name}` must be true or false"))),
    }
}

/// What is kept of a text that is cut on one side. Cutting on the right is what that server does unasked, so it stands for what
/// the model was trained on as well.
fn keep(fields: &Map<String, Value>) -> Result<Option<Keep>, TeiError> {
    match fields.get("truncation_direction").map(Value::as_str) {
        None | Some(Some("Right" | "right")) => Ok(None),
        Some(Some("Left" | "left")) => Ok(Some(Keep::Tail)),
        _ => Err(TeiError::validation("`truncation_direction` must be `Left` or `Right`")),
    }
}

/// All labels with their scores, the best first.
fn scored(classes: &Classes, answer: &Answer, raw: bool) -> Value {
    let scores = if raw {
        classes.scores(&answer.row)
    } else {
        classes.probabilities(&answer.row).into_iter().map(f64::from).collect()
    };
    let mut scored: Vec<(f64, &String)> = scores.into_iter().zip(classes.labels()).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().map(|(score, label)| json!({"score": score as f32, "label": label})).collect()
}

/// Notes texts and their answers in the record of a model that gives each text one label; the id of the answer is told where it
/// can be referred to.
fn note<'a>(
    app: &App,
    model: &str,
    classes: &Classes,
    noted: impl Iterator<Item = (String, &'a Answer)>,
) -> Option<(HeaderName, HeaderValue)> {
    if !app.traffic.is_on() || classes.is_multi_label() {
        return None;
    }
    let id = ids::with_prefix("pred-", 29);
    let judged = noted.map(|(text, answer)| Judged::new(classes, text, &classes.probabilities(&answer.row)));
    app.traffic.note(model, &id, judged);
    Some((HeaderName::from_static("x-answer-id"), HeaderValue::try_from(id).ok()?))
}

/// What the answer cost, in milliseconds, characters and tokens.
fn head(characters: usize, tokens: usize, total: Duration, computed: &Computed) -> HeaderMap {
    let milliseconds = |duration: Duration| duration.as_millis() as usize;
    let numbers = [
        ("x-compute-time", milliseconds(total)),
        ("x-compute-characters", characters),
        ("x-compute-tokens", tokens),
        ("x-total-time", milliseconds(total)),
        ("x-tokenization-time", milliseconds(computed.tokenization)),
        ("x-queue-time", milliseconds(computed.queue)),
        ("x-inference-time", milliseconds(computed.inference)),
    ];
    let mut head: HeaderMap =
        numbers.into_iter().map(|(name, number)| (name.parse().expect("a plain name"), number.into())).collect();
    head.insert("x-compute-type", HeaderValue::from_static("cpu"));
    head
}
