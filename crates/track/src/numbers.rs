//! What an event has for trackers: numbers under the names that other trainers give them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use crate::json_lines::EVENTS_FILE;

/// The numbers of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// After this step.
    pub step: u64,
    /// When they were measured.
    pub time: SystemTime,
    /// Name and value; the name is that of the log behind `train/`, `eval/` or `test/`.
    pub values: Vec<(String, f64)>,
}

/// Keys that say what an event is about.
const NOT_MEASURED: [&str; 3] = ["event", "step", "best_step"];

impl Numbers {
    /// What an event has. Its JSON form serves for events of now and of an earlier process alike.
    pub fn of(event: &Value, time: SystemTime) -> Option<Self> {
        let step = event["step"].as_u64()?;
        let values: Vec<(String, f64)> = match event["event"].as_str()? {
            "step" => measured(event).map(|(key, value)| (format!("train/{key}"), value)).collect(),
            "evaluated" => measured(&event["metrics"]).map(|(key, value)| (of_validation(key), value)).collect(),
            "finished" => {
                // What was measured on validation texts at the end was measured before.
                let test = if event["measured_on"] == "test" { &event["metrics"] } else { &Value::Null };
                let train = measured(event).map(|(key, value)| (format!("train/{key}"), value));
                train
                    .chain(measured(test).map(|(key, value)| (format!("test/{}", key.replace('.', "_")), value)))
                    .collect()
            }
            _ => return None,
        };
        (!values.is_empty()).then_some(Self { step, time, values })
    }

    /// What a run folder has up to a step.
    pub fn before(folder: &Path, step: u64, time: SystemTime) -> Vec<Self> {
        let Ok(file) = File::open(folder.join(EVENTS_FILE)) else { return Vec::new() };
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        let events = lines.map_while(|line| serde_json::from_str::<Value>(&line).ok());
        events.filter_map(|event| Self::of(&event, time)).take_while(|numbers| numbers.step <= step).collect()
    }
}

/// Seconds since 1970.
pub fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn of_validation(key: &str) -> String {
    format!("eval/{}", key.strip_prefix("eval_").unwrap_or(key))
}

/// The numbers of an object. Those that are none, such as a metric of no text, have no place in any of the formats.
fn measured(object: &Value) -> impl Iterator<Item = (&str, f64)> {
    let entries = object.as_object().into_iter().flatten();
    let entries = entries.filter(|(key, _)| !NOT_MEASURED.contains(&key.as_str()));
    entries.filter_map(|(key, value)| Some((key.as_str(), value.as_f64().filter(|value| value.is_finite())?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(event: Value) -> Vec<(String, f64)> {
        Numbers::of(&event, SystemTime::UNIX_EPOCH).map(|numbers| numbers.values).unwrap_or_default()
    }

    #[test]
    fn names_are_those_of_other_trainers() {
        let step = json!({"event": "step", "step": 3, "loss": 0.5, "num_tokens": 70, "grad_norm": null});
        assert_eq!(of(step), [("train/loss".to_owned(), 0.5), ("train/num_tokens".to_owned(), 70.0)]);
        let metrics = json!({"eval_loss": 0.25, "eval_f1_very good": 1.0});
        let evaluated = json!({"event": "evaluated", "step": 3, "metrics": metrics, "value": 7.0, "best": true});
        assert_eq!(of(evaluated), [("eval/loss".to_owned(), 0.25), ("eval/f1_very good".to_owned(), 1.0)]);
        let finished = json!({"event": "finished", "step": 3, "best_step": 2, "train_loss": 0.5,
            "metrics": {"f1.bad": 0.75}, "measured_on": "test"});
        assert_eq!(of(finished), [("train/train_loss".to_owned(), 0.5), ("test/f1_bad".to_owned(), 0.75)]);
        assert!(of(json!({"event": "checkpoint", "step": 3})).is_empty());
        assert!(of(json!({"event": "notice", "message": "a"})).is_empty());
    }

    #[test]
    fn what_was_before_a_step_is_read_from_the_run_folder() {
        let folder = tempfile::tempdir().unwrap();
        let line = |step| format!("{{\"event\":\"step\",\"step\":{step},\"loss\":1.5}}\n");
        let text = ["{\"event\":\"notice\",\"message\":\"a\"}\n".to_owned(), line(1), line(2), line(3)].concat();
        std::fs::write(folder.path().join(EVENTS_FILE), text).unwrap();
        let steps = Numbers::before(folder.path(), 2, SystemTime::UNIX_EPOCH);
        assert_eq!(steps.iter().map(|numbers| numbers.step).collect::<Vec<_>>(), [1, 2]);
        assert!(Numbers::before(&folder.path().join("none"), 2, SystemTime::UNIX_EPOCH).is_empty());
    }
}
