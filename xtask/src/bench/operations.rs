//! The benches of single operations, which are a program of `backend-cpu`.

use std::path::{Path, absolute};
use std::process::ExitCode;

use anyhow::{Context, Result};

/// Runs it with these words and this file.
pub fn run(root: &Path, filter: &[String], markdown: Option<&Path>) -> Result<ExitCode> {
    let mut command = crate::check::cargo(root);
    command.args(["bench", "--quiet", "--package", "finetone-backend-cpu", "--bench", "ops", "--"]).args(filter);
    if let Some(path) = markdown {
        // Benches run in the folder of their package; the path is meant from here.
        command.arg("--markdown").arg(absolute(path).context("no current folder")?);
    }
    Ok(ExitCode::from(crate::check::exit_code(&mut command)?))
}
