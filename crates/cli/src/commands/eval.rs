//! `finetone eval`.

use std::io::Write;
use std::path::{Path, PathBuf};

use finetone_data::Reader;
use finetone_data::reader::OpenOptions;
use finetone_evaluate::Report;
use finetone_train::evaluate_file;

use crate::device::PredictionArgs;
use crate::failure::Failure;
use crate::found::{ColumnArgs, Found};
use crate::output::write_whole;
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
    /// Write a report: `.html` with charts, `.md` or `.json`
    #[arg(long, value_name = "FILE", value_parser = report_path)]
    report: Option<PathBuf>,
    #[command(flatten)]
    columns: ColumnArgs,
    #[command(flatten)]
    device: PredictionArgs,
}

fn report_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm" | "md" | "json") => Ok(path),
        _ => Err("a report ends with `.html`, `.md` or `.json`".to_owned()),
    }
}

/// Measures and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    let found = Found::new(&args.run)?;
    // Standard input can be read only once, so its columns are found by name alone.
    let reader =
        if args.file == Path::new("-") { None } else { Some(Reader::open(&args.file, &OpenOptions::default())?) };
    let options = found.read_options(&args.columns, reader.as_ref().map(|reader| &**reader.source()));
    drop(reader);
    let cpu = args.device.open()?;
    let (evaluation, report) = cpu.install(|| -> Result<_, Failure> {
        let mut classifier = found.open(&cpu)?;
        Ok(evaluate_file(&mut classifier, &args.file, &options)?)
    })?;
    if let Some(path) = &args.report {
        write_whole(path, &written(path, &report)?)?;
    }
    let text = if args.json { format!("{}\n", evaluation.to_json()) } else { page(&report)? };
    anstream::stdout().write_all(text.as_bytes())?;
    if let Some(path) = args.report.as_ref().filter(|_| !args.json) {
        writeln!(anstream::stdout(), "\nreport: {}", path.display())?;
    }
    Ok(())
}

fn written(path: &Path, report: &Report) -> Result<String, Failure> {
    Ok(match path.extension().and_then(|extension| extension.to_str()) {
        Some("md") => report.to_markdown(),
        Some("json") => report.to_json()?,
        _ => report.to_html()?,
    })
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
