//! The model of a run: found, or made from scratch, with the head that the data ask for.

use std::path::Path;

use finetone_backend::Backend;
use finetone_classify::hub::{HubConfig, HubProgress};
use finetone_classify::source::{BuiltIn, FolderKind, ModelSource, ResolvedModel};
use finetone_classify::{ClassifyError, preparation, with_preparation, with_text_limit};
use finetone_data::Preparation;
use finetone_data::chat::template::{ChatTemplate, PLAIN, TemplateError};
use finetone_data::tokenizer::{Limit, Tokenizer, TrainKind, TrainOptions};
use finetone_generate::ChatNote;
use finetone_model::checkpoint::{BaseModel, HeadImport, ModelFolder};
use finetone_model::families::{from_scratch, read_config};
use finetone_model::{Family, HeadPooling, Model, ModelConfig, Output};
use serde_json::{Map, Value};

use crate::chats;
use crate::choices::{OutputKind, Task};
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::groups;
use crate::material::{Texts, text_limit};
use crate::run_config::RunConfig;

/// A model ready to be trained, its tokenizer, and how texts are cut.
pub struct Setup<B: Backend> {
    pub model: Model<B>,
    pub tokenizer: Tokenizer,
    pub limit: Limit,
    /// How a language model reads chats.
    pub template: Option<ChatTemplate>,
    /// The model that adapters are for, if it has any.
    pub base: Option<BaseModel>,
    /// Whether there are tokens that the model was not trained with.
    has_new_tokens: bool,
}

/// Finds or makes the model.
///
/// # Errors
/// A model that is not found or damaged, settings that do not fit it.
pub fn setup<B: Backend>(
    backend: &B,
    config: &RunConfig,
    texts: &Texts,
    hub: (&HubConfig, &mut dyn HubProgress),
    listener: &mut dyn Listener,
) -> Result<Setup<B>, TrainError> {
    let resolved = ModelSource::resolve(&config.model, hub.0, hub.1).map_err(ClassifyError::from)?;
    let mut setup = match resolved {
        ResolvedModel::Scratch(_) | ResolvedModel::Config(_) if config.lora_rank > 0 => {
            return Err(TrainError::Setting {
                problem: format!("`lora_rank={}`, but `{}` starts from scratch", config.lora_rank, config.model),
                hint: "adapters leave the model as it is, which has to know something: choose a pretrained one".into(),
            });
        }
        ResolvedModel::Scratch(built_in) => scratch(backend, config, texts, Blueprint::BuiltIn(built_in))?,
        ResolvedModel::Config(path) => scratch(backend, config, texts, Blueprint::read(&path)?)?,
        ResolvedModel::Folder { folder, kind } => {
            let mut setup = pretrained(backend, config, texts, &folder, listener)?;
            if config.lora_rank > 0 {
                tell_what_peft_lacks(&setup.model.config, config, listener);
                setup.base = Some(base(&folder, kind)?);
                setup.model = groups::adapt(backend, setup.model, config)?;
            }
            setup
        }
    };
    let Setup { model, has_new_tokens, .. } = &mut setup;
    groups::freeze(&mut model.table, (&model.config, *has_new_tokens), config)?;
    Ok(setup)
}

/// How an adapter names the model that it is for.
fn base(folder: &Path, kind: FolderKind) -> Result<BaseModel, TrainError> {
    if let FolderKind::Hub(id) = kind {
        let revision = Some(id.revision).filter(|revision| revision != "main");
        return Ok(BaseModel { name: id.name, revision });
    }
    let folder = std::path::absolute(folder).map_err(TrainError::io(folder))?;
    Ok(BaseModel { name: folder.to_string_lossy().into_owned(), revision: None })
}

/// An adapter has no word for a head of our own or for fewer blocks. The merged model has.
fn tell_what_peft_lacks(model: &ModelConfig, config: &RunConfig, listener: &mut dyn Listener) {
    if !model.head.standard || config.max_layers.is_some() {
        let message = "the adapter will open here, but not in PEFT, which knows nothing of `pooling`, `features` and \
                       `max_layers`; the model opens as always"
            .into();
        listener.on(&TrainEvent::Notice { message });
    }
}

