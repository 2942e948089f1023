//! The memory between forward and backward, planned once for the largest batch.

use std::cell::Cell;
use std::ops::Range;

use finetone_backend::{Backend, Queries};

use crate::asked::asked_by_head;
use crate::config::{HeadPooling, ModelConfig, Placement, Positions};
use crate::layers::{BlockScratch, EmbeddingSaved, HeadSaved, HeadScratch, StackSaved, sublayer_widths};
use crate::transformer::Entrance;

/// How much training keeps for backward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Memory {
    /// What every block saves.
    #[default]
    Normal,
    /// Only the blocks' inputs; backward computes the rest again.
    Low,
}

/// The largest batch that a workspace is for, and where a pass over it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Its tokens N.
    pub tokens: usize,
    /// Its sequences S; for a language model at least as many as the tokens that are asked about.
    pub sequences: usize,
    /// The first block that runs: 0 after the embedding, another on hidden states that were computed before. With the
    /// number of blocks, only what follows them does.
    pub from_block: usize,
}

impl Capacity {
    /// Rows of the hidden states with which a pass behind some blocks begins: one for each token, or for each that the head
    /// reads where no block follows.
    pub fn entering_rows(&self, config: &ModelConfig) -> usize {
        let asked = if self.from_block < config.num_hidden_layers { Queries::All } else { asked_by_head(config) };
        asked_rows(asked, (self.tokens, self.sequences))
    }
}

impl From<(usize, usize)> for Capacity {
    /// Tokens and sequences of passes from the embedding.
    fn from((tokens, sequences): (usize, usize)) -> Self {
        Self { tokens, sequences, from_block: 0 }
    }
}

/// The largest batch and what is done with it; hands out the memory for it.
pub(crate) struct Plan<'a, B: Backend> {
    pub backend: &'a B,
    pub config: &'a ModelConfig,
    pub tokens: usize,
    pub sequences: usize,
    /// Rows of hidden states with which a pass begins that does not begin with the embedding.
    pub entering_rows: usize,
    /// Whether passes begin with hidden states that are given.
    pub given: bool,
    /// The blocks that run.
    pub blocks: Range<usize>,
    pub training: bool,
    pub memory: Memory,
    /// Whose hidden states the last block gives.
    pub asked: Queries,
    /// Whether keys and values are kept for tokens to come.
    pub continued: bool,
    /// Values handed out so far.
    planned: Cell<usize>,
}

impl<'a, B: Backend> Plan<'a, B> {
    fn new(backend: &'a B, config: &'a ModelConfig, capacity: Capacity, training: bool) -> Self {
        let Capacity { tokens, sequences, from_block } = capacity;
        Self {
            backend,
            config,
            tokens,
            sequences,
            entering_rows: capacity.entering_rows(config),
            given: from_block > 0,
            blocks: from_block..config.num_hidden_layers,
            training,
            memory: Memory::Normal,
            asked: asked_by_head(config),
            continued: false,
            planned: Cell::default(),
        }
    }

    /// The most rows that the last block gives.
    pub fn asked_rows(&self) -> usize {
        asked_rows(self.asked, (self.tokens, self.sequences))
    }

    /// A buffer of `len` zeros.
    pub fn zeros(&self, len: usize) -> B::Buffer {
        self.planned.set(self.planned.get() + len);
        self.backend.zeros(len)
    }

    /// A buffer that only backward uses; an empty one in prediction.
    pub fn gradient(&self, len: usize) -> B::Buffer {
        self.zeros(if self.training { len } else { 0 })
    }
}

/// Everything a pass writes to. Untouched capacity costs no memory where the system hands out zero pages on demand.
pub struct Workspace<B: Backend> {
    pub(crate) max_tokens: usize,
    pub(crate) max_sequences: usize,
    pub(crate) entrance: Entrance<B>,
    pub(crate) stack: StackSaved<B>,
    pub(crate) scratch: BlockScratch<B>,
    /// Output of the final norm and its statistics, where there is one.
    pub(crate) final_norm: Option<(B::Buffer, B::Buffer)>,
    pub(crate) head: HeadSaved<B>,
    pub(crate) training: Option<TrainingMemory<B>>,
    values: usize,
}

