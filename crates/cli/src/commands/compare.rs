//! `finetone compare`.

use std::io::Write;
use std::path::{Path, PathBuf};

use finetone_data::ReadOptions;
use finetone_evaluate::{NamedComparison, Report};
use finetone_train::{Contestant, compare_on_file};
use serde_json::json;

use crate::device::PredictionArgs;
use crate::failure::Failure;
use crate::found::{Found, ReadingArgs};
use crate::report_file::ReportArgs;
use crate::tables;

/// The end of the help.
pub const EXAMPLES: &str = "\
The sentence comes from McNemar's exact test on the texts that only one of the models has right, the intervals of the differences \
from a paired bootstrap. B should replace A where it is better by more than chance; else the page says to keep A. Choose a model by texts that you keep apart for that, and measure it on others.

Examples:
  finetone compare runs/reviews-1 runs/reviews-2 fresh.csv
  finetone compare runs/reviews-1 runs/reviews-2 fresh.csv --report difference.html
  finetone compare runs/reviews-1 distilbert-base-uncased-finetuned-sst-2-english dev.csv --json | jq '.comparison.p_value'";

/// How many of the texts that only one has right are printed; the report has more.
const PRINTED_DISAGREEMENTS: usize = 5;

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// The first model: a run, a folder with a Hugging Face classification model, or a Hugging Face id
    #[arg(value_name = "A")]
    first: String,
    /// The second model, which must know the same labels
    #[arg(value_name = "B")]
    second: String,
    /// The labelled file: CSV, TSV, JSON lines or Parquet
    file: PathBuf,
    /// Print one JSON object: the sentence, `replace` or `keep`, p-value, differences with intervals and both evaluations
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    device: PredictionArgs,
}

/// Measures both and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.file == Path::new("-") {
        return Err(Failure::usage(
            "both models read the file, and standard input can be read only once",
            "write it to a file first",
        ));
    }
    let (first, second) = (Found::new(&args.first)?, Found::new(&args.second)?);
    let [of_first, of_second] = read_options(args, &first, &second)?;
    let cpu = args.device.open()?;
    let report = cpu.install(|| -> Result<Report, Failure> {
        let (mut one, mut other) = (first.open(&cpu)?, second.open(&cpu)?);
        let first = Contestant { name: args.first.clone(), classifier: &mut *one, options: of_first };
        let second = Contestant { name: args.second.clone(), classifier: &mut *other, options: of_second };
        Ok(compare_on_file(first, second, &args.file)?)
    })?;
    args.report.write(&report)?;
    let text = if args.json { json(&report) } else { page(&report) };
    anstream::stdout().write_all(text.as_bytes())?;
    if args.json { Ok(()) } else { args.report.tell() }
}

/// How each model reads the file: by the same columns, those that the user names, else the first model's, else the second's.
fn read_options(args: &Args, first: &Found, second: &Found) -> Result<[ReadOptions; 2], Failure> {
    let source = args.reading.source(&args.file)?;
    let reading = |options: ReadOptions| ReadingArgs {
        text_column: options.text_column,
        label_column: options.label_column,
        encoding: args.reading.encoding,
    };
    let of_first = reading(first.read_options(&args.reading, source.as_deref())?);
    let of_both = reading(second.read_options(&of_first, source.as_deref())?);
    let options = |found: &Found| found.read_options(&of_both, source.as_deref());
    Ok([options(first)?, options(second)?])
}

fn json(report: &Report) -> String {
    let verdict = report.verdict().map(|verdict| verdict.headline);
    let replaces = report.comparison.as_ref().map(NamedComparison::second_replaces_first);
    let decision = replaces.map(|replaces| if replaces { "replace" } else { "keep" });
    let object = json!({ "verdict": verdict, "decision": decision, "comparison": report.comparison, "evaluations": report.evaluations });
    format!("{object}\n")
}

fn page(report: &Report) -> String {
    let (Some(verdict), Some(named)) = (report.verdict(), &report.comparison) else { return String::new() };
    let mut page = format!("{}\n", verdict.headline);
    verdict.remarks.iter().for_each(|remark| page += &format!("{remark}\n"));
    page += &format!("\nA: {}\nB: {}\n\n", named.first, named.second);
    page += &tables::comparison(named, &report.evaluations);
    if !named.disagreements.is_empty() {
        page += "\nwhere only one is right:\n";
        page += &tables::disagreements(&named.disagreements, PRINTED_DISAGREEMENTS);
    }
    for notice in &report.notices {
        page += &format!("\nnote: {notice}\n");
    }
    page
}
