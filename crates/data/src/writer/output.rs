//! Where the bytes go, so that a file is whole or not there.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::DataError;

/// A place for output.
pub(super) enum Output {
    /// A temporary file beside `target`, renamed when it is complete.
    Temporary { file: BufWriter<NamedTempFile>, target: PathBuf },
    /// Standard output, a device, a pipe or a file that grows, where nothing can be taken back.
    Direct(BufWriter<Box<dyn Write + Send>>),
}

impl Output {
    pub(super) fn create(path: &Path) -> Result<Output, DataError> {
        Output::place(path).map_err(|error| DataError::writing(path, error))
    }

    /// Opens a file to write behind what it has, and says whether it has nothing yet.
    pub(super) fn grow(path: &Path) -> Result<(Output, bool), DataError> {
        let writing = |error| DataError::writing(path, error);
        if path == Path::new("-") {
            return Ok((Output::create(path)?, true));
        }
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(writing)?;
        let is_new = file.metadata().map_err(writing)?.len() == 0;
        Ok((Output::Direct(BufWriter::with_capacity(64 << 10, Box::new(file))), is_new))
    }

    fn place(path: &Path) -> io::Result<Output> {
        if path == Path::new("-") {
            return Ok(Output::Direct(BufWriter::with_capacity(64 << 10, Box::new(io::stdout()))));
        }
        // A link is followed, so that the file it points to is replaced and not the link.
        let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        match std::fs::metadata(&target) {
            Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(metadata) if !metadata.is_file() => {
                let device: File = OpenOptions::new().write(true).open(&target)?;
                return Ok(Output::Direct(BufWriter::with_capacity(64 << 10, Box::new(device))));
            }
            _ => {}
        }
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = builder().tempfile_in(folder).map_err(without_path)?;
        Ok(Output::Temporary { file: BufWriter::with_capacity(64 << 10, file), target })
    }

    /// Writes what is buffered and, for a file, gives it its name.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Output::Direct(mut stream) => stream.flush(),
            Output::Temporary { file, target } => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                // A disk may report that it is full only here.
                file.as_file().sync_all()?;
                file.persist(&target).map(|_| ()).map_err(|error| error.error)
            }
        }
    }
}

/// The library adds the temporary file's path to its errors, which says nothing to the user.
fn without_path(error: io::Error) -> io::Error {
    error.kind().into()
}

/// Temporary files are private by default; an output should have the permissions that any new file gets.
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".finetone-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Temporary { file, .. } => file.write(bytes),
            Output::Direct(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Temporary { file, .. } => file.flush(),
            Output::Direct(stream) => stream.flush(),
        }
    }
}
