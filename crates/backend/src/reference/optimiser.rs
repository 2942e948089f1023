//! Clipping's norm and AdamW, in the order of operations of PyTorch's `torch.optim.AdamW`.

use super::{ReferenceWeight, part, slot};
use crate::{AdamW, Real, Span};

/// Summed in `f64` whatever `T` is, like the value it returns: squares of millions of gradients differ by magnitudes.
pub(super) fn global_norm<T: Real>(grads: &[T], spans: &[Span]) -> f64 {
    let at = |span: &Span| &part("grads", grads, span.range().end, span)[span.range()];
    spans.iter().flat_map(at).map(|&g| g.to_f64() * g.to_f64()).sum::<f64>().sqrt()
}

/// In the given rows, or in all: `w -= η λ w`, `m = β₁ m + (1-β₁) g`, `v = β₂ v + (1-β₂) g²`, `w -= η/(1-β₁ᵗ) m / (√v / √(1-β₂ᵗ) + ε)`,
/// and `g = 0`. In the others `w -= η λ w`.
pub(super) fn adamw<T: Real>(
    weight: &mut ReferenceWeight<T>,
    (first, second): (&mut Vec<T>, &mut Vec<T>),
    grads: &mut [T],
    span: Span,
    rows: Option<&[u32]>,
    update: &AdamW,
) {
    assert!(update.step > 0, "steps are counted from 1");
    let ReferenceWeight { values: weight, shape } = weight;
    let m = slot("first moment", first, span, weight.len());
    let v = slot("second moment", second, span, weight.len());
    let grads = slot("gradient", grads, span, weight.len());
    assert!(rows.is_none_or(|rows| rows.is_sorted_by(|a, b| a < b)), "the rows of an optimiser step ascend");
    let [beta1, beta2, epsilon] = [update.beta1, update.beta2, update.epsilon].map(T::from_f64);
    let shrink = T::from_f64(1.0 - update.rate * update.weight_decay);
    let step = update.step as f64;
    let rate = T::from_f64(update.rate / (1.0 - update.beta1.powf(step)));
    let root = T::from_f64((1.0 - update.beta2.powf(step)).sqrt());
    let scale = T::from_f64(update.gradient_scale);
    for i in 0..weight.len() {
        if rows.is_some_and(|rows| rows.binary_search(&((i / shape.columns) as u32)).is_err()) {
            weight[i] *= shrink;
            continue;
        }
        let g = grads[i] * scale;
        m[i] = beta1 * m[i] + (T::one() - beta1) * g;
        v[i] = beta2 * v[i] + (T::one() - beta2) * g * g;
        weight[i] = weight[i] * shrink - rate * m[i] / (v[i].sqrt() / root + epsilon);
        grads[i] = T::zero();
    }
}
