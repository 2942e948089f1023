//! `cargo xtask golden`: makes the files in `tests/golden` with PyTorch and transformers, or checks that they are what
//! these would make today.
//!
//! The versions are pinned in `xtask/golden/requirements.txt`; see [`crate::python`] for where they are installed.

mod compare;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::python::Environment;

/// What `cargo xtask golden` accepts.
#[derive(Args)]
pub struct Options {
    /// Make the files in a temporary folder and compare them with those in `tests/golden`, numbers within 1e-6.
    #[arg(long)]
    pub check: bool,
    /// Use this interpreter, which has the pinned packages, instead of making a virtual environment.
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
}

/// Most differences that are printed; the rest is counted.
const SHOWN_DIFFERENCES: usize = 20;

/// Makes the files, or compares; the exit code is 1 when `--check` finds a difference.
pub fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let kept = root.join("tests/golden");
    let python = match &options.python {
        Some(path) => path.clone(),
        None => Environment::under(root).prepare(root)?,
    };
    if !options.check {
        generate(&python, root, &kept)?;
        return Ok(ExitCode::SUCCESS);
    }
    let fresh = tempfile::tempdir().context("a temporary folder for the fresh files")?;
    generate(&python, root, fresh.path())?;
    Ok(report(&compare::folders(&kept, fresh.path())?))
}

fn generate(python: &Path, root: &Path, out: &Path) -> Result<()> {
    let script = root.join("xtask/golden/generate.py");
    execute(Command::new(python).arg("-B").arg(script).arg(out))
}

fn report(differences: &[String]) -> ExitCode {
    for difference in differences.iter().take(SHOWN_DIFFERENCES) {
        println!("{difference}");
    }
    if differences.is_empty() {
        println!("the golden files are what PyTorch says");
        return ExitCode::SUCCESS;
    }
    let hidden = differences.len().saturating_sub(SHOWN_DIFFERENCES);
    if hidden > 0 {
        println!("and {hidden} more");
    }
    println!("{} differences; `cargo xtask golden` writes the files anew", differences.len());
    ExitCode::FAILURE
}

fn execute(command: &mut Command) -> Result<()> {
    let line = format!("{command:?}");
    let status = command.status().with_context(|| format!("cannot start {line}"))?;
    if !status.success() {
        bail!("{line} failed: {status}");
    }
    Ok(())
}