fn pretrained<B: Backend>(
    backend: &B,
    config: &RunConfig,
    texts: &Texts,
    folder: &Path,
    listener: &mut dyn Listener,
) -> Result<Setup<B>, TrainError> {
    let source = ModelFolder::open(folder).map_err(ClassifyError::from)?;
    let tokenizer = Tokenizer::from_folder(folder).map_err(ClassifyError::from)?;
    source.config().check_vocabulary(folder, tokenizer.vocab_size()).map_err(ClassifyError::from)?;
    let tokenizer = tokenizer.with_special_tokens(&texts.preparation.tokens()).map_err(ClassifyError::from)?;
    let (tokenizer, template) = match config.task {
        Task::Chat => with_template(tokenizer, ChatTemplate::from_folder(folder))?,
        Task::Auto | Task::Classify => (tokenizer, None),
    };
    let mut model_config = source.config().clone();
    model_config.grow_vocabulary(tokenizer.vocab_size());
    tell_preparation(&preparation(&model_config)?, &texts.preparation, listener);
    let limit = adjust(&mut model_config, config, texts, &tokenizer)?;
    let head = HeadImport::FreshWhereMissing(config.seed);
    let (model, report) = source.load(backend, model_config, head).map_err(ClassifyError::from)?;
    if !report.fresh.is_empty() {
        let message = format!("the head starts fresh: {}", report.fresh.join(", "));
        listener.on(&TrainEvent::Notice { message });
    }
    // A language model may lack its head as well.
    let has_no_head = model.config.language.is_some() && !report.fresh.is_empty();
    let has_new_tokens = has_no_head || model.config.vocab_size > source.config().vocab_size;
    Ok(Setup { model, tokenizer, limit, template, base: None, has_new_tokens })
}

/// The template of a language model, and its tokenizer, which takes a template along that the model's folder lacks.
fn with_template(
    tokenizer: Tokenizer,
    template: Result<ChatTemplate, TemplateError>,
) -> Result<(Tokenizer, Option<ChatTemplate>), TrainError> {
    let template = template.map_err(ClassifyError::from)?;
    let tokenizer = if template.is_plain() { tokenizer.with_chat_template(PLAIN) } else { tokenizer };
    Ok((tokenizer, Some(template)))
}

/// Texts are prepared as this run's settings say, whatever the run it goes on from did.
fn tell_preparation(before: &Preparation, now: &Preparation, listener: &mut dyn Listener) {
    let is_ours = !before.is_identity();
    let (before, now) = (before.to_string(), now.to_string());
    if is_ours && before != now {
        let message = format!("the model has read its texts so far: {before}; from now on: {now}");
        listener.on(&TrainEvent::Notice { message });
    }
}

/// What a model from scratch is before its vocabulary is known.
enum Blueprint<'a> {
    BuiltIn(&'a BuiltIn),
    /// A user's `config.json`; the vocabulary's size and the padding id in it give way to the tokenizer's.
    Config(Map<String, Value>, Box<ModelConfig>),
}

/// A user's `config.json`, as it is written and as it is understood.
///
/// # Errors
/// A file that cannot be read, or describes no model that is known.
pub(crate) fn read_configuration(path: &Path) -> Result<(Map<String, Value>, ModelConfig), TrainError> {
    let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
    let raw: Map<String, Value> = serde_json::from_str(&text).map_err(|error| TrainError::RunFile {
        path: path.to_owned(),
        problem: format!("not a JSON object: {error}"),
        hint: "give a `config.json` as Transformers writes it".into(),
    })?;
    let config = read_config(&raw, path).map_err(ClassifyError::from)?;
    Ok((raw, config))
}

impl Blueprint<'_> {
    fn read(path: &Path) -> Result<Self, TrainError> {
        let (raw, config) = read_configuration(path)?;
        Ok(Self::Config(raw, Box::new(config)))
    }

    /// Family, the largest vocabulary to train, and the longest text.
    fn wants(&self) -> (Family, usize, usize) {
        match self {
            Self::BuiltIn(built_in) => (built_in.family, built_in.vocab, built_in.max_positions),
            Self::Config(_, config) => (config.family, config.vocab_size, config.max_tokens()),
        }
    }

    fn config(self, tokenizer: &Tokenizer) -> Result<ModelConfig, TrainError> {
        let (vocab_size, pad_token_id) = (tokenizer.vocab_size(), tokenizer.pad_id().unwrap_or(0));
        let config = match self {
            Self::BuiltIn(built_in) => from_scratch(built_in.family, &built_in.sizes(vocab_size, pad_token_id)),
            Self::Config(mut raw, _) => {
                raw.insert("vocab_size".into(), vocab_size.into());
                raw.insert("pad_token_id".into(), pad_token_id.into());
                read_config(&raw, Path::new("config.json"))
            }
        };
        Ok(config.map_err(ClassifyError::from)?)
    }
}

