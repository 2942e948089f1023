//! Models from the Hugging Face Hub: download, cache, offline mode.
//!
//! [`fetch`] gives the folder of a model, from the cache where it is complete, over the network otherwise. The transfer and the
//! cache's layout are those of the official client, so that models fetched by Python are found and the other way round.
//! Added here are what the client leaves out: the environment's settings ([`HubConfig`]), offline mode, checks of size and
//! checksum, a revision that stays the same for all files of one download, and errors that say what to do.

mod cache;
mod config;
mod download;
mod error;
mod id;
mod verify;

use std::path::PathBuf;

pub(crate) use cache::VOCABULARIES;
pub use config::HubConfig;
pub use error::HubError;
pub use id::ModelId;

/// Hears how a download goes on.
pub trait HubProgress {
    /// A file starts: its name, its size in bytes, and is called once per file and attempt.
    fn start(&mut self, file: &str, bytes: u64);
    /// This many more bytes are there; those of an earlier, cut download are counted in the first call.
    fn advance(&mut self, bytes: u64);
    /// The file is complete.
    fn finish(&mut self);
}

/// Nobody listens.
impl HubProgress for () {
    fn start(&mut self, _file: &str, _bytes: u64) {}
    fn advance(&mut self, _bytes: u64) {}
    fn finish(&mut self) {}
}

/// The folder with the configuration, tokenizer and weights of a model.
///
/// A model that is complete in the cache needs no network and is not compared with the Hub. Of others, the missing files
/// are downloaded: the configuration, the tokenizer's files, and the weights last, so that a cache with weights is complete.
/// Of a model that is an adapter, its settings and its weights are; the base is a model of its own.
///
/// # Errors
///
/// When the model does not exist, is closed to this user, has no safetensors weights, is incomplete in offline mode, or when
/// the network or the disk fails. What has arrived is kept, and the next call goes on from there.
pub fn fetch(id: &ModelId, config: &HubConfig, progress: &mut dyn HubProgress) -> Result<PathBuf, HubError> {
    let snapshot = cache::snapshot(config, id);
    let missing = cache::missing(id, snapshot.as_deref())?;
    match snapshot {
        Some(folder) if missing.is_empty() => Ok(folder),
        _ if config.offline => Err(HubError::Offline { id: id.clone(), missing, cache: config.cache.clone() }),
        _ => download::all(id, config, progress),
    }
}

/// The folder of a model that is complete in the cache.
pub fn cached(id: &ModelId, config: &HubConfig) -> Option<PathBuf> {
    let folder = cache::snapshot(config, id)?;
    let missing = cache::missing(id, Some(&folder)).ok()?;
    missing.is_empty().then_some(folder)
}
