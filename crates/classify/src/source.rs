//! What a user means by `--model`: a folder, a run, a configuration to train from scratch, or a model on the Hub.

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

use finetone_data::tokenizer::TokenizerError;
use finetone_model::checkpoint::{AdapterFolder, BaseModel};
use finetone_model::families::Sizes;
use finetone_model::{Family, ModelError};

use crate::adapter;
use crate::hub::{self, HubConfig, HubError, HubProgress, ModelId};

/// The sizes of a model that is trained from scratch under a built-in name.
#[derive(Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// The name to give as `--model`.
    pub name: &'static str,
    /// Its family.
    pub family: Family,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of attention heads; divides `hidden`.
    pub heads: usize,
    /// Width of the feed-forward layers.
    pub mlp: usize,
    /// The greatest number of tokens of the vocabulary that is trained with it.
    pub vocab: usize,
    /// The longest input, in tokens.
    pub max_positions: usize,
}

impl BuiltIn {
    /// The sizes with a tokenizer's vocabulary and padding token.
    pub fn sizes(&self, vocab_size: usize, pad_token_id: u32) -> Sizes {
        Sizes {
            vocab_size,
            hidden_size: self.hidden,
            layers: self.layers,
            heads: self.heads,
            intermediate_size: self.mlp,
            max_tokens: self.max_positions,
            pad_token_id,
        }
    }
}

const fn built_in(name: &'static str, family: Family, sizes: [usize; 6]) -> BuiltIn {
    let [hidden, layers, heads, mlp, vocab, max_positions] = sizes;
    BuiltIn { name, family, hidden, layers, heads, mlp, vocab, max_positions }
}

/// The built-in configurations. In each row: hidden, layers, heads, mlp, vocab, positions.
pub const BUILT_IN: &[BuiltIn] = &[
    built_in("tiny", Family::Bert, [128, 2, 2, 512, 8_000, 512]),
    built_in("mini", Family::Bert, [256, 4, 4, 1024, 8_000, 512]),
    built_in("small", Family::Bert, [512, 4, 8, 2048, 16_000, 512]),
    built_in("base", Family::Bert, [768, 12, 12, 3072, 30_000, 512]),
    built_in("distilbert-tiny", Family::DistilBert, [128, 2, 2, 512, 8_000, 512]),
    built_in("distilbert-base", Family::DistilBert, [768, 6, 12, 3072, 30_000, 512]),
    built_in("roberta-tiny", Family::Roberta, [128, 2, 2, 512, 8_000, 512]),
    built_in("roberta-base-scratch", Family::Roberta, [768, 12, 12, 3072, 30_000, 512]),
    built_in("gpt2-tiny", Family::Gpt2, [128, 2, 2, 512, 8_000, 1024]),
    built_in("gpt2-mini", Family::Gpt2, [256, 4, 4, 1024, 8_000, 1024]),
    built_in("gpt2-small", Family::Gpt2, [768, 12, 12, 3072, 30_000, 1024]),
    built_in("llama-tiny", Family::Llama, [128, 2, 2, 384, 8_000, 1024]),
    built_in("mistral-tiny", Family::Mistral, [128, 2, 2, 384, 8_000, 1024]),
    built_in("qwen2-tiny", Family::Qwen2, [128, 2, 2, 384, 8_000, 1024]),
    built_in("qwen3-tiny", Family::Qwen3, [128, 2, 2, 384, 8_000, 1024]),
];

/// Where a model's folder comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderKind {
    /// A Hugging Face folder of the user.
    Local,
    /// The model of a run folder.
    Run,
    /// The cache of the Hub.
    Hub(ModelId),
    /// An adapter in this folder, merged into its base.
    Adapter(PathBuf),
}

/// A model that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolvedModel {
    /// A Hugging Face folder with `config.json` and safetensors weights.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Where it comes from.
        kind: FolderKind,
    },
    /// A built-in configuration whose weights start at random.
    Scratch(&'static BuiltIn),
    /// A user's `config.json` without weights, which start at random.
    Config(PathBuf),
}

