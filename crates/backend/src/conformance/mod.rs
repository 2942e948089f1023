//! The suite that every backend must pass: each operation beside the [`Reference`](crate::Reference) in `f64`.
//!
//! A failure names the operation, the case, the index and both values. Besides the values the suite checks, for every
//! operation, that outputs are overwritten (they start as NaN), that parameter gradients accumulate (they start as
//! other numbers) within their span and nowhere else, that a buffer keeps what lies behind the part in use, that NaN
//! behind an input does not reach the result, and that a second run gives the same bits. Attention and pooling must also
//! give a sequence the same bits whatever its neighbours are.

mod attention;
pub(crate) mod desk;
mod elements;
mod embedding;
#[cfg(test)]
mod fault_tests;
mod linear;
mod loss;
mod memory;
mod norm;
mod optimiser;
mod pool;

pub use attention::{attention_backward, attention_forward, attention_packing, attention_queries};
pub use elements::{
    activation_backward, activation_forward, add, add_columns, copy, dropout, dropout_fused, gated_backward,
    gated_forward, rotary,
};
pub use embedding::{embedding_backward, embedding_forward};
pub use linear::{
    linear_activation_backward, linear_activation_forward, linear_backward_bias, linear_backward_input,
    linear_backward_parameters, linear_backward_weight, linear_forward,
};
pub use loss::cross_entropy;
pub use memory::memory;
pub use norm::{norm_backward, norm_forward};
pub use optimiser::{adamw, adamw_of_rows, global_norm};
pub use pool::{attention_pool_backward, attention_pool_forward, pool_backward, pool_forward, pool_packing};

use crate::Backend;

/// How far a value `a` may be from the reference's `b`: `|a - b| <= absolute + relative · max |b|`, with the maximum over
/// all values of that output in that case.
///
/// The error of a sum is relative to its largest terms, not to what they leave, so the scale is that of the whole
/// output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Allowed whatever the scale.
    pub absolute: f64,
    /// Allowed in proportion to the largest value.
    pub relative: f64,
}

impl Tolerance {
    /// What sums of some hundred terms in `f32` stay within.
    pub const F32: Self = Self { absolute: 1e-6, relative: 1e-5 };
    /// What products of operands rounded to bf16 stay within: two units in the last of their eight bits, as a share of
    /// the largest value that an output of some hundred terms has.
    pub const BF16: Self = Self { absolute: 1e-2, relative: 2e-2 };
}

/// Lengths that hit the full lanes, the tails and the seams of every vector width and tile.
const SIZES: [usize; 14] = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 65, 100, 129];

/// Runs the whole suite.
///
/// # Panics
/// At the first operation that is off, naming it.
pub fn check<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for operation in operations::<B>() {
        operation(backend, tolerance);
    }
}

/// One part of the suite.
type Check<B> = fn(&B, &Tolerance);

/// All parts of the suite, from the plainest on.
fn operations<B: Backend>() -> Vec<Check<B>> {
    vec![
        memory,
        add,
        add_columns,
        copy,
        dropout,
        dropout_fused,
        activation_forward,
        activation_backward,
        gated_forward,
        gated_backward,
        rotary,
        linear_forward,
        linear_backward_input,
        linear_backward_weight,
        linear_backward_bias,
        linear_backward_parameters,
        linear_activation_forward,
        linear_activation_backward,
        norm_forward,
        norm_backward,
        attention_forward,
        attention_backward,
        attention_packing,
        attention_queries,
        embedding_forward,
        embedding_backward,
        pool_forward,
        pool_backward,
        attention_pool_forward,
        attention_pool_backward,
        pool_packing,
        cross_entropy,
        global_norm,
        adamw,
        adamw_of_rows,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reference;

    #[test]
    fn the_reference_in_f32_passes() {
        check(&Reference::<f32>::new(), &Tolerance::F32);
    }
}
