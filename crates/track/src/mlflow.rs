//! Runs on an MLflow server, by its [REST API](https://mlflow.org/docs/latest/api_reference/rest-api.html).

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use finetone_train::Tracking;
use serde_json::{Value, json};
use ureq::Agent;

use crate::background::{End, Run, Sink};
use crate::error::TrackError;
use crate::numbers::{Numbers, seconds};

/// What the run folder keeps, so that a resumed run goes on under its own id.
const KEPT: &str = "mlflow.json";
/// A server that takes longer is not reachable.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that one request may bring.
const MOST_METRICS: usize = 1000;
const MOST_PARAMETERS: usize = 100;
const LONGEST_PARAMETER: usize = 500;

/// Sends numbers to a server.
pub struct Mlflow {
    agent: Agent,
    address: String,
    authorization: Option<String>,
    experiment: String,
    tags: Vec<String>,
    run: Option<Begun>,
}

/// A run that the server knows.
struct Begun {
    id: String,
    experiment: String,
    /// What tells it from a run before it.
    began: SystemTime,
    /// The step up to which the server has everything.
    before: u64,
}

impl Mlflow {
    /// The server that the settings or the environment name.
    ///
    /// # Errors
    /// None is named, or something else.
    pub fn new(tracking: &Tracking) -> Result<Self, TrackError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let given = tracking.mlflow_tracking_uri.clone().or_else(|| variable("MLFLOW_TRACKING_URI"));
        let address = given.ok_or(TrackError::NoAddress)?.trim_end_matches('/').to_owned();
        if !["http://", "https://"].iter().any(|scheme| address.starts_with(scheme)) {
            return Err(TrackError::Address { address });
        }
        let basic = variable("MLFLOW_TRACKING_USERNAME").map(|user| {
            let password = variable("MLFLOW_TRACKING_PASSWORD").unwrap_or_default();
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        });
        let token = variable("MLFLOW_TRACKING_TOKEN").map(|token| format!("Bearer {token}"));
        let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
        Ok(Self {
            agent: config.build().into(),
            address,
            authorization: basic.or(token),
            experiment: tracking.project().to_owned(),
            tags: tracking.tags.clone(),
            run: None,
        })
    }

    /// The answer to a request; without a body it is a question. `None` where there is no such thing.
    fn ask(&self, path: &str, query: &[(&str, &str)], body: Option<&Value>) -> Result<Option<Value>, TrackError> {
        let url = format!("{}/api/2.0/mlflow/{path}", self.address);
        let unreachable =
            |error: ureq::Error| TrackError::Unreachable { address: self.address.clone(), problem: error.to_string() };
        let answered = match body {
            Some(body) => {
                let request = self.agent.post(&url).header("content-type", "application/json");
                self.authorised(request).send(body.to_string())
            }
            None => self.authorised(self.agent.get(&url)).query_pairs(query.iter().copied()).call(),
        };
        let mut response = answered.map_err(unreachable)?;
        let text = response.body_mut().read_to_string().map_err(unreachable)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        match response.status().as_u16() {
            200..300 => Ok(Some(answer)),
            404 if answer["error_code"] == "RESOURCE_DOES_NOT_EXIST" => Ok(None),
            // Too many requests, and whatever a server says while it starts or falls over.
            status @ (429 | 500..600) => {
                let problem = format!("it answered with status {status}");
                Err(TrackError::Unreachable { address: self.address.clone(), problem })
            }
            status => {
                let answer = answer["message"].as_str().map_or_else(|| format!("status {status}"), str::to_owned);
                Err(TrackError::Refused { address: self.address.clone(), answer })
            }
        }
    }

    fn authorised<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        }
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, TrackError> {
        self.ask(path, &[], Some(body))?.ok_or_else(|| TrackError::Refused {
            address: self.address.clone(),
            answer: format!("`{path}` found nothing"),
        })
    }

    /// The id of the experiment, which is made if need be.
    fn experiment(&self) -> Result<String, TrackError> {
        let name = [("experiment_name", self.experiment.as_str())];
        let id = match self.ask("experiments/get-by-name", &name, None)? {
            Some(found) => found["experiment"]["experiment_id"].clone(),
            None => self.post("experiments/create", &json!({"name": self.experiment}))?["experiment_id"].clone(),
        };
        self.text(&id)
    }

    fn text(&self, value: &Value) -> Result<String, TrackError> {
        value.as_str().map(str::to_owned).ok_or_else(|| TrackError::Refused {
            address: self.address.clone(),
            answer: "it did not answer as an MLflow server does".into(),
        })
    }

    fn find_or_create(&self, run: &Run) -> Result<Begun, TrackError> {
        let ((id, experiment), before) = match self.known(run)? {
            Some(known) => (known, run.resumed_from),
            None => (self.create(run)?, 0),
        };
        let path = run.folder.join(KEPT);
        fs::create_dir_all(&run.folder).map_err(TrackError::file(&run.folder))?;
        let text = json!({"address": self.address, "run_id": id}).to_string();
        fs::write(&path, text).map_err(TrackError::file(&path))?;
        Ok(Begun { id, experiment, began: run.began, before })
    }

    /// Id and experiment of a new run.
    fn create(&self, run: &Run) -> Result<(String, String), TrackError> {
        let experiment = self.experiment()?;
        let tags = self.tags.iter().map(|tag| json!({"key": tag, "value": ""}));
        let group = run.group.iter().map(|group| json!({"key": "group", "value": group}));
        let tags: Vec<Value> = tags.chain(group).collect();
        let began = milliseconds(run.began);
        let body = json!({"experiment_id": experiment, "run_name": run.name, "start_time": began, "tags": tags});
        let made = self.post("runs/create", &body)?;
        Ok((self.text(&made["run"]["info"]["run_id"])?, experiment))
    }

    /// The run that the folder is known as, where it goes on and the server still has it.
    fn known(&self, run: &Run) -> Result<Option<(String, String)>, TrackError> {
        let kept = if run.resumed_from > 0 { fs::read_to_string(run.folder.join(KEPT)).ok() } else { None };
        let kept: Value = kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let Some(id) = kept["run_id"].as_str().filter(|_| kept["address"] == *self.address) else { return Ok(None) };
        let found = self.ask("runs/get", &[("run_id", id)], None)?;
        let Some(found) = found.filter(|found| found["run"]["info"]["lifecycle_stage"] == "active") else {
            return Ok(None);
        };
        self.post("runs/update", &json!({"run_id": id, "status": "RUNNING"}))?;
        Ok(Some((id.to_owned(), self.text(&found["run"]["info"]["experiment_id"])?)))
    }
}

