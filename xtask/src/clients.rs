//! OpenAI's clients for Python and Node in the versions that the server is tested with, each in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The newest, and those of the time when the API was first written about.
const PYTHON: [&str; 3] = ["3.52.0", "1.109.1", "0.28.1"];
const NODE: [&str; 3] = ["6.49.0", "4.104.0", "4.12.4"];

/// Installs what is missing below `folder`, and returns it. Node's are left out where there is no Node: the tests say so.
pub fn install(python: &Path, folder: PathBuf) -> Result<PathBuf> {
    for version in PYTHON {
        let place = folder.join(format!("python-{version}"));
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]).arg(&place);
        once(&place, pip.arg(format!("openai=={version}")))?;
    }
    if !Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("no `npm` was found: the clients for Node are left out");
        return Ok(folder);
    }
    for version in NODE {
        let place = folder.join(format!("node-{version}"));
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(&place);
        once(&place, npm.arg(format!("openai@{version}")))?;
    }
    Ok(folder)
}

/// Runs an installation unless it was finished before.
fn once(place: &Path, install: &mut Command) -> Result<()> {
    let receipt = place.join("installed");
    if receipt.exists() {
        return Ok(());
    }
    eprintln!("installing {}", place.display());
    std::fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
    // What the programs print is no part of what a shell reads.
    let status = install.stdout(Stdio::null()).status().with_context(|| format!("cannot start {install:?}"))?;
    if !status.success() {
        bail!("{install:?} failed");
    }
    std::fs::write(&receipt, "").with_context(|| format!("cannot write {}", receipt.display()))
}
