//! Files that appear whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The folder that a path lies in.
pub fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Writes a text file under a temporary name and gives it its own when it is complete.
pub fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    let fail = |error: std::io::Error| Failure::io(path, &error);
    if path.is_dir() {
        return Err(Failure::new(format!("{}: this is a folder", path.display()), "name a file in it".to_owned()));
    }
    let mut file = tempfile::Builder::new().prefix(".finetone-").tempfile_in(parent(path)).map_err(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(fail)?;
    readable_by_all(file.path()).map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(())
}

/// Temporary files and folders belong to their owner alone; what they become should not.
pub fn readable_by_all(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
