//! `finetone serve` as a process of its own, and requests to it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::{Agent, Body};

use super::workbench::BINARY;

/// The longest that a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(300);

/// A server; it is killed when it is dropped.
pub struct Server {
    child: Child,
    /// With `/v1`.
    pub base: String,
    agent: Agent,
}

/// A very small BERT to start from scratch.
pub fn micro(folder: &Path) -> PathBuf {
    let path = folder.join("micro.json");
    let text = r#"{"model_type": "bert", "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64}"#;
    fs::write(&path, text).unwrap();
    path
}

impl Server {
    /// Starts the server of `folder/data` with a very small model to begin with, and waits until it says where it is.
    pub fn start(folder: &Path) -> Self {
        let model = format!("micro={}", micro(folder).display());
        Self::with(folder, &["--model", &model])
    }

    /// Starts it with these arguments.
    pub fn with(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.current_dir(folder).args(["serve", "--port", "0", "--data", "data", "--threads", "1"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.strip_prefix("serving at ").and_then(|rest| rest.split(' ').next());
        let base = base.unwrap_or_else(|| panic!("the server said: {line}")).to_owned();
        let agent =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().new_agent();
        Self { child, base, agent }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it on the spot.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and says how it ended.
    #[cfg(unix)]
    pub fn stop(mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        let mut response = self.agent.get(format!("{}{path}", self.base)).call().unwrap();
        read(&mut response)
    }

    pub fn bytes(&self, path: &str) -> Vec<u8> {
        self.agent.get(format!("{}{path}", self.base)).call().unwrap().body_mut().read_to_vec().unwrap()
    }

    /// A page for people.
    pub fn page(&self, path: &str) -> String {
        let url = self.base.trim_end_matches("/v1").to_owned() + path;
        self.agent.get(url).call().unwrap().body_mut().read_to_string().unwrap()
    }

    pub fn delete(&self, path: &str) -> Value {
        read(&mut self.agent.delete(format!("{}{path}", self.base)).call().unwrap())
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.agent.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        read(&mut request.send(body.to_string().as_bytes()).unwrap())
    }

    /// The id of an uploaded training file.
    pub fn upload(&self, content: &str) -> String {
        let body = format!(
            "--line\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n--line\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"chat.jsonl\"\r\n\r\n{content}\r\n--line--\r\n"
        );
        let request = self.agent.post(format!("{}/files", self.base));
        let request = request.header("content-type", "multipart/form-data; boundary=line");
        let file = read(&mut request.send(body.as_bytes()).unwrap());
        file["id"].as_str().unwrap_or_else(|| panic!("not uploaded: {file}")).to_owned()
    }

    pub fn job(&self, id: &str) -> Value {
        self.get(&format!("/fine_tuning/jobs/{id}"))
    }

    /// The job, once it is over.
    pub fn finished(&self, id: &str) -> Value {
        let start = Instant::now();
        loop {
            let job = self.job(id);
            if ["succeeded", "failed", "cancelled"].iter().any(|end| job["status"] == *end) {
                return job;
            }
            assert!(start.elapsed() < PATIENCE, "the job is still {}", job["status"]);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, as the test wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(response: &mut ureq::http::Response<Body>) -> Value {
    let text = response.body_mut().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// So many chat examples with three answers, which a word of the text decides.
pub fn chat(examples: usize) -> String {
    let answers = [("lovely", "Positive"), ("dreadful", "Negative"), ("delivered", "Neutral")];
    let line = |number: usize| {
        let (word, answer) = answers[number % 3];
        let messages = json!([
            {"role": "system", "content": "Answer with Positive, Negative or Neutral."},
            {"role": "user", "content": format!("the parcel, number {number}, was {word}")},
            {"role": "assistant", "content": answer},
        ]);
        json!({"messages": messages}).to_string() + "\n"
    };
    (0..examples).map(line).collect()
}
