//! `y += s drop(x) Aᵀ Bᵀ` in some columns of `y`: what a low-rank adapter adds to a linear layer
//!
//! With `A[r, in]`, `B[out, r]`, `x̂ = drop(x)` and `h = x̂ Aᵀ`, and with `g = s dy` of these columns:
//! `dB += gᵀ h`, `dh = g B`, `dA += dhᵀ x̂`, `dx += drop(dh A)`.
//!
//! The layer's own weight is frozen, so the product for its gradient, a third of the layer's work, is never computed
//! (<https://arxiv.org/abs/2106.09685>). Backward computes `h` again: that costs `r / out` of a product, and nothing of what
//! blocks save for backward changes. Where queries, keys and values are one layer, each has an adapter of its own.

use finetone_backend::{Activation, Backend, Columns, ColumnsShape, LinearShape};

use super::{Declare, Dropout, Linear};
use crate::gradients::Gradients;
use crate::lora::{LoraSettings, LoraTarget};
use crate::params::{Init, ParamId};
use crate::transformer::Pass;
use crate::workspace::Plan;

/// An adapter of a layer with `y[rows, width]`, in the columns from `first` on.
#[derive(Debug, Clone)]
struct Adapter {
    a: ParamId,
    b: ParamId,
    dropout: Dropout,
    inputs: usize,
    rank: usize,
    outputs: usize,
    columns: Columns,
    scale: f64,
}

/// Memory that all adapters share, for the longest batch and the widest layer.
pub struct AdapterScratch<B: Backend> {
    /// `[N, r]`: `h`, or its gradient.
    low: B::Buffer,
    /// `[N, out]`: what is added, or its gradient.
    part: B::Buffer,
    /// `[N, in]`, in training: `x̂`, or its gradient.
    input: B::Buffer,
}

impl<B: Backend> AdapterScratch<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let (rank, inputs, outputs) = plan.config.lora.as_ref().map_or((0, 0, 0), |lora| lora.widths());
        let n = plan.tokens;
        Self { low: plan.zeros(n * rank), part: plan.zeros(n * outputs), input: plan.gradient(n * inputs) }
    }
}

impl Adapter {
    fn declare(at: &mut Declare<'_>, settings: &LoraSettings, target: &LoraTarget, width: usize) -> Self {
        let (inputs, outputs, rank) = (target.inputs, target.rows.len(), settings.rank);
        // The uniform values of PyTorch's linear layers, as PEFT has them.
        let a = at.matrix("lora_a", rank, inputs, Init::Uniform(1.0 / (inputs as f64).sqrt()));
        let b = at.matrix("lora_b", outputs, rank, Init::Zeros);
        [a, b].into_iter().for_each(|id| at.table.set_adapter(id));
        let columns = Columns { of: width, first: target.rows.start };
        let dropout = Dropout::declare(at, settings.dropout);
        Self { a, b, dropout, inputs, rank, outputs, columns, scale: settings.scale() }
    }

    /// `h[rows, r]` from `x[rows, in]`.
    fn down(&self, rows: usize) -> LinearShape {
        LinearShape { rows, inputs: self.inputs, outputs: self.rank }
    }

    /// What is added from `h`.
    fn up(&self, rows: usize) -> LinearShape {
        LinearShape { rows, inputs: self.rank, outputs: self.outputs }
    }

    fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        y: &mut B::Buffer,
        scratch: &mut AdapterScratch<B>,
        x: &B::Buffer,
        rows: usize,
    ) {
        let AdapterScratch { low, part, input } = scratch;
        let x = self.dropout.masked(pass, input, x, rows * self.inputs);
        pass.backend.linear_forward(low, x, pass.parameters.get(self.a), None, self.down(rows));
        pass.backend.linear_forward(part, low, pass.parameters.get(self.b), None, self.up(rows));
        let (count, from) = (self.outputs, Columns::whole(self.outputs));
        pass.backend.add_columns(y, part, self.scale, ColumnsShape { rows, count, to: self.columns, from });
    }

    /// Writes `g[rows, out]`.
    fn scaled<B: Backend>(&self, pass: &Pass<'_, B>, g: &mut B::Buffer, dy: &B::Buffer, rows: usize) {
        let (count, to) = (self.outputs, Columns::whole(self.outputs));
        pass.backend.clear(g, rows * count);
        pass.backend.add_columns(g, dy, self.scale, ColumnsShape { rows, count, to, from: self.columns });
    }

    /// Adds to `dx[rows, in]`.
    fn backward_input<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        scratch: &mut AdapterScratch<B>,
        dy: &B::Buffer,
        rows: usize,
    ) {
        let AdapterScratch { low: dh, part: g, input: dinput } = scratch;
        self.scaled(pass, g, dy, rows);
        pass.backend.linear_backward_input(dh, g, pass.parameters.get(self.b), self.up(rows));
        pass.backend.linear_backward_input(dinput, dh, pass.parameters.get(self.a), self.down(rows));
        self.dropout.apply(pass, dinput, rows * self.inputs);
        pass.backend.add(dx, dinput, rows * self.inputs);
    }

    /// Accumulates the gradients of A and B.
    fn accumulate<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        grads: &mut Gradients<B>,
        scratch: &mut AdapterScratch<B>,
        (dy, x): (&B::Buffer, &B::Buffer),
        rows: usize,
    ) {
        let (Some(da), Some(db)) = (pass.table.span(self.a), pass.table.span(self.b)) else { return };
        let AdapterScratch { low, part: g, input } = scratch;
        let x = self.dropout.masked(pass, input, x, rows * self.inputs);
        pass.backend.linear_forward(low, x, pass.parameters.get(self.a), None, self.down(rows));
        self.scaled(pass, g, dy, rows);
        pass.backend.linear_backward_weight(&mut grads.buffer, db, g, low, self.up(rows));
        pass.backend.linear_backward_input(low, g, pass.parameters.get(self.b), self.up(rows));
        pass.backend.linear_backward_weight(&mut grads.buffer, da, low, x, self.down(rows));
    }
}

