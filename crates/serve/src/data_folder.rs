//! The folder in which a server keeps everything.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::ServeError;
use crate::ids;

/// How long the first process may take to tidy up.
const TIDYING: Duration = Duration::from_secs(20);
/// How often somebody who waits looks again.
const GLANCE: Duration = Duration::from_millis(50);

/// The folder and the names in it, all of which the server chose.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    /// Held as long as the process runs: alone, or with others where the database is shared.
    lock: File,
    is_first: bool,
}

impl DataFolder {
    /// Makes the folder where it is missing, and takes it for this process; also beside others if it is `shared`.
    ///
    /// # Errors
    /// A folder that cannot be made, or that others work in who do not share it.
    pub fn open(root: &Path, shared: bool) -> Result<Self, ServeError> {
        let root = std::path::absolute(root).map_err(ServeError::io(root))?;
        make(&root)?;
        for folder in ["files", "uploads", "jobs"] {
            make(&root.join(folder))?;
        }
        let path = root.join("lock");
        let lock = File::options().create(true).append(true).open(&path).map_err(ServeError::io(&path))?;
        let start = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { root, lock, is_first: true }),
                Err(TryLockError::Error(source)) => return Err(ServeError::Io { path, source }),
                Err(TryLockError::WouldBlock) if shared && lock.try_lock_shared().is_ok() => {
                    return Ok(Self { root, lock, is_first: false });
                }
                // The first one is tidying up.
                Err(TryLockError::WouldBlock) if shared && start.elapsed() < TIDYING => std::thread::sleep(GLANCE),
                Err(TryLockError::WouldBlock) => return Err(ServeError::Taken { folder: root }),
            }
        }
    }

    /// What tells this folder from others, wherever it is mounted.
    ///
    /// # Errors
    /// The file system.
    pub fn name(&self) -> Result<String, ServeError> {
        let path = self.root.join("name");
        if !path.exists() {
            let name = ids::random(24);
            tempfile::NamedTempFile::new_in(&self.root)
                .and_then(|mut file| file.write_all(name.as_bytes()).map(|()| file))
                // Another process may have given it one.
                .and_then(|file| file.persist_noclobber(&path).map(drop).or_else(|_| path.metadata().map(drop)))
                .map_err(ServeError::io(&path))?;
        }
        fs::read_to_string(&path).map_err(ServeError::io(&path))
    }

    /// Whether nobody else was there.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Lets others in.
    ///
    /// # Errors
    /// The file system.
    pub fn share(&self) -> Result<(), ServeError> {
        // Some systems know no way from one lock to the other. Whoever comes between is first as well, before anybody works.
        let shared = self.lock.unlock().and_then(|()| self.lock.lock_shared());
        shared.map_err(ServeError::io(&self.root))
    }

    /// The folder of a job, for one process at a time: a worker that was given up may still be about to write. `None` while
    /// another one has it.
    ///
    /// # Errors
    /// The file system.
    pub fn hold_job(&self, id: &str) -> std::io::Result<Option<File>> {
        let folder = self.job(id);
        fs::create_dir_all(&folder)?;
        let lock = File::options().create(true).append(true).open(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(source),
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
