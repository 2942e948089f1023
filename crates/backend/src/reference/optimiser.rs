//! Clipping's norm and AdamW, in the order of operations of PyTorch's `torch.optim.AdamW`.

use super::{part, slot};
use crate::{AdamW, Real, Span};

/// Summed in `f64` whatever `T` is, like the value it returns: squares of millions of gradients differ by magnitudes.
pub(super) fn global_norm<T: Real>(grads: &[T], len: usize) -> f64 {
    let grads = part("grads", grads, len, &"`global_norm`");
    grads.iter().map(|&g| g.to_f64() * g.to_f64()).sum::<f64>().sqrt()
}

/// `w -= η λ w`, `m = β₁ m + (1-β₁) g`, `v = β₂ v + (1-β₂) g²`, `w -= η/(1-β₁ᵗ) m / (√v / √(1-β₂ᵗ) + ε)`.
pub(super) fn adamw<T: Real>(
    weight: &mut [T],
    (first, second): (&mut Vec<T>, &mut Vec<T>),
    grads: &[T],
    span: Span,
    update: &AdamW,
) {
    assert!(update.step > 0, "steps are counted from 1");
    let m = slot("first moment", first, span, weight.len());
    let v = slot("second moment", second, span, weight.len());
    let grads = &part("grads", grads, span.range().end, &span)[span.start..];
    let [beta1, beta2, epsilon] = [update.beta1, update.beta2, update.epsilon].map(T::from_f64);
    let shrink = T::from_f64(1.0 - update.rate * update.weight_decay);
    let step = update.step as f64;
    let rate = T::from_f64(update.rate / (1.0 - update.beta1.powf(step)));
    let root = T::from_f64((1.0 - update.beta2.powf(step)).sqrt());
    let scale = T::from_f64(update.gradient_scale);
    for i in 0..weight.len() {
        let g = grads[i] * scale;
        m[i] = beta1 * m[i] + (T::one() - beta1) * g;
        v[i] = beta2 * v[i] + (T::one() - beta2) * g * g;
        weight[i] = weight[i] * shrink - rate * m[i] / (v[i].sqrt() / root + epsilon);
    }
}
