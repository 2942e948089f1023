//! The layers, each with its forward and its backward side by side.
//!
//! Every file reads the same way: the equations, the parameters, what is saved between forward and backward, forward,
//! backward. `dx` is the gradient of `x`; backward is forward reversed; activation gradients overwrite, parameter
//! gradients accumulate, and a sum of two gradients is an explicit `add`.

mod attention;
mod block;
mod dropout;
mod embedding;
mod head;
mod linear;
mod mlp;
mod norm;

pub use attention::{Attention, AttentionSaved};
pub use block::{Block, BlockSaved, BlockScratch};
pub use dropout::Dropout;
pub use embedding::{Embedding, EmbeddingSaved};
pub use head::{Head, HeadSaved, HeadScratch};
pub use linear::Linear;
pub use mlp::{Mlp, MlpSaved};
pub use norm::Norm;

use finetone_backend::{Backend, WeightShape};

use crate::config::ModelConfig;
use crate::params::{Init, ParamId, ParamSpec, ParamTable, Part};

/// Declares parameters and dropout sites while a model is being put together.
pub(crate) struct Declare<'a> {
    pub table: &'a mut ParamTable,
    pub sites: &'a mut u32,
    pub part: Part,
    pub prefix: String,
}

impl Declare<'_> {
    fn matrix(&mut self, name: &str, rows: usize, columns: usize, init: Init) -> ParamId {
        self.declare(name, WeightShape { rows, columns }, init, true)
    }

    fn vector(&mut self, name: &str, len: usize, init: Init) -> ParamId {
        self.declare(name, WeightShape { rows: 1, columns: len }, init, false)
    }

    fn declare(&mut self, name: &str, shape: WeightShape, init: Init, decay: bool) -> ParamId {
        let name = format!("{}{name}", self.prefix);
        self.table.declare(ParamSpec { name, shape, decay, init, part: self.part, trainable: true })
    }

    fn within<T>(&mut self, name: &str, build: impl FnOnce(&mut Declare<'_>) -> T) -> T {
        let prefix = format!("{}{name}.", self.prefix);
        build(&mut Declare { table: self.table, sites: self.sites, part: self.part, prefix })
    }

    fn site(&mut self) -> u32 {
        *self.sites += 1;
        *self.sites
    }
}

/// Memory of the sublayers during backward, shared by all blocks of a model.
pub struct SublayerScratch<B: Backend> {
    /// `[N, D]`: the gradient of a sublayer's output behind its dropout.
    branch: B::Buffer,
    /// `[N, D]`: the gradient of the attended values.
    attended: B::Buffer,
    /// `[N, 3 D]`.
    qkv: B::Buffer,
    /// `[N, F]`: the gradient before and after the activation.
    inner: B::Buffer,
    activated: B::Buffer,
}

impl<B: Backend> SublayerScratch<B> {
    fn new(backend: &B, config: &ModelConfig, tokens: usize) -> Self {
        let hidden = tokens * config.hidden_size;
        let inner = tokens * config.intermediate_size;
        Self {
            branch: backend.zeros(hidden),
            attended: backend.zeros(hidden),
            qkv: backend.zeros(3 * hidden),
            inner: backend.zeros(inner),
            activated: backend.zeros(inner),
        }
    }
}
