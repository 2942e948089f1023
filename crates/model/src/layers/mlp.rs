//! `y = drop(f(x W₁ᵀ + b₁) W₂ᵀ + b₂)`

use finetone_backend::{Activation, Backend};

use super::attention::residual_init;
use super::{Declare, Dropout, Linear, SublayerScratch};
use crate::config::ModelConfig;
use crate::params::{Gradients, Init};
use crate::transformer::Pass;

/// The feed-forward sublayer, D → F → D.
#[derive(Debug, Clone)]
pub struct Mlp {
    up: Linear,
    down: Linear,
    dropout: Dropout,
    activation: Activation,
    width: usize,
    inner: usize,
}

/// What the feed-forward sublayer keeps for its backward.
pub struct MlpSaved<B: Backend> {
    /// `[N, F]`, before the activation.
    inner: B::Buffer,
    /// `[N, F]`, after it.
    activated: B::Buffer,
}

impl<B: Backend> MlpSaved<B> {
    pub(crate) fn new(backend: &B, config: &ModelConfig, tokens: usize) -> Self {
        let len = tokens * config.intermediate_size;
        Self { inner: backend.zeros(len), activated: backend.zeros(len) }
    }
}

impl Mlp {
    pub(crate) fn declare(at: &mut Declare<'_>, config: &ModelConfig) -> Self {
        let (d, f) = (config.hidden_size, config.intermediate_size);
        let init = Init::Normal(config.initializer_range);
        Self {
            up: at.within("up", |at| Linear::declare(at, (d, f), true, init)),
            down: at.within("down", |at| Linear::declare(at, (f, d), true, residual_init(config))),
            dropout: Dropout::declare(at, config.dropout.residual),
            activation: config.activation,
            width: d,
            inner: f,
        }
    }

    /// Writes `y[N, D]`.
    pub fn forward<B: Backend>(&self, pass: &Pass<'_, B>, y: &mut B::Buffer, saved: &mut MlpSaved<B>, x: &B::Buffer) {
        let n = pass.batch.tokens();
        self.up.forward(pass, &mut saved.inner, x, n);
        pass.backend.activation_forward(&mut saved.activated, &saved.inner, self.activation, n * self.inner);
        self.down.forward(pass, y, &saved.activated, n);
        self.dropout.apply(pass, y, n * self.width);
    }

    /// Writes `dx[N, D]`; `saved` is what forward kept, and `x`.
    pub fn backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        scratch: &mut SublayerScratch<B>,
        dy: &B::Buffer,
        (saved, x): (&MlpSaved<B>, &B::Buffer),
    ) {
        let n = pass.batch.tokens();
        let dy = self.dropout.backward(pass, &mut scratch.branch, dy, n * self.width);
        self.down.backward(pass, &mut scratch.activated, grads, dy, &saved.activated, n);
        let (dinner, dactivated) = (&mut scratch.inner, &scratch.activated);
        pass.backend.activation_backward(dinner, dactivated, &saved.inner, self.activation, n * self.inner);
        self.up.backward(pass, dx, grads, &scratch.inner, x, n);
    }
}
