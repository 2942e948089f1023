//! Who may ask, and how often.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::app::App;
use crate::config::Limits;
use crate::error::ApiError;
use crate::keys;

/// Counts the requests of each key.
pub struct Pace(Option<DefaultKeyedRateLimiter<Option<String>>>);

impl Pace {
    /// As fast as `limits` allow.
    pub fn new(limits: &Limits) -> Self {
        Self(limits.requests_per_minute.map(|most| RateLimiter::keyed(Quota::per_minute(most))))
    }

    /// Counts a request of a key, or of all who have none.
    fn check(&self, caller: Option<String>) -> Result<(), ApiError> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(&caller).map_err(|wait| {
            let seconds = wait.wait_time_from(DefaultClock::default().now()).as_secs_f64().ceil();
            ApiError::too_many(format!("Rate limit reached: try again in {seconds} s"), seconds as u64)
        })
    }
}

/// Lets a request through that has a key where one is needed, and is not one too many.
pub async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response, ApiError> {
    let caller = keys::caller(&app.config, &app.store, request.headers()).await?;
    app.pace.check(caller)?;
    Ok(next.run(request).await)
}
