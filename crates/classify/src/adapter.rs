//! An adapter folder as a model: found, and merged into its base.
//!
//! The merged model is kept in the cache, under a name that stands for the content of the adapter and for the files of the
//! base, so that it is made once. Whatever comes after sees a model folder like any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use finetone_data::tokenizer::Tokenizer;
use finetone_model::checkpoint::{AdapterFolder, ModelFolder};
use sha2::{Digest, Sha256};

use crate::hub::{HubConfig, VOCABULARIES};
use crate::source::SourceError;

/// The folder within the cache that holds merged models.
const MERGED: &str = ".finetone";

/// The folder of the merged model.
pub(crate) fn merged(
    adapter: &AdapterFolder,
    folder: &Path,
    base: &Path,
    config: &HubConfig,
) -> Result<PathBuf, SourceError> {
    let place = config.cache.join(MERGED).join(format!("merged-{}", fingerprint(adapter, folder, base)?));
    if place.is_dir() {
        return Ok(place);
    }
    let unfinished = place.with_extension(format!("unfinished-{}", std::process::id()));
    let written = write(adapter, folder, base, &unfinished).and_then(|()| match fs::rename(&unfinished, &place) {
        // Another process was faster, with the same content.
        Err(_) if place.is_dir() => Ok(()),
        renamed => renamed.map_err(SourceError::io(&place)),
    });
    if unfinished.exists() {
        // What was written is of no use; the error that is reported is the first one.
        let _ = fs::remove_dir_all(&unfinished);
    }
    written.map(|()| place)
}

fn write(adapter: &AdapterFolder, folder: &Path, base: &Path, out: &Path) -> Result<(), SourceError> {
    fs::create_dir_all(out).map_err(SourceError::io(out))?;
    adapter.merge(&ModelFolder::open(base)?, out)?;
    let own = VOCABULARIES.iter().any(|file| folder.join(file).is_file());
    Ok(Tokenizer::from_folder(if own { folder } else { base }).and_then(|tokenizer| tokenizer.save(out))?)
}

/// What the merged model depends on: the adapter's bytes, and where and when the base was written.
fn fingerprint(adapter: &AdapterFolder, folder: &Path, base: &Path) -> Result<String, SourceError> {
    let mut hash = Sha256::new();
    let mut note = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    note(env!("CARGO_PKG_VERSION").as_bytes());
    let tokenizer = VOCABULARIES.iter().map(|file| folder.join(file)).filter(|path| path.is_file());
    for path in adapter.files().chain(tokenizer) {
        note(&fs::read(&path).map_err(SourceError::io(&path))?);
    }
    let base = base.canonicalize().map_err(SourceError::io(base))?;
    note(base.as_os_str().as_encoded_bytes());
    let entries = fs::read_dir(&base).map_err(SourceError::io(&base))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for path in files.iter().filter(|path| path.is_file()) {
        let about = fs::metadata(path).map_err(SourceError::io(path))?;
        let age = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        note(path.as_os_str().as_encoded_bytes());
        note(&about.len().to_le_bytes());
        note(&age.as_nanos().to_le_bytes());
    }
    Ok(hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect())
}
