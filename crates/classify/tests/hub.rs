//! Downloads from a server in this process that speaks the Hub's protocol, faults included.

mod hub_server;

use std::fs;
use std::path::{Path, PathBuf};

use finetone_classify::hub::{HubConfig, HubError, HubProgress, ModelId, cached, fetch};
use hub_server::{COMMIT, HubServer, Site};
use tempfile::TempDir;

const WEIGHTS: usize = 300_000;

fn weights() -> Vec<u8> {
    (0..WEIGHTS).map(|i| (i * i % 251) as u8).collect()
}

/// `some/model` with a configuration, a tokenizer, weights and a file that is not wanted.
fn site() -> Site {
    Site::new("some/model")
        .file("config.json", b"{\"model_type\": \"bert\"}")
        .file("tokenizer.json", b"{}")
        .file("README.md", b"words")
        .large_file("model.safetensors", &weights())
}

fn id() -> ModelId {
    ModelId::parse("some/model").unwrap()
}

fn config(server: &HubServer, cache: &TempDir) -> HubConfig {
    HubConfig {
        endpoint: server.endpoint(),
        cache: cache.path().to_path_buf(),
        token: None,
        offline: false,
        attempts: 1,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

/// Counts what it hears.
#[derive(Default)]
struct Heard {
    files: Vec<(String, u64)>,
    bytes: u64,
    finished: usize,
}

impl HubProgress for Heard {
    fn start(&mut self, file: &str, bytes: u64) {
        self.files.push((file.to_owned(), bytes));
    }

    fn advance(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    fn finish(&mut self) {
        self.finished += 1;
    }
}

#[test]
fn a_cold_download_brings_what_is_needed_and_tells_of_it() {
    let (server, cache) = (HubServer::start(site()), tempfile::tempdir().unwrap());
    let config = config(&server, &cache);
    let mut heard = Heard::default();
    assert_eq!(cached(&id(), &config), None);
    let folder = fetch(&id(), &config, &mut heard).unwrap();
    assert_eq!(names(&folder), ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
    assert_eq!(folder, cache.path().join("models--some--model/snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(cache.path().join("models--some--model/refs/main")).unwrap(), COMMIT);
    assert_eq!(heard.files.last().unwrap(), &("model.safetensors".to_owned(), WEIGHTS as u64));
    assert_eq!((heard.files.len(), heard.finished), (3, 3));
    assert_eq!(heard.bytes, WEIGHTS as u64 + 22 + 2);
    assert_eq!(cached(&id(), &config), Some(folder));
}

#[test]
fn a_complete_model_needs_no_network() {
    let (server, cache) = (HubServer::start(site()), tempfile::tempdir().unwrap());
    let mut config = config(&server, &cache);
    let folder = fetch(&id(), &config, &mut ()).unwrap();
    let requests = server.requests().len();
    config.offline = true;
    assert_eq!(fetch(&id(), &config, &mut ()).unwrap(), folder);
    config.offline = false;
    assert_eq!(fetch(&id(), &config, &mut ()).unwrap(), folder);
    let commit = ModelId::parse(&format!("some/model@{COMMIT}")).unwrap();
    assert_eq!(fetch(&commit, &config, &mut ()).unwrap(), folder);
    assert_eq!(server.requests().len(), requests);
}

#[test]
fn a_cut_download_goes_on_where_it_was_cut() {
    let (server, cache) =
        (HubServer::start(site().cut_once("model.safetensors", 100_000)), tempfile::tempdir().unwrap());
    let config = config(&server, &cache);
    let error = fetch(&id(), &config, &mut ()).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error:?}");
    assert_eq!(cached(&id(), &config), None);
    let folder = fetch(&id(), &config, &mut ()).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
    let ranges: Vec<String> = server.requests().iter().filter_map(|request| request.header("range")).collect();
    let resumed = ranges.iter().filter_map(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    assert_eq!(resumed.max(), Some(100_000_usize));
}

#[test]
fn a_cut_download_is_resumed_within_one_call() {
    let (server, cache) =
        (HubServer::start(site().cut_once("model.safetensors", 100_000)), tempfile::tempdir().unwrap());
    let config = HubConfig { attempts: 3, ..config(&server, &cache) };
    let folder = fetch(&id(), &config, &mut ()).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
}

#[test]
fn a_download_that_was_cut_after_its_last_byte_is_finished() {
    let (server, cache) = (HubServer::start(site()), tempfile::tempdir().unwrap());
    let config = HubConfig { attempts: 2, ..config(&server, &cache) };
    let blobs = cache.path().join("models--some--model/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(hub_server::sha256(&weights())).with_extension("part"), weights()).unwrap();
    let folder = fetch(&id(), &config, &mut ()).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
}

#[test]
fn the_token_is_sent_and_a_closed_model_is_explained() {
    let (server, cache) = (HubServer::start(site().closed("secret")), tempfile::tempdir().unwrap());
    let config = config(&server, &cache);
    let error = fetch(&id(), &config, &mut ()).unwrap_err();
    assert!(matches!(error, HubError::Refused { status: 401, token: false, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("HF_TOKEN"));
    let wrong = HubConfig { token: Some("wrong".to_owned()), ..config.clone() };
    let error = fetch(&id(), &wrong, &mut ()).unwrap_err();
    assert!(matches!(error, HubError::Refused { status: 403, token: true, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("accept the terms"));
    let right = HubConfig { token: Some("secret".to_owned()), ..config };
    fetch(&id(), &right, &mut ()).unwrap();
}

#[test]
fn unknown_models_and_revisions_are_told_apart() {
    let (server, cache) = (HubServer::start(site()), tempfile::tempdir().unwrap());
    let config = config(&server, &cache);
    let error = fetch(&ModelId::parse("some/other").unwrap(), &config, &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "the Hub has no model `some/other`");
    let error = fetch(&ModelId::parse("some/model@v9").unwrap(), &config, &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "`some/model` has no revision `v9`");
    assert!(names(cache.path()).is_empty(), "nothing is left of a model that is not there");
}

#[test]
fn offline_names_what_is_missing() {
    let (server, cache) = (HubServer::start(site()), tempfile::tempdir().unwrap());
    let online = config(&server, &cache);
    let offline = HubConfig { offline: true, ..online.clone() };
    let error = fetch(&id(), &offline, &mut ()).unwrap_err();
    let expected = "`some/model` is not complete in the cache (missing: `config.json`, `tokenizer.json`, `model.safetensors`) \
                    and offline mode is on";
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().contains("finetone model pull some/model"));
    assert!(server.requests().is_empty());
    let folder = fetch(&id(), &online, &mut ()).unwrap();
    fs::remove_file(folder.join("tokenizer.json")).unwrap();
    let error = fetch(&id(), &offline, &mut ()).unwrap_err();
    assert!(error.to_string().contains("(missing: `tokenizer.json`)"), "{error}");
    fetch(&id(), &online, &mut ()).unwrap();
    fetch(&id(), &offline, &mut ()).unwrap();
}

#[test]
fn a_damaged_file_is_removed_and_fetched_anew() {
    let (server, cache) = (HubServer::start(site().damage_once("model.safetensors")), tempfile::tempdir().unwrap());
    let config = config(&server, &cache);
    let error = fetch(&id(), &config, &mut ()).unwrap_err();
    assert!(error.to_string().contains("arrived damaged (its SHA-256 is"), "{error}");
    assert_eq!(cached(&id(), &config), None);
    let folder = fetch(&id(), &config, &mut ()).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
}

#[test]
fn weights_in_several_files_all_come() {
    let index = br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors", "c": "model-00001-of-00002.safetensors"}}"#;
    let site = Site::new("some/model")
        .file("config.json", b"{}")
        .file("vocab.txt", b"[PAD]")
        .file("model.safetensors.index.json", index)
        .large_file("model-00001-of-00002.safetensors", b"first")
        .large_file("model-00002-of-00002.safetensors", b"second");
    let (server, cache) = (HubServer::start(site), tempfile::tempdir().unwrap());
    let config = config(&server, &cache);
    let folder = fetch(&id(), &config, &mut ()).unwrap();
    assert_eq!(fs::read(folder.join("model-00002-of-00002.safetensors")).unwrap(), b"second");
    fs::remove_file(folder.join("model-00001-of-00002.safetensors")).unwrap();
    let error = fetch(&id(), &HubConfig { offline: true, ..config }, &mut ()).unwrap_err();
    assert!(error.to_string().contains("(missing: `model-00001-of-00002.safetensors`)"), "{error}");
}

#[test]
fn an_index_that_leaves_its_folder_is_refused() {
    for name in ["../../evil", "/etc/passwd", "a/../../b", ""] {
        let index = format!(r#"{{"weight_map": {{"a": "{name}"}}}}"#);
        let site =
            Site::new("some/model").file("config.json", b"{}").file("model.safetensors.index.json", index.as_bytes());
        let (server, cache) = (HubServer::start(site), tempfile::tempdir().unwrap());
        let error = fetch(&id(), &config(&server, &cache), &mut ()).unwrap_err();
        assert!(matches!(error, HubError::InvalidFile { .. }), "{error:?}");
    }
}

#[test]
fn pickled_weights_are_refused_with_the_command_that_converts_them() {
    let site = Site::new("some/model").file("config.json", b"{}").file("pytorch_model.bin", b"pickle");
    let (server, cache) = (HubServer::start(site), tempfile::tempdir().unwrap());
    let error = fetch(&id(), &config(&server, &cache), &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "`some/model` has no `model.safetensors`, only `pytorch_model.bin`");
    let hint = error.hint().unwrap();
    assert!(hint.contains(
        "M.from_pretrained('some/model', revision='main').save_pretrained('model', safe_serialization=True)"
    ));
}

#[test]
fn a_server_that_is_not_there_and_a_folder_that_cannot_be_written_are_clear() {
    let cache = tempfile::tempdir().unwrap();
    let server = HubServer::start(site());
    let absent = HubConfig { endpoint: "http://127.0.0.1:9".to_owned(), ..config(&server, &cache) };
    let error = fetch(&id(), &absent, &mut ()).unwrap_err();
    assert!(error.to_string().starts_with("`http://127.0.0.1:9` gives no usable answer for `some/model`"), "{error}");
    let blocked = cache.path().join("a-file");
    fs::write(&blocked, "").unwrap();
    let blocked = HubConfig { cache: PathBuf::from(&blocked), ..config(&server, &cache) };
    let error = fetch(&id(), &blocked, &mut ()).unwrap_err();
    assert!(matches!(error, HubError::Cache { .. }), "{error:?}");
}
