//! One transformer block.
//!
//! Post-norm (BERT): `a = norm₁(x + attention(x))`, `y = norm₂(a + mlp(a))`.
//! Pre-norm (GPT-2, Llama): `r = x + attention(norm₁(x))`, `y = r + mlp(norm₂(r))`.

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
    /// Output of the attention's norm: before the attention (pre, of all tokens) or after the sum (post).
    attention_normed: B::Buffer,
    attention_stats: B::Buffer,
    /// What lies between the feed-forward sublayer and its norm: the sum (post) or the norm's output (pre).
    mlp_between: B::Buffer,
    mlp_stats: B::Buffer,
}

impl<B: Backend> BlockSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>, rows: usize) -> Self {
        let hidden = |rows| plan.zeros(rows * plan.config.hidden_size);
        let stats = |rows| plan.zeros(2 * rows);
        let normed = match plan.config.placement {
            Placement::Pre => plan.tokens,
            Placement::Post => rows,
        };
        Self {
            attention: AttentionSaved::new(plan, rows),
            mlp: MlpSaved::new(plan, rows),
            attention_sum: hidden(rows),
            attention_normed: hidden(normed),
            attention_stats: stats(normed),
            mlp_between: hidden(rows),
            mlp_stats: stats(rows),
        }
    }
}

/// Memory that all blocks share.
pub struct BlockScratch<B: Backend> {
    sublayer: SublayerScratch<B>,
    /// `[S, D]`: of a block's input the rows asked for, where not all are.
    residual: B::Buffer,
    /// `[N, D]` each, for backward.
    sum: B::Buffer,
    normed: B::Buffer,
}

impl<B: Backend> BlockScratch<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let hidden = || plan.gradient(plan.tokens * plan.config.hidden_size);
        let residual = plan.zeros(plan.sequences * plan.config.hidden_size);
        Self { sublayer: SublayerScratch::new(plan), residual, sum: hidden(), normed: hidden() }
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
        let (s, BlockScratch { sublayer: scratch, residual, .. }) = (saved, scratch);
        let residual = pass.take(residual, x, self.width);
        let (n, rows) = (pass.batch.tokens(), pass.rows());
        match self.placement {
            Placement::Post => {
                let (sum, normed) = (&mut s.attention_sum, &mut s.attention_normed);
                self.attention.forward(pass, sum, &mut s.attention, scratch, (x, residual));
                self.attention_norm.forward(pass, normed, &mut s.attention_stats, sum, rows);
                self.mlp.forward(pass, &mut s.mlp_between, &mut s.mlp, scratch, (normed, normed));
                self.mlp_norm.forward(pass, y, &mut s.mlp_stats, &s.mlp_between, rows);
            }
            Placement::Pre => {
                let (sum, normed) = (&mut s.attention_sum, &mut s.attention_normed);
                self.attention_norm.forward(pass, normed, &mut s.attention_stats, x, n);
                self.attention.forward(pass, sum, &mut s.attention, scratch, (normed, residual));
                self.mlp_norm.forward(pass, &mut s.mlp_between, &mut s.mlp_stats, sum, rows);
                self.mlp.forward(pass, y, &mut s.mlp, scratch, (&s.mlp_between, sum));
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
        (saved, x): (&BlockSaved<B>, &B::Buffer),
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
        self.mlp_norm.backward(pass, dsum, grads, dy, (&s.mlp_between, &s.mlp_stats), rows);
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
        (s, x): (&BlockSaved<B>, &B::Buffer),
    ) {
        let (n, rows) = (pass.batch.tokens(), pass.rows());
        let BlockScratch { sublayer, sum: dsum, normed: dnormed, .. } = scratch;
        self.mlp.backward(pass, dnormed, grads, sublayer, dy, (&s.mlp, &s.mlp_between));
        self.mlp_norm.backward(pass, dsum, grads, dnormed, (&s.attention_sum, &s.mlp_stats), rows);
        pass.backend.add(dsum, dy, rows * self.width);
        self.attention.backward(pass, dnormed, grads, sublayer, dsum, (&s.attention, &s.attention_normed));
        self.attention_norm.backward(pass, dx, grads, dnormed, (x, &s.attention_stats), n);
        pass.add_taken(dx, dnormed, dsum, self.width);
    }
}
