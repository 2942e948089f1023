//! `y = r + drop(f(x W₁ᵀ + b₁) W₂ᵀ + b₂)`, with the residual `r`; or, gated, `y = r + drop((f(g) ∘ u) W₂ᵀ + b₂)` with
//! `[g u] = x W₁ᵀ + b₁` (<https://arxiv.org/abs/2002.05202>)

use finetone_backend::{Activation, Backend, GatedShape};

use super::attention::residual_init;
use super::{AdaptedLinear, Declare, Dropout, SublayerScratch};
use crate::config::ModelConfig;
use crate::gradients::Gradients;
use crate::params::Init;
use crate::transformer::Pass;
use crate::workspace::Plan;

/// The feed-forward sublayer, D → F → D, or D → 2 F → F → D.
#[derive(Debug, Clone)]
pub struct Mlp {
    up: AdaptedLinear,
    down: AdaptedLinear,
    dropout: Dropout,
    activation: Activation,
    gated: bool,
    width: usize,
    inner: usize,
}

/// What the feed-forward sublayer keeps for its backward.
pub struct MlpSaved<B: Backend> {
    /// `[rows, F]` or `[rows, 2 F]`, before the activation. The values after it are cheap to compute again.
    inner: B::Buffer,
    /// Whether backward will ask for it.
    keep: bool,
}

impl<B: Backend> MlpSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>, rows: usize) -> Self {
        Self { inner: plan.zeros(rows * plan.config.inner_width()), keep: plan.training }
    }
}

impl Mlp {
    pub(crate) fn declare(at: &mut Declare<'_>, config: &ModelConfig) -> Self {
        let (d, f, bias) = (config.hidden_size, config.intermediate_size, config.biases.mlp);
        let init = Init::Normal(config.initializer_range);
        Self {
            up: at.within("up", |at| AdaptedLinear::declare(at, (d, config.inner_width()), bias, init)),
            down: at.within("down", |at| AdaptedLinear::declare(at, (f, d), bias, residual_init(config))),
            dropout: Dropout::declare(at, config.dropout.residual),
            activation: config.activation,
            gated: config.gated,
            width: d,
            inner: f,
        }
    }

    fn gate(&self, rows: usize) -> GatedShape {
        GatedShape { rows, width: self.inner }
    }

    /// Writes `y[rows, D]`, the residual included.
    pub fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        y: &mut B::Buffer,
        saved: &mut MlpSaved<B>,
        scratch: &mut SublayerScratch<B>,
        (x, residual): (&B::Buffer, &B::Buffer),
    ) {
        let n = pass.rows();
        let SublayerScratch { outer: activated, adapters, .. } = scratch;
        if self.gated {
            self.up.forward(pass, &mut saved.inner, adapters, x, n);
            pass.backend.gated_forward(activated, &saved.inner, self.activation, self.gate(n));
        } else {
            let written = (&mut *activated, &mut saved.inner);
            self.up.forward_activated(pass, written, adapters, x, (self.activation, saved.keep), n);
        }
        self.down.forward(pass, y, adapters, activated, n);
        self.dropout.apply_and_add(pass, y, residual, n * self.width);
    }

    /// Writes `dx[rows, D]`, without what goes through the residual; `saved` is what forward kept, and `x`.
    pub fn backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        scratch: &mut SublayerScratch<B>,
        dy: &B::Buffer,
        (saved, x): (&MlpSaved<B>, &B::Buffer),
    ) {
        let n = pass.rows();
        let SublayerScratch { branch, inner: dinner, outer: activated, adapters, .. } = scratch;
        let dy = self.dropout.masked(pass, branch, dy, n * self.width);
        if self.gated {
            self.down.backward_input(pass, activated, adapters, dy, n);
            pass.backend.gated_backward(dinner, activated, &saved.inner, self.activation, self.gate(n));
            self.down.accumulate(pass, grads, adapters, (dy, activated), n);
        } else {
            let before = (&saved.inner, self.activation);
            self.down.backward_activated(pass, (dinner, activated), (grads, adapters), dy, before, n);
        }
        self.up.backward(pass, dx, grads, adapters, (dinner, x), n);
    }
}
