//! The head of every answer: an id, the time that it took, the version of the API.

use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::ids;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING: HeaderName = HeaderName::from_static("openai-processing-ms");
const VERSION: HeaderName = HeaderName::from_static("openai-version");

/// Adds the head.
pub async fn answer_head(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let mut response = next.run(request).await;
    let milliseconds = start.elapsed().as_millis() as u64;
    let id = HeaderValue::try_from(ids::request()).expect("an id is plain");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(PROCESSING, HeaderValue::from(milliseconds));
    headers.insert(VERSION, HeaderValue::from_static("2020-10-01"));
    response
}
