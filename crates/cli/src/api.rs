//! A running server, asked over its own API.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::{Agent, Body, SendBody, http};

use crate::failure::Failure;

/// How long the server may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose key it is unless said.
pub const KEY_VARIABLE: &str = "OPENAI_API_KEY";

/// A server.
pub struct Client {
    base: String,
    key: Option<String>,
    agent: Agent,
}

impl Client {
    /// The server at an address, with or without `/v1`, and the key that it may ask for.
    pub fn new(url: &str, key: Option<String>) -> Self {
        let url = url.trim_end_matches('/').trim_end_matches("/v1");
        let config = Agent::config_builder().http_status_as_error(false).timeout_connect(Some(PATIENCE));
        Self { base: format!("{url}/v1"), key, agent: config.build().into() }
    }

    /// The server at an address, with the key in an environment variable, if it is set.
    pub fn with_key_of(url: &str, variable: &str) -> Self {
        Self::new(url, std::env::var(variable).ok().filter(|key| !key.is_empty()))
    }

    /// What is at a path.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self.agent.get(self.address(path));
        json(self.answered(self.with_key(request).call())?)
    }

    /// What the server answers to some JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        json(self.send(path, "application/json", SendBody::from_owned_reader(Cursor::new(body.to_string())))?)
    }

    /// The events that the server answers with, as they come.
    pub fn events(&self, path: &str, body: &Value) -> Result<impl Iterator<Item = Result<Value, Failure>>, Failure> {
        let text = SendBody::from_owned_reader(Cursor::new(body.to_string()));
        let response = self.send(path, "application/json", text)?;
        let lines = BufReader::new(response.into_body().into_reader()).lines();
        let events = lines.map_while(|line| match line {
            Ok(line) if line == "data: [DONE]" => None,
            line => Some(line),
        });
        Ok(events.filter_map(|line| match line {
            Ok(line) => line.strip_prefix("data: ").map(event),
            Err(error) => Some(Err(cut_off(&error))),
        }))
    }

    /// Uploads a training or validation file; its length is not known to anybody before.
    pub fn upload(&self, file: &Path) -> Result<Value, Failure> {
        let content = File::open(file).map_err(|error| Failure::io(file, &error))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().replace('"', "%22");
        let boundary = format!("finetone-{:032x}", finetone_data::split::random::Random::of(&now()).bits());
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let body = Cursor::new(head).chain(content).chain(Cursor::new(format!("\r\n--{boundary}--\r\n")));
        let kind = format!("multipart/form-data; boundary={boundary}");
        json(self.send("/files", &kind, SendBody::from_owned_reader(body))?)
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn with_key<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        }
    }

    fn send(&self, path: &str, kind: &str, body: SendBody<'_>) -> Result<http::Response<Body>, Failure> {
        let request = self.with_key(self.agent.post(self.address(path)).header("content-type", kind));
        self.answered(request.send(body))
    }

    /// A response that is no error.
    fn answered(&self, response: Result<http::Response<Body>, ureq::Error>) -> Result<http::Response<Body>, Failure> {
        let response = response.map_err(|error| {
            let hint = "start one with `finetone serve`, or say where it is by `--url`";
            Failure::new(format!("no server answers at {}: {error}", self.base), hint.to_owned())
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = json(response).unwrap_or_default();
        let message =
            body["error"]["message"].as_str().map_or_else(|| format!("the server said {status}"), str::to_owned);
        Err(Failure::new(message, hint(status).to_owned()))
    }
}

/// What the user can do about an error of the server.
fn hint(status: u16) -> &'static str {
    match status {
        401 => {
            "put a key into an environment variable and name that by `--key-env`; `finetone serve key create` makes one"
        }
        404 => "`finetone jobs list` shows the jobs; GET /v1/models shows the models",
        429 | 503 => "try again in a moment",
        500.. => "what the server printed says more",
        _ => "change the request as the message says",
    }
}

fn json(response: http::Response<Body>) -> Result<Value, Failure> {
    let read = serde_json::from_reader(BufReader::new(response.into_body().into_reader()));
    read.map_err(|error| {
        let hint = "`--url` must be the address of a server of this API".to_owned();
        Failure::new(format!("the server's answer is no JSON: {error}"), hint)
    })
}

/// An event, which may be an error in the middle of an answer.
fn event(text: &str) -> Result<Value, Failure> {
    let event: Value = serde_json::from_str(text).map_err(|error| cut_off(&error))?;
    match event["error"]["message"].as_str() {
        Some(message) => Err(Failure::new(message, hint(500).to_owned())),
        None => Ok(event),
    }
}

fn cut_off(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("the answer was cut off: {error}"), hint(500).to_owned())
}

/// Numbers that no other call has.
fn now() -> [u64; 2] {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    [since.as_nanos() as u64, u64::from(std::process::id())]
}
