//! The memory between forward and backward, planned once for the largest batch.

use std::cell::Cell;

use finetone_backend::Backend;

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
    /// Values handed out so far.
    planned: Cell<usize>,
}

impl<B: Backend> Plan<'_, B> {
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
    /// `[S, C]`.
    pub dlogits: B::Buffer,
    /// `[S]`.
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
        let planned = Cell::default();
        Self::new(&Plan { backend, config, tokens, sequences, training: true, memory, planned })
    }

    /// Memory for forward alone over at most `tokens` tokens of at most `sequences` sequences.
    pub fn for_inference(backend: &B, config: &ModelConfig, tokens: usize, sequences: usize) -> Self {
        let (memory, planned) = (Memory::Normal, Cell::default());
        Self::new(&Plan { backend, config, tokens, sequences, training: false, memory, planned })
    }

    fn new(plan: &Plan<'_, B>) -> Self {
        let hidden = plan.tokens * plan.config.hidden_size;
        let pre = plan.config.placement == Placement::Pre;
        let mut workspace = Self {
            max_tokens: plan.tokens,
            max_sequences: plan.sequences,
            embedding: EmbeddingSaved::new(plan),
            stack: StackSaved::new(plan),
            scratch: BlockScratch::new(plan),
            final_norm: pre.then(|| (plan.zeros(hidden), plan.zeros(2 * plan.tokens))),
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

    /// The logits `[S, C]` of the last forward.
    pub fn logits(&self) -> &B::Buffer {
        &self.head.logits
    }

    /// The hidden states `[N, D]` that the last forward gave to the head.
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
    let (d, f, h) = (config.hidden_size, config.intermediate_size, config.num_attention_heads);
    let (layers, norm) = (config.num_hidden_layers, d + 2);
    let (outputs, sets) = match training {
        Some(Memory::Normal) => (layers, layers),
        Some(Memory::Low) => (layers, 1),
        None => (layers.min(2), 1),
    };
    let (attention, mlp, sums) = (3 * d + d + h, f, 3 * d + 4);
    let norms = usize::from(config.embedding_norm) + usize::from(config.placement == Placement::Pre);
    let forward = d + norms * norm + outputs * d + sets * (attention + mlp + sums) + f.max(d);
    let backward = d + f.max(3 * d) + 2 * d + 2 * d;
    let (classes, dense) = (config.head.logits(), if config.head.dense.is_some() { 2 * d } else { 0 });
    let attended = usize::from(matches!(config.head.pooling, HeadPooling::Attention { .. }));
    let (head, head_backward) = (d + dense + classes, classes + 1 + 3 * d);
    let backward = if training.is_some() { tokens * backward + sequences * head_backward } else { 0 };
    tokens * (forward + attended) + sequences * head + backward
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
