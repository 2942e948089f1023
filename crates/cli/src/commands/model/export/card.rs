//! The model card: what the model is, how good it is, how to use it.

use std::path::Path;

use finetone_classify::{NEIGHBOURS_FILE, Neighbourhood, preparation};
use finetone_generate::ChatNote;
use finetone_model::ModelConfig;
use serde_json::Value;

use crate::failure::Failure;
use crate::found::Found;
use crate::tables;

/// The metrics of the card, by their names in `report.json`.
const METRICS: [(&str, &str); 6] = [
    ("accuracy", "accuracy"),
    ("f1_macro", "macro F1"),
    ("f1_weighted", "weighted F1"),
    ("roc_auc", "ROC AUC"),
    ("log_loss", "log-loss"),
    ("ece", "expected calibration error"),
];

/// Writes the card of the model called `name`.
pub fn text(name: &str, found: &Found, report: Option<&Path>, config: &ModelConfig) -> Result<String, Failure> {
    let note = ChatNote::of(config)?;
    let labels = note.as_ref().map_or(&config.head.labels, |note| &note.answers);
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let (pipeline, purpose) = match &note {
        None => ("text-classification", "Says which of these labels a text has"),
        Some(note) if note.answers.is_empty() => ("text-generation", "Answers chats in its own words"),
        Some(_) => ("text-generation", "Answers chats with one of these words"),
    };
    let listed = if labels.is_empty() { String::new() } else { format!(": {}", labels.join(", ")) };
    let report: Option<Value> = report.and_then(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok());
    let mut card = format!(
        "---\nlibrary_name: transformers\npipeline_tag: {pipeline}\ntags:\n- sentiment-analysis\n- finetone\n---\n\n\
         # {name}\n\n{purpose}{listed}.\n\n"
    );
    if let Some(training) = &found.config {
        card += &format!(
            "Trained by finetone from `{}` with learning rate {}, {} texts in a batch, {} epochs, seed {}.\n\n",
            base_name(&training.model),
            training.learning_rate,
            training.step_size(),
            training.epochs.unwrap_or_default(),
            training.seed
        );
    }
    card += &report.as_ref().map_or_else(String::new, metrics);
    card += &match &note {
        None => usage(name, config.head.standard),
        Some(note) => chat_usage(name, !note.answers.is_empty()),
    };
    let preparation = preparation(config)?;
    if note.is_none() && !preparation.is_identity() {
        card += &format!(
            "\nIt reads its texts prepared ({preparation}). finetone does that by itself; elsewhere it has to be done \
             before, as `finetone.preparation` in `config.json` says.\n"
        );
    }
    let head = &config.head;
    if let Some(kept) = Neighbourhood::open(&found.folder, &head.labels, config.hidden_size)? {
        card += &neighbours(&kept);
    }
    Ok(card)
}

/// What a model keeps of its training texts, which whoever gets it should know.
fn neighbours(kept: &Neighbourhood) -> String {
    let words = if kept.has_texts() { "and their words" } else { "but not their words" };
    let share = 100.0 * kept.interpolation.share();
    let told = if share > 0.0 {
        format!(
            "In finetone {share:.0} % of its answers are theirs, in the numbers above too; without the file, and in \
             Transformers, the model answers alone."
        )
    } else {
        "They can be shown beside its answers and have no share in them.".to_owned()
    };
    let (texts, file) = (kept.len(), NEIGHBOURS_FILE);
    format!(
        "\n## What it keeps\n\n`{file}` holds vectors, labels and lines of {texts} training texts, {words}. {told}\n"
    )
}

/// The name of the start model without the folders of the machine it was trained on.
fn base_name(model: &str) -> String {
    let path = Path::new(model);
    let last = path.file_name().filter(|_| path.is_absolute());
    last.map_or_else(|| model.to_owned(), |last| last.to_string_lossy().into_owned())
}

fn metrics(report: &Value) -> String {
    let Some((measured_on, evaluation)) = tables::headline(report) else { return String::new() };
    let mut table = format!(
        "## How good it is\n\nMeasured on {} {measured_on} texts, each number with its 95 % interval.\n\n\
         | metric | value | interval |\n|---|---|---|\n",
        evaluation["n"]
    );
    for (key, name) in METRICS {
        let Some(value) = evaluation[key].as_f64() else { continue };
        table += &format!("| {name} | {} | {} |\n", tables::number(value), interval(&evaluation["intervals"][key]));
    }
    for (label, value) in evaluation["f1"].as_object().into_iter().flatten() {
        let Some(value) = value.as_f64() else { continue };
        let interval = interval(&evaluation["intervals"]["f1"][label]);
        table += &format!("| F1 of `{label}` | {} | {interval} |\n", tables::number(value));
    }
    table + "\n"
}

fn interval(ends: &Value) -> String {
    match (ends[0].as_f64(), ends[1].as_f64()) {
        (Some(low), Some(high)) => format!("{} to {}", tables::number(low), tables::number(high)),
        _ => String::new(),
    }
}

/// The template of its chats is beside the model.
fn chat_usage(name: &str, closed: bool) -> String {
    let shell = if closed {
        format!("```sh\nfinetone predict {name} texts.csv -o labelled.csv\n```\n\n")
    } else {
        String::new()
    };
    format!(
        "## How to use it\n\n{shell}```python\nfrom transformers import pipeline\n\nanswer = pipeline(\"text-generation\", \
         \"{name}\")\nanswer([{{\"role\": \"user\", \"content\": \"Arrived late and broken.\"}}])\n```\n"
    )
}

fn usage(name: &str, standard: bool) -> String {
    let shell = format!("## How to use it\n\n```sh\nfinetone predict {name} texts.csv -o labelled.csv\n```\n");
    if !standard {
        return shell + "\nThe head pools in a way that Transformers does not know, so only finetone opens it.\n";
    }
    shell
        + &format!(
            "\n```python\nfrom transformers import pipeline\n\nclassify = pipeline(\"text-classification\", \"{name}\")\n\
             classify(\"Arrived late and broken.\")\n```\n"
        )
}
