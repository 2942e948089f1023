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
use crate::http::{Fields, JsonBody, integer, invalid_type};
use crate::ids;
use crate::reply::{self, Answers, Asked, Format, Options, Part, Piece, Question, Usage, at_least, events};
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
    let questions = prompts(&mut fields)?;
    let mut options = Options::of(&mut fields, 0)?;
    options.max_tokens = options.max_tokens.or(Some(USUAL_TOKENS));
    check_best_of(&mut fields, options.n)?;
    let (top, echo) = (fields.integer("logprobs", 0..=5)?, fields.boolean("echo")?.unwrap_or(false));
    let top = top.map(|top| top as usize);
    let (stream, include_usage) = (options.stream, options.include_usage);
    let texts = questions.iter().flat_map(|question| vec![echoed(question, echo); options.n]).collect();
    let form = Choices { said: texts, top };
    let asked = Asked {
        questions,
        options,
        format: Format::default(),
        alternatives: top.unwrap_or(0),
        recorded: app.traffic.is_on(),
    };
    let mut answers = reply::answers(&app, &model, asked).await?;
    let id = ids::with_prefix("cmpl-", 29);
    app.traffic.note(&model.name, &id, answers.iter_mut().filter_map(Answers::take_judged));
    let mut head = json!({
        "id": id, "object": "text_completion", "created": now(), "model": model.name,
        "system_fingerprint": reply::fingerprint(&model.name),
    });
    if stream {
        return Ok(events::response(head, answers, form, include_usage));
    }
    let (choices, usage) = form.whole(answers).await?;
    head["choices"] = choices;
    head["usage"] = usage.shown();
    Ok(Json(head).into_response())
}

/// The prompts, of which there is at least one and none is empty: texts, or numbers of tokens.
fn prompts(fields: &mut Fields) -> Result<Vec<Question>, ApiError> {
    let missing = || {
        let message = "Missing required parameter: 'prompt'.";
        ApiError::bad_request(message).param("prompt").code("missing_required_parameter")
    };
    let given = fields.take("prompt").ok_or_else(missing)?;
    let prompts = match given {
        Value::Array(values) if values.iter().any(Value::is_array) => {
            let one = |(place, value)| tokens(value, format!("prompt[{place}]"));
            values.into_iter().enumerate().map(one).collect::<Result<Vec<_>, ApiError>>()?
        }
        Value::Array(values) if values.iter().any(Value::is_number) => vec![tokens(values.into(), "prompt".into())?],
        other => reply::array_of_texts(other, "prompt")?.into_iter().map(Question::Text).collect(),
    };
    let is_empty = |prompt: &Question| match prompt {
        Question::Text(text) => text.trim().is_empty(),
        Question::Tokens(ids, _) => ids.is_empty(),
        Question::Chat(_) => false,
    };
    if !(1..=MOST_PROMPTS).contains(&prompts.len()) || prompts.iter().any(is_empty) {
        let message = format!("Invalid 'prompt': give 1 to {MOST_PROMPTS} texts, none of them empty.");
        return Err(ApiError::bad_request(message).param("prompt").code("invalid_value"));
    }
    Ok(prompts)
}

fn tokens(value: Value, name: String) -> Result<Question, ApiError> {
    let Value::Array(values) = value else { return Err(invalid_type(&name, "an array of token numbers", &value)) };
    let id = |(place, value): (usize, &Value)| {
        let id = integer(value, &format!("{name}[{place}]"), 0..=i64::from(u32::MAX))?;
        Ok(id as u32)
    };
    let ids = values.iter().enumerate().map(id).collect::<Result<_, ApiError>>()?;
    Ok(Question::Tokens(ids, name))
}

/// What stands before the answer.
fn echoed(question: &Question, echo: bool) -> String {
    match question {
        Question::Text(text) if echo => text.clone(),
        _ => String::new(),
    }
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

/// Answers, each behind its prompt where that is asked for.
struct Choices {
    /// What was said of each.
    said: Vec<String>,
    /// How many alternatives of each token are shown, if any log-probabilities are.
    top: Option<usize>,
}

impl Choices {
    async fn whole(mut self, answers: Vec<Answers>) -> Result<(Value, Usage), ApiError> {
        let (mut choices, mut usage) = (Vec::new(), Usage::default());
        for answers in answers {
            let (replies, used) = answers.whole().await?;
            usage.prompt += used.prompt;
            usage.completion += used.completion;
            for reply in replies {
                let (index, before) = (choices.len(), self.said[choices.len()].clone());
                let logs = self.logs(index, &reply.pieces);
                let (text, finish) = (before + &reply.text(), reply.finish.name());
                choices.push(json!({"text": text, "index": index, "logprobs": logs, "finish_reason": finish}));
            }
        }
        Ok((choices.into(), usage))
    }

    /// The log-probabilities of tokens that come next in an answer; the echoed prompt has none.
    fn logs(&mut self, index: usize, pieces: &[Piece]) -> Value {
        let said = &mut self.said[index];
        let mut offsets = Vec::with_capacity(pieces.len());
        for piece in pieces {
            offsets.push(said.chars().count());
            said.push_str(&piece.says.text);
        }
        let Some(k) = self.top else { return Value::Null };
        let best = |piece: &Piece| {
            let tops = piece.alternatives.iter().take(k).map(|(says, log)| (says.text.clone(), json!(at_least(*log))));
            Value::Object(tops.collect::<Map<String, Value>>())
        };
        json!({
            "tokens": pieces.iter().map(|piece| piece.says.text.as_str()).collect::<Vec<_>>(),
            "token_logprobs": pieces.iter().map(|piece| at_least(piece.log_probability)).collect::<Vec<_>>(),
            "top_logprobs": pieces.iter().map(best).collect::<Vec<_>>(),
            "text_offset": offsets,
        })
    }
}

fn chunk(index: usize, text: &str, logs: Value, finish: Option<&str>) -> Value {
    json!([{"text": text, "index": index, "logprobs": logs, "finish_reason": finish}])
}

impl events::Form for Choices {
    fn opening(&self) -> Vec<Value> {
        let echoed = self.said.iter().enumerate().filter(|(_, said)| !said.is_empty());
        echoed.map(|(index, said)| chunk(index, said, Value::Null, None)).collect()
    }

    fn part(&mut self, part: &Part) -> Vec<Value> {
        let logs = self.logs(part.index, &part.pieces);
        let said = (!part.pieces.is_empty()).then(|| chunk(part.index, &part.text(), logs, None));
        let ended = |finish: reply::Finish| chunk(part.index, "", Value::Null, Some(finish.name()));
        said.into_iter().chain(part.finish.map(ended)).collect()
    }
}
