//! What RUN stands for: a run folder, a model folder or a model of the Hub.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use finetone_backend_cpu::Cpu;

use finetone_classify::hub::HubConfig;
use finetone_classify::source::{FolderKind, ModelSource, ResolvedModel};
use finetone_classify::{Classifier, TOKEN_BUDGET, preparation};
use finetone_data::reader::{OpenOptions, Source};
use finetone_data::{LabelSet, ReadOptions, Reader, Role, TextEncoding, chat, columns};
use finetone_model::checkpoint::ModelFolder;
use finetone_train::{RunConfig, RunFile};

use crate::failure::Failure;
use crate::progress::Download;

/// A finished model.
pub struct Found {
    /// The Hugging Face folder.
    pub folder: PathBuf,
    /// Where it comes from.
    pub kind: FolderKind,
    /// How it was trained, where it is a run of ours.
    pub config: Option<RunConfig>,
}

impl Found {
    /// Finds a trained model.
    pub fn new(name: &str) -> Result<Self, Failure> {
        let run = Path::new(name);
        let is_run = run.join("run.toml").is_file();
        if is_run && !run.join("model").join("config.json").is_file() {
            return Err(Failure::new(
                format!("{name}: the run is not finished"),
                format!("finish it by `finetone train --resume {name}`"),
            ));
        }
        match ModelSource::resolve(name, &HubConfig::from_env(), &mut Download::default())? {
            ResolvedModel::Folder { folder, kind } => {
                let config =
                    if kind == FolderKind::Run { Some(RunFile::read(&run.join("run.toml"))?.resolve()?) } else { None };
                Ok(Self { folder, kind, config })
            }
            ResolvedModel::Scratch(_) | ResolvedModel::Config(_) => Err(Failure::new(
                format!("`{name}` is a model that starts untrained"),
                format!("train it first: `finetone train FILE --model {name}`"),
            )),
        }
    }

    /// Loads it.
    pub fn open(&self, cpu: &Cpu) -> Result<Box<dyn Classifier>, Failure> {
        Ok(finetone_classify::open(cpu.clone(), &self.folder, TOKEN_BUDGET)?)
    }

    /// The classes that it knows.
    pub fn labels(&self) -> Result<LabelSet, Failure> {
        Ok(LabelSet::from_names(ModelFolder::open(&self.folder)?.config().head.labels.iter().cloned()))
    }

    /// How the model reads chats, and how a file of this encoding is opened for it.
    pub fn open_options(&self, encoding: Option<TextEncoding>) -> Result<OpenOptions, Failure> {
        let preparation = preparation(ModelFolder::open(&self.folder)?.config())?;
        Ok(preparation.open_options(encoding.unwrap_or_default()))
    }

    /// How a file is read for it: by the columns the user names, else by those of the run where the file has them, else by the
    /// usual names.
    pub fn read_options(&self, given: &ReadingArgs, source: Option<&Source>) -> Result<ReadOptions, Failure> {
        let of_run = |role, name: Option<&String>| {
            let name = name?;
            columns::find(source?, role, Some(name)).ok().map(|_| name.clone())
        };
        let config = self.config.as_ref();
        let text = || of_run(Role::Text, config.and_then(|c| c.text_column.as_ref()));
        let label = || of_run(Role::Label, config.and_then(|c| c.label_column.as_ref()));
        Ok(ReadOptions {
            open: self.open_options(given.encoding)?,
            text_column: given.text_column.clone().or_else(text),
            label_column: given.label_column.clone().or_else(label),
            multi_label: config.and_then(|c| c.multi_label),
            ..ReadOptions::default()
        })
    }
}

/// How a file to train on is read: chats by the rule that they ask for.
pub fn training_options(file: &Path, reading: ReadingArgs, multi_label: Option<char>) -> Result<ReadOptions, Failure> {
    let open = reading.open_options();
    let chat = chat::rule_of(file, &open)?.unwrap_or_default();
    let ReadingArgs { text_column, label_column, .. } = reading;
    Ok(ReadOptions {
        open: OpenOptions { chat, ..open },
        text_column,
        label_column,
        multi_label,
        ..ReadOptions::default()
    })
}

/// How a file is read.
#[derive(clap::Args, Clone, Default)]
pub struct ReadingArgs {
    /// The column with the texts [default: found by its name]
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// The column with the labels [default: found by its name]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// The encoding of what is read, such as `windows-1250`, `latin2` or `shift_jis` [default: utf-8; a byte-order mark goes first]
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<TextEncoding>,
}

impl ReadingArgs {
    /// How the file is opened, before anything is known of it.
    pub fn open_options(&self) -> OpenOptions {
        OpenOptions { encoding: self.encoding.unwrap_or_default(), ..OpenOptions::default() }
    }

    /// What is known of a file before it is read for a model: nothing of standard input, which can be read only once.
    pub fn source(&self, file: &Path) -> Result<Option<Arc<Source>>, Failure> {
        if file == Path::new("-") {
            return Ok(None);
        }
        Ok(Some(Reader::open(file, &self.open_options())?.source().clone()))
    }

    /// Writes what was given as settings of a run.
    pub fn write_to(&self, settings: &mut RunFile) {
        let encoding = self.encoding.map(|encoding| encoding.to_string());
        let given = [("text_column", &self.text_column), ("label_column", &self.label_column), ("encoding", &encoding)];
        for (key, value) in given {
            if let Some(value) = value {
                settings.set(key, value.clone());
            }
        }
    }
}
