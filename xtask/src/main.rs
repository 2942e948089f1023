//! Chores of the project, run as `cargo xtask <chore>`.

mod bench;
mod check;
mod clients;
mod golden;
mod python;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Chores of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

/// A chore is a variant here, an arm in `main` and a file beside this one.
#[derive(Subcommand)]
enum Chore {
    /// Check the rules of the house: imports, sizes, absences, dependencies, texts.
    Tidy,
    /// Run every check that a change must pass, in order, and stop at the first failure.
    Check(check::Options),
    /// Measure the operations, or ours beside the Python peers (`bench peers`).
    Bench(bench::Options),
    /// Make the golden files in tests/golden with PyTorch, or check them.
    Golden(golden::Options),
    /// Make the Python environment and the clients that some tests need, and print the variables that tell them.
    SetupPython,
}

fn main() -> Result<ExitCode> {
    let root = workspace_root()?;
    match Arguments::parse().chore {
        Chore::Tidy => tidy::run(&root),
        Chore::Check(options) => check::run(&root, &options),
        Chore::Bench(options) => bench::run(&root, &options),
        Chore::Golden(options) => golden::run(&root, &options),
        Chore::SetupPython => python::setup(&root),
    }
}

/// The folder that holds the workspace's `Cargo.toml`.
///
/// Cargo sets `CARGO_MANIFEST_DIR` for `cargo run`, so a moved checkout is found without rebuilding; the path known at
/// compile time serves when the binary is started by hand.
fn workspace_root() -> Result<PathBuf> {
    let xtask =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = xtask.parent().context("the xtask crate lies directly under the workspace root")?;
    Ok(root.to_path_buf())
}
