//! Numbers rounded and packed into words of 32 bits: one in f32, two in bf16, or four of eight bits.

use super::panel::WIDTH;
use crate::simd::{MAX_LANES, Vector, kernel};
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

/// Adding this leaves no bits for a fraction, so that the lowest bits are the nearest whole number, ties to even.
const WHOLE: f32 = 12_582_912.0;

/// The scale of numbers of eight bits that represent `values`, and its reciprocal.
pub(super) fn scale_of(isa: Isa, values: &[f32]) -> (f32, f32) {
    let greatest = greatest(isa, values);
    if greatest > 0.0 { (greatest / 127.0, 127.0 / greatest) } else { (1.0, 1.0) }
}

#[inline(always)]
fn greatest_body<V: Vector>(values: &[f32]) -> f32 {
    let mut lanes = V::splat(0.0);
    let vectors = values.chunks_exact(V::LANES);
    let rest = vectors.remainder().iter().fold(0.0_f32, |greatest, v| greatest.max(v.abs()));
    for vector in vectors {
        lanes = lanes.max(V::load(vector).abs());
    }
    let mut all = [0.0; MAX_LANES];
    lanes.store(&mut all);
    all.into_iter().fold(rest, f32::max)
}

kernel!(
    /// The greatest magnitude.
    greatest(values: &[f32]) -> f32 = greatest_body
);

#[inline(always)]
fn pairs_body<V: Vector>(words: &mut [f32], values: &[f32]) {
    // SAFETY: every word is two halves, which need less alignment than it has.
    let halves = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u16>(), 2 * words.len()) };
    let (halves, rest) = halves.split_at_mut(values.len());
    for (half, &value) in halves.iter_mut().zip(values) {
        *half = bf16(value) as u16;
    }
    rest.fill(0);
}

#[inline(always)]
fn quads_body<V: Vector>(words: &mut [f32], values: &[f32], per_scale: f32, offset: u8) {
    // SAFETY: every word is four bytes, and bytes need no alignment.
    let bytes = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), 4 * words.len()) };
    let (bytes, rest) = bytes.split_at_mut(values.len());
    let whole = WHOLE + f32::from(offset);
    for (byte, value) in bytes.iter_mut().zip(values) {
        *byte = (value * per_scale + whole).to_bits() as u8;
    }
    rest.fill(offset);
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

/// The words of a row from `first` on, and zeros behind its end.
#[inline(always)]
fn line<V: Vector>(precision: Precision, row: &[f32], first: usize, per_scale: f32) -> [f32; MAX_LANES] {
    let per_word = precision.per_word();
    let start = (first * per_word).min(row.len());
    // Whole lines have lengths that the compiler knows.
    match (precision, &row[start..]) {
        (Precision::F32, rest) if let Some(whole) = rest.first_chunk() => *whole,
        (Precision::Bf16, rest) if let Some(whole) = rest.first_chunk::<{ 2 * MAX_LANES }>() => {
            let mut line = [0.0; MAX_LANES];
            pairs_body::<V>(&mut line, whole);
            line
        }
        (Precision::Int8, rest) if let Some(whole) = rest.first_chunk::<{ 4 * MAX_LANES }>() => {
            let mut line = [0.0; MAX_LANES];
            quads_body::<V>(&mut line, whole, per_scale, 0);
            line
        }
        (_, rest) => {
            let mut line = [0.0; MAX_LANES];
            match precision {
                Precision::F32 => line[..rest.len()].copy_from_slice(rest),
                Precision::Bf16 => pairs_body::<V>(&mut line, rest),
                Precision::Int8 => quads_body::<V>(&mut line, rest, per_scale, 0),
            }
            line
        }
    }
}

#[inline(always)]
fn columns_body<V: Vector>(panel: &mut [f32], rows: &[f32], k: usize, precision: Precision, per_scale: &[f32; WIDTH]) {
    for (block, to) in panel.chunks_mut(MAX_LANES * WIDTH).enumerate() {
        for half in (0..WIDTH).step_by(MAX_LANES) {
            let mut words = [[0.0; MAX_LANES]; MAX_LANES];
            for (column, row) in rows.chunks_exact(k).enumerate().skip(half).take(MAX_LANES) {
                words[column - half] = line::<V>(precision, row, block * MAX_LANES, per_scale[column]);
            }
            V::transpose(&mut words);
            for (to, words) in to.chunks_exact_mut(WIDTH).zip(&words) {
                to[half..half + MAX_LANES].copy_from_slice(words);
            }
        }
    }
}

kernel!(
    /// At most [`WIDTH`] rows of `rows[.., k]` as the columns of a panel, with zeros where it has no columns or words.
    pub(super) columns(
        panel: &mut [f32],
        rows: &[f32],
        k: usize,
        precision: Precision,
        per_scale: &[f32; WIDTH]
    ) = columns_body
);
kernel!(
    /// Pairs of neighbours, and zeros behind them.
    pub(super) pairs(words: &mut [f32], values: &[f32]) = pairs_body
);
kernel!(
    /// Quadruples of neighbours, each `value · per_scale + offset`, and `offset` behind them.
    pub(super) quads(words: &mut [f32], values: &[f32], per_scale: f32, offset: u8) = quads_body
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

    fn transpose_body<V: Vector>(words: &mut [[f32; MAX_LANES]; MAX_LANES]) {
        V::transpose(words);
    }
    kernel!(transpose(words: &mut [[f32; MAX_LANES]; MAX_LANES]) = transpose_body);

    #[test]
    fn rows_become_columns() {
        for isa in Isa::available() {
            let mut words = std::array::from_fn(|row| std::array::from_fn(|column| (row * 100 + column) as f32));
            transpose(isa, &mut words);
            for (row, column) in (0..MAX_LANES).flat_map(|row| (0..MAX_LANES).map(move |column| (row, column))) {
                assert_eq!(words[row][column], (column * 100 + row) as f32, "{isa:?}");
            }
        }
    }

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
        let values: Vec<f32> = [0.5, -2.0, 1.99, 0.0, 2.0].into_iter().cycle().take(50).collect();
        for isa in Isa::available() {
            let (scale, per_scale) = scale_of(isa, &values);
            assert_eq!(scale * 127.0, 2.0);
            let mut words = [f32::NAN; 13];
            quads(isa, &mut words, &values, per_scale, 0);
            let bytes: Vec<i8> = words.iter().flat_map(|word| word.to_bits().to_le_bytes()).map(|b| b as i8).collect();
            assert_eq!(bytes[..5], [32, -127, 126, 0, 127], "{isa:?}");
            assert_eq!(bytes[45..], [32, -127, 126, 0, 127, 0, 0], "{isa:?}");
            assert_eq!(scale_of(isa, &[0.0; 3]), (1.0, 1.0));
        }
    }
}