/// What only backward needs.
pub(crate) struct TrainingMemory<B: Backend> {
    /// `[T, C]`, or `[A, V]`.
    pub dlogits: B::Buffer,
    /// `[T]`, or `[A]`.
    pub losses: B::Buffer,
    pub head: HeadScratch<B>,
    /// `[N, D]` each: the gradient of a block's output and of its input, which swap from block to block.
    pub gradients: [B::Buffer; 2],
}

impl<B: Backend> TrainingMemory<B> {
    fn new(plan: &Plan<'_, B>) -> Self {
        let hidden = || plan.zeros(plan.tokens * plan.config.hidden_size);
        Self {
            dlogits: plan.zeros(plan.sequences * plan.config.logits()),
            losses: plan.zeros(plan.sequences),
            head: HeadScratch::new(plan),
            gradients: [hidden(), hidden()],
        }
    }
}

impl<B: Backend> Workspace<B> {
    /// Memory for forward and backward.
    pub fn for_training(backend: &B, config: &ModelConfig, capacity: impl Into<Capacity>, memory: Memory) -> Self {
        Self::new(&Plan { memory, ..Plan::new(backend, config, capacity.into(), true) })
    }

    /// Memory for forward alone.
    pub fn for_inference(backend: &B, config: &ModelConfig, capacity: impl Into<Capacity>) -> Self {
        Self::new(&Plan::new(backend, config, capacity.into(), false))
    }

    /// Memory for a sequence of at most `tokens` tokens that is read once and then continued token by token
    /// ([`PackedBatch::repack_next`](crate::PackedBatch::repack_next)): the keys and values of all blocks are kept.
    pub fn for_generation(backend: &B, config: &ModelConfig, tokens: usize) -> Self {
        Self::new(&Plan { continued: true, ..Plan::new(backend, config, (tokens, 1).into(), false) })
    }

    /// Like [`Workspace::for_inference`], for the hidden states of all tokens whatever the head reads.
    pub fn for_hidden_states(backend: &B, config: &ModelConfig, capacity: impl Into<Capacity>) -> Self {
        Self::new(&Plan { asked: Queries::All, ..Plan::new(backend, config, capacity.into(), false) })
    }

    /// Memory for forward and backward from what the embedding would give, which is given instead
    /// ([`Workspace::give_states`]).
    pub fn for_given_states(backend: &B, config: &ModelConfig, capacity: impl Into<Capacity>) -> Self {
        Self::new(&Plan { given: true, ..Plan::new(backend, config, capacity.into(), true) })
    }

    /// Memory for [`Transformer::run_blocks`](crate::Transformer::run_blocks) over the first `blocks` blocks, with tokens
    /// and sequences of the largest batch: what a workspace from that block on begins with.
    pub fn for_first_blocks(backend: &B, config: &ModelConfig, size: (usize, usize), blocks: usize) -> Self {
        let whole = Plan::new(backend, config, size.into(), false);
        let asked = if blocks < config.num_hidden_layers { Queries::All } else { whole.asked };
        Self::new(&Plan { blocks: 0..blocks, asked, ..whole })
    }

    fn new(plan: &Plan<'_, B>) -> Self {
        let (asked, width) = (plan.asked_rows(), plan.config.hidden_size);
        let pre = plan.config.placement == Placement::Pre;
        let mut workspace = Self {
            max_tokens: plan.tokens,
            max_sequences: plan.sequences,
            entrance: if plan.given {
                Entrance::States { states: plan.zeros(plan.entering_rows * width), host: Vec::new() }
            } else {
                Entrance::Embedding(EmbeddingSaved::new(plan))
            },
            stack: StackSaved::new(plan),
            scratch: BlockScratch::new(plan),
            final_norm: pre.then(|| (plan.zeros(asked * width), plan.zeros(2 * asked))),
            head: HeadSaved::new(plan),
            training: plan.training.then(|| TrainingMemory::new(plan)),
            values: 0,
        };
        workspace.values = plan.planned.get();
        workspace
    }

