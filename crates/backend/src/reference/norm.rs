//! Normalisation of a segment of D values: with `x̂ = (x - mean) r` and `r = 1 / sqrt(var + ε)`, `y = x̂ gain + bias`.
//! Root mean square: the same with a mean of 0, so that the variance is the mean square, and without bias.
//!
//! Backward, with `g = dy gain` and ⟨·⟩ the mean over the segment: `dx = r (g - ⟨g⟩ - x̂ ⟨g x̂⟩)`, `dgain = Σ_n dy x̂`,
//! `dbias = Σ_n dy`. Where no mean was taken away there is no ⟨g⟩.

use std::ops::Range;

use super::{ReferenceWeight, part, part_mut, slot, vector};
use crate::{NormKind, NormShape, NormSlots, Real};

/// Where the segments that are normalised lie, in the order of their statistics.
fn places(shape: NormShape) -> impl Iterator<Item = Range<usize>> {
    let NormShape { rows, width, segments, .. } = shape;
    let starts = (0..rows).flat_map(move |n| (0..segments.count).map(move |s| n * segments.of + segments.first + s));
    starts.map(move |segment| segment * width..(segment + 1) * width)
}

pub(super) fn forward<T: Real>(
    y: &mut [T],
    stats: &mut [T],
    x: &[T],
    gain: &ReferenceWeight<T>,
    bias: Option<&ReferenceWeight<T>>,
    shape: NormShape,
) {
    let NormShape { width, epsilon, kind, .. } = shape;
    let y = part_mut("y", y, shape.values(), &shape);
    let stats = part_mut("stats", stats, shape.stats(), &shape);
    let x = part("x", x, shape.values(), &shape);
    let gain = vector("gain", gain, width);
    let bias = bias.map(|bias| vector("bias", bias, width));
    let count = T::from_f64(width as f64);
    for (place, stats) in places(shape).zip(stats.chunks_exact_mut(2)) {
        let (x, y) = (&x[place.clone()], &mut y[place]);
        let mean = if kind == NormKind::Layer { x.iter().copied().sum::<T>() / count } else { T::zero() };
        let variance = x.iter().map(|&x| (x - mean) * (x - mean)).sum::<T>() / count;
        let r = T::one() / (variance + T::from_f64(epsilon)).sqrt();
        for i in 0..width {
            y[i] = (x[i] - mean) * r * gain[i] + bias.map_or(T::zero(), |bias| bias[i]);
        }
        stats.copy_from_slice(&[mean, r]);
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
    let NormShape { width, kind, .. } = shape;
    let dx = part_mut("dx", dx, shape.values(), &shape);
    let dy = part("dy", dy, shape.values(), &shape);
    let x = part("x", x, shape.values(), &shape);
    let stats = part("stats", stats, shape.stats(), &shape);
    let gain = vector("gain", gain, width);
    let count = T::from_f64(width as f64);
    for (place, stats) in places(shape).zip(stats.chunks_exact(2)) {
        let (mean, r) = (stats[0], stats[1]);
        let (dx, dy) = (&mut dx[place.clone()], &dy[place.clone()]);
        let normal: Vec<T> = x[place].iter().map(|&x| (x - mean) * r).collect();
        let g: Vec<T> = dy.iter().zip(gain).map(|(&dy, &gain)| dy * gain).collect();
        let mean_g = if kind == NormKind::Layer { g.iter().copied().sum::<T>() / count } else { T::zero() };
        let mean_gx = super::dot(&g, &normal) / count;
        for i in 0..width {
            dx[i] = r * (g[i] - mean_g - normal[i] * mean_gx);
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
