//! `/chat/completions`: a chat with a model.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::named_model;
use crate::app::App;
use crate::error::ApiError;
use crate::http::{Fields, JsonBody};
use crate::ids;
use crate::reply::{self, Answers, Asked, Format, Options, Part, Piece, Question, Reply, events};
use crate::store::now;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/chat/completions", post(create))
}

async fn create(State(app): State<Arc<App>>, JsonBody(mut fields): JsonBody) -> Result<Response, ApiError> {
    let model = named_model(&app, &mut fields).await?;
    let questions = vec![Question::Chat(reply::messages(&mut fields)?)];
    let options = Options::of(&mut fields, 1)?;
    let logs = Logs(log_probabilities(&mut fields)?);
    let format = Format::of(&mut fields)?;
    let (stream, include_usage, n) = (options.stream, options.include_usage, options.n);
    let asked = Asked { questions, options, format, alternatives: logs.0.unwrap_or(0), recorded: app.traffic.is_on() };
    let mut answers = reply::answers(&app, &model, asked).await?;
    let id = ids::with_prefix("chatcmpl-", 29);
    app.traffic.note(&model.name, &id, answers.iter_mut().filter_map(Answers::take_judged));
    let mut head = json!({
        "id": id, "object": "chat.completion", "created": now(), "model": model.name,
        "service_tier": "default", "system_fingerprint": reply::fingerprint(&model.name),
    });
    if let Some(abstained) = answers[0].abstained() {
        head["abstained"] = abstained.into();
    }
    if stream {
        head["object"] = "chat.completion.chunk".into();
        return Ok(events::response(head, answers, Chunks { n, logs }, include_usage));
    }
    let (replies, usage) = answers.swap_remove(0).whole().await?;
    head["choices"] = replies.iter().enumerate().map(|(index, reply)| choice(index, reply, logs)).collect();
    head["usage"] = usage.shown();
    Ok(Json(head).into_response())
}

/// How many alternatives of each token are shown, if any log-probabilities are.
fn log_probabilities(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
    let wanted = fields.boolean("logprobs")?.unwrap_or(false);
    let top = fields.integer("top_logprobs", 0..=20)?;
    if top.is_some() && !wanted {
        let message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
        return Err(ApiError::bad_request(message).param("top_logprobs"));
    }
    Ok(wanted.then(|| top.map_or(0, |top| top as usize)))
}

fn choice(index: usize, reply: &Reply, logs: Logs) -> Value {
    json!({
        "index": index,
        "message": {"role": "assistant", "content": reply.text(), "refusal": null, "annotations": []},
        "logprobs": logs.shown(&reply.pieces),
        "finish_reason": reply.finish.name(),
    })
}

/// Log-probabilities, where they are wanted, with so many alternatives of each token.
#[derive(Clone, Copy)]
struct Logs(Option<usize>);

impl Logs {
    fn shown(self, pieces: &[Piece]) -> Value {
        let content = |k| pieces.iter().map(|piece| piece.shown(k)).collect::<Vec<_>>();
        self.0.map_or(Value::Null, |k| json!({"content": content(k), "refusal": null}))
    }
}

/// The role of each answer, then what it says part by part, and why it ends.
struct Chunks {
    n: usize,
    logs: Logs,
}

fn chunk(index: usize, delta: Value, logs: Value, finish: Option<&str>) -> Value {
    json!([{"index": index, "delta": delta, "logprobs": logs, "finish_reason": finish}])
}

impl events::Form for Chunks {
    fn opening(&self) -> Vec<Value> {
        let role = || json!({"role": "assistant", "content": "", "refusal": null});
        (0..self.n).map(|index| chunk(index, role(), Value::Null, None)).collect()
    }

    fn part(&mut self, part: &Part) -> Vec<Value> {
        let said = || chunk(part.index, json!({"content": part.text()}), self.logs.shown(&part.pieces), None);
        let ended = |finish: reply::Finish| chunk(part.index, json!({}), Value::Null, Some(finish.name()));
        let said = (!part.pieces.is_empty()).then(said);
        said.into_iter().chain(part.finish.map(ended)).collect()
    }
}
