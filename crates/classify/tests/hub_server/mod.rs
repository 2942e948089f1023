//! A small server that speaks as much of the Hub's protocol as its clients use.
//!
//! `GET /api/models/<id>/revision/<revision>` lists the files; `GET /<id>/resolve/<revision>/<file>` serves them with
//! `x-repo-commit`, `etag` and `Range`. Large files are redirected to `/cdn/…`, with the checksum as `x-linked-etag`.

#![allow(dead_code, reason = "each test file uses a part of the server")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha2::{Digest, Sha256};

/// The commit that every revision of the site points to.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

struct File {
    bytes: Vec<u8>,
    large: bool,
}

/// The one model that a server has, and the faults it shows.
pub struct Site {
    id: String,
    files: BTreeMap<String, File>,
    token: Option<String>,
    cut: Option<(String, usize)>,
    damage: Option<String>,
}

impl Site {
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), files: BTreeMap::new(), token: None, cut: None, damage: None }
    }

    pub fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.insert(name.to_owned(), File { bytes: bytes.to_vec(), large: false });
        self
    }

    pub fn large_file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.insert(name.to_owned(), File { bytes: bytes.to_vec(), large: true });
        self
    }

    /// The first transfer of this file ends after some bytes.
    pub fn cut_once(mut self, name: &str, bytes: usize) -> Self {
        self.cut = Some((name.to_owned(), bytes));
        self
    }

    /// The first transfer of this file has a wrong byte.
    pub fn damage_once(mut self, name: &str) -> Self {
        self.damage = Some(name.to_owned());
        self
    }

    /// Only who sends this token gets in.
    pub fn closed(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }
}

/// What a client asked.
#[derive(Clone)]
pub struct Request {
    path: String,
    headers: BTreeMap<String, String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).cloned()
    }

    /// The first byte that is wanted and whether it is only a look at the first one.
    fn range(&self) -> Option<(usize, bool)> {
        let range = self.header("range")?;
        let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse().ok()?, end == "0"))
    }
}

struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Bytes after which the connection is closed.
    cut: Option<usize>,
}

impl Answer {
    fn new(status: &'static str) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut: None }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server on a free port of this machine, which ends with the process.
pub struct HubServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl HubServer {
    pub fn start(site: Site) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let site = Arc::new(Mutex::new(site));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (site, log) = (Arc::clone(&site), Arc::clone(&log));
                thread::spawn(move || serve(stream, &site, &log));
            }
        });
        Self { address, requests }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Answers one request and closes.
fn serve(mut stream: TcpStream, site: &Mutex<Site>, log: &Mutex<Vec<Request>>) {
    let Some(request) = read(&stream) else { return };
    log.lock().unwrap().push(request.clone());
    let answer = answer(&mut site.lock().unwrap(), &request);
    let mut head =
        format!("HTTP/1.1 {}\r\nconnection: close\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let end = answer.cut.unwrap_or(answer.body.len());
    // A client that has gone is its own affair.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer.body[..end]));
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    });
    Some(Request { path, headers: headers.collect() })
}

fn answer(site: &mut Site, request: &Request) -> Answer {
    if let Some(name) = request.path.strip_prefix("/cdn/") {
        let name = name.to_owned();
        return content(site, &name, request);
    }
    if let Some(refusal) = refusal(site, request) {
        return refusal;
    }
    let list = format!("/api/models/{}/revision/", site.id);
    let resolve = format!("/{}/resolve/", site.id);
    if let Some(revision) = request.path.strip_prefix(&list) {
        return listing(site, revision);
    }
    let file = request.path.strip_prefix(&resolve).and_then(|rest| rest.split_once('/'));
    match file {
        Some((_, name)) if site.files.get(name).is_some_and(|file| file.large) => {
            let checksum = sha256(&site.files[name].bytes);
            Answer::new("302 Found")
                .with("x-repo-commit", COMMIT)
                .with("x-linked-etag", format!("\"{checksum}\""))
                .with("etag", "\"pointer\"")
                .with("location", format!("http://{}/cdn/{name}", request.headers["host"]))
        }
        Some((_, name)) => content(site, name, request).with("x-repo-commit", COMMIT),
        None => Answer::new("404 Not Found").with("x-error-code", "RepoNotFound"),
    }
}

/// The answer to who may not come in.
fn refusal(site: &Site, request: &Request) -> Option<Answer> {
    let expected = format!("Bearer {}", site.token.as_ref()?);
    match request.header("authorization") {
        Some(given) if given == expected => None,
        Some(_) => Some(Answer::new("403 Forbidden").with("x-error-code", "GatedRepo")),
        None => Some(Answer::new("401 Unauthorized").with("x-error-code", "GatedRepo")),
    }
}

fn listing(site: &Site, revision: &str) -> Answer {
    if revision != "main" && revision != COMMIT {
        return Answer::new("404 Not Found").with("x-error-code", "RevisionNotFound");
    }
    let files: Vec<_> = site.files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
    let mut answer = Answer::new("200 OK").with("content-type", "application/json");
    answer.body = serde_json::json!({"sha": COMMIT, "siblings": files}).to_string().into_bytes();
    answer
}

/// The bytes of a file from where the client wants them.
fn content(site: &mut Site, name: &str, request: &Request) -> Answer {
    let Some(file) = site.files.get(name) else {
        return Answer::new("404 Not Found").with("x-error-code", "EntryNotFound");
    };
    let size = file.bytes.len();
    let (start, look) = request.range().unwrap_or((0, false));
    if start >= size {
        return Answer::new("416 Range Not Satisfiable").with("content-range", format!("bytes */{size}"));
    }
    let end = if look { 1 } else { size };
    let mut answer = Answer::new("206 Partial Content")
        .with("content-range", format!("bytes {start}-{}/{size}", end - 1))
        .with("etag", format!("\"{:.40}\"", sha256(&file.bytes)));
    answer.body = file.bytes[start..end].to_vec();
    if look {
        return answer;
    }
    if let Some((_, bytes)) = site.cut.take_if(|(cut, _)| cut == name) {
        answer.cut = Some(bytes);
    }
    if site.damage.take_if(|damaged| damaged == name).is_some() {
        answer.body[0] ^= 1;
    }
    answer
}

/// The SHA-256 of some bytes in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
