//! The output of frozen blocks, computed once for each text.
//!
//! What lies below the lowest part that is trained gives the same for a text in every epoch and every evaluation, if
//! nothing is dropped in it. So it is computed before the first step, and training begins behind it.

use finetone_backend::Backend;
use finetone_classify::{States, Storage};
use finetone_model::{Capacity, Model, ParamTable, Part};

use crate::choices::{CacheUse, TrainingPrecision};
use crate::epochs::Epochs;
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::material::Rows;
use crate::memory;
use crate::run_config::RunConfig;
use crate::schedule::Plan;
use crate::trainer::{largest_group, measured_tokens};

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cache {
    /// The blocks that run once.
    blocks: usize,
    storage: Storage,
    /// For all texts together.
    bytes: usize,
}

impl Cache {
    /// What is worth keeping by the settings: nothing where nothing at the bottom is frozen, or
    /// texts are seen only once.
    ///
    /// # Errors
    /// The setting `on` with nothing frozen at the bottom, or with texts that are new in every epoch.
    fn wanted<B: Backend>(
        config: &RunConfig,
        (model, plan): (&Model<B>, &Plan),
        sets: [&Rows; 2],
        epochs: &Epochs,
    ) -> Result<Option<Self>, TrainError> {
        let blocks = frozen_blocks(&model.table, model.config.num_hidden_layers);
        match config.cache {
            CacheUse::Off => return Ok(None),
            // The rows of a language model are its tokens: there is too much to keep for what is saved.
            CacheUse::Auto if model.config.language.is_some() => return Ok(None),
            CacheUse::On if blocks == 0 => {
                return Err(TrainError::Setting {
                    problem: "`cache=on`, but the first block of the model is trained".into(),
                    hint: "freeze the model from its input on, for instance `--set freeze='[\"4\"]'`, or leave out `cache`"
                        .into(),
                });
            }
            CacheUse::On if epochs.have_copies() => {
                return Err(TrainError::Setting {
                    problem: "`cache=on`, but `augment` makes other texts in every epoch".into(),
                    hint: "leave out one of them".into(),
                });
            }
            CacheUse::Auto if blocks == 0 || plan.steps <= plan.steps_per_epoch || epochs.have_copies() => {
                return Ok(None);
            }
            CacheUse::Auto | CacheUse::On => {}
        }
        let storage = match config.precision {
            TrainingPrecision::Bf16 => Storage::Bf16,
            TrainingPrecision::Auto | TrainingPrecision::F32 => Storage::F32,
        };
        let cache = Self { blocks, storage, bytes: 0 };
        Ok(Some(Self { bytes: sets.into_iter().map(|rows| cache.bytes(model, rows)).sum(), ..cache }))
    }

    /// Decides what is kept, tells how much memory the run needs with so many bytes `beside` the model, and checks that it is
    /// there.
    ///
    /// # Errors
    /// Too little memory, or the setting `on` with nothing frozen at the bottom.
    pub fn decide<B: Backend>(
        config: &RunConfig,
        (model, plan, beside): (&Model<B>, &Plan, usize),
        (train, validation, epochs): (&Rows, &Rows, &Epochs),
        listener: &mut dyn Listener,
    ) -> Result<Option<Self>, TrainError> {
        let needed = |cache: Option<Self>| {
            let batches = batches(config, (train, model.config.logits()), epochs, cache);
            beside + memory::estimate(&model.config, &model.table, &batches)
        };
        let free = memory::available();
        let mut notice = |message: String| listener.on(&TrainEvent::Notice { message });
        let mut cache = Self::wanted(config, (model, plan), [train, validation], epochs)?;
        if let Some(Self { blocks, bytes, .. }) = cache {
            let kept = format!("the output of the {blocks} frozen blocks for every text takes {}", memory::mib(bytes));
            if config.cache == CacheUse::Auto && free.is_some_and(|free| needed(cache) > free) {
                notice(format!("{kept}, too much to keep: it is computed in every epoch (`cache`)"));
                cache = None;
            } else {
                notice(format!("{kept}: it is computed once and kept, without dropout in these blocks (`cache`)"));
            }
        }
        let free = free.map_or_else(|| "unknown".to_owned(), memory::mib);
        notice(format!("training needs about {} of memory ({free} free)", memory::mib(needed(cache))));
        memory::check(needed(cache))?;
        Ok(cache)
    }

    /// Computes what is kept.
    pub fn fill<B: Backend>(self, backend: &B, config: &RunConfig, model: &Model<B>, sets: [&mut Rows; 2]) {
        for rows in sets {
            rows.states = Some(self.states(backend, config, model, rows));
        }
    }

    /// What is kept of some texts.
    pub fn states<B: Backend>(self, backend: &B, config: &RunConfig, model: &Model<B>, rows: &Rows) -> States {
        States::compute(backend, model, &rows.encoded(), (self.blocks, self.storage), measured_tokens(config))
    }

    /// What the states of `rows` would take, in bytes.
    pub fn bytes<B: Backend>(self, model: &Model<B>, rows: &Rows) -> usize {
        States::numbers(&model.config, &rows.encoded(), self.blocks) * self.storage.bytes()
    }

    /// In words that differ where the states do, for the same model and rows.
    pub fn kind(self) -> String {
        format!("{} blocks as {:?}", self.blocks, self.storage)
    }
}

/// The largest batches of the run. The texts that are held out are about as long as those to train on.
fn batches(
    config: &RunConfig,
    (train, logits): (&Rows, usize),
    epochs: &Epochs,
    cache: Option<Cache>,
) -> memory::Batches {
    let from_block = cache.map_or(0, |cache| cache.blocks);
    let longest = train.lengths.iter().copied().max().unwrap_or(1);
    let measured = measured_tokens(config).max(longest);
    let training = Capacity { from_block, ..largest_group(config, (train, logits), epochs) };
    // Of chats, no more rows of logits are computed at a time than in training, unless one alone has more.
    let answers = if train.learnt.is_empty() { measured } else { training.sequences.min(measured) };
    memory::Batches {
        training,
        // The test texts run through all blocks.
        measuring: (measured, answers).into(),
        memory: config.memory.into(),
        kept: cache.map_or(0, |cache| cache.bytes),
    }
}

/// How many blocks from the input on are frozen, the embeddings with them.
fn frozen_blocks(table: &ParamTable, blocks: usize) -> usize {
    match table.lowest_trainable() {
        Some(Part::Embedding) => 0,
        Some(Part::Block(lowest)) => lowest,
        Some(Part::FinalNorm | Part::Head) | None => blocks,
    }
}
