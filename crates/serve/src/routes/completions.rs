//! `/completions`: texts that a model goes on with, the older form of a chat.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::named_model;
use crate::app::App;
use crate::error::ApiError;
use crate::http::{Fields, JsonBody};
use crate::ids;
use crate::reply::{self, Format, Frame, Options, Piece, Question, Reply, Usage, events};
use crate::store::now;

/// The most prompts of a request.
const MOST_PROMPTS: usize = 2048;
/// The tokens of an answer where nothing is said.
const USUAL_TOKENS: usize = 16;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/completions", post(create))
}

async fn create(State(app): State<Arc<App>>, JsonBody(mut fields): JsonBody) -> Result<Response, ApiError> {
    let model = named_model(&app, &mut fields).await?;
    let prompts = prompts(&mut fields)?;
    let mut options = Options::of(&mut fields, 0)?;
    options.max_tokens = options.max_tokens.or(Some(USUAL_TOKENS));
    check_best_of(&mut fields, options.n)?;
    let (top, echo) = (fields.integer("logprobs", 0..=5)?, fields.boolean("echo")?.unwrap_or(false));
    let questions: Vec<Question> = prompts.iter().map(|text| Question::prompt(text)).collect();
    let judgements = reply::judge(&app, &model, &questions, &Format::default()).await?;
    let (seed, mut choices) = (options.seed(), Vec::new());
    for (place, (judgement, prompt)) in judgements.iter().zip(&prompts).enumerate() {
        let replies = reply::draw(&judgement.distribution, &options, &Frame::default(), (seed, place));
        let echoed = if echo { prompt.as_str() } else { "" };
        choices.extend(replies.into_iter().map(|reply| Choice { echoed, reply, top: top.map(|top| top as usize) }));
    }
    let read = judgements.iter().map(|judgement| judgement.tokens).sum();
    let usage = Usage::new(read, choices.iter().map(|choice| &choice.reply));
    let mut head = json!({
        "id": ids::with_prefix("cmpl-", 29), "object": "text_completion", "created": now(), "model": model.name,
        "system_fingerprint": reply::fingerprint(&model.name),
    });
    if options.stream {
        let usage = options.include_usage.then_some(usage);
        return Ok(events::response(events::with_usage(&head, chunks(&choices), usage)));
    }
    head["choices"] = choices.iter().enumerate().map(|(index, choice)| choice.whole(index)).collect();
    head["usage"] = usage.shown();
    Ok(Json(head).into_response())
}

/// The prompts, of which there is at least one and none is empty.
fn prompts(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let missing = || {
        let message = "Missing required parameter: 'prompt'.";
        ApiError::bad_request(message).param("prompt").code("missing_required_parameter")
    };
    let prompts = reply::array_of_texts(fields.take("prompt").ok_or_else(missing)?, "prompt")?;
    if !(1..=MOST_PROMPTS).contains(&prompts.len()) || prompts.iter().any(|prompt| prompt.trim().is_empty()) {
        let message = format!("Invalid 'prompt': give 1 to {MOST_PROMPTS} texts, none of them empty.");
        return Err(ApiError::bad_request(message).param("prompt").code("invalid_value"));
    }
    Ok(prompts)
}

/// Answers are drawn independently, so the best of several is not looked for; a wrong number is still told.
fn check_best_of(fields: &mut Fields, n: usize) -> Result<(), ApiError> {
    match fields.integer("best_of", 0..=20)? {
        Some(best_of) if (best_of as usize) < n => {
            let message = format!("Invalid 'best_of': it must not be less than 'n', which is {n}.");
            Err(ApiError::bad_request(message).param("best_of").code("invalid_value"))
        }
        _ => Ok(()),
    }
}

/// An answer, with the prompt before it where that is asked for.
struct Choice<'a> {
    echoed: &'a str,
    reply: Reply,
    top: Option<usize>,
}

impl Choice<'_> {
    fn whole(&self, index: usize) -> Value {
        let (text, finish) = (format!("{}{}", self.echoed, self.reply.text()), self.reply.finish.name());
        self.part(index, &text, &self.reply.pieces, Some(finish))
    }

    fn part(&self, index: usize, text: &str, pieces: &[Piece], finish: Option<&str>) -> Value {
        json!({"text": text, "index": index, "logprobs": self.logs(pieces), "finish_reason": finish})
    }

    /// The log-probabilities of the answer's tokens; the echoed prompt has none.
    fn logs(&self, pieces: &[Piece]) -> Value {
        let Some(k) = self.top else { return Value::Null };
        let best = |piece: &Piece| {
            let tops = piece.alternatives.iter().take(k).map(|(text, log)| (text.clone(), json!(log)));
            Value::Object(tops.collect::<Map<String, Value>>())
        };
        let mut end = self.echoed.chars().count();
        let offset = |piece: &Piece| {
            let start = end;
            end += piece.text.chars().count();
            start
        };
        let offsets: Vec<usize> = pieces.iter().map(offset).collect();
        json!({
            "tokens": pieces.iter().map(|piece| piece.text.as_str()).collect::<Vec<_>>(),
            "token_logprobs": pieces.iter().map(|piece| piece.log_probability).collect::<Vec<_>>(),
            "top_logprobs": pieces.iter().map(best).collect::<Vec<_>>(),
            "text_offset": offsets,
        })
    }
}

/// What each answer says, then why each ends.
fn chunks(choices: &[Choice<'_>]) -> Vec<Value> {
    let said = |(index, choice): (usize, &Choice<'_>)| {
        let text = format!("{}{}", choice.echoed, choice.reply.text());
        json!([choice.part(index, &text, &choice.reply.pieces, None)])
    };
    let ended = |(index, choice): (usize, &Choice<'_>)| {
        let finish = choice.reply.finish.name();
        json!([{"text": "", "index": index, "logprobs": null, "finish_reason": finish}])
    };
    choices.iter().enumerate().map(said).chain(choices.iter().enumerate().map(ended)).collect()
}
