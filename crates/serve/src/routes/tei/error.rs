//! Errors as text-embeddings-inference tells them: `{"error": text, "error_type": kind}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::engine::EngineError;
use crate::error::ApiError;

/// An error and its kind.
#[derive(Debug, Clone)]
pub struct TeiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl TeiError {
    /// There is nothing to compute.
    pub fn empty(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "Empty", message: message.into() }
    }

    /// A request that is no good.
    pub fn validation(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "Validation", message: message.into() }
    }

    /// A body that is no JSON.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, ..Self::validation(message) }
    }

    /// A model that cannot answer.
    pub fn backend(message: impl Into<String>) -> Self {
        Self { status: StatusCode::FAILED_DEPENDENCY, kind: "Backend", message: message.into() }
    }
}

impl From<EngineError> for TeiError {
    fn from(error: EngineError) -> Self {
        let (status, kind) = match error {
            EngineError::Overloaded => (StatusCode::TOO_MANY_REQUESTS, "Overloaded"),
            EngineError::TooMany { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Validation"),
            EngineError::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "Unhealthy"),
            other => {
                // As for the other routes: what happened inside is told on standard error alone.
                let error = ApiError::from(other);
                let told = error.status().is_client_error();
                return Self::backend(if told { error.message() } else { "the model gave no answer" });
            }
        };
        Self { status, kind, message: error.to_string() }
    }
}

/// A model's name that means nothing, or a database that fails.
impl From<ApiError> for TeiError {
    fn from(error: ApiError) -> Self {
        if error.status().is_client_error() {
            Self::validation(error.message())
        } else {
            Self::backend(error.message())
        }
    }
}

impl From<sqlx::Error> for TeiError {
    fn from(error: sqlx::Error) -> Self {
        ApiError::from(error).into()
    }
}

impl IntoResponse for TeiError {
    fn into_response(self) -> Response {
        let body = Json(json!({"error": self.message, "error_type": self.kind}));
        let mut response = (self.status, body).into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
