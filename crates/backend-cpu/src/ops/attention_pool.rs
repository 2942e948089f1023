//! Attention over the last tokens of each sequence with one learned query. One vector per token: no need for tiles.

use crate::simd::{Vector, kernel};
use finetone_backend::AttentionPoolShape;
use std::ops::Range;

#[inline(always)]
pub(crate) fn dot_body<V: Vector>(a: &[f32], b: &[f32]) -> f32 {
    let mut total = V::splat(0.0);
    let (a_vectors, b_vectors) = (a.chunks_exact(V::LANES), b.chunks_exact(V::LANES));
    let rest: f32 = a_vectors.remainder().iter().zip(b_vectors.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_vectors.zip(b_vectors) {
        total = V::load(a).fma(V::load(b), total);
    }
    total.sum() + rest
}

#[inline(always)]
fn add_scaled_body<V: Vector>(y: &mut [f32], factor: f32, x: &[f32]) {
    let whole = y.len() - y.len() % V::LANES;
    for (y, x) in y.chunks_exact_mut(V::LANES).zip(x.chunks_exact(V::LANES)) {
        V::splat(factor).fma(V::load(x), V::load(y)).store(y);
    }
    for (y, x) in y[whole..].iter_mut().zip(&x[whole..]) {
        *y += factor * x;
    }
}

kernel!(dot(a: &[f32], b: &[f32]) -> f32 = dot_body);
kernel!(add_scaled(y: &mut [f32], factor: f32, x: &[f32]) = add_scaled_body);

/// The tokens of sequence `s` that are attended.
fn attended(shape: AttentionPoolShape<'_>, s: usize) -> Range<usize> {
    let (start, end) = (shape.starts[s] as usize, shape.starts[s + 1] as usize);
    let range = start.max(end.saturating_sub(shape.last))..end;
    assert!(!range.is_empty(), "sequence {s} has no tokens to attend: {range:?}");
    range
}

/// `y[S, D]`, and the `probabilities[N]` of all tokens.
pub(crate) fn forward(
    isa: crate::Isa,
    y: &mut [f32],
    probabilities: &mut [f32],
    x: &[f32],
    query: &[f32],
    shape: AttentionPoolShape<'_>,
) {
    let width = shape.width;
    let scale = 1.0 / (width as f32).sqrt();
    probabilities.fill(0.0);
    for (s, y) in y.chunks_exact_mut(width).enumerate() {
        let range = attended(shape, s);
        let p = &mut probabilities[range.clone()];
        let rows = || x[range.start * width..range.end * width].chunks_exact(width);
        p.iter_mut().zip(rows()).for_each(|(p, row)| *p = dot(isa, row, query) * scale);
        let greatest = p.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        p.iter_mut().for_each(|p| *p = (*p - greatest).exp());
        let total: f32 = p.iter().sum();
        y.fill(0.0);
        for (p, row) in p.iter_mut().zip(rows()) {
            *p /= total;
            add_scaled(isa, y, *p, row);
        }
    }
}

/// Overwrites `dx[N, D]`, adds to `dquery`. `saved` is `(x, probabilities)`.
pub(crate) fn backward(
    isa: crate::Isa,
    dx: &mut [f32],
    mut dquery: Option<&mut [f32]>,
    dy: &[f32],
    (x, probabilities): (&[f32], &[f32]),
    query: &[f32],
    shape: AttentionPoolShape<'_>,
) {
    let width = shape.width;
    let scale = 1.0 / (width as f32).sqrt();
    dx.fill(0.0);
    for (s, dy) in dy.chunks_exact(width).enumerate() {
        let range = attended(shape, s);
        let row = |n: usize| n * width..(n + 1) * width;
        let mean: f32 = range.clone().map(|n| probabilities[n] * dot(isa, dy, &x[row(n)])).sum();
        for n in range {
            let dscore = probabilities[n] * (dot(isa, dy, &x[row(n)]) - mean) * scale;
            let dx = &mut dx[row(n)];
            add_scaled(isa, dx, probabilities[n], dy);
            add_scaled(isa, dx, dscore, query);
            if let Some(dquery) = dquery.as_deref_mut() {
                add_scaled(isa, dquery, dscore, &x[row(n)]);
            }
        }
    }
}
