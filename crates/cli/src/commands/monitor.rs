//! `finetone monitor`.

mod gates;
mod to_label;

use std::io::Write;
use std::path::{Path, PathBuf};

use finetone_classify::{Embedder, TOKEN_BUDGET};
use finetone_evaluate::{DriftFinding, p_in_words};
use finetone_train::{MonitorOptions, Observed, Watch, monitor};
use serde_json::json;

use crate::device::PredictionArgs;
use crate::failure::Failure;
use crate::found::{Found, ReadingArgs};
use crate::tables;
use gates::GateArgs;

/// The end of the help.
pub const EXAMPLES: &str = "\
The fresh texts are held against the rows that the run kept for validation, or against --reference. Of those, numbers are kept in \
RUN/monitor, no texts. Every call adds a line to RUN/monitor/history.jsonl and draws RUN/monitor/report.html anew.

Drift has five kinds (length, vocabulary, meaning, predictions, confidence), each with an effect from 0, the same, to 1, nothing \
in common. --max-drift looks at effects that are more than chance. The accuracy is watched over the labelled rows of all calls in \
their order; --no-fall looks at that.

A gate that is not passed ends the command with code 3; 1 and 2 are errors, as always.

Examples:
  finetone monitor runs/reviews-1 monday.csv
  finetone monitor runs/reviews-1 monday.csv --min-f1 0.85 --max-drift 0.2 --json >> monitor.log
  finetone monitor runs/reviews-1 monday.csv --to-label todo.csv --rows 50
  finetone train todo.csv --from runs/reviews-1 --out runs/reviews-2        once the labels are filled in
  finetone compare runs/reviews-1 runs/reviews-2 checked.csv";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// The run whose model is watched
    run: PathBuf,
    /// The fresh file, with labels or without: CSV, TSV, JSON lines or Parquet
    fresh: PathBuf,
    /// Hold the texts against this file instead of the validation rows of the run
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// Pass over the labels of the fresh file, such as those of another task
    #[arg(long)]
    ignore_labels: bool,
    #[command(flatten)]
    gates: GateArgs,
    /// Write the rows worth labelling next, uncertain and different ones, with a label column to fill in
    #[arg(long, value_name = "OUT")]
    to_label: Option<PathBuf>,
    /// How many of them
    #[arg(long, value_name = "N", default_value_t = 50, requires = "to_label")]
    rows: usize,
    /// Print one JSON object: the line of the history, the verdict, the gates
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    device: PredictionArgs,
}

/// Watches and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    let found = found(args)?;
    let options = options(args, &found)?;
    let template = args.to_label.as_ref().map(|_| to_label::Template::new(&options, &found)).transpose()?;
    let cpu = args.device.open()?;
    let observed = cpu.install(|| -> Result<Observed, Failure> {
        let mut classifier = found.open(&cpu)?;
        let embedder = Embedder::open(cpu.clone(), &found.folder, TOKEN_BUDGET)?;
        let mut watch = Watch { run: &args.run, classifier: classifier.as_mut(), embedder: &embedder };
        Ok(monitor(&mut watch, &options)?)
    })?;
    let written = match (&args.to_label, template) {
        (Some(out), Some(template)) => Some((out, template.write(out, &observed.to_label)?)),
        _ => None,
    };
    let failed = args.gates.failed(&observed.record)?;
    let text = if args.json { json(&observed, &failed) } else { page(&observed) };
    anstream::stdout().write_all(text.as_bytes())?;
    if !args.json {
        tell_places(&observed, written)?;
    }
    match failed.as_slice() {
        [] => Ok(()),
        failed => Err(Failure::gate(failed.join("; "))),
    }
}

fn found(args: &Args) -> Result<Found, Failure> {
    if [Some(&args.fresh), args.reference.as_ref()].contains(&Some(&PathBuf::from("-"))) {
        return Err(Failure::usage("standard input is not watched", "write the rows to a file first"));
    }
    let same = |out: &PathBuf| matches!((out.canonicalize(), args.fresh.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if args.to_label.as_ref().is_some_and(same) {
        return Err(Failure::usage("`--to-label` would replace the fresh file", "name another file to write"));
    }
    let found = Found::new(&args.run.to_string_lossy())?;
    if found.config.is_none() {
        let message = format!("{}: only a run of `finetone train` can be watched", args.run.display());
        return Err(Failure::new(message, "the history is kept in the folder of a run: name one".to_owned()));
    }
    Ok(found)
}

fn options(args: &Args, found: &Found) -> Result<MonitorOptions, Failure> {
    let mut read = found.read_options(&args.reading, args.reading.source(&args.fresh)?.as_deref())?;
    if args.ignore_labels {
        (read.ignore_labels, read.label_column) = (true, None);
    }
    let reference = match &args.reference {
        Some(file) => Some((file.clone(), found.read_options(&args.reading, args.reading.source(file)?.as_deref())?)),
        None => None,
    };
    let to_label = if args.to_label.is_some() { args.rows } else { 0 };
    Ok(MonitorOptions { fresh: args.fresh.clone(), read, reference, to_label })
}

fn json(observed: &Observed, failed: &[String]) -> String {
    let record = &observed.record;
    let object = json!({
        "verdict": record.headline(),
        "remarks": record.remarks(),
        "drift_found": record.drift.clear().count() > 0,
        "drift_size": record.drift.size(),
        "fall": record.stream.as_ref().and_then(|stream| stream.alarm()),
        "record": record,
        "evaluation": observed.evaluation.as_ref().map(|named| &named.evaluation),
        "gates_failed": failed,
        "to_label": observed.to_label,
        "notices": observed.notices,
        "report": observed.page,
    });
    format!("{object}\n")
}

fn page(observed: &Observed) -> String {
    let record = &observed.record;
    let mut page = format!("{}\n", record.headline());
    record.remarks().iter().for_each(|remark| page += &format!("{remark}\n"));
    let row = |found: &DriftFinding| {
        let clear = if found.is_clear() { "yes" } else { "no" };
        let chance = p_in_words(found.p_adjusted);
        vec![found.kind.name().to_owned(), tables::number(found.effect), chance, clear.to_owned()]
    };
    let findings = record.drift.findings().iter().map(row);
    page += &format!("\n{}", tables::plain(&["drift", "effect", "chance", "more than chance"], findings));
    if let Some(named) = &observed.evaluation {
        page += &format!("\n{}\n{}", tables::metrics(named), tables::classes(&named.evaluation));
    }
    for notice in &observed.notices {
        page += &format!("\nnote: {notice}\n");
    }
    page
}

/// Says where the files are.
fn tell_places(observed: &Observed, written: Option<(&PathBuf, usize)>) -> Result<(), Failure> {
    let show = |path: &Path| path.display().to_string();
    let mut places = vec![("report:", show(&observed.page))];
    if let Some((out, rows)) = written {
        let written = format!("{} ({rows} rows)", show(out));
        places
            .push(("to label:", if rows > 0 { written } else { "nothing: every row has a label already".to_owned() }));
    }
    Ok(write!(anstream::stdout(), "\n{}", tables::facts(places))?)
}
