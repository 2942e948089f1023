//! `cargo xtask golden`: makes the files in `tests/golden` with PyTorch and transformers, or checks that they are what
//! these would make today.
//!
//! The versions are pinned in `xtask/golden/requirements.txt` and installed into a virtual environment of their own
//! under `target`, so that the answers do not depend on what a machine happens to have.

mod compare;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

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

/// The virtual environment that holds the pinned packages.
struct Environment {
    folder: PathBuf,
}

impl Environment {
    fn under(root: &Path) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Self { folder: target.join("golden-venv") }
    }

    fn python(&self) -> PathBuf {
        self.folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
    }

    /// A copy of the requirements, written after they were installed: the environment is complete when it is equal.
    fn receipt(&self) -> PathBuf {
        self.folder.join("installed.txt")
    }

    /// Makes the environment or completes it, where that is needed, and returns its interpreter.
    fn prepare(&self, root: &Path) -> Result<PathBuf> {
        let path = root.join("xtask/golden/requirements.txt");
        let requirements = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let python = self.python();
        if std::fs::read_to_string(self.receipt()).is_ok_and(|installed| installed == requirements) && python.exists() {
            return Ok(python);
        }
        if !python.exists() {
            execute(Command::new(system_python()?).args(["-m", "venv"]).arg(&self.folder))
                .context("cannot make a virtual environment (on Debian the package `python3-venv` provides it)")?;
        }
        execute(Command::new(&python).args(["-m", "pip", "install", "--requirement"]).arg(&path))
            .context("cannot install the packages; `--python PATH` uses an interpreter that already has them")?;
        std::fs::write(self.receipt(), requirements).context("cannot note what was installed")?;
        Ok(python)
    }
}

/// The first interpreter that starts.
fn system_python() -> Result<OsString> {
    for name in ["python3", "python"] {
        if Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()) {
            return Ok(name.into());
        }
    }
    bail!(
        "no `python3` was found: the golden files are made with PyTorch\n\
         install Python 3.11 or newer, or name an interpreter with `cargo xtask golden --python PATH`\n\
         (the tests themselves need no Python: they read the files in tests/golden)"
    )
}

fn execute(command: &mut Command) -> Result<()> {
    let line = format!("{command:?}");
    let status = command.status().with_context(|| format!("cannot start {line}"))?;
    if !status.success() {
        bail!("{line} failed: {status}");
    }
    Ok(())
}
