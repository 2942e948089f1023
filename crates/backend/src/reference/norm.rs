//! Layer normalisation of a row of D values: with `x̂ = (x - mean) r` and `r = 1 / sqrt(var + ε)`, `y = x̂ gain + bias`.
//!
//! Backward, with `g = dy gain` and ⟨·⟩ the mean over the row: `dx = r (g - ⟨g⟩ - x̂ ⟨g x̂⟩)`, `dgain = Σ_n dy x̂`,
//! `dbias = Σ_n dy`.

use super::{ReferenceWeight, part, part_mut, slot, vector};
use crate::{NormShape, NormSlots, Real};

pub(super) fn forward<T: Real>(
    y: &mut [T],
    stats: &mut [T],
    x: &[T],
    gain: &ReferenceWeight<T>,
    bias: &ReferenceWeight<T>,
    shape: NormShape,
) {
    let NormShape { rows, width, epsilon } = shape;
    let y = part_mut("y", y, rows * width, &shape);
    let stats = part_mut("stats", stats, 2 * rows, &shape);
    let x = part("x", x, rows * width, &shape);
    let gain = vector("gain", gain, width);
    let bias = vector("bias", bias, width);
    let count = T::from_f64(width as f64);
    for n in 0..rows {
        let row = &x[n * width..][..width];
        let mean = row.iter().copied().sum::<T>() / count;
        let variance = row.iter().map(|&x| (x - mean) * (x - mean)).sum::<T>() / count;
        let r = T::one() / (variance + T::from_f64(epsilon)).sqrt();
        for i in 0..width {
            y[n * width + i] = (row[i] - mean) * r * gain[i] + bias[i];
        }
        stats[2 * n] = mean;
        stats[2 * n + 1] = r;
    }
}

pub(super) fn backward<T: Real>(
    dx: &mut [T],
    (grads, slots): (&mut Vec<T>, NormSlots),
    dy: &[T],
    (x, stats): (&Vec<T>, &Vec<T>),
    gain: &ReferenceWeight<T>,
    shape: NormShape,
) {
    let NormShape { rows, width, .. } = shape;
    let dx = part_mut("dx", dx, rows * width, &shape);
    let dy = part("dy", dy, rows * width, &shape);
    let x = part("x", x, rows * width, &shape);
    let stats = part("stats", stats, 2 * rows, &shape);
    let gain = vector("gain", gain, width);
    let count = T::from_f64(width as f64);
    for n in 0..rows {
        let (mean, r) = (stats[2 * n], stats[2 * n + 1]);
        let dy = &dy[n * width..][..width];
        let normal: Vec<T> = x[n * width..][..width].iter().map(|&x| (x - mean) * r).collect();
        let g: Vec<T> = dy.iter().zip(gain).map(|(&dy, &gain)| dy * gain).collect();
        let mean_g = g.iter().copied().sum::<T>() / count;
        let mean_gx = super::dot(&g, &normal) / count;
        for i in 0..width {
            dx[n * width + i] = r * (g[i] - mean_g - normal[i] * mean_gx);
        }
        if let Some(span) = slots.gain {
            let dgain = slot("dgain", grads, span, width);
            (0..width).for_each(|i| dgain[i] += dy[i] * normal[i]);
        }
        if let Some(span) = slots.bias {
            super::add_scaled(slot("dbias", grads, span, width), T::one(), dy);
        }
    }
}
