//! A server in this process, and requests to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use finetone_serve::{BaseModel, KeyPlace, RecordConfig, ServeConfig, ServeError, WorkplaceConfig, serve};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::bench::Bench;
#[cfg(unix)]
use super::postgres;

/// The longest that a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it is stopped when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    pub bench: Arc<Bench>,
    pub folder: Arc<TempDir>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    agent: Agent,
    key: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub bytes: Vec<u8>,
}

impl Answer {
    fn new(mut response: Response<Body>) -> Self {
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = response.headers().iter().map(header).collect();
        let bytes = response.body_mut().read_to_vec().unwrap();
        Self { status: response.status().as_u16(), headers, bytes }
    }

    /// The body of an answer that must be this status.
    pub fn json(&self, status: u16) -> Value {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status, status, "{text}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Message, param and code of an answer that must be an error in the form that clients read.
    pub fn error(&self, status: u16) -> (String, Value, Value) {
        let body = self.json(status);
        let error = body["error"].as_object().unwrap_or_else(|| panic!("no error in {body}"));
        let keys: Vec<_> = error.keys().map(String::as_str).collect();
        assert_eq!(keys, ["message", "type", "param", "code"]);
        assert!(self.header("x-request-id").is_some_and(|id| id.len() == 36));
        (error["message"].as_str().unwrap().to_owned(), error["param"].clone(), error["code"].clone())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The usual settings, in a folder.
pub fn settings(folder: &Path) -> ServeConfig {
    let base = |name: &str| BaseModel { name: name.into(), source: "tiny".into() };
    ServeConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        workplace: WorkplaceConfig {
            #[cfg(unix)]
            database: postgres::database(folder),
            aliases: vec![("gpt-4o-mini".into(), "other".into())],
            ..WorkplaceConfig::new(folder.join("data"), vec![base("small"), base("other")])
        },
        names: vec!["mood.example".into()],
        tls: None,
        without_keys: false,
        record: RecordConfig::default(),
        limits: finetone_serve::Limits { file_bytes: 200_000, ..finetone_serve::Limits::default() },
    }
}

/// Where the keys of a server with the usual settings are.
pub fn keys(folder: &Path) -> KeyPlace {
    let WorkplaceConfig { data, database, .. } = settings(folder).workplace;
    KeyPlace { data, database }
}

impl Server {
    pub fn start() -> Self {
        Self::with(Arc::new(tempfile::tempdir().unwrap()), |_| {})
    }

    /// A server in a folder, with other settings.
    pub fn with(folder: Arc<TempDir>, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let mut config = settings(folder.path());
        change(&mut config);
        let (bench, stop) = (Arc::new(Bench::default()), Arc::new(AtomicBool::new(false)));
        let (told, address) = mpsc::channel();
        let (workshop, stopped) = (Arc::clone(&bench), Arc::clone(&stop));
        let thread =
            std::thread::spawn(move || serve(config, workshop, stopped, |address| told.send(address).unwrap()));
        let address = address.recv_timeout(PATIENCE).expect("the server starts");
        let agent =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().new_agent();
        Self { address, bench, folder, stop, thread: Some(thread), agent, key: None }
    }

    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Stops the server, and starts another one in the same folder.
    pub fn again(mut self) -> Self {
        self.end();
        Self::with(Arc::clone(&self.folder), |_| {})
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/v1{path}", self.address)
    }

    fn bearer(&self) -> String {
        self.key.as_ref().map_or_else(String::new, |key| format!("Bearer {key}"))
    }

    pub fn get(&self, path: &str) -> Answer {
        Answer::new(self.agent.get(self.url(path)).header("authorization", self.bearer()).call().unwrap())
    }

    pub fn delete(&self, path: &str) -> Answer {
        Answer::new(self.agent.delete(self.url(path)).header("authorization", self.bearer()).call().unwrap())
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, "application/json", body.to_string().as_bytes())
    }

    pub fn post_bytes(&self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let request = self.agent.post(self.url(path)).header("authorization", self.bearer());
        Answer::new(request.header("content-type", kind).send(body).unwrap())
    }

    /// A post without a body.
    pub fn post_nothing(&self, path: &str) -> Answer {
        Answer::new(self.agent.post(self.url(path)).header("authorization", self.bearer()).send_empty().unwrap())
    }

    pub fn upload(&self, parts: &[Part<'_>]) -> Answer {
        self.post_bytes("/files", "multipart/form-data; boundary=line", &form(parts))
    }

    /// The id of an upload that must be fine.
    pub fn uploaded(&self, content: &str) -> String {
        let file =
            self.upload(&[Part::File("chat.jsonl", content.as_bytes()), Part::Text("purpose", "fine-tune")]).json(200);
        assert_eq!(file["status"], "processed", "{file}");
        file["id"].as_str().unwrap().to_owned()
    }

    /// The id of a new job.
    pub fn job(&self, body: &Value) -> String {
        let job = self.post("/fine_tuning/jobs", body).json(200);
        assert_eq!(job["status"], "validating_files", "{job}");
        job["id"].as_str().unwrap().to_owned()
    }

    /// The job, once it has a status.
    pub fn wait(&self, id: &str, status: &str) -> Value {
        let path = format!("/fine_tuning/jobs/{id}");
        eventually(&format!("{id} to be {status}"), || {
            let job = self.get(&path).json(200);
            let is_over = ["succeeded", "failed", "cancelled"].iter().any(|end| job["status"] == *end);
            assert!(!is_over || job["status"] == status, "the job ended otherwise: {job}");
            (job["status"] == status).then_some(job)
        })
    }

    /// Messages of a job's events, the oldest first.
    pub fn messages(&self, id: &str) -> Vec<String> {
        let events = self.get(&format!("/fine_tuning/jobs/{id}/events?limit=300")).json(200);
        let messages = events["data"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap());
        messages.rev().map(str::to_owned).collect()
    }

    /// What the server says to bytes that no client library would send.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        // A connection that is reset has said what it had to say, also before it has heard everything.
        let _ = stream.write_all(bytes);
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.bench.waits.store(false, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A test that fails has more to say than the server.
            let _ = thread.join();
        }
    }
}

/// Waits for what must happen.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A part of a form.
pub enum Part<'a> {
    Text(&'a str, &'a str),
    File(&'a str, &'a [u8]),
}

pub fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(b"--line\r\nContent-Disposition: form-data; ");
        let (head, content) = match part {
            Part::Text(name, text) => (format!("name=\"{name}\"\r\n\r\n"), text.as_bytes()),
            Part::File(name, bytes) => (
                format!("name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"),
                *bytes,
            ),
        };
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--line--\r\n");
    body
}

/// So many chat examples with three answers.
pub fn chat(examples: usize) -> String {
    let answers = [("I love it", "Positive"), ("I hate it", "Negative"), ("It came on Monday", "Neutral")];
    let line = |number: usize| {
        let (text, answer) = answers[number % 3];
        let messages = json!([
            {"role": "system", "content": "Say whether the text is Positive, Negative or Neutral."},
            {"role": "user", "content": format!("{text}, number {number}")},
            {"role": "assistant", "content": answer},
        ]);
        json!({"messages": messages}).to_string() + "\n"
    };
    (0..examples).map(line).collect()
}
