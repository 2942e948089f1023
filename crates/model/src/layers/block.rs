//! One transformer block.
//!
//! Post-norm (BERT): `a = norm₁(x + attention(x))`, `y = norm₂(a + mlp(a))`.
//! Pre-norm (GPT-2, Llama): `r = x + attention(norm₁(x))`, `y = r + mlp(norm₂(r))`. What its norms give is not kept: backward
//! computes it again.

use finetone_backend::Backend;

use super::{Attention, AttentionSaved, Declare, Mlp, MlpSaved, Norm, SublayerScratch};
use crate::config::{ModelConfig, Placement};
use crate::gradients::Gradients;
use crate::transformer::Pass;
use crate::workspace::Plan;

/// Attention and feed-forward, each with its norm and its residual sum.
#[derive(Debug, Clone)]
pub struct Block {
    attention: Attention,
    attention_norm: Norm,
    mlp: Mlp,
    mlp_norm: Norm,
    placement: Placement,
    width: usize,
}

/// What a block keeps for its backward, besides its input and output; all `[rows, D]` but the statistics `[2 rows]`, for
/// the rows asked for.
pub struct BlockSaved<B: Backend> {
    attention: AttentionSaved<B>,
    mlp: MlpSaved<B>,
    /// Input plus attention.
    attention_sum: B::Buffer,
    /// The norm of that; empty for pre-norm.
    attention_normed: B::Buffer,
    /// Of the attention's norm; for pre-norm of all tokens.
    attention_stats: B::Buffer,
    /// The norm's output plus the feed-forward sublayer; empty for pre-norm.
    mlp_sum: B::Buffer,
    mlp_stats: B::Buffer,
}

impl<B: Backend> BlockSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>, rows: usize) -> Self {
        let hidden = |rows| plan.zeros(rows * plan.config.hidden_size);
        let stats = |rows| plan.zeros(2 * rows);
        let (post_rows, normed_rows) = match plan.config.placement {
            Placement::Pre => (0, plan.tokens),
            Placement::Post => (rows, rows),
        };
        Self {
            attention: AttentionSaved::new(plan, rows),
            mlp: MlpSaved::new(plan, rows),
            attention_sum: hidden(rows),
            attention_normed: hidden(post_rows),
            attention_stats: stats(normed_rows),
            mlp_sum: hidden(post_rows),
            mlp_stats: stats(rows),
        }
    }
}

/// Memory that all blocks share.
pub struct BlockScratch<B: Backend> {
    sublayer: SublayerScratch<B>,
    /// `[S, D]`: of a block's input the rows asked for, where not all are.
    residual: B::Buffer,
    /// `[N, D]`, for backward: the gradient of a sum.
    sum: B::Buffer,
    /// `[N, D]`: in forward what a pre-norm gives to its sublayer, in backward the gradient of what a norm gave.
    normed: B::Buffer,
}

impl<B: Backend> BlockScratch<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let ModelConfig { hidden_size, placement, .. } = *plan.config;
        let hidden = plan.tokens * hidden_size;
        Self {
            sublayer: SublayerScratch::new(plan),
            residual: plan.zeros(plan.sequences * hidden_size),
            sum: plan.gradient(hidden),
            normed: plan.zeros(if plan.training || placement == Placement::Pre { hidden } else { 0 }),
        }
    }
}

impl Block {
    /// The block of this number.
    pub(crate) fn declare(at: &mut Declare<'_>, config: &ModelConfig, number: usize) -> Self {
        Self {
            attention: at.within("attention", |at| Attention::declare(at, config, number)),
            attention_norm: at.within("attention.norm", |at| Norm::declare(at, config)),
            mlp: at.within("mlp", |at| Mlp::declare(at, config)),
            mlp_norm: at.within("mlp.norm", |at| Norm::declare(at, config)),
            placement: config.placement,
            width: config.hidden_size,
        }
    }

