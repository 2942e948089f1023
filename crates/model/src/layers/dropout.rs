//! `y = mask · x / (1 - rate)` while training, `y = x` otherwise
//!
//! The mask is a function of (seed, step, site, index): backward computes it again and nothing is stored.

use finetone_backend::Backend;

use super::Declare;
use crate::transformer::Pass;

/// One place where values are dropped.
#[derive(Debug, Clone)]
pub struct Dropout {
    site: u32,
    rate: f64,
}

impl Dropout {
    pub(crate) fn declare(at: &mut Declare<'_>, rate: f64) -> Self {
        Self { site: at.site(), rate }
    }

    /// The mask's key in this pass; `None` where nothing is dropped.
    pub fn key<B: Backend>(&self, pass: &Pass<'_, B>) -> Option<finetone_backend::Dropout> {
        let key = pass.dropout.filter(|_| self.rate > 0.0)?;
        Some(finetone_backend::Dropout { seed: key.seed, step: key.step, site: self.site, rate: self.rate })
    }

    /// Drops values of `x` in place. On a gradient the same call is the backward.
    pub fn apply<B: Backend>(&self, pass: &Pass<'_, B>, x: &mut B::Buffer, len: usize) {
        if let Some(key) = self.key(pass) {
            pass.backend.dropout(x, key, len);
        }
    }

    /// `y = drop(y) + x`: the end of a sublayer and its residual sum.
    pub fn apply_and_add<B: Backend>(&self, pass: &Pass<'_, B>, y: &mut B::Buffer, x: &B::Buffer, len: usize) {
        pass.backend.dropout_add(y, x, self.key(pass), len);
    }

    /// What is left of `x`, values or the gradient behind the dropout: `x` itself where nothing is dropped, otherwise a masked
    /// copy in `masked`.
    pub fn masked<'b, B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        masked: &'b mut B::Buffer,
        x: &'b B::Buffer,
        len: usize,
    ) -> &'b B::Buffer {
        let Some(key) = self.key(pass) else { return x };
        pass.backend.dropout_copy(masked, x, key, len);
        masked
    }
}
