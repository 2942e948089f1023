//! The layers, each with its forward and its backward side by side.
//!
//! Every file reads the same way: the equations, the parameters, what is saved between forward and backward, forward,
//! backward. `dx` is the gradient of `x`; backward is forward reversed; activation gradients overwrite, parameter
//! gradients accumulate, and a sum of two gradients is an explicit `add`.

mod adapter;
mod attention;
mod block;
mod dropout;
mod embedding;
mod head;
mod heads;
mod linear;
mod mlp;
mod norm;
mod stack;

pub use adapter::{AdaptedLinear, AdapterScratch};
pub use attention::{Attention, AttentionSaved};
pub use block::{Block, BlockSaved, BlockScratch};
pub use dropout::Dropout;
pub use embedding::{Embedding, EmbeddingSaved};
pub use head::{Head, HeadSaved, HeadScratch};
pub use heads::{Heads, HeadsSaved};
pub use linear::Linear;
pub use mlp::{Mlp, MlpSaved};
pub use norm::Norm;
pub use stack::{Stack, StackSaved};

use finetone_backend::{Backend, Real, WeightShape};

use crate::config::{ModelConfig, Positions};
use crate::lora::Lora;
use crate::params::{Init, ParamId, ParamSpec, ParamTable, Part};
use crate::workspace::{Plan, angle_rows};

/// Declares parameters and dropout sites while a model is being put together.
pub(crate) struct Declare<'a> {
    pub table: &'a mut ParamTable,
    pub sites: &'a mut u32,
    pub lora: Option<&'a Lora>,
    pub part: Part,
    pub prefix: String,
}

impl Declare<'_> {
    fn matrix(&mut self, name: &str, rows: usize, columns: usize, init: Init) -> ParamId {
        self.declare(name, WeightShape { rows, columns }, init, true)
    }

    /// A matrix of which each pass looks up some rows.
    fn lookup(&mut self, name: &str, rows: usize, columns: usize, init: Init) -> ParamId {
        let id = self.matrix(name, rows, columns, init);
        self.table.set_looked_up(id);
        id
    }

    fn vector(&mut self, name: &str, len: usize, init: Init) -> ParamId {
        self.declare(name, WeightShape { rows: 1, columns: len }, init, false)
    }

    fn declare(&mut self, name: &str, shape: WeightShape, init: Init, decay: bool) -> ParamId {
        let name = format!("{}{name}", self.prefix);
        self.table.declare(ParamSpec {
            name,
            shape,
            decay,
            init,
            part: self.part,
            looked_up: false,
            adapter: false,
            trainable: true,
        })
    }

    fn within<T>(&mut self, name: &str, build: impl FnOnce(&mut Declare<'_>) -> T) -> T {
        let prefix = format!("{}{name}.", self.prefix);
        build(&mut Declare { table: self.table, sites: self.sites, lora: self.lora, part: self.part, prefix })
    }

    fn site(&mut self) -> u32 {
        *self.sites += 1;
        *self.sites
    }
}

/// Memory of the sublayers, shared by all blocks of a model. A sublayer is two linear layers with something between them.
pub struct SublayerScratch<B: Backend> {
    /// `[N, D]`: the gradient of the sublayer's output behind its dropout.
    branch: B::Buffer,
    /// `[N, max((H + 2 K) E, F or 2 F)]`: the gradient of what the first linear layer gives.
    inner: B::Buffer,
    /// `[N, max(H E, F)]`: what the second linear layer takes, or its gradient; where heads are normalised, as wide as
    /// queries, keys and values.
    outer: B::Buffer,
    /// `[N, (H + 2 K) E]`, where passes continue a sequence: queries, keys and values of the tokens that are new.
    fresh: B::Buffer,
    /// What the adapters of linear layers need.
    adapters: AdapterScratch<B>,
    /// `[P, E]`, the angles of rotary positions ([`crate::Rotary::table`]); empty where positions are learned.
    angles: B::Buffer,
}

impl<B: Backend> SublayerScratch<B> {
    fn new(plan: &Plan<'_, B>) -> Self {
        let (n, d) = (plan.tokens, plan.config.hidden_size);
        let (inner, outer) = sublayer_widths(plan.config);
        Self {
            branch: plan.gradient(n * d),
            inner: plan.gradient(n * inner),
            outer: plan.zeros(n * outer),
            fresh: plan.zeros(if plan.continued { n * plan.config.qkv_width() } else { 0 }),
            adapters: AdapterScratch::new(plan),
            angles: angles(plan),
        }
    }
}

/// Widths of [`SublayerScratch`]'s `inner` and `outer`.
pub(crate) fn sublayer_widths(config: &ModelConfig) -> (usize, usize) {
    let qkv = config.qkv_width();
    let outer = config.intermediate_size.max(if config.head_norm { qkv } else { config.query_width() });
    (config.inner_width().max(qkv), outer)
}

/// The table of angles for the positions that a batch may have.
fn angles<B: Backend>(plan: &Plan<'_, B>) -> B::Buffer {
    let Positions::Rotary(rotary) = plan.config.positions else { return plan.zeros(0) };
    let rows = angle_rows(plan.config, plan.tokens);
    let values: Vec<B::Real> = rotary.table(rows, plan.config.head_dim).into_iter().map(B::Real::from_f64).collect();
    let mut angles = plan.zeros(values.len());
    plan.backend.write(&mut angles, &values);
    angles
}
