//! `y = (x - mean) / √(var + ε) · gain + bias` or `y = x / √(⟨x²⟩ + ε) · gain`, for each token or for some of its heads
//!
//! <https://arxiv.org/abs/1607.06450>, <https://arxiv.org/abs/1910.07467>

use finetone_backend::{Backend, NormKind, NormShape, NormSlots, Segments};

use super::Declare;
use crate::config::ModelConfig;
use crate::gradients::Gradients;
use crate::params::{Init, ParamId};
use crate::transformer::Pass;

/// Normalisation of rows of D values, or of heads of E values.
#[derive(Debug, Clone)]
pub struct Norm {
    gain: ParamId,
    bias: Option<ParamId>,
    width: usize,
    epsilon: f64,
    kind: NormKind,
    segments: Segments,
}

impl Norm {
    /// The norm of whole rows.
    pub(crate) fn declare(at: &mut Declare<'_>, config: &ModelConfig) -> Self {
        Self::of_segments(at, config, config.hidden_size, Segments::WHOLE)
    }

    /// The norm of some segments of a row, `width` wide, each alone.
    pub(crate) fn of_segments(at: &mut Declare<'_>, config: &ModelConfig, width: usize, segments: Segments) -> Self {
        Self {
            gain: at.vector("gain", width, Init::Ones),
            bias: (config.norm == NormKind::Layer).then(|| at.vector("bias", width, Init::Zeros)),
            width,
            epsilon: config.norm_epsilon,
            kind: config.norm,
            segments,
        }
    }

    fn shape(&self, rows: usize) -> NormShape {
        NormShape { rows, width: self.width, epsilon: self.epsilon, kind: self.kind, segments: self.segments }
    }

    /// Writes `y[N, D]` and `stats[2 N]`; of segments, only these and two statistics for each.
    pub fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        y: &mut B::Buffer,
        stats: &mut B::Buffer,
        x: &B::Buffer,
        rows: usize,
    ) {
        let (gain, bias) = (pass.parameters.get(self.gain), self.bias.map(|id| pass.parameters.get(id)));
        pass.backend.norm_forward(y, stats, x, gain, bias, self.shape(rows));
    }

    /// Writes `dx[N, D]`, of segments only these; `saved` is `(x, stats)`.
    pub fn backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        dy: &B::Buffer,
        saved: (&B::Buffer, &B::Buffer),
        rows: usize,
    ) {
        let slots = NormSlots { gain: pass.table.span(self.gain), bias: self.bias.and_then(|id| pass.table.span(id)) };
        let gain = pass.parameters.get(self.gain);
        pass.backend.norm_backward(dx, (&mut grads.buffer, slots), dy, saved, gain, self.shape(rows));
    }
}
