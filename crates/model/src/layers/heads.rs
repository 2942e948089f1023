//! What is done to queries and keys before they meet: `q ← R(p) norm(q)` and `k ← R(p) norm(k)`, head by head, with the
//! rotation `R` by the angles of the token's position `p`
//!
//! The norm where the family has one (Qwen3), the rotation where it has no table of positions. Backward takes both back
//! in reverse; values pass through.

use finetone_backend::{Backend, RotaryShape, Segments, Turn};

use super::{Declare, Norm};
use crate::config::{ModelConfig, Positions};
use crate::gradients::Gradients;
use crate::transformer::Pass;
use crate::workspace::Plan;

/// The norms of queries and keys, and which heads are turned.
#[derive(Debug, Clone)]
pub struct Heads {
    norms: Option<[Norm; 2]>,
    turned: Option<Segments>,
    head_size: usize,
    width: usize,
}

/// What the norms keep for their backward, where there are any.
pub struct HeadsSaved<B: Backend> {
    normed: Option<NormedHeads<B>>,
}

struct NormedHeads<B: Backend> {
    /// `[N, (H + 2 K) E]`, as the linear layer gave them.
    qkv: B::Buffer,
    /// `[2 N H]` and `[2 N K]`.
    stats: [B::Buffer; 2],
}

impl<B: Backend> HeadsSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let (n, config) = (plan.tokens, plan.config);
        let normed = config.head_norm.then(|| NormedHeads {
            qkv: plan.zeros(n * config.qkv_width()),
            stats: [config.num_attention_heads, config.num_key_value_heads].map(|heads| plan.zeros(2 * n * heads)),
        });
        Self { normed }
    }
}

impl Heads {
    pub(crate) fn declare(at: &mut Declare<'_>, config: &ModelConfig) -> Self {
        let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
        let of = heads + 2 * kv_heads;
        let mut norm = |name, first, count| {
            let segments = Segments { of, first, count };
            at.within(name, |at| Norm::of_segments(at, config, config.head_dim, segments))
        };
        Self {
            norms: config.head_norm.then(|| [norm("query_norm", 0, heads), norm("key_norm", heads, kv_heads)]),
            turned: match config.positions {
                Positions::Learned => None,
                Positions::Rotary(_) => Some(Segments { of, first: 0, count: heads + kv_heads }),
            },
            head_size: config.head_dim,
            width: config.qkv_width(),
        }
    }

    fn turn<B: Backend>(&self, pass: &Pass<'_, B>, x: &mut B::Buffer, angles: &B::Buffer, turn: Turn) {
        if let Some(segments) = self.turned {
            let shape = RotaryShape { tokens: pass.batch.tokens(), head_size: self.head_size, segments, turn };
            pass.backend.rotary(x, angles, &pass.batch.positions, shape);
        }
    }

    /// Changes the queries and keys of `qkv[N, (H + 2 K) E]`.
    pub fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        qkv: &mut B::Buffer,
        saved: &mut HeadsSaved<B>,
        angles: &B::Buffer,
    ) {
        let n = pass.batch.tokens();
        if let (Some(norms), Some(NormedHeads { qkv: raw, stats })) = (&self.norms, &mut saved.normed) {
            pass.backend.copy((&mut *raw, 0), qkv, n * self.width);
            norms.iter().zip(stats).for_each(|(norm, stats)| norm.forward(pass, qkv, stats, raw, n));
        }
        self.turn(pass, qkv, angles, Turn::Forward);
    }

    /// The gradient of what the linear layer gave, from that of the changed heads in `dqkv`; `draw` is scratch.
    pub fn backward<'s, B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        grads: &mut Gradients<B>,
        (dqkv, draw): (&'s mut B::Buffer, &'s mut B::Buffer),
        (saved, angles): (&HeadsSaved<B>, &B::Buffer),
    ) -> &'s B::Buffer {
        let n = pass.batch.tokens();
        self.turn(pass, dqkv, angles, Turn::Backward);
        let (Some(norms), Some(NormedHeads { qkv: raw, stats })) = (&self.norms, &saved.normed) else { return dqkv };
        pass.backend.copy((&mut *draw, 0), dqkv, n * self.width);
        norms.iter().zip(stats).for_each(|(norm, stats)| norm.backward(pass, draw, grads, dqkv, (raw, stats), n));
        draw
    }
}
