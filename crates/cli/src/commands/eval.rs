//! `finetone eval`.

use std::io::Write;
use std::path::PathBuf;

use finetone_evaluate::{Evaluation, Report};
use finetone_train::{BehaviourResult, BehaviourTests, evaluate_file};
use serde_json::{Value, json};

use crate::device::PredictionArgs;
use crate::failure::Failure;
use crate::found::{Found, ReadingArgs};
use crate::report_file::ReportArgs;
use crate::tables;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  finetone eval runs/reviews-1 fresh.csv
  finetone eval runs/reviews-1 fresh.csv --report fresh.html
  finetone eval runs/reviews-1 fresh.csv --json | jq '.f1_macro, .intervals.f1_macro'
  finetone eval runs/reviews-1 --behaviour examples/behaviour.toml
  finetone eval distilbert-base-uncased-finetuned-sst-2-english dev.csv";

/// How many of the worst errors are printed; the report has more.
const PRINTED_ERRORS: usize = 5;

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// A run, a folder with a Hugging Face classification model, or a Hugging Face id
    run: String,
    /// The labelled file: CSV, TSV, JSON lines or Parquet; `-` is standard input
    #[arg(required_unless_present = "behaviour")]
    file: Option<PathBuf>,
    /// Short texts that test what the model has understood: a TOML file as `examples/behaviour.toml`
    #[arg(long, value_name = "TESTS")]
    behaviour: Option<PathBuf>,
    /// Print one JSON object: accuracy, f1_macro, f1_weighted, f1 of each class, n, intervals and more
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    device: PredictionArgs,
}

/// What was found.
struct Findings {
    measured: Option<(Evaluation, Report)>,
    behaviour: Option<Vec<BehaviourResult>>,
}

/// Measures and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    let tests = args.behaviour.as_deref().map(BehaviourTests::read).transpose()?;
    let found = Found::new(&args.run)?;
    let cpu = args.device.open()?;
    let findings = cpu.install(|| -> Result<_, Failure> {
        let mut classifier = found.open(&cpu)?;
        let measure = |file: &PathBuf| -> Result<_, Failure> {
            let options = found.read_options(&args.reading, args.reading.source(file)?.as_deref())?;
            Ok(evaluate_file(&mut *classifier, file, &options)?)
        };
        let measured = args.file.as_ref().map(measure).transpose()?;
        let behaviour = tests.map(|tests| tests.run(&mut *classifier)).transpose()?;
        Ok(Findings { measured, behaviour })
    })?;
    if let Some((_, report)) = &findings.measured {
        args.report.write(report)?;
    }
    let text = if args.json { format!("{}\n", findings.json()) } else { findings.page()? };
    anstream::stdout().write_all(text.as_bytes())?;
    if args.json || findings.measured.is_none() { Ok(()) } else { args.report.tell() }
}

impl Findings {
    /// The numbers of the file, and beside them how each test of behaviour went.
    fn json(&self) -> Value {
        let mut object = self.measured.as_ref().map_or_else(|| json!({}), |(evaluation, _)| evaluation.to_json());
        if let Some(answered) = self.measured.as_ref().and_then(|(_, report)| report.headline()?.answered) {
            object["answered"] = json!(answered);
        }
        if let Some(results) = &self.behaviour {
            object["behaviour"] = json!(results);
        }
        object
    }

    fn page(&self) -> Result<String, Failure> {
        let measured = self.measured.as_ref().map(|(_, report)| page(report)).transpose()?;
        let behaviour = self.behaviour.as_ref().map(|results| tables::behaviour(results));
        Ok(measured.into_iter().chain(behaviour).collect::<Vec<_>>().join("\n"))
    }
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
