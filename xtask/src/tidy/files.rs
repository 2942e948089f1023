//! The files of the project: what git tracks, and what it would track after `git add`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Folders that hold what programs made.
const BUILD_FOLDERS: &[&str] = &["runs", "target"];

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
/// Outside a checkout, as in an unpacked archive, every file counts that lies in no hidden or build folder.
///
/// # Errors
/// When the files cannot be listed or read.
pub fn gather(root: &Path) -> Result<Vec<ProjectFile>> {
    let mut paths = match listed_by_git(root)? {
        Some(paths) => paths,
        None => {
            let mut paths = Vec::new();
            walk(root, "", &mut paths)?;
            paths
        }
    };
    paths.sort_unstable();
    paths.dedup();
    paths.iter().filter(|path| root.join(path).is_file()).map(|path| read(root, path)).collect()
}

/// The list that git gives, or `None` where `root` is not a checkout.
fn listed_by_git(root: &Path) -> Result<Option<Vec<String>>> {
    if !root.join(".git").exists() {
        return Ok(None);
    }
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("could not start `git`, which lists the files to check")?;
    ensure!(output.status.success(), "`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    let listing = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    Ok(Some(listing.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()))
}

/// Appends the paths of all files under `folder`, which is relative to `root` and ends with `/` unless it is empty.
fn walk(root: &Path, folder: &str, paths: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(root.join(folder)).with_context(|| format!("could not list `{folder}`"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}{name}");
        if !entry.file_type()?.is_dir() {
            paths.push(path);
        } else if !name.starts_with('.') && !BUILD_FOLDERS.contains(&name.as_str()) {
            walk(root, &format!("{path}/"), paths)?;
        }
    }
    Ok(())
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

    #[test]
    fn the_list_does_not_need_a_checkout() {
        let mut paths = Vec::new();
        walk(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut paths).expect("the folder of this crate can be listed");
        assert!(paths.contains(&"Cargo.toml".to_owned()));
        assert!(paths.contains(&"src/tidy/files.rs".to_owned()));
    }
}
