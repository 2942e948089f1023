//! `y = x Wᵀ + b`
//!
//! `dx = dy W`, `dW += dyᵀ x`, `db += Σ dy`.

use finetone_backend::{Backend, LinearShape};

use super::Declare;
use crate::params::{Gradients, Init, ParamId};
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

    fn shape(&self, rows: usize) -> LinearShape {
        LinearShape { rows, inputs: self.inputs, outputs: self.outputs }
    }

    /// Writes `y[rows, outputs]`.
    pub fn forward<B: Backend>(&self, pass: &Pass<'_, B>, y: &mut B::Buffer, x: &B::Buffer, rows: usize) {
        let bias = self.bias.map(|id| pass.parameters.get(id));
        pass.backend.linear_forward(y, x, pass.parameters.get(self.weight), bias, self.shape(rows));
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
        let shape = self.shape(rows);
        if let Some(span) = pass.table.span(self.weight) {
            pass.backend.linear_backward_weight(&mut grads.buffer, span, dy, x, shape);
        }
        if let Some(span) = self.bias.and_then(|id| pass.table.span(id)) {
            pass.backend.linear_backward_bias(&mut grads.buffer, span, dy, shape);
        }
        pass.backend.linear_backward_input(dx, dy, pass.parameters.get(self.weight), shape);
    }
}