/// A model that was not found, or cannot be used.
#[derive(Debug, Error)]
pub enum SourceError {
    /// There is nothing at this path.
    #[error("there is no folder `{}`", .path.display())]
    NoFolder {
        /// The path.
        path: PathBuf,
    },
    /// The path is a file.
    #[error("`{}` is a file, not a model folder", .path.display())]
    IsFile {
        /// The path.
        path: PathBuf,
    },
    /// The folder has no `config.json` and is no run.
    #[error("`{}` has no `config.json`", .folder.display())]
    NoConfig {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder has weights in Python's pickle format only.
    #[error("`{}` has no `model.safetensors`, only `{found}`", .folder.display())]
    NoSafetensors {
        /// The folder.
        folder: PathBuf,
        /// A file with weights that was found.
        found: String,
    },
    /// The folder has no weights at all.
    #[error("`{}` has no `model.safetensors`", .folder.display())]
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// Whether it belongs to a run.
        run: bool,
    },
    /// An adapter whose base is not there, or is no model to be merged into.
    #[error("`{}` is an adapter of `{base}`: {problem}", .folder.display())]
    AdapterBase {
        /// The folder of the adapter.
        folder: PathBuf,
        /// Its base, as its file names it.
        base: String,
        /// What is wrong with that.
        problem: String,
    },
    /// An adapter, or a base, that cannot be read or merged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer of an adapter or of its base.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A file of a merged model that cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is neither a path, nor a built-in name, nor a name on the Hub.
    #[error("`{text}` is neither a folder nor a built-in model nor the name of a model on the Hub")]
    Unknown {
        /// What was given.
        text: String,
    },
    /// What starts untrained was asked for answers.
    #[error("`{text}` starts untrained and has nothing to answer with")]
    Untrained {
        /// What was given.
        text: String,
    },
    /// The Hub did not give the model.
    #[error(transparent)]
    Hub(#[from] HubError),
}

impl SourceError {
    /// What the user can do about it, as one line.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoFolder { path } => no_folder_hint(path),
            Self::IsFile { path } => match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => format!("give the folder: `{}`", parent.display()),
                None => "give the folder that holds it".to_owned(),
            },
            Self::NoConfig { .. } => {
                "a model folder has `config.json`, a run folder `run.toml` and `model`; give one of these".to_owned()
            }
            Self::NoSafetensors { folder, .. } => {
                let folder = folder.display();
                format!(
                    "convert it once: `python -c \"from transformers import AutoModelForSequenceClassification as M; \
                     M.from_pretrained('{folder}').save_pretrained('{folder}', safe_serialization=True)\"`"
                )
            }
            Self::NoWeights { run: true, .. } => {
                "the run has not saved a model yet; continue it with `--resume`".to_owned()
            }
            Self::NoWeights { run: false, .. } => {
                "copy `model.safetensors`, or `model.safetensors.index.json` and its files, into the folder".to_owned()
            }
            Self::Untrained { text } => format!("train it first: `finetone train FILE --model {text}`"),
            Self::AdapterBase { .. } => "an adapter holds what was changed alone: put its base into that place, or write its \
                                         folder or Hugging Face id into `base_model_name_or_path` of `adapter_config.json`"
                .to_owned(),
            Self::Model(error) => return error.hint(),
            Self::Tokenizer(error) => return error.hint(),
            Self::Io { .. } => "merged models are kept in the cache (`HF_HUB_CACHE`): see that it can be written to".to_owned(),
            Self::Unknown { .. } => format!("built-in models: {}", names()),
            Self::Hub(error @ HubError::NotFound { .. }) => {
                format!("{}; there is no folder of this name either; built-in models: {}", error.hint()?, names())
            }
            // A name without an owner may be a built-in one that was mistyped.
            Self::Hub(error @ (HubError::Unreachable { id, .. } | HubError::Offline { id, .. }))
                if !id.name.contains('/') =>
            {
                format!("{}; built-in models: {}", error.hint()?, names())
            }
            Self::Hub(error) => return error.hint(),
        })
    }
}

impl SourceError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

fn no_folder_hint(path: &Path) -> String {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match parent.map(|parent| (parent, neighbours(parent))) {
        Some((parent, there)) if !there.is_empty() => {
            let list = there.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            format!("`{}` has {list}; for a model on the Hub write `owner/name@main`", parent.display())
        }
        _ => "check the path; relative paths start at the current folder".to_owned(),
    }
}

/// Up to five folders inside a folder, in order.
fn neighbours(parent: &Path) -> Vec<String> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.truncate(5);
    names
}

fn names() -> String {
    BUILT_IN.iter().map(|model| format!("`{}`", model.name)).collect::<Vec<_>>().join(", ")
}

/// Finds models by what users write.
pub struct ModelSource;

impl ModelSource {
    /// Finds a model: a folder with an adapter of PEFT, which is merged into its base, a Hugging Face folder, a run folder (its
    /// `model`), a built-in name, a `.json` file with a configuration to start from scratch, or a name on the Hub, in this order.
    ///
    /// A model on the Hub is downloaded unless it is complete in the cache. A name like `runs/first` whose first part is a
    /// folder here is a path even where nothing is there; with `@main` it is a name on the Hub.
    ///
    /// # Errors
    ///
    /// When nothing is found, or what is found has no configuration or no safetensors weights.
    pub fn resolve(
        spec: &str,
        config: &HubConfig,
        progress: &mut dyn HubProgress,
    ) -> Result<ResolvedModel, SourceError> {
        match Self::find(spec, config, progress)? {
            ResolvedModel::Folder { folder, .. } if is_adapter(&folder) => {
                let adapter = AdapterFolder::open(&folder)?;
                let base = base_of(&folder, &adapter.base(), config, progress)?;
                let merged = adapter::merged(&adapter, &folder, &base, config)?;
                usable(merged, FolderKind::Adapter(folder))
            }
            found => Ok(found),
        }
    }

