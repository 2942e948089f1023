//! What happens to every request before and after its route: head, errors, admission, body.

mod admission;
mod body;
mod connections;
mod counted;
mod drain;
mod envelope;
mod head;
mod host;
mod origin;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::map_request_body::MapRequestBodyLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::app::App;
use crate::error::ApiError;

pub use admission::{Pace, admit};
pub use body::{Fields, JsonBody, Parameters, decimal, integer, invalid_type};
pub use connections::Doorkeeper;
pub use counted::counted;

/// Puts around `routes` what all of them need.
pub fn around(routes: Router<Arc<App>>, app: Arc<App>) -> Router {
    routes
        .fallback(envelope::unknown_route)
        .layer(DefaultBodyLimit::max(app.config.limits.body_bytes))
        .layer(from_fn(body::refuse_compressed))
        .layer(from_fn(origin::refuse_other_sites))
        .layer(from_fn_with_state(app.clone(), host::refuse_other_names))
        .layer(from_fn(drain::drain))
        .layer((RequestBodyTimeoutLayer::new(app.config.limits.patience), MapRequestBodyLayer::new(Body::new)))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(envelope::as_errors))
        .layer(from_fn(head::answer_head))
        .with_state(app)
}

/// A bug of ours: the message went to standard error when it happened.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::internal(&"a route panicked").into_response()
}
