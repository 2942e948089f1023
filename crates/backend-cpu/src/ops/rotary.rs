//! Rotary positions: the halves of each head turned against each other, in place.

use crate::Cpu;
use crate::parallel::GRAIN;
use crate::simd::{Vector, kernel};
use finetone_backend::{RotaryShape, Turn};

/// Turns the heads of one token; `angles` are cosines and sines.
#[inline(always)]
fn heads_body<V: Vector>(heads: &mut [f32], angles: &[f32], turn: Turn) {
    let half = angles.len() / 2;
    let (cos, sin) = angles.split_at(half);
    let sign = if turn == Turn::Forward { 1.0 } else { -1.0 };
    let whole = half - half % V::LANES;
    for head in heads.chunks_exact_mut(2 * half) {
        let (a, b) = head.split_at_mut(half);
        for c in (0..whole).step_by(V::LANES) {
            let (cos, sin) = (V::load(&cos[c..]), V::load(&sin[c..]) * V::splat(sign));
            let (left, right) = (V::load(&a[c..]), V::load(&b[c..]));
            (left * cos - right * sin).store(&mut a[c..]);
            (left * sin + right * cos).store(&mut b[c..]);
        }
        for c in whole..half {
            let (left, right, sin) = (a[c], b[c], sin[c] * sign);
            a[c] = left * cos[c] - right * sin;
            b[c] = left * sin + right * cos[c];
        }
    }
}

kernel!(heads(heads: &mut [f32], angles: &[f32], turn: Turn) = heads_body);

/// Turns the heads of all tokens that the shape names.
pub(crate) fn rotate(cpu: &Cpu, x: &mut [f32], table: &[f32], positions: &[u32], shape: RotaryShape) {
    let RotaryShape { head_size, segments, turn, .. } = shape;
    let row = segments.of * head_size;
    let tokens = (GRAIN / row).max(1);
    cpu.chunks([(x, tokens * row)], |i, [x]| {
        for (x, &position) in x.chunks_exact_mut(row).zip(&positions[i * tokens..]) {
            let angles = &table[position as usize * head_size..][..head_size];
            heads(cpu.isa(), &mut x[segments.range(head_size)], angles, turn);
        }
    });
}
