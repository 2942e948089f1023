//! `finetone explore`.

mod page;
mod told;

use std::io::Write;
use std::path::{Path, PathBuf};

use finetone_data::conversation::Speakers;
use finetone_data::doctor::{TokenLimit, examine};
use finetone_data::explore::{ExploreOptions, explore};
use finetone_data::{DoctorOptions, Severity};

use crate::failure::Failure;
use crate::found::{ReadingArgs, training_options};
use crate::output::write_whole;
use crate::tokens::Counter;

/// The end of the help.
pub const EXAMPLES: &str = "\
Lengths are in words, and in tokens too where a model is given. Words that mark a class come with a score in standard deviations; \
with so many words some reach 2 by chance.

Examples:
  finetone explore reviews.csv
  finetone explore reviews.csv --report reviews.html             tables and charts
  finetone explore reviews.csv --model runs/reviews-1            how many texts its limit cuts
  finetone explore reviews.csv --json | jq '.copies'";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// The labelled file: CSV, TSV, JSON lines or Parquet
    file: PathBuf,
    /// Write a page with tables and charts: `.html`, or `.json`
    #[arg(long, value_name = "FILE", value_parser = report_path)]
    report: Option<PathBuf>,
    /// A model (folder, run or Hugging Face id) whose tokenizer and limit on the length of texts count
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The most tokens of a text [default: the model's limit, at most 512]
    #[arg(long, value_name = "N", requires = "model")]
    max_tokens: Option<usize>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Several labels in one cell, separated by this character [default separator: |]
    #[arg(long, value_name = "SEPARATOR", num_args = 0..=1, require_equals = true, default_missing_value = "|")]
    multi_label: Option<char>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn report_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm" | "json") => Ok(path),
        _ => Err("this page ends with `.html` or `.json`".to_owned()),
    }
}

/// Explores and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.file == Path::new("-") {
        return Err(Failure::usage(
            "the file is read twice, and standard input can be read only once",
            "write it to a file first",
        ));
    }
    let read = training_options(&args.file, args.reading.clone(), args.multi_label)?;
    let checkup = examine(&args.file, None, &DoctorOptions { read: read.clone(), ..DoctorOptions::default() })?;
    if let Some(fault) = checkup.faults.iter().find(|fault| fault.severity == Severity::Error) {
        let hint = format!("{}; `finetone doctor {}` lists every fault", fault.fix, args.file.display());
        return Err(Failure::new(fault.to_string(), hint));
    }
    let counter = args.model.as_deref().map(|model| Counter::open(model, args.max_tokens)).transpose()?;
    let count = |text: &str| counter.as_ref().map_or(0, |counter| counter.count(text));
    let tokens = counter.as_ref().map(|counter| TokenLimit { count: &count, limit: counter.limit });
    let found = explore(&args.file, &checkup, &ExploreOptions { read, tokens, speakers: Speakers::default() })?;
    let json = || serde_json::to_string(&found).map_err(|error| Failure::new(error.to_string(), None));
    if let Some(path) = &args.report {
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        write_whole(path, &if is_json { json()? + "\n" } else { page::page(&found).to_html()? })?;
    }
    let text = if args.json { json()? + "\n" } else { told::told(&found) };
    anstream::stdout().write_all(text.as_bytes())?;
    if let Some(path) = args.report.as_ref().filter(|_| !args.json) {
        writeln!(anstream::stdout(), "\nreport: {}", path.display())?;
    }
    Ok(())
}
