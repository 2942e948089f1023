//! A request is answered when its body has been read, also by a route that fails or needs none.
//!
//! A client that is still sending would find its connection closed, and never see the answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::timeout;

/// The longest that a body is waited for, and the most that is read of it.
const PATIENCE: Duration = Duration::from_secs(60);
const MOST: usize = 1 << 30;

/// A body that a route reads and that is still here when the route has gone.
#[derive(Clone)]
struct Lent(Arc<Mutex<Body>>);

impl Lent {
    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }

    /// Reads what is left; says whether that is everything.
    async fn read_to_end(&self) -> bool {
        let mut left = MOST;
        while let Some(Ok(frame)) = poll_fn(|context| self.poll(context)).await {
            let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return false };
            left = less;
        }
        true
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        self.poll(context)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

/// Reads what a route has left of the body.
pub async fn drain(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = Lent(Arc::new(Mutex::new(body)));
    let mut response = next.run(Request::from_parts(parts, Body::new(body.clone()))).await;
    if !timeout(PATIENCE, body.read_to_end()).await.unwrap_or(false) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