impl Sink for Mlflow {
    fn begin(&mut self, run: &Run) -> Result<(), TrackError> {
        // Asked again after the settings did not get through, it is the same run.
        let begun = self.run.take().filter(|begun| begun.began == run.began);
        let begun = begun.map_or_else(|| self.find_or_create(run), Ok)?;
        let id = self.run.insert(begun).id.clone();
        for parameters in parameters(&run.settings).chunks(MOST_PARAMETERS) {
            // Settings that the server does not take are no reason to keep the numbers from it.
            self.post("runs/log-batch", &json!({"run_id": id, "params": parameters})).or_else(only_passing)?;
        }
        Ok(())
    }

    fn log(&mut self, numbers: &[Arc<Numbers>]) -> Result<(), TrackError> {
        let Some(Begun { id, before, .. }) = &self.run else { return Ok(()) };
        let fresh = numbers.iter().filter(|numbers| numbers.step > *before);
        let metrics: Vec<Value> = fresh.flat_map(|numbers| metrics(numbers)).collect();
        // The same number sent twice is one number to the server, so all may be sent again.
        for metrics in metrics.chunks(MOST_METRICS) {
            self.post("runs/log-batch", &json!({"run_id": id, "metrics": metrics}))?;
        }
        Ok(())
    }

    fn end(&mut self, end: End, time: SystemTime) -> Result<(), TrackError> {
        let Some(Begun { id, .. }) = &self.run else { return Ok(()) };
        let status = match end {
            End::Finished => "FINISHED",
            End::Interrupted => "KILLED",
            End::Failed => "FAILED",
        };
        let body = json!({"run_id": id, "status": status, "end_time": milliseconds(time)});
        self.post("runs/update", &body).map(drop)
    }

    fn place(&self) -> Option<String> {
        let Begun { id, experiment, .. } = self.run.as_ref()?;
        Some(format!("{}/#/experiments/{experiment}/runs/{id}", self.address))
    }
}

/// Forgets a refusal.
fn only_passing(error: TrackError) -> Result<Value, TrackError> {
    if error.is_passing() { Err(error) } else { Ok(Value::Null) }
}

fn milliseconds(time: SystemTime) -> i64 {
    (1e3 * seconds(time)) as i64
}

fn metrics(numbers: &Numbers) -> Vec<Value> {
    let (time, step) = (milliseconds(numbers.time), numbers.step);
    let metric =
        |(name, value): &(String, f64)| json!({"key": key(name), "value": value, "timestamp": time, "step": step});
    numbers.values.iter().map(metric).collect()
}

/// A name with the characters that the server takes.
fn key(name: &str) -> String {
    let fine = |character: char| character.is_alphanumeric() || "_-. :/".contains(character);
    name.chars().map(|character| if fine(character) { character } else { '_' }).collect()
}

/// Settings as the server keeps them: names and short texts.
fn parameters(settings: &Value) -> Vec<Value> {
    let entries = settings.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let short = |value: &Value| text(value).chars().take(LONGEST_PARAMETER).collect::<String>();
    entries.map(|(name, value)| json!({"key": key(name), "value": short(value)})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracking(address: &str) -> Tracking {
        Tracking { mlflow_tracking_uri: Some(address.into()), ..Tracking::default() }
    }

    #[test]
    fn only_a_server_is_taken() {
        let wrong = Mlflow::new(&tracking("sqlite:///mlflow.db")).err().unwrap();
        assert_eq!(wrong.to_string(), "`sqlite:///mlflow.db` is no address of an MLflow server");
        assert!(wrong.hint().unwrap().contains("mlflow server"));
        assert_eq!(Mlflow::new(&tracking("http://localhost:5000/")).unwrap().address, "http://localhost:5000");
    }

    #[test]
    fn names_and_settings_have_the_form_that_the_server_takes() {
        assert_eq!(key("eval/f1_très bon: 1.5 (ok)"), "eval/f1_très bon: 1.5 _ok_");
        let settings =
            json!({"epochs": 3.0, "model": "tiny", "pooling": null, "clean": ["html"], "long": "ä".repeat(600)});
        let found = parameters(&settings);
        assert_eq!(found[..2], [json!({"key": "epochs", "value": "3.0"}), json!({"key": "model", "value": "tiny"})]);
        assert_eq!(found[2]["value"], "[\"html\"]");
        assert_eq!(found[3]["value"].as_str().unwrap().chars().count(), LONGEST_PARAMETER);
    }

    #[test]
    fn a_server_that_is_not_there_is_asked_again() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = Mlflow::new(&tracking(&address)).unwrap().experiment().unwrap_err();
        assert!(error.is_passing(), "{error}");
    }
}
