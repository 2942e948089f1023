//! The conversation with the Hub.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use finetone_model::checkpoint::AdapterFolder;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::api::{Progress, RepoInfo};
use hf_hub::{Cache, Repo, RepoType};

use super::cache::{self, ADAPTER, CONFIG, INDEX, VOCABULARIES, WEIGHTS};
use super::{HubConfig, HubError, HubProgress, ModelId, verify};
use crate::NEIGHBOURS_FILE;

/// Files beside the vocabulary that change what a tokenizer or a head does.
const COMPANIONS: [&str; 7] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "bpe.codes",
    "generation_config.json",
    NEIGHBOURS_FILE,
];

/// The first answer must come within this time; later ones may be as slow as the network.
const FIRST_ANSWER: Duration = Duration::from_secs(20);

/// Downloads what a model needs and gives its folder.
pub(super) fn all(id: &ModelId, config: &HubConfig, progress: &mut dyn HubProgress) -> Result<PathBuf, HubError> {
    let hub = Hub::new(id, config)?;
    let info = hub.info()?;
    if !is_commit(&info.sha) {
        return Err(hub.unreachable(format!("`{}` is not a commit", info.sha)));
    }
    // All files come from the one commit that the revision points to now, even if it moves meanwhile.
    let repo = hub.api.repo(Repo::with_revision(id.name.clone(), RepoType::Model, info.sha.clone()));
    let snapshot = Cache::new(config.cache.clone()).model(id.name.clone()).pointer_path(&info.sha);
    let has = |file: &str| info.siblings.iter().any(|sibling| sibling.rfilename == file);
    let mut get = |file: &str| hub.file(&repo, &snapshot, file, progress);

    let weights = weights(id, &info)?;
    for file in [CONFIG, AdapterFolder::CONFIG].iter().chain(&COMPANIONS).chain(&VOCABULARIES).filter(|file| has(file))
    {
        get(file)?;
    }
    get(weights)?;
    if weights == INDEX {
        for shard in cache::shards(id, &snapshot.join(INDEX))? {
            get(&shard)?;
        }
    }
    cache::remember(config, id, &info.sha)?;
    Ok(snapshot)
}

/// The file that holds the weights or the list of their files.
fn weights(id: &ModelId, info: &RepoInfo) -> Result<&'static str, HubError> {
    let has = |file: &str| info.siblings.iter().any(|sibling| sibling.rfilename == file);
    if cache::is_adapter(has) && has(ADAPTER) {
        return Ok(ADAPTER);
    }
    if !has(CONFIG) {
        return Err(HubError::MissingFile { id: id.clone(), file: CONFIG.to_owned() });
    }
    if let Some(found) = [WEIGHTS, INDEX].into_iter().find(|file| has(file)) {
        return Ok(found);
    }
    let pickled = |file: &&str| file.ends_with(".bin") || file.ends_with(".pt") || file.ends_with(".pth");
    let files = info.siblings.iter().map(|sibling| sibling.rfilename.as_str());
    match files.into_iter().find(pickled) {
        Some(found) => Err(HubError::NoSafetensors { id: id.clone(), found: found.to_owned() }),
        None => Err(HubError::MissingFile { id: id.clone(), file: WEIGHTS.to_owned() }),
    }
}

/// A model on the Hub and the client that asks for it.
struct Hub<'a> {
    id: &'a ModelId,
    config: &'a HubConfig,
    api: Api,
}

