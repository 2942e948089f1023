//! `finetone doctor`.

mod chats;
mod label_errors;
mod pilot;

use std::io::Write;
use std::path::PathBuf;

use finetone_data::doctor::{TokenLimit, examine};
use finetone_data::{Checkup, DoctorOptions, ReadOptions, Severity};

use crate::failure::Failure;
use crate::found::{ReadingArgs, training_options};
use crate::tables;
use crate::tokens::Counter;
use chats::Chats;

/// The end of the help.
pub const EXAMPLES: &str = "\
Errors stop a training; warnings are for you to judge. The exit code is 1 if there are errors.

A file of chats (`{\"messages\": [{\"role\": …, \"content\": …}, …]}` on each line) is known by its content and gets the checks of \
OpenAI's cookbook under their names, numbers of messages and tokens, and what a fine-tuning job would make of it; with \
`--model` also the memory and the time of a training, for which a few steps are tried.

Examples:
  finetone doctor reviews.csv
  finetone doctor chats.jsonl                            the checks of a fine-tuning API
  finetone doctor train.csv --test test.csv              also finds rows shared by both
  finetone doctor reviews.csv --model runs/reviews-1     also counts the texts too long for it
  finetone doctor reviews.csv --label-errors out.csv     labels that are probably wrong
  finetone doctor reviews.csv --json | jq '.faults[].message'";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// The file to check: CSV, TSV, JSON lines or Parquet; `-` is standard input
    file: PathBuf,
    /// A test file to check against it
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// A model (folder, run or Hugging Face id) whose limit on the length of texts counts
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
    /// Write the rows whose label is probably wrong to a CSV file, the least believed first. Models that have not seen a row
    /// judge it: a regression over words, or over the vectors of `--model` where these say more
    #[arg(long, value_name = "OUT")]
    label_errors: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    fn read_options(&self) -> Result<ReadOptions, Failure> {
        training_options(&self.file, self.reading.clone(), self.multi_label)
    }
}

/// Checks and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    let read = args.read_options()?;
    let counter = args.model.as_deref().map(|model| Counter::open(model, args.max_tokens)).transpose()?;
    let count = |text: &str| counter.as_ref().map_or(0, |counter| counter.count(text));
    let tokens = counter.as_ref().map(|counter| TokenLimit { count: &count, limit: counter.limit });
    let options = DoctorOptions { read, tokens, ..DoctorOptions::default() };
    let (mut text, has_errors) = if args.reading.source(&args.file)?.is_some_and(|source| source.chat.is_some()) {
        let chats = Chats::new(&args.file, args.test.as_deref(), &options, counter.as_ref())?;
        (if args.json { chats.json()? } else { chats.page() }, chats.have_errors())
    } else {
        let checkup = examine(&args.file, args.test.as_deref(), &options)?;
        (if args.json { json(&checkup)? } else { page(&checkup) }, checkup.has_errors())
    };
    match &args.label_errors {
        Some(_) if has_errors && !args.json => text += "\nlabel errors are looked for when the errors are mended\n",
        Some(out) if !has_errors => label_errors::find(args, out)?.tell(&mut text, args.json)?,
        _ => {}
    }
    anstream::stdout().write_all(text.as_bytes())?;
    if has_errors { Err(Failure::Told) } else { Ok(()) }
}

fn json(checkup: &Checkup) -> Result<String, Failure> {
    let text = serde_json::to_string(checkup).map_err(|error| Failure::new(error.to_string(), None))?;
    Ok(text + "\n")
}

/// The faults grouped by severity, after what the file is.
fn page(checkup: &Checkup) -> String {
    let mut page = contents(checkup);
    for severity in [Severity::Error, Severity::Warning, Severity::Notice] {
        page += &group(checkup, severity);
    }
    page + "\n" + &total(checkup) + "\n"
}

/// What the file is: rows, columns, classes.
pub fn contents(checkup: &Checkup) -> String {
    let mut page = format!("{}: {}, texts in `{}`", checkup.file.display(), rows(checkup.rows), checkup.text_column);
    match &checkup.label_column {
        Some(column) => page += &format!(", labels in `{column}`\n"),
        None => page += ", no labels\n",
    }
    if let (Some(file), Some(count)) = (&checkup.test_file, checkup.test_rows) {
        page += &format!("{}: {}\n", file.display(), rows(count));
    }
    if checkup.classes.is_empty() {
        return page;
    }
    let all: usize = checkup.classes.iter().map(|class| class.rows).sum();
    let mut header = vec!["class", "rows", "share"];
    header.extend(checkup.test_file.is_some().then_some("test rows"));
    let table = checkup.classes.iter().map(|class| {
        let share = 100.0 * class.rows as f64 / all.max(1) as f64;
        let mut row = vec![class.label.clone(), class.rows.to_string(), format!("{share:.1} %")];
        row.extend(class.test_rows.map(|rows| rows.to_string()));
        row
    });
    page + "\n" + &tables::plain(&header, table)
}

fn rows(count: usize) -> String {
    format!("{} row{}", finetone_track::grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// The faults of one severity with their fixes; nothing if there are none.
pub fn group(checkup: &Checkup, severity: Severity) -> String {
    let faults: Vec<_> = checkup.faults.iter().filter(|fault| fault.severity == severity).collect();
    if faults.is_empty() {
        return String::new();
    }
    let one = |fault: &&finetone_data::Fault| format!("  {fault}\n    fix: {}\n", fault.fix);
    format!("\n{}:\n{}", plural(severity, faults.len()), faults.iter().map(one).collect::<String>())
}

fn plural(severity: Severity, count: usize) -> String {
    format!("{count} {}{}", severity.word(), if count == 1 { "" } else { "s" })
}

fn total(checkup: &Checkup) -> String {
    if checkup.faults.is_empty() {
        return "no faults found".to_owned();
    }
    let counts = [Severity::Error, Severity::Warning, Severity::Notice].map(|s| plural(s, checkup.count(s)));
    let verdict = if checkup.has_errors() { "the errors must be mended before training" } else { "ready for training" };
    format!("{}: {verdict}", counts.join(", "))
}
