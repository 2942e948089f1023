//! One row per sequence, without parameters or by attention with one learned query.
//!
//! Attention over the last tokens: `p = softmax(x q / √D)`, `y = Σ_n p_n x_n`. Backward, with `dp_n = dy · x_n` and
//! `ds_n = p_n (dp_n - dy · y) / √D`, where `dy · y = Σ p dp`: `dx_n = p_n dy + ds_n q`, `dq = Σ_n ds_n x_n`.

use std::ops::Range;

use super::{ReferenceWeight, add_scaled, dot, part, part_mut, sequences, slot, softmax, tokens, vector};
use crate::{AttentionPoolShape, PoolShape, Pooling, Real, Span};

/// The tokens of a sequence that a pooling takes, each with the same weight.
fn taken(pooling: Pooling, sequence: Range<usize>) -> Range<usize> {
    match pooling {
        Pooling::First => sequence.start..sequence.start + 1,
        Pooling::Last => sequence.end - 1..sequence.end,
        Pooling::Mean => sequence,
    }
}

pub(super) fn forward<T: Real>(y: &mut [T], x: &[T], pooling: Pooling, shape: PoolShape<'_>) {
    let PoolShape { starts, width } = shape;
    let y = part_mut("y", y, (starts.len() - 1) * width, &shape);
    let x = part("x", x, tokens(starts) * width, &shape);
    y.fill(T::zero());
    for (s, sequence) in sequences(starts).enumerate() {
        let taken = taken(pooling, sequence);
        let count = T::from_f64(taken.len() as f64);
        let y = &mut y[s * width..][..width];
        for n in taken {
            add_scaled(y, T::one(), &x[n * width..][..width]);
        }
        y.iter_mut().for_each(|y| *y /= count);
    }
}

pub(super) fn backward<T: Real>(dx: &mut [T], dy: &[T], pooling: Pooling, shape: PoolShape<'_>) {
    let PoolShape { starts, width } = shape;
    let dx = part_mut("dx", dx, tokens(starts) * width, &shape);
    let dy = part("dy", dy, (starts.len() - 1) * width, &shape);
    dx.fill(T::zero());
    for (s, sequence) in sequences(starts).enumerate() {
        let taken = taken(pooling, sequence);
        let count = T::from_f64(taken.len() as f64);
        for n in taken {
            for i in 0..width {
                dx[n * width + i] = dy[s * width + i] / count;
            }
        }
    }
}

/// The tokens of a sequence that the query attends to.
fn attended(sequence: Range<usize>, last: usize) -> Range<usize> {
    sequence.start.max(sequence.end.saturating_sub(last))..sequence.end
}

pub(super) fn attention_forward<T: Real>(
    y: &mut [T],
    probabilities: &mut [T],
    x: &[T],
    query: &ReferenceWeight<T>,
    shape: AttentionPoolShape<'_>,
) {
    let AttentionPoolShape { starts, width, last } = shape;
    assert!(last > 0, "no token takes part in {shape:?}");
    let y = part_mut("y", y, (starts.len() - 1) * width, &shape);
    let probabilities = part_mut("probabilities", probabilities, tokens(starts), &shape);
    let x = part("x", x, tokens(starts) * width, &shape);
    let query = vector("query", query, width);
    let scale = T::from_f64(1.0 / (width as f64).sqrt());
    y.fill(T::zero());
    probabilities.fill(T::zero());
    for (s, sequence) in sequences(starts).enumerate() {
        let attended = attended(sequence, last);
        let p = &mut probabilities[attended.clone()];
        for (p, n) in p.iter_mut().zip(attended.clone()) {
            *p = dot(&x[n * width..][..width], query) * scale;
        }
        softmax(p);
        for (&p, n) in p.iter().zip(attended) {
            add_scaled(&mut y[s * width..][..width], p, &x[n * width..][..width]);
        }
    }
}

pub(super) fn attention_backward<T: Real>(
    dx: &mut [T],
    (grads, dquery): (&mut Vec<T>, Option<Span>),
    dy: &[T],
    (x, probabilities): (&Vec<T>, &Vec<T>),
    query: &ReferenceWeight<T>,
    shape: AttentionPoolShape<'_>,
) {
    let AttentionPoolShape { starts, width, last } = shape;
    let dx = part_mut("dx", dx, tokens(starts) * width, &shape);
    let dy = part("dy", dy, (starts.len() - 1) * width, &shape);
    let x = part("x", x, tokens(starts) * width, &shape);
    let probabilities = part("probabilities", probabilities, tokens(starts), &shape);
    let query = vector("query", query, width);
    let scale = T::from_f64(1.0 / (width as f64).sqrt());
    dx.fill(T::zero());
    for (s, sequence) in sequences(starts).enumerate() {
        let attended = attended(sequence, last);
        let dy = &dy[s * width..][..width];
        let dp: Vec<T> = attended.clone().map(|n| dot(dy, &x[n * width..][..width])).collect();
        let mean = dot(&dp, &probabilities[attended.clone()]);
        for (n, dp) in attended.zip(dp) {
            let p = probabilities[n];
            let ds = p * (dp - mean) * scale;
            add_scaled(&mut dx[n * width..][..width], p, dy);
            add_scaled(&mut dx[n * width..][..width], ds, query);
            if let Some(span) = dquery {
                add_scaled(slot("dquery", grads, span, width), ds, &x[n * width..][..width]);
            }
        }
    }
}
