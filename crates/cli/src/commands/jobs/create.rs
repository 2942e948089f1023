//! `finetone jobs create`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Place, text};
use crate::api::Client;
use crate::failure::Failure;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  finetone jobs create chats.jsonl
  finetone jobs create chats.jsonl --model minilm --validation held-out.jsonl --suffix mood --epochs 4";

/// What was typed.
#[derive(clap::Args)]
pub struct Create {
    /// The file to train on: chats as JSON lines
    file: PathBuf,
    /// The model to begin with, as the server names it [default: the server's first]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// A file to measure on
    #[arg(long, value_name = "FILE")]
    validation: Option<PathBuf>,
    /// A word of the name that the model gets
    #[arg(long, value_name = "WORD")]
    suffix: Option<String>,
    /// How often the file is gone through [default: by its size]
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// Chats in a step [default: by the file's size]
    #[arg(long, value_name = "N")]
    batch_size: Option<u32>,
    /// What the usual learning rate is multiplied by
    #[arg(long, value_name = "FACTOR")]
    learning_rate_multiplier: Option<f64>,
    /// The seed; the same gives the same model
    #[arg(long, value_name = "SEED")]
    seed: Option<u32>,
    #[command(flatten)]
    place: Place,
}

impl Create {
    /// Uploads the files and creates the job.
    pub fn run(&self) -> Result<(), Failure> {
        let client = self.place.client();
        let model = match &self.model {
            Some(model) => model.clone(),
            None => text(&client.get("/models")?["data"][0], "id"),
        };
        let training = upload(&client, &self.file)?;
        let validation = self.validation.as_deref().map(|file| upload(&client, file)).transpose()?;
        let mut settings = Map::new();
        let mut set = |name: &str, value: Option<Value>| settings.extend(value.map(|value| (name.to_owned(), value)));
        set("n_epochs", self.epochs.map(Value::from));
        set("batch_size", self.batch_size.map(Value::from));
        set("learning_rate_multiplier", self.learning_rate_multiplier.map(Value::from));
        let body = json!({
            "model": model, "training_file": training, "validation_file": validation, "suffix": self.suffix,
            "seed": self.seed, "method": {"type": "supervised", "supervised": {"hyperparameters": settings}},
        });
        let job = client.post("/fine_tuning/jobs", &body)?;
        self.place.print(&job, |job| text(job, "id") + "\n")
    }
}

/// The id of an uploaded file.
fn upload(client: &Client, file: &Path) -> Result<String, Failure> {
    let uploaded = client.upload(file)?;
    if uploaded["status"] == "error" {
        let message = format!("{}: {}", file.display(), text(&uploaded, "status_details"));
        return Err(Failure::new(message, format!("`finetone doctor {}` names every fault", file.display())));
    }
    Ok(text(&uploaded, "id"))
}
