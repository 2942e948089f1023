//! `y = (x - mean) / √(var + ε) · gain + bias`, for each token
//!
//! <https://arxiv.org/abs/1607.06450>

use finetone_backend::{Backend, NormShape, NormSlots};

use super::Declare;
use crate::gradients::Gradients;
use crate::params::{Init, ParamId};
use crate::transformer::Pass;

/// Layer normalisation of rows of D values.
#[derive(Debug, Clone)]
pub struct Norm {
    gain: ParamId,
    bias: ParamId,
    width: usize,
    epsilon: f64,
}

impl Norm {
    pub(crate) fn declare(at: &mut Declare<'_>, width: usize, epsilon: f64) -> Self {
        Self { gain: at.vector("gain", width, Init::Ones), bias: at.vector("bias", width, Init::Zeros), width, epsilon }
    }

    fn shape(&self, rows: usize) -> NormShape {
        NormShape { rows, width: self.width, epsilon: self.epsilon }
    }

    /// Writes `y[N, D]` and `stats[2 N]`.
    pub fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        y: &mut B::Buffer,
        stats: &mut B::Buffer,
        x: &B::Buffer,
        rows: usize,
    ) {
        let (gain, bias) = (pass.parameters.get(self.gain), pass.parameters.get(self.bias));
        pass.backend.norm_forward(y, stats, x, gain, bias, self.shape(rows));
    }

    /// Writes `dx[N, D]`; `saved` is `(x, stats)`.
    pub fn backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        dy: &B::Buffer,
        saved: (&B::Buffer, &B::Buffer),
        rows: usize,
    ) {
        let slots = NormSlots { gain: pass.table.span(self.gain), bias: pass.table.span(self.bias) };
        let gain = pass.parameters.get(self.gain);
        pass.backend.norm_backward(dx, (&mut grads.buffer, slots), dy, saved, gain, self.shape(rows));
    }
}
