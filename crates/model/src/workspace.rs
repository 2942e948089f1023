//! The memory between forward and backward, planned once for the largest batch.

use finetone_backend::Backend;

use crate::config::ModelConfig;
use crate::layers::{BlockSaved, BlockScratch, EmbeddingSaved, HeadSaved, HeadScratch};

/// Everything a pass writes to. Untouched capacity costs no memory where the system hands out zero pages on demand.
pub struct Workspace<B: Backend> {
    pub(crate) max_tokens: usize,
    pub(crate) max_sequences: usize,
    /// Which set of buffers the last block writes.
    last_block: usize,
    pub(crate) embedding: EmbeddingSaved<B>,
    pub(crate) blocks: Vec<BlockSaved<B>>,
    /// Output of the final norm and its statistics, where there is one.
    pub(crate) final_norm: Option<(B::Buffer, B::Buffer)>,
    pub(crate) head: HeadSaved<B>,
    pub(crate) training: Option<TrainingMemory<B>>,
}

/// What only backward needs.
pub(crate) struct TrainingMemory<B: Backend> {
    /// `[S, C]`.
    pub dlogits: B::Buffer,
    /// `[S]`.
    pub losses: B::Buffer,
    pub head: HeadScratch<B>,
    pub block: BlockScratch<B>,
    /// `[N, D]` each: the gradient of a block's output and of its input, which swap from block to block.
    pub gradients: [B::Buffer; 2],
}

impl<B: Backend> Workspace<B> {
    /// Memory for forward and backward over at most `max_tokens` tokens of at most `max_sequences` sequences.
    pub fn for_training(backend: &B, config: &ModelConfig, max_tokens: usize, max_sequences: usize) -> Self {
        let mut workspace = Self::new(backend, config, (max_tokens, max_sequences), config.num_hidden_layers);
        let hidden = || backend.zeros(max_tokens * config.hidden_size);
        workspace.training = Some(TrainingMemory {
            dlogits: backend.zeros(max_sequences * config.head.logits()),
            losses: backend.zeros(max_sequences),
            head: HeadScratch::new(backend, config, max_sequences),
            block: BlockScratch::new(backend, config, max_tokens),
            gradients: [hidden(), hidden()],
        });
        workspace
    }

    /// Memory for forward alone: the blocks take turns in two sets of buffers.
    pub fn for_inference(backend: &B, config: &ModelConfig, max_tokens: usize, max_sequences: usize) -> Self {
        Self::new(backend, config, (max_tokens, max_sequences), config.num_hidden_layers.min(2))
    }

    fn new(backend: &B, config: &ModelConfig, (tokens, sequences): (usize, usize), blocks: usize) -> Self {
        let hidden = tokens * config.hidden_size;
        let pre = config.placement == crate::config::Placement::Pre;
        Self {
            max_tokens: tokens,
            max_sequences: sequences,
            last_block: (config.num_hidden_layers - 1) % blocks,
            embedding: EmbeddingSaved::new(backend, config, tokens),
            blocks: (0..blocks).map(|_| BlockSaved::new(backend, config, tokens)).collect(),
            final_norm: pre.then(|| (backend.zeros(hidden), backend.zeros(2 * tokens))),
            head: HeadSaved::new(backend, config, tokens, sequences),
            training: None,
        }
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
            None => self.blocks[self.last_block].output(),
        }
    }

    /// How many values training holds for a batch of this many tokens: activations, their gradients and scratch.
    pub fn training_values(config: &ModelConfig, tokens: usize) -> usize {
        let (d, f) = (config.hidden_size, config.intermediate_size);
        let scratch = 2 * d + 3 * d + 2 * f + 2 * d + 2 * d;
        Self::forward_values(config, tokens, config.num_hidden_layers) + tokens * scratch
    }

    /// How many values prediction holds for a batch of this many tokens.
    pub fn inference_values(config: &ModelConfig, tokens: usize) -> usize {
        Self::forward_values(config, tokens, config.num_hidden_layers.min(2))
    }

    fn forward_values(config: &ModelConfig, tokens: usize, blocks: usize) -> usize {
        let (d, f, h) = (config.hidden_size, config.intermediate_size, config.num_attention_heads);
        let block = 3 * d + d + h + 2 * f + 4 * d + 4;
        tokens * (2 * d + 2 + block * blocks + d + 2)
    }
}
