//! `finetone model show`.

use std::io::Write;
use std::path::Path;

use finetone_classify::hub::HubConfig;
use finetone_classify::source::{BuiltIn, FolderKind, ModelSource, ResolvedModel};
use finetone_classify::{Neighbourhood, preparation};
use finetone_model::checkpoint::{ModelFolder, Tensors};
use finetone_model::{HeadConfig, HeadPooling, ModelConfig, Output, Transformer};
use finetone_track::parameters;

use crate::failure::Failure;
use crate::progress::Download;
use crate::tables;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  finetone model show runs/reviews-1
  finetone model show distilbert-base-uncased
  finetone model show small";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// A run, a model folder, a Hugging Face id or a built-in name
    model: String,
}

type Facts = Vec<(&'static str, String)>;

/// Describes the model.
pub fn run(args: &Args) -> Result<(), Failure> {
    let facts = match ModelSource::resolve(&args.model, &HubConfig::from_env(), &mut Download::default())? {
        ResolvedModel::Scratch(built_in) => scratch(built_in),
        ResolvedModel::Folder { folder, kind } => on_disk(&folder, &kind)?,
        ResolvedModel::Config(folder) => configuration(&folder)?,
    };
    Ok(anstream::stdout().write_all(tables::facts(facts).as_bytes())?)
}

fn scratch(built_in: &BuiltIn) -> Facts {
    vec![
        ("model", format!("{}, trained from scratch", built_in.name)),
        ("family", built_in.family.model_type().to_owned()),
        ("sizes", sizes(built_in.layers, built_in.hidden, built_in.heads, built_in.mlp)),
        ("vocabulary", format!("up to {} tokens, trained on your texts", built_in.vocab)),
        ("longest text", format!("{} tokens", built_in.max_positions)),
        ("size on disk", "nothing: it starts with random weights".to_owned()),
    ]
}

fn sizes(layers: usize, hidden: usize, heads: usize, mlp: usize) -> String {
    format!("{layers} layers, width {hidden}, {heads} attention heads, feed-forward width {mlp}")
}

/// A configuration without weights.
fn configuration(path: &Path) -> Result<Facts, Failure> {
    let folder = if path.is_dir() { path.to_owned() } else { crate::output::parent(path) };
    let mut facts = vec![("model", format!("{} (a configuration, trained from scratch)", path.display()))];
    facts.extend(shape(ModelFolder::open(&folder)?.config()));
    Ok(facts)
}

fn on_disk(folder: &Path, kind: &FolderKind) -> Result<Facts, Failure> {
    let model = ModelFolder::open(folder)?;
    let config = model.config();
    let place = match kind {
        FolderKind::Local => "folder".to_owned(),
        FolderKind::Run => "model of a run".to_owned(),
        FolderKind::Hub(id) => format!("{id} of the Hugging Face Hub"),
        FolderKind::Adapter(adapter) => format!("the adapter {}, merged into its base", adapter.display()),
    };
    let mut facts = vec![("model", format!("{} ({place})", folder.display()))];
    facts.extend(shape(config));
    facts.push(("texts are read", preparation(config)?.to_string()));
    if let Some(kept) = Neighbourhood::open(folder, &config.head.labels, config.hidden_size)? {
        facts.push(("neighbours", neighbours(&kept)));
    }
    facts.push(("size on disk", indicatif::HumanBytes(disk_size(folder)).to_string()));
    facts.extend(head(folder, config)?);
    Ok(facts)
}

/// What the model keeps of its training texts. Whoever gets the folder gets that too.
fn neighbours(kept: &Neighbourhood) -> String {
    let words = if kept.has_texts() { "with" } else { "without" };
    let share = 100.0 * kept.interpolation.share();
    format!("{} training texts, {words} their words; {share:.0} % of the answer is theirs", kept.len())
}

/// What the configuration says of the backbone.
fn shape(config: &ModelConfig) -> Facts {
    let limit = config.raw.get("finetone").and_then(|ours| ours["max_tokens"].as_u64());
    let limit = limit.map_or_else(String::new, |limit| format!(", trained on {limit}"));
    let family = config.family.spec();
    let model_type = config.raw.get("model_type").and_then(|value| value.as_str()).unwrap_or(family.model_types[0]);
    let (_, table) = Transformer::declare(config);
    vec![
        ("family", format!("{model_type} ({})", family.architecture)),
        (
            "sizes",
            sizes(config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size),
        ),
        ("vocabulary", format!("{} tokens", config.vocab_size)),
        ("longest text", format!("{} tokens{limit}", config.max_tokens())),
        (
            "parameters",
            format!("{} ({})", parameters(table.numbers()), finetone_track::grouped(table.numbers() as u64)),
        ),
    ]
}

/// The head, or that there is none yet.
fn head(folder: &Path, config: &ModelConfig) -> Result<Facts, Failure> {
    let head = &config.head;
    let tensors = Tensors::open(folder)?;
    let known = ["classifier.weight", "classifier.out_proj.weight", "score.weight", "finetone.head.classifier.weight"];
    if !known.iter().any(|name| tensors.contains(name)) {
        return Ok(vec![("head", "none yet: training adds one".to_owned())]);
    }
    let output = match head.output {
        Output::Softmax => "one of the labels",
        Output::OneLogit => "one of two labels, by one logit",
        Output::MultiLabel => "any number of the labels",
    };
    Ok(vec![("head", pooling(head)), ("output", output.to_owned()), ("labels", head.labels.join(", "))])
}

fn pooling(head: &HeadConfig) -> String {
    let pooling = match head.pooling {
        HeadPooling::First => "first token".to_owned(),
        HeadPooling::Last => "last token".to_owned(),
        HeadPooling::Mean => "mean of all tokens".to_owned(),
        HeadPooling::Attention { last } => format!("attention over the last {last} tokens"),
    };
    let standard = if head.standard { "the family's own" } else { "finetone's own, not opened by Transformers" };
    format!("{pooling} ({standard})")
}

/// Bytes of the files in a folder.
pub fn disk_size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    // Files in the cache of the Hub are links, so it is their targets that count.
    entries
        .filter_map(|entry| std::fs::metadata(entry.path()).ok())
        .filter(|data| data.is_file())
        .map(|data| data.len())
        .sum()
}
