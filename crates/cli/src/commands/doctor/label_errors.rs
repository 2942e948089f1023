//! `finetone doctor --label-errors`.

use std::path::{Path, PathBuf};

use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_classify::hub::HubConfig;
use finetone_classify::source::{ModelSource, ResolvedModel};
use finetone_train::CheckedLabels;
use serde_json::{Value, json};

use super::Args;
use crate::failure::Failure;
use crate::output::write_whole;
use crate::progress::Download;
use crate::tables;

/// How many suspects are printed; the file has all.
const PRINTED: usize = 5;

/// Suspected labels and the file that they are in.
pub struct Suspects {
    checked: CheckedLabels,
    out: PathBuf,
}

/// Finds the suspects and writes them.
pub fn find(args: &Args, out: &Path) -> Result<Suspects, Failure> {
    if args.file == Path::new("-") {
        return Err(Failure::usage("`--label-errors` reads the file twice", "save standard input to a file first"));
    }
    let folder = args.model.as_deref().map(folder).transpose()?;
    let cpu = Cpu::new(CpuOptions::default())?;
    let pretrained = folder.as_deref().map(|folder| (&cpu, folder));
    let options = args.labelled.read_options(&args.file)?;
    let checked = cpu.install(|| CheckedLabels::new(&args.file, &options, pretrained))?;
    write_whole(out, &checked.table())?;
    Ok(Suspects { checked, out: out.to_owned() })
}

fn folder(model: &str) -> Result<PathBuf, Failure> {
    match ModelSource::resolve(model, &HubConfig::from_env(), &mut Download::default())? {
        ResolvedModel::Folder { folder, .. } => Ok(folder),
        ResolvedModel::Scratch(_) | ResolvedModel::Config(_) => Err(Failure::usage(
            format!("`{model}` says nothing about texts before it is trained"),
            "name a run, a model folder or a Hugging Face id",
        )),
    }
}

impl Suspects {
    /// Puts what was found behind the rest of the page, or into its object.
    pub fn tell(&self, text: &mut String, is_json: bool) -> Result<(), Failure> {
        if !is_json {
            *text += &self.page();
            return Ok(());
        }
        let damaged = |error: serde_json::Error| Failure::new(error.to_string(), None);
        let mut object: Value = serde_json::from_str(text).map_err(damaged)?;
        let CheckedLabels { found, detail, log_loss, .. } = &self.checked;
        object["label_errors"] = json!({
            "suspects": found.suspects.len(), "share": found.share, "confident_joint": found.joint, "judged_by": detail,
            "log_loss": log_loss, "file": self.out,
        });
        *text = format!("{object}\n");
        Ok(())
    }

    fn page(&self) -> String {
        let CheckedLabels { dataset, predictions, found, detail, log_loss } = &self.checked;
        let rows = dataset.examples.len();
        let mut page = format!(
            "\nlabel errors: about {:.1} % of the labels are probably wrong, {} of {rows} rows are suspected\n  judged by \
             {detail}, each row by a model that has not seen it; log-loss {log_loss:.3}\n",
            100.0 * found.share,
            found.suspects.len(),
        );
        let names = predictions.labels();
        for suspect in found.suspects.iter().take(PRINTED) {
            let example = &dataset.examples[suspect.row];
            let (given, suggested) = (&names[suspect.given], &names[suspect.suggested]);
            let text = tables::shortened(&example.text);
            page += &format!("  line {}: `{given}`, seems `{suggested}`\n    {text}\n", example.line);
        }
        page + &format!("  all of them: {}; write the right label into its column `corrected`\n", self.out.display())
    }
}
