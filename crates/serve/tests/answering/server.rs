//! A server on a free port with very small models, and a client.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_classify::{Served, TOKEN_BUDGET, TransformerClassifier, Use};
use finetone_data::Example;
use finetone_generate::is_language_model;
use finetone_serve::{
    BaseModel, Limits, OpenError, Opened, RecordConfig, ServeConfig, WorkplaceConfig, Workshop, serve,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::letters;
use crate::stand_in::*;

/// The classes of `mood`.
pub const LABELS: [&str; 3] = ["negative", "neutral", "positive"];

pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

pub fn cpu() -> Cpu {
    Cpu::new(CpuOptions { threads: Some(1), ..CpuOptions::default() }).unwrap()
}

/// Opens models on the processor and trains none.
struct Shop(Cpu);

impl Workshop for Shop {
    never!(train);
    never!(reference);

    fn writes_answers(&self, _: &Path) -> Result<bool, TrainError> {
        Ok(false)
    }

    fn explain(&self, source: &Path, text: &str) -> Result<Explanation, ClassifyError> {
        let classifier = TransformerClassifier::open(self.0.clone(), source, TOKEN_BUDGET)?;
        classifier.showing_neighbours()?.explain(&Example::from_text(text))
    }

    fn open(&self, source: &Path, wanted: Use) -> Result<Opened, OpenError> {
        if wanted == Use::Answers && is_language_model(source)? {
            return Ok(finetone_generate::Served::open(self.0.clone(), source)?.into());
        }
        Ok(Served::open(self.0.clone(), source, wanted, TOKEN_BUDGET)?.into())
    }
}

/// The tiny BERT of the golden files with three classes and a tokenizer of few words, after changes to its `config.json`.
pub fn model(folder: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bert");
    fs::create_dir_all(folder).unwrap();
    fs::copy(golden.join("model.safetensors"), folder.join("model.safetensors")).unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(golden.join("config.json")).unwrap()).unwrap();
    change(&mut config);
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let words = "[PAD] [UNK] [CLS] [SEP] [MASK] the net in tent nine a tin tea hen at ten heat neat good bad";
    fs::write(folder.join("vocab.txt"), words.replace(' ', "\n")).unwrap();
    folder.to_owned()
}

/// Notes that only two answers may be given.
pub fn closed(config: &mut Value) {
    config["finetone"] = json!({"chat": {"answers": ["Positive", "Negative"]}});
}

/// Other labels than the weights know: a model without a head.
pub fn without_head(config: &mut Value) {
    let names: serde_json::Map<_, _> = (0..9).map(|i| (i.to_string(), format!("class {i}").into())).collect();
    config["id2label"] = names.into();
}

pub struct Server {
    base: String,
    agent: ureq::Agent,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    pub folder: TempDir,
}

/// An answer of the server.
pub struct Said {
    pub status: u16,
    pub head: ureq::http::HeaderMap,
    pub text: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} is no JSON", self.text))
    }

    /// The JSON of an answer that is no error.
    pub fn fine(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    pub fn header(&self, name: &str) -> &str {
        self.head.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The events of a stream, which ends as it must.
    pub fn events(&self) -> Vec<Value> {
        assert_eq!(self.header("content-type"), "text/event-stream; charset=utf-8");
        let body = self.text.strip_suffix("data: [DONE]\n\n").expect("the last event says that it is the last");
        let lines = body.split_terminator("\n\n").map(|line| line.strip_prefix("data: ").unwrap());
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Server {
    /// A classifier `mood` that leaves a text to a person below a confidence of one half, a model `plain` without head, `tags`
    /// that gives any number of labels; `story` and `tale`, which write, and `closed`, which has two answers.
    pub fn start() -> Self {
        Self::recording(RecordConfig::default())
    }

    /// The same, with a record.
    pub fn recording(record: RecordConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let tags = |config: &mut Value| config["problem_type"] = json!("multi_label_classification");
        let careful = |config: &mut Value| {
            let labels: Vec<Value> = (0..3).map(|class| config["id2label"][class.to_string()].clone()).collect();
            let abstention = json!({"least_confidence": 0.5, "aim": {"precision": 0.9}});
            config["finetone"] = json!({"labels": labels, "output": "softmax", "abstention": abstention});
        };
        let models = [
            ("mood", model(&place("mood"), careful)),
            ("plain", model(&place("plain"), without_head)),
            ("tags", model(&place("tags"), tags)),
            ("story", letters::model(&place("story"), "llama-language", |_| {})),
            ("tale", letters::model(&place("tale"), "gpt2-language", |_| {})),
            ("closed", letters::model(&place("closed"), "llama-language", closed)),
        ];
        let models = models.map(|(name, source)| BaseModel { name: name.into(), source });
        let config = ServeConfig {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            workplace: WorkplaceConfig {
                aliases: vec![("gpt-3.5-turbo".into(), "plain".into())],
                ..WorkplaceConfig::new(place("data"), models.into())
            },
            names: Vec::new(),
            tls: None,
            without_keys: false,
            record,
            limits: Limits::default(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, address) = channel();
        let stopper = stop.clone();
        let thread = std::thread::spawn(move || {
            serve(config, Arc::new(Shop(cpu())), stopper, |address| ready.send(address).unwrap()).unwrap();
        });
        let base = format!("http://{}", address.recv().expect("the server starts"));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { base, agent, stop, thread: Some(thread), folder }
    }

    pub fn get(&self, path: &str) -> Said {
        said(self.agent.get(format!("{}{path}", self.base)).call().unwrap())
    }

    pub fn delete(&self, path: &str) -> Said {
        said(self.agent.delete(format!("{}{path}", self.base)).call().unwrap())
    }

    pub fn post(&self, path: &str, body: &Value) -> Said {
        self.post_text(path, &body.to_string())
    }

    pub fn post_text(&self, path: &str, body: &str) -> Said {
        let request = self.agent.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        said(request.send(body).unwrap())
    }

    /// A chat with `mood`; `more` are further fields of the request.
    pub fn chat(&self, text: &str, more: &Value) -> Said {
        let mut body = json!({"model": "mood", "messages": [{"role": "user", "content": text}]});
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        self.post("/v1/chat/completions", &body)
    }
}

fn said(mut response: ureq::http::Response<ureq::Body>) -> Said {
    let text = response.body_mut().read_to_string().unwrap();
    Said { status: response.status().as_u16(), head: response.headers().clone(), text }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the server failed");
    }
}
