//! The files of the project: what git tracks, and what it would track after `git add`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A file of the project.
#[derive(Debug)]
pub struct ProjectFile {
    /// Relative to the workspace root, with `/` between folders.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// The text, or `None` when the file is not UTF-8.
    pub text: Option<String>,
}

/// Reads every file that is tracked or neither tracked nor ignored, in the order of their paths.
///
/// # Errors
/// When git cannot list the files or a listed file cannot be read.
pub fn gather(root: &Path) -> Result<Vec<ProjectFile>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("could not start `git`, which lists the files to check")?;
    ensure!(output.status.success(), "`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    let listing = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut paths: Vec<&str> = listing.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.into_iter().filter(|path| root.join(path).is_file()).map(|path| read(root, path)).collect()
}

/// A file deleted from the working tree stays in git's list until the deletion is committed; the caller filters it out.
fn read(root: &Path, path: &str) -> Result<ProjectFile> {
    let bytes = std::fs::read(root.join(path)).with_context(|| format!("could not read `{path}`"))?;
    Ok(ProjectFile { path: path.to_owned(), bytes: bytes.len() as u64, text: String::from_utf8(bytes).ok() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_file_is_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
        let files = gather(root).expect("the tests run in a checkout");
        assert!(files.iter().any(|file| file.path == "xtask/src/tidy/files.rs"));
        assert!(files.iter().all(|file| !file.path.starts_with("target/")));
    }
}
