//! `y = r + drop(softmax(q kᵀ / √E) v · Wᵒᵀ + bᵒ)`, with `[q k v] = x Wᵀ + b` and the residual `r`, within each sequence
//!
//! <https://arxiv.org/abs/1706.03762>; the probabilities are computed in tiles and never stored
//! (<https://arxiv.org/abs/2205.14135>). Several heads may read one head of keys and values
//! (<https://arxiv.org/abs/2305.13245>). What is done to queries and keys before they meet stands in `heads.rs`.

use finetone_backend::{AttentionShape, Backend, Mask, Queries};

use super::{AdaptedLinear, Declare, Dropout, Heads, HeadsSaved, SublayerScratch};
use crate::config::ModelConfig;
use crate::gradients::Gradients;
use crate::params::Init;
use crate::transformer::Pass;
use crate::workspace::Plan;

/// Self-attention of H heads of size E.
#[derive(Debug, Clone)]
pub struct Attention {
    qkv: AdaptedLinear,
    prepare: Heads,
    output: AdaptedLinear,
    probabilities: Dropout,
    dropout: Dropout,
    heads: usize,
    kv_heads: usize,
    head_size: usize,
    width: usize,
    mask: Mask,
    block: usize,
}

/// What attention keeps for its backward.
pub struct AttentionSaved<B: Backend> {
    /// `[N, (H + 2 K) E]`: one, or one for each block where tokens to come will look back at them.
    qkv: Vec<B::Buffer>,
    prepared: HeadsSaved<B>,
    /// `[rows, H E]`.
    attended: B::Buffer,
    /// `[rows, H]`.
    log_sums: B::Buffer,
}

impl<B: Backend> AttentionSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>, rows: usize) -> Self {
        let config = plan.config;
        Self {
            qkv: (0..if plan.continued { plan.blocks.len() } else { 1 })
                .map(|_| plan.zeros(plan.tokens * config.qkv_width()))
                .collect(),
            prepared: HeadsSaved::new(plan),
            attended: plan.zeros(rows * config.query_width()),
            log_sums: plan.zeros(rows * config.num_attention_heads),
        }
    }
}

impl Attention {
    /// The attention of the block of this number.
    pub(crate) fn declare(at: &mut Declare<'_>, config: &ModelConfig, block: usize) -> Self {
        let (d, attended, biases) = (config.hidden_size, config.query_width(), config.biases);
        let init = Init::Normal(config.initializer_range);
        Self {
            qkv: at.within("qkv", |at| AdaptedLinear::declare(at, (d, config.qkv_width()), biases.qkv, init)),
            prepare: Heads::declare(at, config),
            output: at
                .within("output", |at| AdaptedLinear::declare(at, (attended, d), biases.output, residual_init(config))),
            probabilities: Dropout::declare(at, config.dropout.attention),
            dropout: Dropout::declare(at, config.dropout.residual),
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_size: config.head_dim,
            width: d,
            mask: config.mask_of(block),
            block,
        }
    }

    fn shape<'a, B: Backend>(&self, pass: &Pass<'a, B>) -> AttentionShape<'a> {
        let (starts, queries) = match pass.batch.past {
            0 => (&pass.batch.starts[..], pass.asked),
            _ => (&pass.batch.context[..], Queries::Last),
        };
        AttentionShape {
            starts,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_size: self.head_size,
            mask: self.mask,
            queries,
            scale: 1.0 / (self.head_size as f64).sqrt(),
        }
    }

    /// Writes `y[rows, D]` for the rows asked for, the residual included; `x[N, D]` has all.
    pub fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        y: &mut B::Buffer,
        saved: &mut AttentionSaved<B>,
        scratch: &mut SublayerScratch<B>,
        (x, residual): (&B::Buffer, &B::Buffer),
    ) {
        let (n, rows) = (pass.batch.tokens(), pass.rows());
        let AttentionSaved { qkv, prepared, attended, log_sums } = saved;
        let (kept, past) = (self.block % qkv.len(), pass.batch.past);
        let qkv = &mut qkv[kept];
        let fresh = if past > 0 { &mut scratch.fresh } else { &mut *qkv };
        self.qkv.forward(pass, fresh, &mut scratch.adapters, x, n);
        self.prepare.forward(pass, fresh, prepared, &scratch.angles);
        if past > 0 {
            let width = (self.heads + 2 * self.kv_heads) * self.head_size;
            pass.backend.copy((qkv, past * width), &scratch.fresh, n * width);
        }
        let dropout = self.probabilities.key(pass);
        pass.backend.attention_forward(attended, log_sums, qkv, dropout, self.shape(pass));
        self.output.forward(pass, y, &mut scratch.adapters, &saved.attended, rows);
        self.dropout.apply_and_add(pass, y, residual, rows * self.width);
    }

    /// Writes `dx[N, D]`, without what goes through the residual; `saved` is what forward kept, and `x`.
    pub fn backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        scratch: &mut SublayerScratch<B>,
        dy: &B::Buffer,
        (saved, x): (&AttentionSaved<B>, &B::Buffer),
    ) {
        let (n, rows) = (pass.batch.tokens(), pass.rows());
        let SublayerScratch { branch, inner: dqkv, outer, adapters, angles, .. } = scratch;
        let dy = self.dropout.masked(pass, branch, dy, rows * self.width);
        self.output.backward(pass, outer, grads, adapters, (dy, &saved.attended), rows);
        let dropout = self.probabilities.key(pass);
        let kept = (&saved.attended, &saved.log_sums);
        pass.backend.attention_backward(dqkv, outer, kept, &saved.qkv[0], dropout, self.shape(pass));
        let dqkv = self.prepare.backward(pass, grads, (dqkv, outer), (&saved.prepared, angles));
        self.qkv.backward(pass, dx, grads, adapters, (dqkv, x), n);
    }
}

/// GPT-2 starts its residual projections smaller, by the number of residual sums.
pub(crate) fn residual_init(config: &ModelConfig) -> Init {
    let sums = if config.scaled_residual_init { 2.0 * config.num_hidden_layers as f64 } else { 1.0 };
    Init::Normal(config.initializer_range / sums.sqrt())
}
