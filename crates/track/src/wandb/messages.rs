//! The records of a run, with the numbers that
//! [wandb_internal.proto](https://github.com/wandb/wandb/blob/main/wandb/proto/wandb_internal.proto) gives their fields; those
//! that are not written here are left out.

use prost::{Message, Oneof};
use serde_json::Value;

/// The version of the client whose files these are like.
const PRODUCER: &str = "0.25.1";
/// The oldest that reads them.
const OLDEST_CONSUMER: &str = "0.0.1";

/// One record.
#[derive(Clone, PartialEq, Message)]
pub struct Record {
    /// Its number, from 1.
    #[prost(int64, tag = "1")]
    pub num: i64,
    #[prost(oneof = "Kind", tags = "2, 3, 12, 17, 18, 21")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(message, tag = "2")]
    History(History),
    #[prost(message, tag = "3")]
    Summary(Items),
    #[prost(message, tag = "12")]
    Metric(Metric),
    #[prost(message, tag = "17")]
    Run(Run),
    #[prost(message, tag = "18")]
    Exit(Exit),
    #[prost(message, tag = "21")]
    Header(Header),
}

/// A name with a value: of the settings, the history or the summary.
#[derive(Clone, PartialEq, Message)]
pub struct Item {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "16")]
    value_json: String,
}

/// Names with values that replace earlier ones.
#[derive(Clone, PartialEq, Message)]
pub struct Items {
    #[prost(message, repeated, tag = "1")]
    pub update: Vec<Item>,
}

/// A line of the history.
#[derive(Clone, PartialEq, Message)]
struct History {
    #[prost(message, repeated, tag = "1")]
    item: Vec<Item>,
    #[prost(message, optional, tag = "2")]
    step: Option<Line>,
}

/// The number of a line.
#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(int64, tag = "1")]
    num: i64,
}

/// What charts of some names go by.
#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    glob_name: String,
    #[prost(string, tag = "4")]
    step_metric: String,
    #[prost(message, optional, tag = "6")]
    options: Option<MetricOptions>,
}

#[derive(Clone, PartialEq, Message)]
struct MetricOptions {
    /// Whether lines without the step have its last value.
    #[prost(bool, tag = "1")]
    step_sync: bool,
    /// Whether somebody asked for it.
    #[prost(bool, tag = "3")]
    defined: bool,
}

/// The run itself.
#[derive(Clone, PartialEq, Message)]
pub struct Run {
    #[prost(string, tag = "1")]
    pub run_id: String,
    #[prost(string, tag = "2")]
    pub entity: String,
    #[prost(string, tag = "3")]
    pub project: String,
    #[prost(message, optional, tag = "4")]
    pub config: Option<Items>,
    #[prost(string, tag = "6")]
    pub run_group: String,
    #[prost(string, tag = "8")]
    pub display_name: String,
    #[prost(string, repeated, tag = "10")]
    pub tags: Vec<String>,
    #[prost(message, optional, tag = "17")]
    pub start_time: Option<Time>,
}

/// A moment.
#[derive(Clone, PartialEq, Message)]
pub struct Time {
    /// Since 1970.
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Exit {
    #[prost(int32, tag = "1")]
    exit_code: i32,
    /// In seconds.
    #[prost(int32, tag = "2")]
    runtime: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(message, optional, tag = "1")]
    version_info: Option<Version>,
}

#[derive(Clone, PartialEq, Message)]
struct Version {
    #[prost(string, tag = "1")]
    producer: String,
    #[prost(string, tag = "2")]
    min_consumer: String,
}

impl Item {
    pub fn new(key: &str, value: &Value) -> Self {
        Self { key: key.to_owned(), value_json: value.to_string() }
    }
}

impl Time {
    pub fn new(seconds: f64) -> Self {
        Self { seconds: seconds as i64, nanos: (seconds.fract() * 1e9) as i32 }
    }
}

impl Record {
    fn of(kind: Kind) -> Self {
        Self { num: 0, kind: Some(kind) }
    }

    pub fn header() -> Self {
        let version = Version { producer: PRODUCER.into(), min_consumer: OLDEST_CONSUMER.into() };
        Self::of(Kind::Header(Header { version_info: Some(version) }))
    }

    pub fn run(run: Run) -> Self {
        Self::of(Kind::Run(run))
    }

    /// Charts of a name, or of all names like it, go by `step`; by the line if that is empty.
    pub fn metric(name: &str, like: &str, step: &str) -> Self {
        let options = MetricOptions { step_sync: !step.is_empty(), defined: true };
        let (name, glob_name, step_metric) = (name.into(), like.into(), step.into());
        Self::of(Kind::Metric(Metric { name, glob_name, step_metric, options: Some(options) }))
    }

    pub fn history(item: Vec<Item>, line: i64) -> Self {
        Self::of(Kind::History(History { item, step: Some(Line { num: line }) }))
    }

    pub fn summary(update: Vec<Item>) -> Self {
        Self::of(Kind::Summary(Items { update }))
    }

    pub fn exit(exit_code: i32, runtime: i32) -> Self {
        Self::of(Kind::Exit(Exit { exit_code, runtime }))
    }
}
