//! `cargo xtask bench`: how fast this is, by itself and beside others.
//!
//! ```text
//! cargo xtask bench                                   every operation, with its share of the machine's measured peak
//! cargo xtask bench attention bf16                    the rows that have all of these words
//! cargo xtask bench peers                             ours and the Python peers, interleaved; an hour or more
//! cargo xtask bench peers --quick --only step --anyway    a few steps, to see that everything runs
//! cargo xtask bench peers --markdown peers.md         the tables as a file too
//! cargo xtask bench serve MODEL                       64 clients of a server beside `predict`, for three minutes each
//! ```
//!
//! Numbers are worth something on a machine that does nothing else: both look first, and refuse a busy one unless
//! told `--anyway`. See [`peers`] for what it needs.

mod operations;
mod peers;
mod quiet;
mod serve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// What `cargo xtask bench` accepts.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    what: Option<What>,
    /// Only the rows that have all of these words, such as `linear 1024 bf16`.
    filter: Vec<String>,
    /// Write the tables to this file too.
    #[arg(long, value_name = "PATH")]
    markdown: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// Run ours and the Python peers in turn, and print medians and ratios.
    Peers(peers::Options),
    /// Run `predict` and many clients of `serve` in turn, and print rates, waits and their ratio.
    Serve(serve::Options),
}

/// Measures what was asked for.
pub fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    match &options.what {
        Some(What::Peers(options)) => peers::run(root, options),
        Some(What::Serve(options)) => serve::run(root, options),
        None => operations::run(root, &options.filter, options.markdown.as_deref()),
    }
}