/// A linear layer of a block with the adapters that it carries, if any.
#[derive(Debug, Clone)]
pub struct AdaptedLinear {
    linear: Linear,
    adapters: Vec<Adapter>,
}

impl AdaptedLinear {
    pub(crate) fn declare(at: &mut Declare<'_>, sizes: (usize, usize), bias: bool, init: Init) -> Self {
        let linear = Linear::declare(at, sizes, bias, init);
        let adapters = at.lora.map_or_else(Vec::new, |lora| {
            let of_layer = lora.targets.iter().filter(|target| at.prefix.strip_suffix('.') == Some(&target.layer));
            let targets: Vec<&LoraTarget> = of_layer.collect();
            let declare = |target: &LoraTarget| {
                at.within(target.leaf(), |at| Adapter::declare(at, &lora.settings, target, sizes.1))
            };
            targets.into_iter().map(declare).collect()
        });
        Self { linear, adapters }
    }

    /// Writes `y[rows, outputs]`.
    pub fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        y: &mut B::Buffer,
        scratch: &mut AdapterScratch<B>,
        x: &B::Buffer,
        rows: usize,
    ) {
        self.linear.forward(pass, y, x, rows);
        self.adapters.iter().for_each(|adapter| adapter.forward(pass, y, scratch, x, rows));
    }

    /// [`Linear::forward_activated`], with the adapters before the activation.
    pub fn forward_activated<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        (y, inner): (&mut B::Buffer, &mut B::Buffer),
        scratch: &mut AdapterScratch<B>,
        x: &B::Buffer,
        (activation, keep): (Activation, bool),
        rows: usize,
    ) {
        if self.adapters.is_empty() {
            return self.linear.forward_activated(pass, (y, inner), x, (activation, keep), rows);
        }
        self.forward(pass, inner, scratch, x, rows);
        pass.backend.activation_forward(y, inner, activation, rows * self.linear.shape(rows).outputs);
    }

    /// Writes `dx[rows, inputs]` and accumulates the parameters' gradients.
    pub fn backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        scratch: &mut AdapterScratch<B>,
        (dy, x): (&B::Buffer, &B::Buffer),
        rows: usize,
    ) {
        self.accumulate(pass, grads, scratch, (dy, x), rows);
        self.backward_input(pass, dx, scratch, dy, rows);
    }

    /// Writes `dx[rows, inputs]` alone.
    pub fn backward_input<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        scratch: &mut AdapterScratch<B>,
        dy: &B::Buffer,
        rows: usize,
    ) {
        self.linear.backward_input(pass, dx, dy, rows);
        self.adapters.iter().for_each(|adapter| adapter.backward_input(pass, dx, scratch, dy, rows));
    }

    /// [`Linear::backward_activated`], with the adapters behind the activation.
    pub fn backward_activated<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        (dinner, x): (&mut B::Buffer, &mut B::Buffer),
        (grads, scratch): (&mut Gradients<B>, &mut AdapterScratch<B>),
        dy: &B::Buffer,
        (inner, activation): (&B::Buffer, Activation),
        rows: usize,
    ) {
        if self.adapters.is_empty() {
            return self.linear.backward_activated(pass, (dinner, x), grads, dy, (inner, activation), rows);
        }
        let len = rows * self.linear.shape(rows).inputs;
        self.backward_input(pass, x, scratch, dy, rows);
        pass.backend.activation_backward(dinner, x, inner, activation, len);
        pass.backend.activation_forward(x, inner, activation, len);
        self.accumulate(pass, grads, scratch, (dy, x), rows);
    }

    /// Accumulates the parameters' gradients alone.
    pub fn accumulate<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        grads: &mut Gradients<B>,
        scratch: &mut AdapterScratch<B>,
        (dy, x): (&B::Buffer, &B::Buffer),
        rows: usize,
    ) {
        self.linear.accumulate(pass, grads, dy, x, rows);
        self.adapters.iter().for_each(|adapter| adapter.accumulate(pass, grads, scratch, (dy, x), rows));
    }
}