    /// Finds a model, or an adapter as it lies there.
    fn find(spec: &str, config: &HubConfig, progress: &mut dyn HubProgress) -> Result<ResolvedModel, SourceError> {
        let path = Path::new(spec);
        if path.join("config.json").is_file() || is_adapter(path) {
            return usable(path.to_path_buf(), FolderKind::Local);
        }
        if path.join("run.toml").is_file() && path.join("model").is_dir() {
            return usable(path.join("model"), FolderKind::Run);
        }
        if let Some(built_in) = BUILT_IN.iter().find(|built_in| built_in.name == spec) {
            return Ok(ResolvedModel::Scratch(built_in));
        }
        if path.is_file() && path.extension().is_some_and(|extension| extension == "json") {
            return Ok(ResolvedModel::Config(path.to_path_buf()));
        }
        if path.is_file() {
            return Err(SourceError::IsFile { path: path.to_path_buf() });
        }
        if path.is_dir() {
            return Err(SourceError::NoConfig { folder: path.to_path_buf() });
        }
        if looks_like_a_path(spec) {
            return Err(SourceError::NoFolder { path: path.to_path_buf() });
        }
        let id = ModelId::parse(spec).map_err(|_| SourceError::Unknown { text: spec.to_owned() })?;
        let folder = hub::fetch(&id, config, progress)?;
        usable(folder, FolderKind::Hub(id))
    }
}

/// The folder of an adapter's base: where its file says, counted from the adapter or from here, or on the Hub.
fn base_of(
    folder: &Path,
    base: &BaseModel,
    config: &HubConfig,
    progress: &mut dyn HubProgress,
) -> Result<PathBuf, SourceError> {
    let wrong =
        |problem: String| SourceError::AdapterBase { folder: folder.to_owned(), base: base.name.clone(), problem };
    let near = folder.join(&base.name);
    let spec = match &base.revision {
        _ if near.is_dir() => near.to_string_lossy().into_owned(),
        Some(revision) => format!("{}@{revision}", base.name),
        None => base.name.clone(),
    };
    match ModelSource::find(&spec, config, progress) {
        Ok(ResolvedModel::Folder { folder, .. }) if is_adapter(&folder) => {
            Err(wrong("that is an adapter itself".into()))
        }
        Ok(ResolvedModel::Folder { folder, .. }) => Ok(folder),
        Ok(_) => Err(wrong("that starts untrained".into())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// The files that hold weights, or the list of their files.
const WEIGHTS: [&str; 2] = ["model.safetensors", "model.safetensors.index.json"];

/// Whether a folder has an adapter and no weights, with which it would be a whole model that somebody left an adapter with.
fn is_adapter(folder: &Path) -> bool {
    folder.join(AdapterFolder::CONFIG).is_file() && !WEIGHTS.iter().any(|file| folder.join(file).is_file())
}

/// A folder with a configuration, if it has weights that can be read, or an adapter.
fn usable(folder: PathBuf, kind: FolderKind) -> Result<ResolvedModel, SourceError> {
    if is_adapter(&folder) {
        return Ok(ResolvedModel::Folder { folder, kind });
    }
    if !folder.join("config.json").is_file() {
        return Err(SourceError::NoConfig { folder });
    }
    if WEIGHTS.iter().any(|file| folder.join(file).is_file()) {
        return Ok(ResolvedModel::Folder { folder, kind });
    }
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut files: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    files.sort();
    let pickled = |file: &String| file.starts_with("pytorch_model") || file.ends_with(".bin");
    match files.into_iter().find(pickled) {
        Some(found) => Err(SourceError::NoSafetensors { folder, found }),
        None => Err(SourceError::NoWeights { folder, run: kind == FolderKind::Run }),
    }
}

/// Whether a text that names nothing here is meant as a path all the same.
fn looks_like_a_path(spec: &str) -> bool {
    let marked = spec.starts_with(['.', '/', '~']) || spec.ends_with('/') || spec.contains('\\');
    let name = spec.split('@').next().unwrap_or_default();
    let deep = name.matches('/').count() > 1;
    let inside_a_folder =
        !spec.contains('@') && spec.split_once('/').is_some_and(|(first, _)| Path::new(first).is_dir());
    marked || deep || inside_a_folder
}
