//! What a server is told when it starts.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::EngineLimits;
use crate::error::ServeError;
use crate::store::Database;
use crate::tls::TlsFiles;
use crate::traffic::RecordConfig;

/// The names that programs written for other servers ask for; each means the first base model, unless it is told what else.
pub const WELL_KNOWN: [&str; 10] = [
    "gpt-3.5-turbo",
    "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-1106",
    "gpt-3.5-turbo-0613",
    "gpt-4o-mini",
    "gpt-4o-mini-2024-07-18",
    "gpt-4.1-mini",
    "gpt-4.1-nano",
    "babbage-002",
    "davinci-002",
];

/// A model that jobs can begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseModel {
    /// What requests call it.
    pub name: String,
    /// A folder, or anything else that `--model` of a run may be.
    pub source: PathBuf,
}

/// What one request, and one key, may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an uploaded file.
    pub file_bytes: usize,
    /// Bytes of any other body.
    pub body_bytes: usize,
    /// How long the end of a head, or the next piece of a body, is waited for.
    pub patience: Duration,
    /// Connections at once; more are closed as soon as they are opened.
    pub connections: usize,
    /// Requests of one key in a minute; none is no limit.
    pub requests_per_minute: Option<NonZeroU32>,
    /// What open models may use.
    pub engine: EngineLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 512 << 20,
            body_bytes: 4 << 20,
            patience: Duration::from_secs(30),
            connections: 512,
            requests_per_minute: None,
            engine: EngineLimits::default(),
        }
    }
}

/// What a worker that renews its claim every second keeps with room for a slow answer.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);
/// How long a job usually stays with a worker that says nothing.
pub const LEASE: Duration = Duration::from_secs(30);

/// The settings of a place where jobs are worked off.
#[derive(Debug, Clone)]
pub struct WorkplaceConfig {
    /// Where files and models are kept.
    pub data: PathBuf,
    /// Where the rest is kept.
    pub database: Database,
    /// The base models; the first is what the well-known names mean.
    pub models: Vec<BaseModel>,
    /// Further names: `(alias, name of a base model)`.
    pub aliases: Vec<(String, String)>,
    /// Jobs that are trained at a time; with none, workers have to.
    pub trainings: usize,
    /// How long a job stays with a worker that says nothing, in whole seconds; then another one goes on with it.
    pub lease: Duration,
}

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// Where it listens; port 0 is a free one.
    pub address: SocketAddr,
    /// What it serves, with at least one base model.
    pub workplace: WorkplaceConfig,
    /// Names that lead here beside those of this machine, such as that of a proxy. Asked for only where nobody else can connect.
    pub names: Vec<String>,
    /// The certificate, where the server speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Whether requests without a key are answered although others than this machine can reach the address.
    pub without_keys: bool,
    /// What is kept of the answers of classifiers.
    pub record: RecordConfig,
    /// What a request may ask for.
    pub limits: Limits,
}

fn wrong(problem: String, hint: &str) -> Result<(), ServeError> {
    Err(ServeError::Setting { problem, hint: hint.to_owned() })
}

impl ServeConfig {
    /// Looks for what cannot be served.
    ///
    /// # Errors
    /// No base model, and what a workplace cannot have.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        if self.workplace.models.is_empty() {
            return wrong("there is no base model".into(), "give one: `--model NAME=FOLDER`");
        }
        self.workplace.check()
    }
}

impl WorkplaceConfig {
    /// The usual settings: SQLite, one job at a time.
    pub fn new(data: PathBuf, models: Vec<BaseModel>) -> Self {
        Self { data, database: Database::InFolder, models, aliases: Vec::new(), trainings: 1, lease: LEASE }
    }

    /// Looks for what cannot be worked with.
    ///
    /// # Errors
    /// A name that no request could carry, one that is given twice, an alias of nothing, a lease that is too short.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        if self.lease < SHORTEST_LEASE {
            let problem = format!("a lease of {} s is too short", self.lease.as_secs_f32());
            return wrong(problem, "a worker renews it every second: at least 3 s");
        }
        let names = self.models.iter().map(|model| &model.name);
        let all: Vec<&String> = names.chain(self.aliases.iter().map(|(alias, _)| alias)).collect();
        for (place, name) in all.iter().enumerate() {
            let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(fine) || name.starts_with('.') {
                let hint = "up to 64 letters, digits, `.`, `_` and `-`, and no `.` at the start";
                return wrong(format!("`{name}` cannot be the name of a model"), hint);
            }
            if all[..place].contains(name) {
                return wrong(format!("the name `{name}` is given twice"), "each name means one model");
            }
        }
        let unknown = self.aliases.iter().find(|(_, of)| !self.models.iter().any(|model| model.name == *of));
        match unknown {
            Some((alias, of)) => {
                wrong(format!("the alias `{alias}` means `{of}`, which is no base model"), "give it with `--model`")
            }
            None => Ok(()),
        }
    }
}
