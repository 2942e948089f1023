//! `finetone jobs`.

mod create;
mod watch;

use std::io::Write;

use clap::Subcommand;
use serde_json::Value;

use crate::api::{Client, KEY_VARIABLE};
use crate::failure::Failure;
use crate::tables;
use create::Create;

/// The end of the help.
pub const EXAMPLES: &str = "\
The server is one that `finetone serve` has started, here or on another machine.

Examples:
  finetone jobs create chats.jsonl --model minilm --suffix mood
  finetone jobs list
  finetone jobs events ftjob-… --follow
  finetone jobs wait ftjob-… && finetone jobs show ftjob-…
  finetone jobs cancel ftjob-… --url https://models.example:8000 --key-env MODELS_KEY";

/// What can be done with jobs.
#[derive(Subcommand)]
pub enum Command {
    /// List the jobs, the newest first
    List {
        /// The most jobs to list
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        place: Place,
    },
    /// Upload a file of chats and create a job that trains on it
    #[command(after_help = create::EXAMPLES)]
    Create(Create),
    /// Show a job: its settings, how far it is, and how good its model is
    Show(One),
    /// Print the events of a job, the oldest first
    Events {
        /// Print what follows as well, until the job is over
        #[arg(long)]
        follow: bool,
        #[command(flatten)]
        one: One,
    },
    /// Cancel a job
    Cancel(One),
    /// Pause a job; it can be resumed
    Pause(One),
    /// Go on with a paused job
    Resume(One),
    /// Wait until a job is over and print the name of its model; fails where the job does
    Wait(One),
}

/// Where the server is, and how to print.
#[derive(clap::Args)]
pub struct Place {
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    url: String,
    /// The environment variable that holds the key, where the server asks for one
    #[arg(long, value_name = "NAME", default_value = KEY_VARIABLE)]
    key_env: String,
    /// Print JSON, as the server has it
    #[arg(long)]
    json: bool,
}

impl Place {
    fn client(&self) -> Client {
        Client::with_key_of(&self.url, &self.key_env)
    }

    /// Prints JSON where it is asked for, or else what `shown` makes of it.
    fn print(&self, value: &Value, shown: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        let text = if self.json { format!("{value}\n") } else { shown(value) };
        Ok(anstream::stdout().write_all(text.as_bytes())?)
    }
}

/// A job.
#[derive(clap::Args)]
pub struct One {
    /// The id of the job
    job: String,
    #[command(flatten)]
    place: Place,
}

impl One {
    /// The path of the job, and of what belongs to it.
    fn path(&self, more: &str) -> Result<String, Failure> {
        // An id is letters, digits and a dash; anything else would be another path.
        if self.job.is_empty() || !self.job.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            let hint = "ids begin with `ftjob-`; `finetone jobs list` shows them";
            return Err(Failure::usage(format!("`{}` is no id of a job", self.job), hint));
        }
        Ok(format!("/fine_tuning/jobs/{}{more}", self.job))
    }

    /// Asks for another state of the job.
    fn ask_for(&self, verb: &str) -> Result<(), Failure> {
        let job = self.place.client().post(&self.path(&format!("/{verb}"))?, &serde_json::json!({}))?;
        self.place.print(&job, |job| format!("{}  {}\n", text(job, "id"), text(job, "status")))
    }
}

impl Command {
    /// Does what was asked for.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Self::List { limit, place } => list(*limit, place),
            Self::Create(create) => create.run(),
            Self::Show(one) => watch::show(one),
            Self::Events { follow, one } => watch::events(one, *follow),
            Self::Cancel(one) => one.ask_for("cancel"),
            Self::Pause(one) => one.ask_for("pause"),
            Self::Resume(one) => one.ask_for("resume"),
            Self::Wait(one) => watch::wait(one),
        }
    }
}

fn list(limit: usize, place: &Place) -> Result<(), Failure> {
    let jobs = place.client().get(&format!("/fine_tuning/jobs?limit={limit}"))?;
    place.print(&jobs, |jobs| {
        let jobs = jobs["data"].as_array().map_or(&[][..], Vec::as_slice);
        if jobs.is_empty() {
            return "no jobs\n".into();
        }
        let row = |job: &Value| ["id", "status", "model", "fine_tuned_model"].map(|key| text(job, key)).to_vec();
        tables::plain(&["job", "status", "base", "model"], jobs.iter().map(row))
    })
}

/// A value of an object as a person reads it; nothing where there is none.
fn text(object: &Value, key: &str) -> String {
    match &object[key] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
