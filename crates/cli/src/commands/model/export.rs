//! `finetone model export`.

mod card;

use std::io::Write;
use std::path::{Path, PathBuf};

use finetone_backend_cpu::Precision;
use finetone_classify::source::FolderKind;
use finetone_generate::ChatNote;
use finetone_model::checkpoint::ModelFolder;

use crate::device::DeviceArgs;
use crate::failure::Failure;
use crate::found::Found;
use crate::output::{parent, readable_by_all};

/// The end of the help.
pub const EXAMPLES: &str = "\
The folder has `config.json`, `model.safetensors`, the tokenizer's files and a model card with the run's metrics. It is written \
whole or not at all. In Python:

  from transformers import pipeline
  pipeline('text-classification', 'my-model')('Arrived late and broken.')

Examples:
  finetone model export runs/reviews-1 -o my-model";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// A run, a folder with a Hugging Face classification model, or a Hugging Face id
    run: String,
    /// The folder to write; it must be empty or not exist
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Exports and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    let out = &args.out;
    refuse_taken(out)?;
    let found = Found::new(&args.run)?;
    // A model that does not load here is not worth exporting: better to hear it now than in another program.
    let cpu = args.device.open(Precision::F32)?;
    let config = ModelFolder::open(&found.folder)?.config().clone();
    let is_free = ChatNote::of(&config)?.is_some_and(|note| note.answers.is_empty());
    if !is_free {
        cpu.install(|| found.open(&cpu).map(drop))?;
    }
    let fail = |error: std::io::Error| Failure::io(out, &error);
    std::fs::create_dir_all(parent(out)).map_err(fail)?;
    let folder = tempfile::Builder::new().prefix(".finetone-").tempdir_in(parent(out)).map_err(fail)?;
    copy_files(&found.folder, folder.path(), found.kind == FolderKind::Run)?;
    let card_path = folder.path().join("README.md");
    if !card_path.exists() {
        let name = out.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
        let report = (found.kind == FolderKind::Run).then(|| Path::new(&args.run).join("report.json"));
        let card = card::text(&name, &found, report.as_deref(), &config)?;
        std::fs::write(&card_path, card).map_err(|error| Failure::io(&card_path, &error))?;
    }
    readable_by_all(folder.path()).map_err(fail)?;
    std::fs::rename(folder.path(), out).map_err(fail)?;
    // Under its new name it is no longer temporary.
    let _ = folder.keep();
    Ok(writeln!(anstream::stdout(), "{}", out.display())?)
}

fn refuse_taken(out: &Path) -> Result<(), Failure> {
    let hint = "choose another folder, or empty this one".to_owned();
    match std::fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(Failure::new(format!("{}: the folder is not empty", out.display()), hint)),
            None => Ok(()),
        },
        Err(_) if out.is_file() => Err(Failure::new(format!("{}: this is a file", out.display()), hint)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io(out, &error)),
    }
}

/// Copies what belongs to the model and leaves weights in other formats behind. A run's model has no card of its own.
fn copy_files(from: &Path, to: &Path, is_run: bool) -> Result<(), Failure> {
    let entries = std::fs::read_dir(from).map_err(|error| Failure::io(from, &error))?;
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name_text = name.to_string_lossy();
        let wanted = match name_text.rsplit_once('.').map(|(_, extension)| extension) {
            Some("json" | "safetensors" | "txt" | "model" | "codes" | "jinja") => name_text != "training_args.json",
            Some("md") => !is_run && name_text == "README.md",
            _ => false,
        };
        if wanted && path.is_file() {
            let target = to.join(&name);
            std::fs::copy(&path, &target).map_err(|error| Failure::io(&target, &error))?;
            readable_by_all(&target).map_err(|error| Failure::io(&target, &error))?;
        }
    }
    Ok(())
}
