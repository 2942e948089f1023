//! One transformer block.
//!
//! Post-norm (BERT): `a = norm₁(x + attention(x))`, `y = norm₂(a + mlp(a))`.
//! Pre-norm (GPT-2): `r = x + attention(norm₁(x))`, `y = r + mlp(norm₂(r))`.

use finetone_backend::Backend;

use super::{Attention, AttentionSaved, Declare, Mlp, MlpSaved, Norm, SublayerScratch};
use crate::config::{ModelConfig, Placement};
use crate::params::Gradients;
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

/// What a block keeps for its backward, besides its input and output; all `[N, D]` but the statistics `[2 N]`.
pub struct BlockSaved<B: Backend> {
    attention: AttentionSaved<B>,
    mlp: MlpSaved<B>,
    /// Input plus attention.
    attention_sum: B::Buffer,
    /// Output of the attention's norm: before the attention (pre) or after the sum (post).
    attention_normed: B::Buffer,
    attention_stats: B::Buffer,
    /// What lies between the feed-forward sublayer and its norm: the sum (post) or the norm's output (pre).
    mlp_between: B::Buffer,
    mlp_stats: B::Buffer,
}

impl<B: Backend> BlockSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let hidden = || plan.zeros(plan.tokens * plan.config.hidden_size);
        let stats = || plan.zeros(2 * plan.tokens);
        Self {
            attention: AttentionSaved::new(plan),
            mlp: MlpSaved::new(plan),
            attention_sum: hidden(),
            attention_normed: hidden(),
            attention_stats: stats(),
            mlp_between: hidden(),
            mlp_stats: stats(),
        }
    }
}

/// Memory that all blocks share.
pub struct BlockScratch<B: Backend> {
    sublayer: SublayerScratch<B>,
    /// `[N, D]` each, for backward.
    sum: B::Buffer,
    normed: B::Buffer,
}

impl<B: Backend> BlockScratch<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let hidden = || plan.gradient(plan.tokens * plan.config.hidden_size);
        Self { sublayer: SublayerScratch::new(plan), sum: hidden(), normed: hidden() }
    }
}

impl Block {
    pub(crate) fn declare(at: &mut Declare<'_>, config: &ModelConfig) -> Self {
        let (d, epsilon) = (config.hidden_size, config.norm_epsilon);
        Self {
            attention: at.within("attention", |at| Attention::declare(at, config)),
            attention_norm: at.within("attention.norm", |at| Norm::declare(at, d, epsilon)),
            mlp: at.within("mlp", |at| Mlp::declare(at, config)),
            mlp_norm: at.within("mlp.norm", |at| Norm::declare(at, d, epsilon)),
            placement: config.placement,
            width: d,
        }
    }

    /// Writes `y[N, D]`.
    pub fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        y: &mut B::Buffer,
        saved: &mut BlockSaved<B>,
        scratch: &mut BlockScratch<B>,
        x: &B::Buffer,
    ) {
        let (s, scratch) = (saved, &mut scratch.sublayer);
        let n = pass.batch.tokens();
        match self.placement {
            Placement::Post => {
                let (sum, normed) = (&mut s.attention_sum, &mut s.attention_normed);
                self.attention.forward(pass, sum, &mut s.attention, (x, x));
                self.attention_norm.forward(pass, normed, &mut s.attention_stats, sum, n);
                self.mlp.forward(pass, &mut s.mlp_between, &mut s.mlp, scratch, (normed, normed));
                self.mlp_norm.forward(pass, y, &mut s.mlp_stats, &s.mlp_between, n);
            }
            Placement::Pre => {
                let (sum, normed) = (&mut s.attention_sum, &mut s.attention_normed);
                self.attention_norm.forward(pass, normed, &mut s.attention_stats, x, n);
                self.attention.forward(pass, sum, &mut s.attention, (normed, x));
                self.mlp_norm.forward(pass, &mut s.mlp_between, &mut s.mlp_stats, sum, n);
                self.mlp.forward(pass, y, &mut s.mlp, scratch, (&s.mlp_between, sum));
            }
        }
    }

    /// Writes `dx[N, D]`; `saved` is what forward kept, and `x`.
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
        let n = pass.batch.tokens();
        let len = n * self.width;
        let BlockScratch { sublayer, sum: dsum, normed: dnormed } = scratch;
        self.mlp_norm.backward(pass, dsum, grads, dy, (&s.mlp_between, &s.mlp_stats), n);
        self.mlp.backward(pass, dnormed, grads, sublayer, dsum, (&s.mlp, &s.attention_normed));
        pass.backend.add(dnormed, dsum, len);
        self.attention_norm.backward(pass, dsum, grads, dnormed, (&s.attention_sum, &s.attention_stats), n);
        self.attention.backward(pass, dx, grads, sublayer, dsum, (&s.attention, x));
        pass.backend.add(dx, dsum, len);
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
        let n = pass.batch.tokens();
        let len = n * self.width;
        let BlockScratch { sublayer, sum: dsum, normed: dnormed } = scratch;
        self.mlp.backward(pass, dnormed, grads, sublayer, dy, (&s.mlp, &s.mlp_between));
        self.mlp_norm.backward(pass, dsum, grads, dnormed, (&s.attention_sum, &s.mlp_stats), n);
        pass.backend.add(dsum, dy, len);
        self.attention.backward(pass, dnormed, grads, sublayer, dsum, (&s.attention, &s.attention_normed));
        self.attention_norm.backward(pass, dx, grads, dnormed, (x, &s.attention_stats), n);
        pass.backend.add(dx, dsum, len);
    }
}
