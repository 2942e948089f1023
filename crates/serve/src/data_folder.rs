//! The folder in which a server keeps everything.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::ServeError;

/// The folder and the names in it, all of which the server chose.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    /// Held as long as the server runs, so that no second one works off the same jobs.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder where it is missing, and takes it for this process.
    ///
    /// # Errors
    /// A folder that cannot be made, or that another server works in.
    pub fn open(root: &Path) -> Result<Self, ServeError> {
        let root = std::path::absolute(root).map_err(ServeError::io(root))?;
        make(&root)?;
        for folder in ["files", "uploads", "jobs"] {
            make(&root.join(folder))?;
        }
        let path = root.join("lock");
        let lock = File::options().create(true).append(true).open(&path).map_err(ServeError::io(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ServeError::Taken { folder: root }),
            Err(TryLockError::Error(source)) => Err(ServeError::Io { path, source }),
        }
    }

    /// What a path of the database stands for.
    pub fn join(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The content of a file.
    pub fn file(&self, id: &str) -> PathBuf {
        self.root.join("files").join(id)
    }

    /// Where uploads grow until they are complete.
    pub fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Removes unfinished uploads, and the files that are not among `known`.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn keep_only(&self, known: &HashSet<String>) -> Result<(), ServeError> {
        for folder in ["uploads", "files"] {
            let folder = self.root.join(folder);
            for entry in folder.read_dir().map_err(ServeError::io(&folder))? {
                let entry = entry.map_err(ServeError::io(&folder))?;
                let is_known = entry.file_name().to_str().is_some_and(|name| known.contains(name));
                if !is_known {
                    fs::remove_file(entry.path()).map_err(ServeError::io(&entry.path()))?;
                }
            }
        }
        Ok(())
    }

    /// Everything of a job.
    pub fn job(&self, id: &str) -> PathBuf {
        self.root.join("jobs").join(id)
    }
}

/// Makes a folder that nobody else may look into, where it is missing.
pub fn make(folder: &Path) -> Result<(), ServeError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(ServeError::io(folder))
}

/// The database of a data folder.
pub fn database(root: &Path) -> PathBuf {
    root.join("finetone.sqlite")
}
