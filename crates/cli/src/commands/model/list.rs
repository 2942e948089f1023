//! `finetone model list`.

use std::io::Write;
use std::path::Path;

use finetone_classify::hub::{self, HubConfig, ModelId};
use finetone_classify::source::BUILT_IN;
use serde_json::Value;

use super::show::disk_size;
use crate::failure::Failure;
use crate::tables;

/// The end of the help.
pub const EXAMPLES: &str = "\
Runs are those in `runs` of the current folder.

Examples:
  finetone model list";

/// Prints what there is.
pub fn run() -> Result<(), Failure> {
    let mut page = String::from("built-in, trained from scratch:\n");
    page += &built_in();
    let (runs, cached) = (runs(Path::new("runs")), cached(&HubConfig::from_env()));
    page += "\nruns:\n";
    page += &section(&["run", "model", "measured on", "accuracy", "macro F1"], runs, "none in `runs`");
    page += "\ncache of the Hugging Face Hub:\n";
    page += &section(&["model", "size"], cached, "empty");
    Ok(anstream::stdout().write_all(page.as_bytes())?)
}

fn section(header: &[&str], rows: Vec<Vec<String>>, none: &str) -> String {
    if rows.is_empty() { format!("{none}\n") } else { tables::plain(header, rows) }
}

fn built_in() -> String {
    let rows = BUILT_IN.iter().map(|model| {
        let sizes = [model.layers, model.hidden, model.heads, model.mlp, model.max_positions];
        let names = [model.name.to_owned(), model.family.model_type().to_owned()];
        names.into_iter().chain(sizes.map(|size| size.to_string())).collect()
    });
    tables::plain(&["name", "family", "layers", "width", "heads", "feed-forward", "tokens"], rows)
}

/// The runs of a folder, by name.
fn runs(folder: &Path) -> Vec<Vec<String>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut runs: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.join("run.toml").is_file()).collect();
    runs.sort();
    runs.iter().map(|run| one_run(run)).collect()
}

fn one_run(run: &Path) -> Vec<String> {
    let report = std::fs::read(run.join("report.json")).ok();
    let report: Value = report.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let model = finetone_train::saved_config(run).map(|config| config.model).unwrap_or_default();
    let score = |evaluation: &Value, name: &str| evaluation[name].as_f64().map_or_else(String::new, tables::number);
    let [measured_on, accuracy, f1] = match tables::headline(&report) {
        Some((name, e)) => [name.to_owned(), score(e, "accuracy"), score(e, "f1_macro")],
        None => ["unfinished".to_owned(), String::new(), String::new()],
    };
    vec![run.display().to_string(), model, measured_on, accuracy, f1]
}

/// The complete models in the cache, by name.
fn cached(config: &HubConfig) -> Vec<Vec<String>> {
    let entries = std::fs::read_dir(&config.cache).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().strip_prefix("models--")?.replace("--", "/");
        let folder = hub::cached(&ModelId::parse(&name).ok()?, config)?;
        Some(vec![name, indicatif::HumanBytes(disk_size(&folder)).to_string()])
    });
    let mut rows: Vec<Vec<String>> = names.collect();
    rows.sort();
    rows
}
