//! The place of a followed file, kept beside the output so that a stopped following goes on without losing or repeating a row.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::reader::Place;

/// Where a following stands. It is written after the rows that it speaks of: rows behind the noted lengths were written and
/// not noted, so they are taken back and come again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    followed: PathBuf,
    pub(super) place: Place,
    /// The length of each output in bytes.
    lengths: BTreeMap<PathBuf, u64>,
    /// Whether the following was stopped rather than broken off.
    stopped: bool,
}

/// The file in which it is kept.
pub(super) fn file_of(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".place");
    PathBuf::from(name)
}

impl Standing {
    /// Notes the place and the lengths of the outputs.
    pub(super) fn note(
        followed: &Path,
        place: &Place,
        outputs: &[PathBuf],
        stopped: bool,
    ) -> Result<Standing, DataError> {
        let length = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).map_err(|error| DataError::writing(path, error))?;
            Ok((absolute(path)?, metadata.len()))
        };
        let lengths = outputs.iter().map(length).collect::<Result<_, DataError>>()?;
        Ok(Standing { followed: absolute(followed)?, place: place.clone(), lengths, stopped })
    }

    /// What an earlier following into `out` has left, if there was one.
    pub(super) fn load(out: &Path) -> Result<Option<Standing>, DataError> {
        let path = file_of(out);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| DataError::reading(&path, error))?,
        };
        let standing = serde_json::from_str(&text).map_err(|_| DataError::BadOutput {
            path,
            problem: "it is no place of a followed file",
            advice: "remove it and the output beside it to start anew",
        })?;
        Ok(Some(standing))
    }

    pub(super) fn save(&self, out: &Path) -> Result<(), DataError> {
        let path = file_of(out);
        let writing = |error| DataError::writing(&path, error);
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".finetone-").tempfile_in(folder).map_err(writing)?;
        let text = serde_json::to_string(self).map_err(|error| writing(error.into()))?;
        file.write_all(text.as_bytes()).map_err(writing)?;
        file.persist(&path).map_err(|error| writing(error.error))?;
        Ok(())
    }

    /// Brings the outputs to the lengths that were noted.
    pub(super) fn restore(&self, followed: &Path, outputs: &[PathBuf]) -> Result<(), DataError> {
        if absolute(followed)? != self.followed {
            return Err(DataError::BadOutput {
                path: outputs[0].clone(),
                problem: "it has the rows of another file that was followed",
                advice: "follow that one, or name another file to write",
            });
        }
        for path in outputs {
            match self.lengths.get(&absolute(path)?) {
                None => refuse_strange(path)?,
                Some(noted) => self.shorten(path, *noted)?,
            }
        }
        Ok(())
    }

    fn shorten(&self, path: &Path, noted: u64) -> Result<(), DataError> {
        let writing = |error| DataError::writing(path, error);
        let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        // What is behind the noted length was written by a following that was broken off, or by somebody else.
        if length < noted || (length > noted && self.stopped) {
            return Err(DataError::BadOutput {
                path: path.to_path_buf(),
                problem: "it has changed since the following was stopped",
                advice: "name another file to write, or remove it and the `.place` file beside it to start anew",
            });
        }
        let file = std::fs::OpenOptions::new().append(true).open(path).map_err(writing)?;
        file.set_len(noted).map_err(writing)
    }
}

/// Refuses an output with rows that no following has written.
pub(super) fn refuse_strange(path: &Path) -> Result<(), DataError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() > 0 => Err(DataError::BadOutput {
            path: path.to_path_buf(),
            problem: "it exists, and no following has left it",
            advice: "name another file to write, or remove it",
        }),
        _ => Ok(()),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, DataError> {
    std::path::absolute(path).map_err(|error| DataError::reading(path, error))
}
