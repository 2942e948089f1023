//! Numbers rounded and packed into words of 32 bits: one in f32, two in bf16, or four of eight bits.

use crate::simd::{Vector, kernel};
use crate::{Isa, Precision};

impl Precision {
    /// Numbers in a word.
    pub(crate) fn per_word(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
            Self::Int8 => 4,
        }
    }
}

/// The nearest bf16, ties to even, as the lower half of a word; what is not a number stays none.
#[inline(always)]
fn bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + ((bits >> 16) & 1));
    (if value.is_nan() { bits | 0x0040_0000 } else { rounded }) >> 16
}

/// A number of eight bits with sign.
#[inline(always)]
fn int8(value: f32, per_scale: f32) -> i32 {
    // Adding 1.5 · 2^23 leaves no bits for the fraction: the nearest whole number, ties to even.
    ((value * per_scale) + 12_582_912.0 - 12_582_912.0) as i32
}

/// The scale of numbers of eight bits that represent `values`, and its reciprocal.
pub(super) fn scale_of(values: &[f32]) -> (f32, f32) {
    let greatest = values.iter().fold(0.0_f32, |greatest, v| greatest.max(v.abs()));
    if greatest > 0.0 { (greatest / 127.0, 127.0 / greatest) } else { (1.0, 1.0) }
}

#[inline(always)]
fn pairs_body<V: Vector>(words: &mut [f32], values: &[f32]) {
    let whole = values.len() / 2;
    for (word, pair) in words.iter_mut().zip(values.chunks_exact(2)) {
        *word = f32::from_bits(bf16(pair[0]) | (bf16(pair[1]) << 16));
    }
    if let [last] = values[2 * whole..] {
        words[whole] = f32::from_bits(bf16(last));
    }
    words[values.len().div_ceil(2)..].fill(0.0);
}

#[inline(always)]
fn quads_body<V: Vector>(words: &mut [f32], values: &[f32], per_scale: f32, offset: i32) {
    for (word, quad) in words.iter_mut().zip(values.chunks(4)) {
        let mut bytes = [offset as u8; 4];
        for (byte, &value) in bytes.iter_mut().zip(quad) {
            *byte = (int8(value, per_scale) + offset) as u8;
        }
        *word = f32::from_bits(u32::from_le_bytes(bytes));
    }
    words[values.len().div_ceil(4)..].fill(f32::from_bits(u32::from_le_bytes([offset as u8; 4])));
}

#[inline(always)]
fn interleave_body<V: Vector>(words: &mut [f32], low: &[f32], high: &[f32]) {
    for ((word, &low), &high) in words.iter_mut().zip(low).zip(high) {
        *word = f32::from_bits(bf16(low) | (bf16(high) << 16));
    }
}

#[inline(always)]
fn lift_body<V: Vector>(words: &mut [f32], low: &[f32]) {
    for (word, &low) in words.iter_mut().zip(low) {
        *word = f32::from_bits(bf16(low));
    }
}

kernel!(
    /// Pairs of neighbours, and zeros behind them.
    pub(super) pairs(words: &mut [f32], values: &[f32]) = pairs_body
);
kernel!(
    /// Quadruples of neighbours, each `value · per_scale + offset`, and `offset` behind them.
    pub(super) quads(words: &mut [f32], values: &[f32], per_scale: f32, offset: i32) = quads_body
);
kernel!(
    /// Pairs of a value and the one below it.
    interleave_two(words: &mut [f32], low: &[f32], high: &[f32]) = interleave_body
);
kernel!(
    /// Pairs of a value and zero.
    interleave_one(words: &mut [f32], low: &[f32]) = lift_body
);

/// Words down the columns of `rows`, which holds the rows of one word, `stride` apart and fewer at the end: as many words
/// as `words` has places. For f32 and bf16.
pub(super) fn interleave(isa: Isa, precision: Precision, words: &mut [f32], rows: &[f32], stride: usize) {
    let n = words.len();
    match precision {
        Precision::F32 => words.copy_from_slice(&rows[..n]),
        _ if rows.len() >= stride + n => interleave_two(isa, words, &rows[..n], &rows[stride..][..n]),
        _ => interleave_one(isa, words, &rows[..n]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_the_nearest_even() {
        let half = |bits: u32| f32::from_bits(bits);
        for (value, expected) in [
            (1.0, 0x3F80),
            (half(0x3F80_8000), 0x3F80),
            (half(0x3F80_8001), 0x3F81),
            (half(0x3F81_8000), 0x3F82),
            (-0.0, 0x8000),
            (f32::INFINITY, 0x7F80),
            (f32::MAX, 0x7F80),
        ] {
            assert_eq!(bf16(value), expected, "{value}");
        }
        assert!(f32::from_bits(bf16(f32::NAN) << 16).is_nan());
        assert!(f32::from_bits(bf16(half(0x7F80_0001)) << 16).is_nan());
    }

    #[test]
    fn eight_bits_reach_both_ends_of_the_scale() {
        let values = [0.5, -2.0, 1.99, 0.0];
        let (scale, per_scale) = scale_of(&values);
        let numbers = values.map(|v| int8(v, per_scale));
        assert_eq!(numbers, [32, -127, 126, 0]);
        assert_eq!((numbers[1] as f32 * scale * 1e6).round(), -2e6);
        assert_eq!(scale_of(&[0.0; 3]), (1.0, 1.0));
    }
}
