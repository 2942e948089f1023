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
use crate::reply::{self, Format, Judgement, Options, Question, Reply, Usage, events};
use crate::store::now;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/chat/completions", post(create))
}

async fn create(State(app): State<Arc<App>>, JsonBody(mut fields): JsonBody) -> Result<Response, ApiError> {
    let model = named_model(&app, &mut fields).await?;
    let question = Question::chat(reply::messages(&mut fields)?);
    let options = Options::of(&mut fields, 1)?;
    let shown_logs = log_probabilities(&mut fields)?;
    let format = Format::of(&mut fields)?;
    let judgements = reply::judge(&app, &model, &[question], &format).await?;
    let Judgement { tokens: prompt, distribution, abstained } = &judgements[0];
    let replies = reply::draw(distribution, &options, format.frame(), (options.seed(), 0));
    let mut completion = Completion {
        usage: Usage::new(*prompt, &replies),
        replies,
        shown_logs,
        head: json!({
            "id": ids::with_prefix("chatcmpl-", 29), "object": "chat.completion", "created": now(), "model": model.name,
            "service_tier": "default", "system_fingerprint": reply::fingerprint(&model.name),
        }),
    };
    if let Some(abstained) = abstained {
        completion.head["abstained"] = json!(abstained);
    }
    if options.stream {
        return Ok(events::response(completion.events(options.include_usage)));
    }
    Ok(Json(completion.whole()).into_response())
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

/// Answers and what is told about them.
struct Completion {
    /// What every part of the response begins with.
    head: Value,
    replies: Vec<Reply>,
    usage: Usage,
    shown_logs: Option<usize>,
}

impl Completion {
    fn whole(&self) -> Value {
        let choice = |(index, reply): (usize, &Reply)| {
            json!({
                "index": index,
                "message": {"role": "assistant", "content": reply.text(), "refusal": null, "annotations": []},
                "logprobs": self.logs(reply),
                "finish_reason": reply.finish.name(),
            })
        };
        let mut whole = self.head.clone();
        whole["choices"] = self.replies.iter().enumerate().map(choice).collect();
        whole["usage"] = self.usage.shown();
        whole
    }

    /// The role of each answer, then what it says token by token, then why it ends, and last the number of tokens.
    fn events(&self, include_usage: bool) -> Vec<Value> {
        let mut chunks: Vec<Value> = Vec::new();
        let mut add = |index: usize, delta: Value, logs: Value, finish: Option<&str>| {
            chunks.push(json!([{"index": index, "delta": delta, "logprobs": logs, "finish_reason": finish}]));
        };
        for index in 0..self.replies.len() {
            add(index, json!({"role": "assistant", "content": "", "refusal": null}), Value::Null, None);
        }
        let longest = self.replies.iter().map(|reply| reply.pieces.len()).max().unwrap_or(0);
        for place in 0..longest {
            for (index, reply) in self.replies.iter().enumerate() {
                if let Some(piece) = reply.pieces.get(place) {
                    let logs = self.shown_logs.map(|k| json!({"content": [piece.shown(k)], "refusal": null}));
                    add(index, json!({"content": piece.text}), logs.unwrap_or_default(), None);
                }
            }
        }
        for (index, reply) in self.replies.iter().enumerate() {
            add(index, json!({}), Value::Null, Some(reply.finish.name()));
        }
        let mut head = self.head.clone();
        head["object"] = "chat.completion.chunk".into();
        events::with_usage(&head, chunks, include_usage.then_some(self.usage))
    }

    fn logs(&self, reply: &Reply) -> Value {
        let content = |k| reply.pieces.iter().map(|piece| piece.shown(k)).collect::<Vec<_>>();
        self.shown_logs.map_or(Value::Null, |k| json!({"content": content(k), "refusal": null}))
    }
}
