//! `cargo xtask bench peers`: ours and the Python peers, one after the other, round after round.
//!
//! It needs the scripts of the peers (`--scripts`) and the data (`--data`), which lie beside the checkout and not in it.
//! Python and its pinned packages come from `FINETONE_PYTHON`, or are installed under `target`; the model is the one
//! that `FINETONE_MINILM` names, or the one that `cargo xtask setup-python` installs.
//!
//! A [`sections::Section`] is a table: contenders, each a command and how its output is read. [`runner`] runs them
//! interleaved, so that a machine that is slower for a while is slower for all of them; [`results`] holds samples and
//! their medians; [`mod@print`] makes the tables.

mod contender;
mod machine;
mod prepare;
mod print;
mod process;
mod results;
mod runner;
mod sections;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::quiet;
use machine::Machine;
use prepare::Prepared;

/// What `cargo xtask bench peers` accepts.
#[derive(Args)]
pub struct Options {
    /// Few steps, few rows, one round: to see that everything runs, not for numbers.
    #[arg(long)]
    quick: bool,
    /// Only these comparisons; can be given several times.
    #[arg(long, value_name = "NAME", value_enum)]
    only: Vec<Name>,
    /// Rounds of each comparison, instead of its own number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Measure on a busy machine too.
    #[arg(long)]
    anyway: bool,
    /// Write the tables to this file too.
    #[arg(long, value_name = "PATH")]
    markdown: Option<PathBuf>,
    /// The folder with the peers' scripts.
    #[arg(long, value_name = "DIR", default_value = "../shared/bench")]
    scripts: PathBuf,
    /// The folder with the data.
    #[arg(long, value_name = "DIR", default_value = "../shared/data")]
    data: PathBuf,
}

/// The comparisons there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// One step of training, GPT-2 and MiniLM.
    Step,
    /// Classifying the texts of a file, and one text.
    Infer,
    /// Fine-tuning on SST-2, from process start to test metrics.
    Sst2,
    /// Fine-tuning on support conversations of up to 512 tokens.
    Conversations,
    /// Products of matrices.
    Gemm,
    /// A step beside a process that keeps a core busy.
    Busy,
    /// From process start to the first prediction.
    Start,
}

impl Options {
    /// The comparisons that were asked for, in their order.
    fn names(&self) -> Vec<Name> {
        let wanted = |name: &Name| self.only.is_empty() || self.only.contains(name);
        Name::value_variants().iter().copied().filter(wanted).collect()
    }
}

/// Compares and prints; every finished table is written at once, so that a run that is stopped has not been for nothing.
pub fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let load = quiet::Load::measure()?;
    if let Some(complaint) = load.complaint() {
        if !options.anyway {
            eprintln!("error: {complaint}");
            eprintln!("hint: end what else is running, or measure with `--anyway` and believe nothing but ratios");
            return Ok(ExitCode::FAILURE);
        }
        eprintln!("warning: {complaint}");
    }
    let prepared = Prepared::new(root, options)?;
    let mut page = print::heading(&Machine::of(root), &load, options.quick);
    println!("{page}");
    for section in options.names().into_iter().flat_map(|name| sections::of(name, &prepared)) {
        let rounds = options.rounds.map_or(section.rounds, |rounds| rounds as usize);
        eprintln!("{} (contenders: {}, rounds: {rounds})", section.title, section.contenders.len());
        let folder = &prepared.folder;
        let results = runner::interleave(&section.contenders, rounds, |contender, round| {
            process::measure(contender, round, folder, &prepared.python)
        });
        let text = print::section(&section, &results);
        println!("{text}");
        page.push_str(&text);
        if let Some(path) = &options.markdown {
            std::fs::write(path, &page).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
