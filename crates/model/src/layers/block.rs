//! One transformer block.
//!
//! Post-norm (BERT): `a = norm₁(x + attention(x))`, `y = norm₂(a + mlp(a))`.
//! Pre-norm (GPT-2): `r = x + attention(norm₁(x))`, `y = r + mlp(norm₂(r))`.

use finetone_backend::Backend;

use super::{Attention, AttentionSaved, Declare, Mlp, MlpSaved, Norm, SublayerScratch};
use crate::config::{ModelConfig, Placement};
use crate::params::Gradients;
use crate::transformer::Pass;

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

/// What a block keeps for its backward; all `[N, D]` but the statistics `[2 N]`.
pub struct BlockSaved<B: Backend> {
    attention: AttentionSaved<B>,
    mlp: MlpSaved<B>,
    /// Input plus attention.
    attention_sum: B::Buffer,
    /// Output of the attention's norm: before the attention (pre) or after the sum (post).
    attention_normed: B::Buffer,
    attention_stats: B::Buffer,
    /// That plus the feed-forward sublayer.
    mlp_sum: B::Buffer,
    mlp_normed: B::Buffer,
    mlp_stats: B::Buffer,
    placement: Placement,
}

impl<B: Backend> BlockSaved<B> {
    pub(crate) fn new(backend: &B, config: &ModelConfig, tokens: usize) -> Self {
        let hidden = || backend.zeros(tokens * config.hidden_size);
        let stats = || backend.zeros(2 * tokens);
        Self {
            attention: AttentionSaved::new(backend, config, tokens),
            mlp: MlpSaved::new(backend, config, tokens),
            attention_sum: hidden(),
            attention_normed: hidden(),
            attention_stats: stats(),
            mlp_sum: hidden(),
            mlp_normed: hidden(),
            mlp_stats: stats(),
            placement: config.placement,
        }
    }

    /// The block's output `[N, D]`.
    pub fn output(&self) -> &B::Buffer {
        match self.placement {
            Placement::Pre => &self.mlp_sum,
            Placement::Post => &self.mlp_normed,
        }
    }
}

/// Memory of a block's backward, shared by all blocks.
pub struct BlockScratch<B: Backend> {
    sublayer: SublayerScratch<B>,
    /// `[N, D]` each.
    sum: B::Buffer,
    normed: B::Buffer,
}

impl<B: Backend> BlockScratch<B> {
    pub(crate) fn new(backend: &B, config: &ModelConfig, tokens: usize) -> Self {
        let hidden = || backend.zeros(tokens * config.hidden_size);
        Self { sublayer: SublayerScratch::new(backend, config, tokens), sum: hidden(), normed: hidden() }
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

    /// Writes the output, `saved.output()`.
    pub fn forward<B: Backend>(&self, pass: &Pass<'_, B>, saved: &mut BlockSaved<B>, x: &B::Buffer) {
        let s = saved;
        let n = pass.batch.tokens();
        let len = n * self.width;
        match self.placement {
            Placement::Post => {
                self.attention.forward(pass, &mut s.attention_sum, &mut s.attention, x);
                pass.backend.add(&mut s.attention_sum, x, len);
                let norm = &self.attention_norm;
                norm.forward(pass, &mut s.attention_normed, &mut s.attention_stats, &s.attention_sum, n);
                self.mlp.forward(pass, &mut s.mlp_sum, &mut s.mlp, &s.attention_normed);
                pass.backend.add(&mut s.mlp_sum, &s.attention_normed, len);
                self.mlp_norm.forward(pass, &mut s.mlp_normed, &mut s.mlp_stats, &s.mlp_sum, n);
            }
            Placement::Pre => {
                self.attention_norm.forward(pass, &mut s.attention_normed, &mut s.attention_stats, x, n);
                self.attention.forward(pass, &mut s.attention_sum, &mut s.attention, &s.attention_normed);
                pass.backend.add(&mut s.attention_sum, x, len);
                self.mlp_norm.forward(pass, &mut s.mlp_normed, &mut s.mlp_stats, &s.attention_sum, n);
                self.mlp.forward(pass, &mut s.mlp_sum, &mut s.mlp, &s.mlp_normed);
                pass.backend.add(&mut s.mlp_sum, &s.attention_sum, len);
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
        self.mlp_norm.backward(pass, dsum, grads, dy, (&s.mlp_sum, &s.mlp_stats), n);
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
        self.mlp.backward(pass, dnormed, grads, sublayer, dy, (&s.mlp, &s.mlp_normed));
        self.mlp_norm.backward(pass, dsum, grads, dnormed, (&s.attention_sum, &s.mlp_stats), n);
        pass.backend.add(dsum, dy, len);
        self.attention.backward(pass, dnormed, grads, sublayer, dsum, (&s.attention, &s.attention_normed));
        self.attention_norm.backward(pass, dx, grads, dnormed, (x, &s.attention_stats), n);
        pass.backend.add(dx, dsum, len);
    }
}
