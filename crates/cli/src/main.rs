//! The `finetone` command.

mod api;
mod commands;
mod device;
#[cfg(test)]
mod documents;
mod failure;
mod found;
mod interrupt;
mod output;
mod progress;
mod report_file;
mod tables;
mod tokens;

use std::process::ExitCode;

use clap::Parser;

use commands::Command;
use failure::Failure;

/// Short-lived texts and tokens by the million are allocated on several threads: this allocator serves them faster.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Turns labelled text into a sentiment model that you own.
///
/// finetone checks the data, fine-tunes a language model (or trains one from scratch), says honestly how good it is, and
/// predicts. It runs offline, on the processor of a laptop.
#[derive(Parser)]
#[command(name = "finetone", version, max_term_width = 100, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  finetone doctor reviews.csv                            what is wrong with the file
  finetone explore reviews.csv                           what is in it
  finetone prepare reviews.csv --out clean.csv           clean texts, no copies
  finetone train reviews.csv                             a model in runs/reviews-1
  finetone eval runs/reviews-1 fresh.csv                 how good it is on other texts
  finetone compare runs/reviews-1 runs/reviews-2 fresh.csv   which of two is better
  finetone predict runs/reviews-1 new.csv -o labelled.csv
  finetone monitor runs/reviews-1 monday.csv             is it still as good

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a gate of `monitor` is not passed, 130 interrupted.";

fn main() -> ExitCode {
    let outcome = Cli::parse().command.run();
    outcome.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}
