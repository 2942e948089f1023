//! The two programs that are compared.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// A server of one classifier; it is killed when it is dropped.
pub struct Server {
    child: Child,
    /// Without `/v1`.
    pub url: String,
}

impl Server {
    /// Starts it, with its data in a folder that is thrown away.
    pub fn start(binary: &Path, model: &Path, folder: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["serve", "--port", "0", "--data"]).arg(folder.join("data"));
        command.arg("--model").arg(format!("classifier={}", model.display()));
        let mut child = command.stdout(Stdio::piped()).spawn().context("the server does not start")?;
        let said = child.stdout.take().context("the server has no output")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).context("the server says nothing")?;
        let url = line.strip_prefix("serving at ").and_then(|rest| rest.split("/v1").next()).map(str::to_owned);
        match url {
            Some(url) => Ok(Self { child, url }),
            None => {
                child.kill().ok();
                anyhow::bail!("the server said: {line}")
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is lost with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long `predict` takes for a file.
pub fn predict(binary: &Path, model: &Path, texts: &Path) -> Result<Duration> {
    let (out, start) = (texts.with_extension("out.csv"), Instant::now());
    let mut command = Command::new(binary);
    command.arg("predict").arg(model).arg(texts).arg("--out").arg(&out).arg("--quiet");
    let status = command.status().context("`predict` does not start")?;
    ensure!(status.success(), "`predict` failed: {status}");
    Ok(start.elapsed())
}

/// Builds the binary as users have it.
pub fn build(root: &Path) -> Result<PathBuf> {
    let mut command = crate::check::cargo(root);
    command.args(["build", "--release", "--package", "finetone", "--bin", "finetone"]);
    ensure!(crate::check::exit_code(&mut command)? == 0, "cannot build finetone");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release").join(format!("finetone{}", std::env::consts::EXE_SUFFIX)))
}