impl<'a> Hub<'a> {
    fn new(id: &'a ModelId, config: &'a HubConfig) -> Result<Self, HubError> {
        // The client makes its links between absolute paths.
        let cache = std::path::absolute(&config.cache)
            .map_err(|source| HubError::Cache { path: config.cache.clone(), source })?;
        // The client's own retries add a cut file's start twice; `file` retries instead.
        let api = ApiBuilder::from_cache(Cache::new(cache))
            .with_endpoint(config.endpoint.clone())
            .with_token(config.token.clone())
            .with_retries(0)
            .with_progress(false)
            .with_user_agent("finetone", env!("CARGO_PKG_VERSION"))
            .build();
        let api = api.map_err(|error| HubError::Unreachable {
            id: id.clone(),
            endpoint: config.endpoint.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self { id, config, api })
    }

    /// The commit of the revision and the list of its files.
    fn info(&self) -> Result<RepoInfo, HubError> {
        let repo = Repo::with_revision(self.id.name.clone(), RepoType::Model, self.id.revision.clone());
        let request = self.api.repo(repo).info_request().config();
        let request = request
            .http_status_as_error(false)
            .timeout_connect(Some(FIRST_ANSWER))
            .timeout_recv_response(Some(FIRST_ANSWER))
            .build();
        let mut response = request.call().map_err(|error| self.unreachable(error))?;
        let status = response.status().as_u16();
        let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        match (status, code) {
            (200, _) => {}
            (_, "RevisionNotFound") => return Err(HubError::RevisionNotFound { id: self.id.clone() }),
            (404, _) | (_, "RepoNotFound") => return Err(self.not_found()),
            _ => return Err(self.refused(status)),
        }
        let body = response.body_mut().read_to_string().map_err(|error| self.unreachable(error))?;
        serde_json::from_str(&body).map_err(|error| self.unreachable(error))
    }

    /// Downloads one file into the snapshot unless it is there, going on where an earlier try ended.
    fn file(
        &self,
        repo: &ApiRepo,
        snapshot: &Path,
        file: &str,
        progress: &mut dyn HubProgress,
    ) -> Result<(), HubError> {
        let pointer = snapshot.join(file);
        if pointer.exists() {
            return Ok(());
        }
        let size = Cell::new(0);
        let mut attempt = 1;
        loop {
            let listener = Listener { progress: &mut *progress, size: &size, started: false };
            match repo.download_with_progress(file, listener) {
                Ok(_) => break,
                Err(error) if attempt < self.config.attempts && is_passing(&error) => {
                    if is_wrong_start(&error) {
                        self.forget_part(repo, file)?;
                    }
                    sleep(Duration::from_millis(250 << attempt.min(5)));
                    attempt += 1;
                }
                Err(error) => return Err(self.explain(error, file)),
            }
        }
        let failed = |source| HubError::Cache { path: pointer.clone(), source };
        match verify::difference(&pointer, size.get()).map_err(failed)? {
            None => Ok(()),
            Some(reason) => {
                cache::remove(&pointer)?;
                Err(HubError::Corrupt { id: self.id.clone(), file: file.to_owned(), reason })
            }
        }
    }

    /// Removes the start of a file that does not fit what the Hub has now.
    fn forget_part(&self, repo: &ApiRepo, file: &str) -> Result<(), HubError> {
        let metadata = self.api.metadata(&repo.url(file)).map_err(|error| self.explain(error, file))?;
        let cache = Cache::new(self.config.cache.clone()).model(self.id.name.clone());
        let part = cache.blob_path(metadata.etag()).with_extension("part");
        match fs::remove_file(&part) {
            Err(source) if part.exists() => Err(HubError::Cache { path: part, source }),
            _ => Ok(()),
        }
    }

    /// The error that a user understands.
    fn explain(&self, error: ApiError, file: &str) -> HubError {
        match (status(&error), error) {
            (Some(404), _) => HubError::MissingFile { id: self.id.clone(), file: file.to_owned() },
            (Some(status @ (401 | 403)), _) => self.refused(status),
            (_, ApiError::LockAcquisition(path)) => HubError::Busy { path },
            (_, ApiError::IoError(source)) if is_of_the_disk(&source) => {
                HubError::Cache { path: self.config.cache.clone(), source }
            }
            (_, error) => self.unreachable(format!("`{file}`: {error}")),
        }
    }

    fn not_found(&self) -> HubError {
        HubError::NotFound { id: self.id.clone(), token: self.config.token.is_some() }
    }

    fn refused(&self, status: u16) -> HubError {
        match status {
            401 | 403 => HubError::Refused {
                id: self.id.clone(),
                status,
                token: self.config.token.is_some(),
                endpoint: self.config.endpoint.clone(),
            },
            _ => self.unreachable(format!("HTTP {status}")),
        }
    }

    fn unreachable(&self, reason: impl ToString) -> HubError {
        HubError::Unreachable {
            id: self.id.clone(),
            endpoint: self.config.endpoint.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Translates the client's progress and keeps the announced size.
struct Listener<'p> {
    progress: &'p mut dyn HubProgress,
    size: &'p Cell<u64>,
    started: bool,
}

impl Progress for Listener<'_> {
    fn init(&mut self, size: usize, filename: &str) {
        self.size.set(size as u64);
        // The client says it twice.
        if !self.started {
            self.started = true;
            self.progress.start(filename, size as u64);
        }
    }

    fn update(&mut self, size: usize) {
        self.progress.advance(size as u64);
    }

    fn finish(&mut self) {
        self.progress.finish();
    }
}

/// The HTTP status of a failed request.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    }
}

/// Whether trying again can help.
fn is_passing(error: &ApiError) -> bool {
    match (status(error), error) {
        (Some(status), _) => status >= 500 || matches!(status, 408 | 416 | 429),
        (None, ApiError::RequestError(_) | ApiError::InvalidResume) => true,
        (None, ApiError::IoError(error)) => !is_of_the_disk(error),
        _ => false,
    }
}

/// Whether the start of the file that is there is longer than the file, or all of it.
fn is_wrong_start(error: &ApiError) -> bool {
    status(error) == Some(416) || matches!(error, ApiError::InvalidResume)
}

/// Whether an input/output error is about the disk; those of the network carry no such kind.
fn is_of_the_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem,
        StorageFull,
    };
    matches!(
        error.kind(),
        AlreadyExists
            | IsADirectory
            | NotADirectory
            | NotFound
            | PermissionDenied
            | QuotaExceeded
            | ReadOnlyFilesystem
            | StorageFull
    )
}

fn is_commit(text: &str) -> bool {
    text.len() >= 7 && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
