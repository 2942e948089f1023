//! What a user writes as `--model`, and what it means.

mod hub_server;

use std::fs;
use std::path::Path;

use finetone_classify::hub::{HubConfig, HubError, ModelId, cached, fetch};
use finetone_classify::source::{BUILT_IN, FolderKind, ModelSource, ResolvedModel, SourceError};
use hub_server::{HubServer, Site};
use tempfile::TempDir;

fn offline(cache: &TempDir) -> HubConfig {
    HubConfig {
        endpoint: "http://127.0.0.1:9".to_owned(),
        cache: cache.path().to_path_buf(),
        token: None,
        offline: true,
        attempts: 1,
    }
}

fn resolve(spec: &str) -> Result<ResolvedModel, SourceError> {
    let cache = tempfile::tempdir().unwrap();
    ModelSource::resolve(spec, &offline(&cache), &mut ())
}

fn resolve_path(path: &Path) -> Result<ResolvedModel, SourceError> {
    resolve(path.to_str().unwrap())
}

fn folder_with(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "{}").unwrap();
    }
    folder
}

#[test]
fn folders_and_runs_are_found() {
    let folder = folder_with(&["config.json", "model.safetensors"]);
    let expected = ResolvedModel::Folder { folder: folder.path().to_path_buf(), kind: FolderKind::Local };
    assert_eq!(resolve_path(folder.path()).unwrap(), expected);
    let run = folder_with(&["run.toml", "model/config.json", "model/model.safetensors.index.json"]);
    let expected = ResolvedModel::Folder { folder: run.path().join("model"), kind: FolderKind::Run };
    assert_eq!(resolve_path(run.path()).unwrap(), expected);
}

#[test]
fn built_in_names_are_configurations_that_fit() {
    for built_in in BUILT_IN {
        assert_eq!(resolve(built_in.name).unwrap(), ResolvedModel::Scratch(built_in));
        assert_eq!(built_in.hidden % built_in.heads, 0, "{}", built_in.name);
        assert!(built_in.vocab > 300 && built_in.max_positions >= 512);
    }
    let mut names: Vec<_> = BUILT_IN.iter().map(|built_in| built_in.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), BUILT_IN.len());
}

#[test]
fn a_name_on_the_hub_is_downloaded() {
    let site = Site::new("some/model")
        .file("config.json", b"{}")
        .file("vocab.txt", b"[PAD]")
        .large_file("model.safetensors", b"weights");
    let server = HubServer::start(site);
    let cache = tempfile::tempdir().unwrap();
    let config = HubConfig { endpoint: server.endpoint(), offline: false, ..offline(&cache) };
    let ResolvedModel::Folder { folder, kind } = ModelSource::resolve("some/model", &config, &mut ()).unwrap() else {
        panic!("a model on the Hub is a folder");
    };
    assert_eq!(kind, FolderKind::Hub(ModelId::parse("some/model").unwrap()));
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), b"weights");
    let error = ModelSource::resolve("tinny", &config, &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "the Hub has no model `tinny`");
    assert!(error.hint().unwrap().contains("built-in models: `tiny`"));
}

#[test]
fn an_adapter_on_the_hub_is_downloaded_and_asks_for_its_base() {
    let settings = br#"{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "some/base"}"#;
    let site = Site::new("some/adapter")
        .file("adapter_config.json", settings)
        .large_file("adapter_model.safetensors", b"weights");
    let server = HubServer::start(site);
    let cache = tempfile::tempdir().unwrap();
    let config = HubConfig { endpoint: server.endpoint(), offline: false, ..offline(&cache) };
    let id = ModelId::parse("some/adapter").unwrap();
    let folder = fetch(&id, &config, &mut ()).unwrap();
    assert_eq!(fs::read(folder.join("adapter_model.safetensors")).unwrap(), b"weights");
    assert_eq!(cached(&id, &config), Some(folder));
    let error = ModelSource::resolve("some/adapter", &config, &mut ()).unwrap_err();
    assert!(error.to_string().ends_with("is an adapter of `some/base`: the Hub has no model `some/base`"), "{error}");
}

#[test]
fn an_adapter_of_itself_or_of_another_adapter_is_refused() {
    let place = tempfile::tempdir().unwrap();
    for base in [".", "../nothing", "tiny"] {
        let settings =
            format!(r#"{{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "{base}"}}"#);
        fs::write(place.path().join("adapter_config.json"), settings).unwrap();
        let error = resolve_path(place.path()).unwrap_err();
        assert!(matches!(&error, SourceError::AdapterBase { base: named, .. } if named == base), "{error}");
        assert!(error.hint().unwrap().contains("base_model_name_or_path"));
    }
    fs::write(place.path().join("adapter_config.json"), "{").unwrap();
    assert!(resolve_path(place.path()).unwrap_err().to_string().contains("not a JSON object"));
}

#[test]
fn what_cannot_be_used_is_explained() {
    let empty = folder_with(&["notes.txt"]);
    let error = resolve_path(empty.path()).unwrap_err();
    assert!(matches!(error, SourceError::NoConfig { .. }));
    assert!(error.hint().unwrap().contains("run.toml"));
    let error = resolve_path(&empty.path().join("notes.txt")).unwrap_err();
    assert_eq!(error.hint().unwrap(), format!("give the folder: `{}`", empty.path().display()));
    let pickled = folder_with(&["config.json", "pytorch_model.bin"]);
    let error = resolve_path(pickled.path()).unwrap_err();
    assert!(error.to_string().ends_with("has no `model.safetensors`, only `pytorch_model.bin`"), "{error}");
    assert!(error.hint().unwrap().contains("safe_serialization=True"));
    let bare = folder_with(&["config.json"]);
    assert!(matches!(resolve_path(bare.path()).unwrap_err(), SourceError::NoWeights { run: false, .. }));
    let run = folder_with(&["run.toml", "model/config.json"]);
    let error = resolve_path(run.path()).unwrap_err();
    assert!(error.hint().unwrap().contains("--resume"));
    let run = folder_with(&["run.toml", "model/notes.txt"]);
    assert!(matches!(resolve_path(run.path()).unwrap_err(), SourceError::NoConfig { .. }));
}

#[test]
fn paths_are_not_looked_for_on_the_hub() {
    for spec in ["./nothing", "../nothing", "/nothing/at/all", "~/nothing", "a/b/c", "model/", "a\\b", "src/nothing"] {
        let error = resolve(spec).unwrap_err();
        assert!(matches!(error, SourceError::NoFolder { .. }), "{spec}: {error:?}");
        assert!(error.hint().is_some());
    }
    assert!(resolve("src/nothing").unwrap_err().hint().unwrap().contains("`hub`"));
    assert!(matches!(resolve("src/nothing@main").unwrap_err(), SourceError::Hub(HubError::Offline { .. })));
    let names_the_built_in = |id: &str| resolve(id).unwrap_err().hint().unwrap().contains("built-in models: `tiny`");
    assert!(names_the_built_in("tinny") && !names_the_built_in("some/model"));
    assert!(matches!(resolve("a model").unwrap_err(), SourceError::Unknown { .. }));
    assert!(matches!(resolve("").unwrap_err(), SourceError::Unknown { .. }));
}
