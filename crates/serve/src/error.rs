//! What goes wrong: for whoever starts the server, and for whoever asks it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::store::Database;

/// Why a server does not start or does not go on; [`ServeError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting that cannot be.
    #[error("{problem}")]
    Setting {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A file or folder of the data folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another server works in the data folder.
    #[error("{}: another server works in this data folder", folder.display())]
    Taken {
        /// The folder.
        folder: PathBuf,
    },
    /// The address cannot be listened at.
    #[error("{address}: {source}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificate, or its key.
    #[error("{}: {problem}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The address can be reached by others, and there is no key.
    #[error("{address} can be reached from other machines, and no key has been made")]
    NoKeys {
        /// The address.
        address: SocketAddr,
    },
    /// The database cannot be opened.
    #[error("{database}: {source}")]
    Unreachable {
        /// Which.
        database: Database,
        /// What it said.
        source: sqlx::Error,
    },
    /// The database is that of other files.
    #[error("{}: the files of {database} are in another data folder", folder.display())]
    OtherFolder {
        /// The folder.
        folder: PathBuf,
        /// The database.
        database: Database,
    },
    /// The database.
    #[error("the database: {0}")]
    Store(#[from] sqlx::Error),
}

impl ServeError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Setting { hint, .. } => hint.clone(),
            Self::Io { .. } => "choose a folder that you may write to (`--data`)".into(),
            Self::Taken { .. } => "stop it, or choose another folder (`--data`)".into(),
            Self::Address { .. } => "choose another `--port` (0 is a free one) or `--host`".into(),
            Self::NoKeys { .. } => {
                "make one by `finetone serve key create NAME --data DIR`; or say `--without-keys` where the network is \
                 yours alone"
                    .into()
            }
            Self::Certificate { .. } => {
                "give a certificate and its private key as PEM files, which begin with `-----BEGIN` (`--tls-cert`, `--tls-key`)"
                    .into()
            }
            Self::OtherFolder { .. } => {
                "give the folder of the server by `--data`, or another database: servers and workers of one database share a folder"
                    .into()
            }
            Self::Unreachable { database, .. } if database.is_shared() => {
                "check that it runs, and the URL with its user and password (`--database`)".into()
            }
            Self::Unreachable { .. } | Self::Store(_) => {
                "if the file is damaged, restore the data folder from a copy".into()
            }
        })
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// What PostgreSQL says to U+0000: in a text, and in JSON.
const NOT_A_TEXT: [&str; 2] = ["22021", "22P05"];

/// An answer that is an error: `{"error": {message, type, param, code}}`.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    kind: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
}

impl ApiError {
    /// An error that the request is to blame for.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
        Self { status, message: message.into(), kind, param: None, code: None, retry_after: None }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 404 for the name of a model.
    pub fn no_model(name: &str) -> Self {
        Self::not_found(format!("The model '{name}' does not exist")).param("model").code("model_not_found")
    }

    /// 429: too much is asked for; `seconds` from now there may be room.
    pub fn too_many(message: impl Into<String>, seconds: u64) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, message).code("rate_limit_exceeded");
        Self { kind: "rate_limit_error", retry_after: Some(seconds.max(1)), ..error }
    }

    /// 503: the server cannot answer now; `seconds` from now another may.
    pub fn unavailable(message: impl Into<String>, seconds: u64) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, message);
        Self { kind: "service_unavailable_error", retry_after: Some(seconds.max(1)), ..error }
    }

    /// 500, told on standard error; the answer does not say what happened inside.
    pub fn internal(what: &dyn std::fmt::Display) -> Self {
        eprintln!("error: {what}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The server had an error while processing your request")
    }

    /// The field of the request that is wrong, such as `messages[0].role`.
    pub fn param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// What programs can tell the error by.
    pub fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// What the answer says.
    pub fn body(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }

    /// What the answer's first line says.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status.is_server_error() && self.retry_after.is_none() {
            // Clients would otherwise send the same request twice more.
            response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        if code.is_some_and(|code| NOT_A_TEXT.contains(&&*code)) {
            return Self::bad_request("The request holds the character U+0000, which no name or text may have");
        }
        Self::internal(&error)
    }
}
