//! `cargo xtask bench serve`: what of the speed of `finetone predict` is left when many clients ask over HTTP.
//!
//! The same texts, the same classifier, the same machine, in turn: `predict` reads a file; then clients ask `/predict` one text
//! at a time over connections that stay open, each as soon as its last answer is there. The clients share the machine with the
//! server, as on a laptop.
//!
//! What `predict` needs to start and to open the model is taken away from its time, because a server does that once: the time
//! for one row is subtracted from the time for all.

mod client;
mod process;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::quiet::Load;
use client::Heard;
use process::{Server, predict};

/// What `cargo xtask bench serve` accepts.
#[derive(Args)]
pub struct Options {
    /// The folder of the classifier: a run or a model folder.
    model: PathBuf,
    /// A CSV file with a column `text`.
    #[arg(long, value_name = "FILE", default_value = "../shared/data/sst2/train.csv")]
    texts: PathBuf,
    /// Texts of the file that are used.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(2..))]
    rows: u32,
    /// Clients that ask at the same time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// How long they ask in each round.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Rounds of both.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The binary to measure, instead of one that is built for it.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Measure on a busy machine too.
    #[arg(long)]
    anyway: bool,
}

/// Measures and prints.
pub fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    if let Some(complaint) = Load::measure()?.complaint() {
        ensure!(
            options.anyway,
            "{complaint}\nhint: end what else is running, or give `--anyway` and believe ratios alone"
        );
        eprintln!("warning: {complaint}");
    }
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => process::build(root)?,
    };
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let texts = texts(&root.join(&options.texts), options.rows as usize)?;
    let files = [("all.csv", texts.len()), ("one.csv", 1)].map(|(name, rows)| (folder.path().join(name), rows));
    for (path, rows) in &files {
        write(path, &texts[..*rows])?;
    }
    let server = Server::start(&binary, &options.model, folder.path())?;
    let (clients, time) = (options.clients as usize, Duration::from_secs(options.seconds.into()));
    client::ask(&server.url, &texts, 1, Duration::from_millis(1))?;
    println!(
        "{:>5}  {:>12}  {:>12}  {:>6}  {:>8}  {:>8}  {:>8}  statuses",
        "round", "predict", "serve", "ratio", "p50", "p95", "p99"
    );
    for round in 1..=options.rounds {
        let [all, one] = files.each_ref().map(|(path, _)| predict(&binary, &options.model, path));
        let alone = (texts.len() - 1) as f64 / (all? - one?).as_secs_f64();
        let heard = client::ask(&server.url, &texts, clients, time)?;
        println!("{}", row(round, alone, &heard));
    }
    Ok(ExitCode::SUCCESS)
}

/// A line of the table: texts per second, their ratio, and how long clients waited.
fn row(round: u32, alone: f64, heard: &Heard) -> String {
    let served = heard.answered() as f64 / heard.time.as_secs_f64();
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| format!("{:.1} ms", 1e3 * heard.quantile(share)));
    let statuses: Vec<String> = heard.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    let statuses = statuses.join(", ");
    let ratio = served / alone;
    format!("{round:>5}  {alone:>10.0}/s  {served:>10.0}/s  {ratio:>6.2}  {p50:>8}  {p95:>8}  {p99:>8}  {statuses}")
}

/// Texts taken evenly from the whole file.
fn texts(path: &Path, most: usize) -> Result<Vec<String>> {
    let mut reader = csv::Reader::from_path(path)
        .with_context(|| format!("cannot read {}\nhint: `--texts FILE` says where the texts are", path.display()))?;
    let column = reader.headers()?.iter().position(|name| name == "text").context("no column `text`")?;
    let all = reader.records().map(|record| Ok(record?[column].to_owned())).collect::<Result<Vec<String>>>()?;
    let all: Vec<String> = all.into_iter().filter(|text| !text.trim().is_empty()).collect();
    ensure!(all.len() > 1, "{} has too few texts", path.display());
    let step = all.len().div_ceil(most).max(1);
    Ok(all.into_iter().step_by(step).collect())
}

fn write(path: &Path, texts: &[String]) -> Result<()> {
    let mut writer = csv::Writer::from_path(path).with_context(|| format!("cannot write {}", path.display()))?;
    writer.write_record(["text"])?;
    texts.iter().try_for_each(|text| writer.write_record([text]))?;
    writer.flush().with_context(|| format!("cannot write {}", path.display()))
}
