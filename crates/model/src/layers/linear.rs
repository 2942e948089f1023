//! `y = x Wᵀ + b`
//!
//! `dx = dy W`, `dW += dyᵀ x`, `db += Σ dy`.

use finetone_backend::{Activation, Backend, LinearShape};

use super::Declare;
use crate::gradients::Gradients;
use crate::params::{Init, ParamId};
use crate::transformer::Pass;

/// A linear layer, `x[rows, inputs]` to `y[rows, outputs]`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: ParamId,
    bias: Option<ParamId>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    pub(crate) fn declare(at: &mut Declare<'_>, sizes: (usize, usize), bias: bool, init: Init) -> Self {
        let (inputs, outputs) = sizes;
        let weight = at.matrix("weight", outputs, inputs, init);
        let bias = bias.then(|| at.vector("bias", outputs, Init::Zeros));
        Self { weight, bias, inputs, outputs }
    }

    /// A layer whose weight, `[outputs, inputs]`, is another's.
    pub(crate) fn sharing(
        at: &mut Declare<'_>,
        weight: ParamId,
        (inputs, outputs): (usize, usize),
        bias: bool,
    ) -> Self {
        Self { weight, bias: bias.then(|| at.vector("bias", outputs, Init::Zeros)), inputs, outputs }
    }

    /// Its parameters.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = ParamId> {
        [self.weight].into_iter().chain(self.bias)
    }

    /// The shape of the product with this many rows.
    pub(crate) fn shape(&self, rows: usize) -> LinearShape {
        LinearShape { rows, inputs: self.inputs, outputs: self.outputs }
    }

    /// Writes `y[rows, outputs]`.
    pub fn forward<B: Backend>(&self, pass: &Pass<'_, B>, y: &mut B::Buffer, x: &B::Buffer, rows: usize) {
        let bias = self.bias.map(|id| pass.parameters.get(id));
        pass.backend.linear_forward(y, x, pass.parameters.get(self.weight), bias, self.shape(rows));
    }

    /// Writes `inner[rows, outputs]`, the layer's own output, if it is to be kept, and `y = f(inner)`.
    pub fn forward_activated<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        (y, inner): (&mut B::Buffer, &mut B::Buffer),
        x: &B::Buffer,
        (activation, keep): (Activation, bool),
        rows: usize,
    ) {
        let weights = (pass.parameters.get(self.weight), self.bias.map(|id| pass.parameters.get(id)));
        pass.backend.linear_activation_forward((y, inner), x, weights, activation, self.shape(rows), keep);
    }

    /// Writes `dx[rows, inputs]` and accumulates the parameters' gradients.
    pub fn backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        dy: &B::Buffer,
        x: &B::Buffer,
        rows: usize,
    ) {
        self.accumulate(pass, grads, dy, x, rows);
        self.backward_input(pass, dx, dy, rows);
    }

    /// Writes `dx[rows, inputs]` alone.
    pub fn backward_input<B: Backend>(&self, pass: &Pass<'_, B>, dx: &mut B::Buffer, dy: &B::Buffer, rows: usize) {
        pass.backend.linear_backward_input(dx, dy, pass.parameters.get(self.weight), self.shape(rows));
    }

    /// Backward where `x = f(inner)`: writes `dinner[rows, inputs]` and, once more, `x`, which forward need not keep.
    pub fn backward_activated<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        (dinner, x): (&mut B::Buffer, &mut B::Buffer),
        grads: &mut Gradients<B>,
        dy: &B::Buffer,
        (inner, activation): (&B::Buffer, Activation),
        rows: usize,
    ) {
        let weight = pass.parameters.get(self.weight);
        pass.backend.linear_activation_backward((dinner, x), dy, weight, inner, activation, self.shape(rows));
        self.accumulate(pass, grads, dy, x, rows);
    }

    /// Accumulates the parameters' gradients alone.
    pub fn accumulate<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        grads: &mut Gradients<B>,
        dy: &B::Buffer,
        x: &B::Buffer,
        rows: usize,
    ) {
        let shape = self.shape(rows);
        match (pass.table.span(self.weight), self.bias.and_then(|id| pass.table.span(id))) {
            (Some(weight), Some(bias)) => {
                pass.backend.linear_backward_parameters(&mut grads.buffer, (weight, bias), dy, x, shape);
            }
            (Some(weight), None) => pass.backend.linear_backward_weight(&mut grads.buffer, weight, dy, x, shape),
            (None, Some(bias)) => pass.backend.linear_backward_bias(&mut grads.buffer, bias, dy, shape),
            (None, None) => {}
        }
    }
}
