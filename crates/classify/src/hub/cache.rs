//! The cache of the Hub, in the layout that the Python library shares:
//! `models--owner--name/{refs/<revision>, snapshots/<commit>/<file>, blobs/<etag>}`.

use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use finetone_model::checkpoint::AdapterFolder;
use hf_hub::{Cache, Repo, RepoType};
use serde_json::Value;

use super::{HubConfig, HubError, ModelId};

pub(super) const CONFIG: &str = "config.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// What an adapter has in place of them, beside its settings.
pub(super) const ADAPTER: &str = "adapter_model.safetensors";

/// Whether files of which `has` knows are an adapter, which has no weights of its own.
pub(super) fn is_adapter(has: impl Fn(&str) -> bool) -> bool {
    has(AdapterFolder::CONFIG) && !has(WEIGHTS) && !has(INDEX)
}

/// Any of these makes a tokenizer, alone or with its neighbours.
pub(crate) const VOCABULARIES: [&str; 5] =
    ["tokenizer.json", "vocab.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model"];

/// The folder of the commit that a revision points to, where the cache knows it.
pub(super) fn snapshot(config: &HubConfig, id: &ModelId) -> Option<PathBuf> {
    let repo = Repo::with_revision(id.name.clone(), RepoType::Model, id.revision.clone());
    let folder = config.cache.join(repo.folder_name());
    let commit = fs::read_to_string(folder.join("refs").join(&id.revision));
    // A commit has no reference of its own where the Python library fetched it.
    let commit = commit.map_or_else(|_| id.revision.clone(), |commit| commit.trim().to_owned());
    let snapshot = folder.join("snapshots").join(commit);
    snapshot.is_dir().then_some(snapshot)
}

/// Remembers which commit a revision points to.
pub(super) fn remember(config: &HubConfig, id: &ModelId, commit: &str) -> Result<(), HubError> {
    let repo = Repo::with_revision(id.name.clone(), RepoType::Model, id.revision.clone());
    Cache::new(config.cache.clone())
        .repo(repo)
        .create_ref(commit)
        .map_err(|source| HubError::Cache { path: config.cache.clone(), source })
}

/// The files that a snapshot lacks for use; none when it is complete.
pub(super) fn missing(id: &ModelId, snapshot: Option<&Path>) -> Result<Vec<String>, HubError> {
    let has = |file: &str| snapshot.is_some_and(|folder| folder.join(file).exists());
    if is_adapter(has) {
        return Ok([ADAPTER].into_iter().filter(|file| !has(file)).map(str::to_owned).collect());
    }
    let mut missing = Vec::new();
    if !has(CONFIG) {
        missing.push(CONFIG.to_owned());
    }
    if !VOCABULARIES.iter().any(|file| has(file)) {
        missing.push(VOCABULARIES[0].to_owned());
    }
    match snapshot {
        Some(folder) if !has(WEIGHTS) && has(INDEX) => {
            missing.extend(shards(id, &folder.join(INDEX))?.into_iter().filter(|shard| !has(shard)));
        }
        _ if !has(WEIGHTS) => missing.push(WEIGHTS.to_owned()),
        _ => {}
    }
    Ok(missing)
}

/// The files that an index of weights names, in order and once each.
pub(super) fn shards(id: &ModelId, index: &Path) -> Result<Vec<String>, HubError> {
    let invalid = |reason: String| HubError::InvalidFile { id: id.clone(), file: INDEX.to_owned(), reason };
    let bytes = fs::read(index).map_err(|source| HubError::Cache { path: index.to_path_buf(), source })?;
    let index: Value = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    let map = index["weight_map"].as_object().ok_or_else(|| invalid("it has no `weight_map`".to_owned()))?;
    let mut shards = Vec::new();
    for file in map.values() {
        let file = file.as_str().ok_or_else(|| invalid("a file name is not a text".to_owned()))?;
        let plain = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || file.is_empty() || file.contains('\\') {
            return Err(invalid(format!("it names `{file}`, which leaves the folder")));
        }
        shards.push(file.to_owned());
    }
    shards.sort();
    shards.dedup();
    Ok(shards)
}

/// Removes a file of a snapshot with the bytes it links to.
pub(super) fn remove(pointer: &Path) -> Result<(), HubError> {
    let blob = pointer.canonicalize().ok();
    for path in [Some(pointer.to_path_buf()), blob].into_iter().flatten() {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(HubError::Cache { path, source }),
            _ => {}
        }
    }
    Ok(())
}
