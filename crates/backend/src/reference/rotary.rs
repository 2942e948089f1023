//! Rotary positions: each pair of values of a head, one from either half, is turned by an angle that grows with the
//! position: `(a, b) ← (a cos - b sin, b cos + a sin)`.
//!
//! The gradient is multiplied by the transposed matrix: the same with `-sin`.

use super::{part, part_mut};
use crate::{Real, RotaryShape, Turn};

pub(super) fn rotate<T: Real>(x: &mut [T], table: &[T], positions: &[u32], shape: RotaryShape) {
    let RotaryShape { tokens, head_size, segments, turn } = shape;
    assert!(head_size.is_multiple_of(2), "the halves of a head of {head_size} values");
    assert!(positions.len() >= tokens, "{} positions for {shape:?}", positions.len());
    let (row, half) = (segments.of * head_size, head_size / 2);
    let x = part_mut("x", x, tokens * row, &shape);
    for n in 0..tokens {
        let position = positions[n] as usize;
        let (cos, sin) =
            part("table", table, (position + 1) * head_size, &shape)[position * head_size..].split_at(half);
        for head in x[n * row..][segments.range(head_size)].chunks_exact_mut(head_size) {
            let (a, b) = head.split_at_mut(half);
            for i in 0..half {
                let sin = if turn == Turn::Forward { sin[i] } else { -sin[i] };
                (a[i], b[i]) = (a[i] * cos[i] - b[i] * sin, b[i] * cos[i] + a[i] * sin);
            }
        }
    }
}
