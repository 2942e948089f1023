//! Counts requests to models, how they ended and how long they took.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;

/// Counts a request under the path of its route, and one that is refused under its status.
pub async fn counted(State(app): State<Arc<App>>, path: MatchedPath, request: Request, next: Next) -> Response {
    let (start, method) = (Instant::now(), path.as_str().trim_start_matches("/v1").to_owned());
    app.metrics.requested(&method);
    let response = next.run(request).await;
    if response.status().is_success() {
        app.metrics.answered(&method, start.elapsed());
    } else {
        app.metrics.refused(response.status().as_str());
    }
    response
}
