//! A body has to come at some speed: a client that sends a byte now and then would keep its connection for ever.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};

/// Bytes in a second, on average, that nobody's network falls short of.
const LEAST: f64 = 4096.0;

/// A body that fails when it comes too slowly for longer than somebody's patience.
pub struct Steady {
    body: Body,
    patience: Duration,
    bytes: usize,
    began: Option<Instant>,
}

/// What a client hears that is too slow.
#[derive(Debug, thiserror::Error)]
#[error("the body comes too slowly")]
struct TooSlow;

impl Steady {
    /// Watches a body from the moment that somebody reads it.
    pub fn new(body: Body, patience: Duration) -> Self {
        Self { body, patience, bytes: 0, began: None }
    }
}

impl HttpBody for Steady {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let began = *self.began.get_or_insert_with(Instant::now);
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.bytes += frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        let allowed = self.patience + Duration::from_secs_f64(self.bytes as f64 / LEAST);
        if frame.is_some() && began.elapsed() > allowed {
            return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
