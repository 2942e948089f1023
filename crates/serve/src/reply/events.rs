//! Answers as a stream of events, told as they are written.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde_json::Value;

use super::{Answers, Part, Usage};
use crate::error::ApiError;

/// How a route tells answers: each value is the choices of an event.
pub trait Form: Send + 'static {
    /// What comes before the answers.
    fn opening(&self) -> Vec<Value>;

    /// What follows in an answer. The answers to all questions are counted together.
    fn part(&mut self, part: &Part) -> Vec<Value>;
}

/// A response of events, each a line `data: …` with an empty one behind it, and `[DONE]` at the end. What all of them have in
/// common is `head`. With `include_usage` there is another one with the number of tokens and without choices at the end, and the
/// others say that theirs is not known yet.
///
/// When the client leaves, the answers are let go of, and nobody goes on writing.
pub fn response(head: Value, answers: Vec<Answers>, form: impl Form, include_usage: bool) -> Response {
    let prompt = answers.iter().map(Answers::prompt).sum();
    let usage = Usage { prompt, completion: 0 };
    let flow = Flow { head, answers: answers.into(), before: 0, form, usage, include_usage, stage: Stage::Opening };
    let events = unfold(flow, |mut flow| async move { Some((Ok::<_, Infallible>(flow.next().await?), flow)) });
    let head = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (head, Body::from_stream(events)).into_response()
}

/// What was told, and what will be.
struct Flow<F: Form> {
    head: Value,
    /// The answers to the questions that are not at their end.
    answers: VecDeque<Answers>,
    /// How many answers there were to the questions before.
    before: usize,
    form: F,
    usage: Usage,
    include_usage: bool,
    stage: Stage,
}

enum Stage {
    Opening,
    Parts,
    Over,
}

impl<F: Form> Flow<F> {
    /// The next events.
    async fn next(&mut self) -> Option<String> {
        match self.stage {
            Stage::Opening => {
                self.stage = Stage::Parts;
                Some(self.events(self.form.opening()))
            }
            Stage::Parts => match self.part().await {
                Ok(Some(events)) => Some(events),
                Ok(None) => {
                    self.stage = Stage::Over;
                    Some(self.closing())
                }
                // The status was told long ago.
                Err(error) => {
                    self.stage = Stage::Over;
                    Some(line(&error.body()))
                }
            },
            Stage::Over => None,
        }
    }

    /// The events of the next part of an answer; nothing behind the last one.
    async fn part(&mut self) -> Result<Option<String>, ApiError> {
        while let Some(answers) = self.answers.front_mut() {
            let count = answers.count();
            if let Some(part) = answers.next().await? {
                let part = Part { index: self.before + part.index, ..part };
                self.usage.completion += part.pieces.len();
                let choices = self.form.part(&part);
                return Ok(Some(self.events(choices)));
            }
            self.before += count;
            self.answers.pop_front();
        }
        Ok(None)
    }

    fn events(&self, choices: Vec<Value>) -> String {
        let event = |choices| {
            let mut event = self.with(choices);
            if self.include_usage {
                event["usage"] = Value::Null;
            }
            line(&event)
        };
        choices.into_iter().map(event).collect()
    }

    fn closing(&self) -> String {
        let mut last = self.with(Value::Array(Vec::new()));
        last["usage"] = self.usage.shown();
        let usage = if self.include_usage { line(&last) } else { String::new() };
        usage + "data: [DONE]\n\n"
    }

    fn with(&self, choices: Value) -> Value {
        let mut event = self.head.clone();
        event["choices"] = choices;
        event
    }
}

fn line(event: &Value) -> String {
    format!("data: {event}\n\n")
}