    /// The most tokens a batch may have.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The most sequences a batch may have.
    pub fn max_sequences(&self) -> usize {
        self.max_sequences
    }

    /// The logits `[T, C]` of the last forward; of a language model `[A, V]`.
    pub fn logits(&self) -> &B::Buffer {
        &self.head.logits
    }

    /// The pooled vectors `[T, D]` that the head of the last forward read; of a language model `[A, D]`.
    pub fn pooled(&self) -> &B::Buffer {
        &self.head.pooled
    }

    /// The hidden states that the last forward gave to the head: `[N, D]`, or `[S, D]` where it reads one token of each
    /// sequence and this is no workspace [`Workspace::for_hidden_states`].
    pub fn hidden(&self) -> &B::Buffer {
        match &self.final_norm {
            Some((normed, _)) => normed,
            None => self.states(),
        }
    }

    /// What the blocks of the last pass gave, before the final norm of a family that has one.
    pub fn states(&self) -> &B::Buffer {
        self.stack.output().unwrap_or(self.entrance.output())
    }

    /// Gives the hidden states with which the next pass begins, row by row: of all tokens of its batch, or of those that
    /// the head reads where no block follows. `fill` appends them to an empty vector.
    ///
    /// # Panics
    /// When passes begin with the embedding, or there are more rows than was planned for.
    pub fn give_states(&mut self, backend: &B, fill: impl FnOnce(&mut Vec<B::Real>)) {
        match &mut self.entrance {
            Entrance::States { states, host } => {
                host.clear();
                fill(host);
                backend.write(states, host);
            }
            Entrance::Embedding(_) => panic!("a pass that begins with the embedding takes no hidden states"),
        }
    }

    /// Gives the gradient of the logits, `[T, C]`, from which the next backward begins, instead of that of a loss.
    ///
    /// # Panics
    /// When the workspace is one for inference.
    pub(crate) fn give_logits_gradient(&mut self, backend: &B, dlogits: &[B::Real]) {
        let memory = self.training.as_mut().expect("a gradient needs a workspace for training");
        backend.write(&mut memory.dlogits, dlogits);
    }

    /// How many values this workspace was planned with.
    pub fn values(&self) -> usize {
        self.values
    }
}

/// How many values a workspace of this capacity holds, before there is one: for training with this [`Memory`], or for
/// prediction.
pub fn workspace_values(config: &ModelConfig, capacity: impl Into<Capacity>, training: Option<Memory>) -> usize {
    let capacity = capacity.into();
    let Capacity { tokens, sequences, from_block } = capacity;
    let (d, f) = (config.hidden_size, config.inner_width());
    let (q, qkv, h) = (config.query_width(), config.qkv_width(), config.num_attention_heads);
    let prepared = if config.head_norm { qkv + 2 * (h + config.num_key_value_heads) } else { 0 };
    let (inner, outer) = sublayer_widths(config);
    let layers = config.num_hidden_layers - from_block;
    let (outputs, sets) = match training {
        Some(Memory::Normal) => (layers, layers),
        Some(Memory::Low) => (layers, layers.min(1)),
        None => (layers.min(2), layers.min(1)),
    };
    let (pre, asked) = (config.placement == Placement::Pre, asked_rows(asked_by_head(config), (tokens, sequences)));
    // Of `of` pieces of memory, one for each block or fewer, the last may be for the rows asked for.
    let rows = |of| if of == layers && of > 0 { (of - 1) * tokens + asked } else { of * tokens };
    let (kept_norms, normed) = if pre { (0, sets * tokens) } else { (2 * rows(sets), rows(sets)) };
    let attention = sets * tokens * (qkv + prepared) + rows(sets) * (q + h);
    let blocks = (rows(outputs) + kept_norms) * d + attention + rows(sets) * (d + f + 2) + 2 * normed;
    let entrance = match from_block {
        0 => tokens * (d + if config.embedding_norm { d + 2 } else { 0 }),
        _ => capacity.entering_rows(config) * d,
    };
    let last = sequences * d + if pre { asked * (d + 2) } else { 0 };
    let dense = if config.head_activation().is_some() { 2 * d } else { 0 };
    let normed = if config.language.is_some_and(|language| language.masked.is_some()) { d + 2 } else { 0 };
    let head = sequences * (2 * d + dense + normed + config.logits())
        + if matches!(config.head.pooling, HeadPooling::Attention { .. }) { tokens } else { 0 };
    let features = if config.head.features > 0 { sequences * (config.head.features + config.head.logits()) } else { 0 };
    let backward = tokens * (5 * d + inner) + sequences * (config.logits() + 1 + 4 * d);
    let angles = match config.positions {
        Positions::Learned => 0,
        Positions::Rotary(_) => angle_rows(config, tokens) * config.head_dim,
    };
    let adapters = config.lora.as_ref().map_or(0, |lora| tokens * lora.scratch_width(training.is_some()));
    let sublayers = tokens * outer + angles + adapters;
    let scratch = match training {
        Some(_) => backward,
        None if pre => tokens * d,
        None => 0,
    };
    entrance + blocks + sublayers + last + head + features + scratch
}

