//! What a model learns to do with a file: to judge texts, or to answer chats.

use finetone_classify::ClassifyError;
use finetone_classify::hub::{HubConfig, HubProgress};
use finetone_classify::source::{ModelSource, ResolvedModel};
use finetone_data::chat;
use finetone_model::ModelConfig;
use finetone_model::checkpoint::ModelFolder;

use crate::choices::{CacheUse, Task, Truncation};
use crate::error::TrainError;
use crate::run_config::RunConfig;
use crate::setup::read_configuration;

/// What a base can be trained to do with chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// It reads in both directions: it can only judge.
    Reader,
    /// It could write, but comes as something else, such as a classifier.
    Decoder,
    /// It is a language model.
    Writer,
}

impl Base {
    fn of(config: &ModelConfig) -> Self {
        let Some(language) = config.family.spec().language_architecture else { return Self::Reader };
        let named = config.raw.get("architectures").and_then(|names| names.as_array());
        let is_other = named.is_some_and(|names| !names.is_empty() && !names.iter().any(|name| name == language));
        if is_other { Self::Decoder } else { Self::Writer }
    }

    fn resolve(model: &str, hub: &HubConfig, download: &mut dyn HubProgress) -> Result<Self, TrainError> {
        Ok(match ModelSource::resolve(model, hub, download).map_err(ClassifyError::from)? {
            ResolvedModel::Scratch(built_in) => match built_in.family.spec().language_architecture {
                Some(_) => Self::Writer,
                None => Self::Reader,
            },
            ResolvedModel::Config(path) => Self::of(&read_configuration(&path)?.1),
            ResolvedModel::Folder { folder, .. } => {
                Self::of(ModelFolder::open(&folder).map_err(ClassifyError::from)?.config())
            }
        })
    }
}

/// Whether chats teach this model to write answers, rather than to judge texts.
///
/// # Errors
/// A model that is not found or damaged.
pub fn writes_answers(model: &str, hub: &HubConfig, download: &mut dyn HubProgress) -> Result<bool, TrainError> {
    Ok(Base::resolve(model, hub, download)? == Base::Writer)
}

/// The same settings with the task decided: chats are for a language model to answer, everything else is to be judged.
///
/// # Errors
/// A task that the file or the model is not for, settings that the task has no use for, a model that is not found.
pub fn with_task(config: &RunConfig, hub: &HubConfig, download: &mut dyn HubProgress) -> Result<RunConfig, TrainError> {
    let holds_chats = config.task != Task::Classify && chat::rule_of(&config.train, &config.open_options())?.is_some();
    let task = match config.task {
        Task::Auto if holds_chats && writes_answers(&config.model, hub, download)? => Task::Chat,
        Task::Auto | Task::Classify => Task::Classify,
        Task::Chat if !holds_chats => {
            return Err(TrainError::Setting {
                problem: format!("`task=chat`, and {} holds no chats", config.train.display()),
                hint: "give a file with a JSON object with `messages` on each line, or leave out `task`".into(),
            });
        }
        Task::Chat if Base::resolve(&config.model, hub, download)? == Base::Reader => {
            return Err(TrainError::Setting {
                problem: format!("`task=chat`, and `{}` reads texts in both directions and cannot write", config.model),
                hint: "choose a causal language model, or leave out `task`: the model then learns to choose among the \
                       answers"
                    .into(),
            });
        }
        Task::Chat => Task::Chat,
    };
    let config = RunConfig { task, ..config.clone() };
    if task == Task::Chat { check_chat(&config).map(|()| config) } else { Ok(config) }
}

/// Refuses settings that only a classifier has a use for: they would be passed over in silence.
fn check_chat(config: &RunConfig) -> Result<(), TrainError> {
    let usual = RunConfig::default();
    let changed = [
        ("abstain_cost", config.abstain_cost.is_some()),
        ("min_precision", config.min_precision.is_some()),
        ("multi_label", config.multi_label.is_some()),
        ("truncation", !matches!(config.truncation, Truncation::Head | Truncation::Tail)),
        ("clean", config.clean != usual.clean),
        ("conversation", config.conversation != usual.conversation),
        ("features", !config.features.is_empty()),
        ("pooling", config.pooling.is_some()),
        ("output", config.output != usual.output),
        ("head_dropout", config.head_dropout.is_some()),
        ("label_smoothing", config.label_smoothing != 0.0),
        ("class_weights", config.class_weights != usual.class_weights),
        ("focal_gamma", config.focal_gamma != 0.0),
        ("sampling", config.sampling != usual.sampling),
        ("augment", !config.augment.is_empty()),
        ("neighbours", config.neighbours != usual.neighbours),
        ("decision", config.decision != usual.decision),
        ("abstain_cost", config.abstain_cost.is_some()),
        ("min_precision", config.min_precision.is_some()),
        ("cache", config.cache == CacheUse::On),
        ("folds", config.folds.is_some()),
        ("seeds", config.seeds != 1),
        ("ladder", config.ladder),
    ];
    match changed.into_iter().find(|(_, changed)| *changed) {
        None => Ok(()),
        Some((key, _)) => Err(TrainError::Setting {
            problem: format!("`{key}` is for models that judge texts, and `{}` learns to answer chats", config.model),
            hint: format!("leave out `{key}`, or train a classifier of the answers by `--set task=classify`"),
        }),
    }
}
