//! The memory between forward and backward, planned once for the largest batch.

use std::cell::Cell;

use finetone_backend::{Backend, Queries};

use crate::asked::asked_by_head;
use crate::config::{HeadPooling, ModelConfig, Placement};
use crate::layers::{BlockScratch, EmbeddingSaved, HeadSaved, HeadScratch, StackSaved};

/// How much training keeps for backward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Memory {
    /// What every block saves.
    #[default]
    Normal,
    /// Only the blocks' inputs; backward computes the rest again.
    Low,
}

/// The largest batch and what is done with it; hands out the memory for it.
pub(crate) struct Plan<'a, B: Backend> {
    pub backend: &'a B,
    pub config: &'a ModelConfig,
    pub tokens: usize,
    pub sequences: usize,
    pub training: bool,
    pub memory: Memory,
    /// Whose hidden states the last block gives.
    pub asked: Queries,
    /// Values handed out so far.
    planned: Cell<usize>,
}

impl<'a, B: Backend> Plan<'a, B> {
    fn new(backend: &'a B, config: &'a ModelConfig, (tokens, sequences): (usize, usize), training: bool) -> Self {
        let (memory, asked) = (Memory::Normal, asked_by_head(config));
        Self { backend, config, tokens, sequences, training, memory, asked, planned: Cell::default() }
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
    pub(crate) embedding: EmbeddingSaved<B>,
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
    /// `[T, C]`.
    pub dlogits: B::Buffer,
    /// `[T]`.
    pub losses: B::Buffer,
    pub head: HeadScratch<B>,
    /// `[N, D]` each: the gradient of a block's output and of its input, which swap from block to block.
    pub gradients: [B::Buffer; 2],
}

impl<B: Backend> TrainingMemory<B> {
    fn new(plan: &Plan<'_, B>) -> Self {
        let hidden = || plan.zeros(plan.tokens * plan.config.hidden_size);
        Self {
            dlogits: plan.zeros(plan.sequences * plan.config.head.logits()),
            losses: plan.zeros(plan.sequences),
            head: HeadScratch::new(plan),
            gradients: [hidden(), hidden()],
        }
    }
}

impl<B: Backend> Workspace<B> {
    /// Memory for forward and backward over at most `tokens` tokens of at most `sequences` sequences.
    pub fn for_training(
        backend: &B,
        config: &ModelConfig,
        (tokens, sequences): (usize, usize),
        memory: Memory,
    ) -> Self {
        Self::new(&Plan { memory, ..Plan::new(backend, config, (tokens, sequences), true) })
    }

    /// Memory for forward alone over at most `tokens` tokens of at most `sequences` sequences.
    pub fn for_inference(backend: &B, config: &ModelConfig, tokens: usize, sequences: usize) -> Self {
        Self::new(&Plan::new(backend, config, (tokens, sequences), false))
    }

    /// Like [`Workspace::for_inference`], for the hidden states of all tokens whatever the head reads.
    pub fn for_hidden_states(backend: &B, config: &ModelConfig, tokens: usize, sequences: usize) -> Self {
        Self::new(&Plan { asked: Queries::All, ..Plan::new(backend, config, (tokens, sequences), false) })
    }

    fn new(plan: &Plan<'_, B>) -> Self {
        let (asked, width) = (plan.asked_rows(), plan.config.hidden_size);
        let pre = plan.config.placement == Placement::Pre;
        let mut workspace = Self {
            max_tokens: plan.tokens,
            max_sequences: plan.sequences,
            embedding: EmbeddingSaved::new(plan),
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

    /// The logits `[T, C]` of the last forward.
    pub fn logits(&self) -> &B::Buffer {
        &self.head.logits
    }

    /// The hidden states that the last forward gave to the head: `[N, D]`, or `[S, D]` where it reads one token of each
    /// sequence and this is no workspace [`Workspace::for_hidden_states`].
    pub fn hidden(&self) -> &B::Buffer {
        match &self.final_norm {
            Some((normed, _)) => normed,
            None => self.stack.output(),
        }
    }

    /// How many values this workspace was planned with.
    pub fn values(&self) -> usize {
        self.values
    }
}

/// How many values a workspace for at most `tokens` tokens of at most `sequences` sequences holds, before there is one:
/// for training with this [`Memory`], or for prediction.
pub fn workspace_values(config: &ModelConfig, (tokens, sequences): (usize, usize), training: Option<Memory>) -> usize {
    let (d, f, h, layers) =
        (config.hidden_size, config.intermediate_size, config.num_attention_heads, config.num_hidden_layers);
    let (outputs, sets) = match training {
        Some(Memory::Normal) => (layers, layers),
        Some(Memory::Low) => (layers, 1),
        None => (layers.min(2), 1),
    };
    let (pre, asked) = (config.placement == Placement::Pre, asked_rows(asked_by_head(config), (tokens, sequences)));
    // Of `of` pieces of memory, one for each block or fewer, the last may be for the rows asked for.
    let rows = |of| if of == layers { (of - 1) * tokens + asked } else { of * tokens };
    let normed = if pre { sets * tokens } else { rows(sets) };
    let blocks = rows(outputs) * d + sets * tokens * 3 * d + rows(sets) * (3 * d + h + f + 2) + normed * (d + 2);
    let embedding = tokens * (d + if config.embedding_norm { d + 2 } else { 0 });
    let last = sequences * d + if pre { asked * (d + 2) } else { 0 };
    let head = sequences * (d * if config.head.dense.is_some() { 4 } else { 2 } + config.head.logits())
        + if matches!(config.head.pooling, HeadPooling::Attention { .. }) { tokens } else { 0 };
    let backward = tokens * (5 * d + f.max(3 * d)) + sequences * (config.head.logits() + 1 + 4 * d);
    embedding + blocks + tokens * f.max(d) + last + head + if training.is_some() { backward } else { 0 }
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

    fn sizes(layers: usize) -> Sizes {
        let (vocab_size, hidden_size, heads, intermediate_size) = (11, 8, 2, 20);
        Sizes { vocab_size, hidden_size, layers, heads, intermediate_size, max_tokens: 30, pad_token_id: 0 }
    }

    #[test]
    fn the_size_that_is_foretold_is_the_size_that_is_planned() {
        let backend = Reference::<f32>::new();
        for family in [Family::Gpt2, Family::Bert, Family::Roberta, Family::DistilBert] {
            for layers in [1, 2, 5] {
                let mut config = from_scratch(family, &sizes(layers)).unwrap();
                for pooling in [config.head.pooling, HeadPooling::Attention { last: 3 }] {
                    config.set_pooling(pooling);
                    for training in [None, Some(Memory::Normal), Some(Memory::Low)] {
                        let planned = match training {
                            Some(memory) => Workspace::for_training(&backend, &config, (20, 7), memory),
                            None => Workspace::for_inference(&backend, &config, 20, 7),
                        };
                        let foretold = workspace_values(&config, (20, 7), training);
                        assert_eq!(
                            planned.values(),
                            foretold,
                            "{family:?}, {layers} blocks, {pooling:?}, {training:?}"
                        );
                    }
                }
            }
        }
    }
}