/// The positions that a sequence of a batch of so many tokens may have.
pub(crate) fn angle_rows(config: &ModelConfig, tokens: usize) -> usize {
    tokens.min(config.max_tokens())
}

/// The most rows of a batch's hidden states that are asked for.
fn asked_rows(asked: Queries, (tokens, sequences): (usize, usize)) -> usize {
    match asked {
        Queries::All => tokens,
        Queries::First | Queries::Last => sequences,
    }
}

#[cfg(test)]
mod tests {
    use finetone_backend::Reference;

    use super::*;
    use crate::config::Family;
    use crate::families::{Sizes, from_scratch};
    use crate::lora::LoraSettings;

    fn sizes(layers: usize) -> Sizes {
        let (vocab_size, hidden_size, heads, intermediate_size) = (11, 8, 2, 20);
        Sizes { vocab_size, hidden_size, layers, heads, intermediate_size, max_tokens: 30, pad_token_id: 0 }
    }

    #[test]
    fn the_size_that_is_foretold_is_the_size_that_is_planned() {
        let backend = Reference::<f32>::new();
        for family in Family::ALL {
            for (layers, from_block) in [(1, 0), (2, 0), (5, 0), (5, 1), (5, 4), (5, 5)] {
                let mut config = from_scratch(family, &sizes(layers)).unwrap();
                if layers == 5 && from_block != 1 {
                    let settings = LoraSettings { rank: 3, alpha: 1.0, rank_stabilised: false, dropout: 0.0 };
                    config.set_lora(settings, &["all-linear".to_owned()]).unwrap();
                }
                let capacity = Capacity { tokens: 20, sequences: 7, from_block };
                for pooling in [config.head.pooling, HeadPooling::Attention { last: 3 }] {
                    config.set_pooling(pooling);
                    config.set_features(if from_block == 1 { 3 } else { config.head.features });
                    for training in [None, Some(Memory::Normal), Some(Memory::Low)] {
                        let planned = match training {
                            Some(memory) => Workspace::for_training(&backend, &config, capacity, memory),
                            None => Workspace::for_inference(&backend, &config, capacity),
                        };
                        assert_eq!(
                            planned.values(),
                            workspace_values(&config, capacity, training),
                            "{family:?}, {layers} blocks from {from_block}, {pooling:?}, {training:?}"
                        );
                    }
                }
                if config.set_masked_head().is_ok() {
                    let planned = Workspace::for_inference(&backend, &config, capacity);
                    assert_eq!(planned.values(), workspace_values(&config, capacity, None), "{family:?}, masked");
                }
            }
        }
    }
}
