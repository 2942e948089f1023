//! Answers as a stream of events.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::Usage;

/// A response of events, each a line `data: …` with an empty one behind it, and `[DONE]` at the end.
///
/// A classifier has its whole answer before the first event, so the events go out at once.
pub fn response(events: impl IntoIterator<Item = Value>) -> Response {
    let mut body: String = events.into_iter().map(|event| format!("data: {event}\n\n")).collect();
    body.push_str("data: [DONE]\n\n");
    let head = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (head, body).into_response()
}

/// Events with a head in common, one for each list of choices. With `usage` there is another one with it and without choices at
/// the end, and the others say that theirs is not known yet.
pub fn with_usage(head: &Value, choices: Vec<Value>, usage: Option<Usage>) -> Vec<Value> {
    let event = |choices: Value| {
        let mut event = head.clone();
        event["choices"] = choices;
        event
    };
    let mut events: Vec<Value> = choices.into_iter().map(event).collect();
    if let Some(usage) = usage {
        events.iter_mut().for_each(|event| event["usage"] = Value::Null);
        let mut last = event(Value::Array(Vec::new()));
        last["usage"] = usage.shown();
        events.push(last);
    }
    events
}
