//! `finetone eval`.

use std::io::Write;
use std::path::PathBuf;

use finetone_evaluate::Report;
use finetone_train::evaluate_file;

use crate::device::PredictionArgs;
use crate::failure::Failure;
use crate::found::{ColumnArgs, Found, source};
use crate::report_file::ReportArgs;
use crate::tables;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  finetone eval runs/reviews-1 fresh.csv
  finetone eval runs/reviews-1 fresh.csv --report fresh.html
  finetone eval runs/reviews-1 fresh.csv --json | jq '.f1_macro, .intervals.f1_macro'
  finetone eval distilbert-base-uncased-finetuned-sst-2-english dev.csv";

/// How many of the worst errors are printed; the report has more.
const PRINTED_ERRORS: usize = 5;

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// A run, a folder with a Hugging Face classification model, or a Hugging Face id
    run: String,
    /// The labelled file: CSV, TSV, JSON lines or Parquet; `-` is standard input
    file: PathBuf,
    /// Print one JSON object: accuracy, f1_macro, f1_weighted, f1 of each class, n, intervals and more
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    columns: ColumnArgs,
    #[command(flatten)]
    device: PredictionArgs,
}

/// Measures and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    let found = Found::new(&args.run)?;
    let options = found.read_options(&args.columns, source(&args.file)?.as_deref())?;
    let cpu = args.device.open()?;
    let (evaluation, report) = cpu.install(|| -> Result<_, Failure> {
        let mut classifier = found.open(&cpu)?;
        Ok(evaluate_file(&mut *classifier, &args.file, &options)?)
    })?;
    args.report.write(&report)?;
    let text = if args.json { format!("{}\n", evaluation.to_json()) } else { page(&report)? };
    anstream::stdout().write_all(text.as_bytes())?;
    if args.json { Ok(()) } else { args.report.tell() }
}

fn page(report: &Report) -> Result<String, Failure> {
    let mut page = tables::evaluation(tables::headline_of(report)?);
    if !report.worst_errors.is_empty() {
        page += "\nworst errors:\n";
        page += &tables::worst_errors(&report.worst_errors, PRINTED_ERRORS);
    }
    for notice in &report.notices {
        page += &format!("\nnote: {notice}\n");
    }
    Ok(page)
}
