//! The model whose words stand in copies of rare texts, where `augment` holds `mask`: the pretrained one, as it was before
//! anything was learnt.

use std::path::Path;

use finetone_backend::Backend;
use finetone_classify::ClassifyError;
use finetone_classify::hub::{HubConfig, HubProgress};
use finetone_classify::source::{ModelSource, ResolvedModel};
use finetone_data::augment::Change;
use finetone_data::words::words;
use finetone_generate::MaskedModel;

use crate::epochs::Epochs;
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::memory;
use crate::run::saved_config;
use crate::run_config::RunConfig;
use crate::trainer::measured_tokens;

/// Runs that go on from each other; more can only be a circle.
const MOST_RUNS: usize = 1000;

/// Words that are shown of a copy.
const SHOWN_WORDS: usize = 3;

/// Opens the model that replaces words of copies, if the settings ask for that.
///
/// # Errors
/// A model from scratch, one that reads in one direction or was saved without its masked-language head, or a run whose base is
/// gone.
pub fn open<B: Backend>(
    backend: &B,
    config: &RunConfig,
    (hub, download): (&HubConfig, &mut dyn HubProgress),
) -> Result<Option<MaskedModel<B>>, TrainError> {
    if !config.augment.contains(&Change::Mask) {
        return Ok(None);
    }
    let base = base(&config.model)?;
    let resolved = ModelSource::resolve(&base, hub, download).map_err(|error| match base == config.model {
        true => ClassifyError::from(error).into(),
        false => {
            let problem = format!("`{}` began from a model that is not found: {error}", config.model);
            refused(problem, "put it back".into())
        }
    })?;
    let ResolvedModel::Folder { folder, .. } = resolved else {
        let problem = format!("`{base}` starts from scratch and knows no words yet");
        return Err(refused(problem, "choose a pretrained model, such as `google-bert/bert-base-uncased`".into()));
    };
    match MaskedModel::open(backend, &folder) {
        Ok(model) => Ok(Some(model)),
        Err(error) => Err(refused(error.to_string(), error.hint().unwrap_or_default())),
    }
}

fn refused(problem: String, hint: String) -> TrainError {
    TrainError::Setting {
        problem: format!("`augment` holds `mask`, but {problem}"),
        hint: format!("{hint}; the changes `delete`, `swap`, `agent` and `crop` need no model"),
    }
}

/// The model that a chain of runs began with: what a run leaves has no masked-language head.
fn base(model: &str) -> Result<String, TrainError> {
    let mut model = model.to_owned();
    for _ in 0..MOST_RUNS {
        let folder = Path::new(&model);
        if folder.join("config.json").is_file() || !folder.join("run.toml").is_file() {
            break;
        }
        model = saved_config(folder)?.model;
    }
    Ok(model)
}

/// What it takes, in bytes.
pub fn bytes<B: Backend>(config: &RunConfig, masked: &MaskedModel<B>) -> usize {
    let model = masked.model();
    memory::of_reading(&model.config, &model.table, masked.capacity(measured_tokens(config)))
}

/// Tells what is done and what it takes, with some words of the first copy.
///
/// # Errors
/// A device that failed.
pub fn tell<B: Backend>(
    backend: &B,
    config: &RunConfig,
    (masked, epochs): (&MaskedModel<B>, &Epochs),
    listener: &mut dyn Listener,
) -> Result<(), TrainError> {
    let mut drafts = epochs.drafts(config, 0).filter(|(draft, _)| draft.count > 0);
    let Some((draft, random)) = drafts.next() else { return Ok(()) };
    let before = draft.text.clone();
    let after = masked.fill(backend, vec![(draft, random)], measured_tokens(config)).map_err(ClassifyError::from)?;
    let pairs = words(&before).zip(words(&after[0])).filter(|(before, after)| before != after);
    let shown: Vec<String> =
        pairs.take(SHOWN_WORDS).map(|(before, after)| format!("`{before}` becomes `{after}`")).collect();
    let example = if shown.is_empty() { String::new() } else { format!("; in the first copy {}", shown.join(", ")) };
    let message = format!(
        "words of copies are replaced by the model as it was before training: it takes {} of memory, and time to read about \
         {} copies in each epoch{example}",
        memory::mib(bytes(config, masked)),
        1 + drafts.count()
    );
    listener.on(&TrainEvent::Notice { message });
    Ok(())
}