fn scratch<B: Backend>(
    backend: &B,
    config: &RunConfig,
    texts: &Texts,
    blueprint: Blueprint<'_>,
) -> Result<Setup<B>, TrainError> {
    let (family, vocab_size, max_tokens) = blueprint.wants();
    let tokenizer = match &config.tokenizer {
        Some(folder) => Tokenizer::from_folder(folder),
        None => {
            let kind = match family {
                Family::Bert | Family::DistilBert => TrainKind::WordPiece,
                Family::Roberta => TrainKind::RobertaBpe,
                Family::Gpt2 | Family::Llama | Family::Mistral | Family::Qwen2 | Family::Qwen3 => TrainKind::Gpt2Bpe,
            };
            let options = TrainOptions { max_tokens: Some(max_tokens), ..TrainOptions::new(kind, vocab_size) };
            let texts = texts_to_read(config, texts)?;
            Tokenizer::train(texts.iter().map(String::as_str), &options)
        }
    };
    let with_tokens = |tokenizer: Tokenizer| tokenizer.with_special_tokens(&texts.preparation.tokens());
    let tokenizer = tokenizer.and_then(with_tokens).map_err(ClassifyError::from)?;
    let (tokenizer, template) = match (config.task, &config.tokenizer) {
        (Task::Auto | Task::Classify, _) => (tokenizer, None),
        (Task::Chat, Some(folder)) => with_template(tokenizer, ChatTemplate::from_folder(folder))?,
        (Task::Chat, None) => {
            let template = ChatTemplate::plain(tokenizer.special_tokens());
            with_template(tokenizer, template)?
        }
    };
    let mut model_config = blueprint.config(&tokenizer)?;
    if template.is_some() {
        name_ends(&mut model_config, &tokenizer);
    }
    let limit = adjust(&mut model_config, config, texts, &tokenizer)?;
    let model = Model::initialise(backend, model_config, config.seed);
    Ok(Setup { model, tokenizer, limit, template, base: None, has_new_tokens: false })
}

/// Says in the configuration which tokens begin and end a text, so that other programs stop writing there.
fn name_ends(config: &mut ModelConfig, tokenizer: &Tokenizer) {
    for (name, token) in tokenizer.special_tokens() {
        if let (true, [id]) = (["bos_token", "eos_token"].contains(&name.as_str()), &tokenizer.content_ids(&token)[..])
        {
            config.raw.insert(format!("{name}_id"), (*id).into());
        }
    }
}

/// The texts to train a tokenizer on, as the model will read them.
fn texts_to_read(config: &RunConfig, texts: &Texts) -> Result<Vec<String>, TrainError> {
    if config.task == Task::Chat {
        let template = ChatTemplate::plain(Vec::new()).map_err(ClassifyError::from)?;
        return chats::texts_of(texts, &template, &config.train);
    }
    Ok(texts.preparation.prepare_all(&texts.train).into_iter().map(|row| row.text.into_owned()).collect())
}

/// Gives the configuration the labels of the data and what the settings say about head and dropout; returns how texts are
/// cut.
fn adjust(
    model: &mut ModelConfig,
    config: &RunConfig,
    texts: &Texts,
    tokenizer: &Tokenizer,
) -> Result<Limit, TrainError> {
    model.head.labels = texts.labels.names().to_vec();
    if let Some(layers) = config.max_layers {
        model.keep_layers(layers);
    }
    if let Some(rate) = config.dropout {
        model.set_backbone_dropout(rate);
    }
    let limit = if config.task == Task::Chat {
        model.set_language_head().map_err(ClassifyError::from)?;
        chats::note(texts).write(model);
        chats::limit(config, tokenizer, model.max_tokens())
    } else {
        ChatNote::erase(model);
        adjust_head(model, config, texts)?;
        text_limit(config, tokenizer, model.max_tokens())?
    };
    with_text_limit(model, limit);
    with_preparation(model, &texts.preparation);
    Ok(limit)
}

/// What the settings say about the head of a classifier.
fn adjust_head(model: &mut ModelConfig, config: &RunConfig, texts: &Texts) -> Result<(), TrainError> {
    model.head.output = match (config.multi_label, config.output) {
        (Some(_), _) => Output::MultiLabel,
        (None, OutputKind::Auto) => Output::Softmax,
        (None, OutputKind::OneLogit) if texts.labels.len() == 2 => Output::OneLogit,
        (None, OutputKind::OneLogit) => {
            return Err(TrainError::Setting {
                problem: format!("`output=one-logit` is for two classes, the data have {}", texts.labels.len()),
                hint: "leave the setting out".into(),
            });
        }
    };
    if let Some(pooling) = &config.pooling {
        model.set_pooling(parse_pooling(pooling)?);
    }
    // The texts come alone; a model that was trained with numbers beside them goes on without.
    model.set_features(texts.preparation.width());
    if let Some(rate) = config.head_dropout {
        model.set_head_dropout(rate);
    }
    Ok(())
}

fn parse_pooling(text: &str) -> Result<HeadPooling, TrainError> {
    match text {
        "first" => Some(HeadPooling::First),
        "last" => Some(HeadPooling::Last),
        "mean" => Some(HeadPooling::Mean),
        "attention" => Some(HeadPooling::Attention { last: 100 }),
        _ => text
            .strip_prefix("attention:")
            .and_then(|n| n.parse().ok())
            .filter(|&last| last > 0)
            .map(|last| HeadPooling::Attention { last }),
    }
    .ok_or_else(|| TrainError::Setting {
        problem: format!("`pooling` is `{text}`"),
        hint: "`first`, `last`, `mean`, `attention` (over the last 100 tokens) or `attention:N`".into(),
    })
}