    /// Writes `y[rows, D]` for the rows asked for, from `x[N, D]`.
    pub fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        y: &mut B::Buffer,
        saved: &mut BlockSaved<B>,
        scratch: &mut BlockScratch<B>,
        x: &B::Buffer,
    ) {
        let (s, BlockScratch { sublayer: scratch, residual, normed: entering, .. }) = (saved, scratch);
        let residual = pass.take(residual, x, self.width);
        let (n, rows) = (pass.batch.tokens(), pass.rows());
        match self.placement {
            Placement::Post => {
                let (sum, normed) = (&mut s.attention_sum, &mut s.attention_normed);
                self.attention.forward(pass, sum, &mut s.attention, scratch, (x, residual));
                self.attention_norm.forward(pass, normed, &mut s.attention_stats, sum, rows);
                self.mlp.forward(pass, &mut s.mlp_sum, &mut s.mlp, scratch, (normed, normed));
                self.mlp_norm.forward(pass, y, &mut s.mlp_stats, &s.mlp_sum, rows);
            }
            Placement::Pre => {
                let sum = &mut s.attention_sum;
                self.attention_norm.forward(pass, entering, &mut s.attention_stats, x, n);
                self.attention.forward(pass, sum, &mut s.attention, scratch, (entering, residual));
                self.mlp_norm.forward(pass, entering, &mut s.mlp_stats, sum, rows);
                self.mlp.forward(pass, y, &mut s.mlp, scratch, (entering, sum));
            }
        }
    }

    /// Writes `dx[N, D]` from `dy[rows, D]`; `saved` is what forward kept, and `x`.
    pub fn backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        scratch: &mut BlockScratch<B>,
        dy: &B::Buffer,
        (saved, x): (&mut BlockSaved<B>, &B::Buffer),
    ) {
        match self.placement {
            Placement::Post => self.backward_post(pass, dx, grads, scratch, dy, (saved, x)),
            Placement::Pre => self.backward_pre(pass, dx, grads, scratch, dy, (saved, x)),
        }
    }

    fn backward_post<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        scratch: &mut BlockScratch<B>,
        dy: &B::Buffer,
        (s, x): (&BlockSaved<B>, &B::Buffer),
    ) {
        let rows = pass.rows();
        let BlockScratch { sublayer, sum: dsum, normed: dnormed, .. } = scratch;
        self.mlp_norm.backward(pass, dsum, grads, dy, (&s.mlp_sum, &s.mlp_stats), rows);
        self.mlp.backward(pass, dnormed, grads, sublayer, dsum, (&s.mlp, &s.attention_normed));
        pass.backend.add(dnormed, dsum, rows * self.width);
        self.attention_norm.backward(pass, dsum, grads, dnormed, (&s.attention_sum, &s.attention_stats), rows);
        self.attention.backward(pass, dx, grads, sublayer, dsum, (&s.attention, x));
        pass.add_taken(dx, dnormed, dsum, self.width);
    }

    fn backward_pre<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        scratch: &mut BlockScratch<B>,
        dy: &B::Buffer,
        (s, x): (&mut BlockSaved<B>, &B::Buffer),
    ) {
        let (n, rows) = (pass.batch.tokens(), pass.rows());
        let BlockScratch { sublayer, sum: dsum, normed: dnormed, .. } = scratch;
        // What a norm gave to its sublayer lies where the gradient is written last.
        self.mlp_norm.forward(pass, dx, &mut s.mlp_stats, &s.attention_sum, rows);
        self.mlp.backward(pass, dnormed, grads, sublayer, dy, (&s.mlp, dx));
        self.mlp_norm.backward(pass, dsum, grads, dnormed, (&s.attention_sum, &s.mlp_stats), rows);
        pass.backend.add(dsum, dy, rows * self.width);
        self.attention_norm.forward(pass, dx, &mut s.attention_stats, x, n);
        self.attention.backward(pass, dnormed, grads, sublayer, dsum, (&s.attention, dx));
        self.attention_norm.backward(pass, dx, grads, dnormed, (x, &s.attention_stats), n);
        pass.add_taken(dx, dnormed, dsum, self.width);
    }
}
