//! Numbers rounded and packed into words of 32 bits: one in f32, two in bf16, or four of eight bits.

use super::BLOCK_ROWS;
use super::kernel::ROWS;
use super::panel::WIDTH;
use crate::ops::activation::add_body;
use crate::simd::{MAX_LANES, Vector, kernel, prefetch};
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

/// Adding this leaves no bits for a fraction, so that the lowest bits are the nearest whole number, ties to even.
const WHOLE: f32 = 12_582_912.0;

/// The scale of numbers of eight bits that represent `values`, and its reciprocal.
pub(super) fn scale_of(isa: Isa, values: &[f32]) -> (f32, f32) {
    let greatest = greatest(isa, values);
    if greatest > 0.0 { (greatest / 127.0, 127.0 / greatest) } else { (1.0, 1.0) }
}

/// Vectors whose greatest magnitudes are found side by side, since each comparison waits for the one before.
const SIDE_BY_SIDE: usize = 4;

#[inline(always)]
fn greatest_body<V: Vector>(values: &[f32]) -> f32 {
    let mut lanes = [V::splat(0.0); SIDE_BY_SIDE];
    let blocks = values.chunks_exact(SIDE_BY_SIDE * V::LANES);
    let vectors = blocks.remainder().chunks_exact(V::LANES);
    let rest = vectors.remainder().iter().fold(0.0_f32, |greatest, v| greatest.max(v.abs()));
    for block in blocks {
        for (i, lanes) in lanes.iter_mut().enumerate() {
            *lanes = lanes.max(V::load(&block[i * V::LANES..]).abs());
        }
    }
    for (lanes, vector) in lanes.iter_mut().zip(vectors) {
        *lanes = lanes.max(V::load(vector).abs());
    }
    lanes[0].max(lanes[1]).max(lanes[2].max(lanes[3])).greatest().max(rest)
}

kernel!(
    /// The greatest magnitude.
    greatest(values: &[f32]) -> f32 = greatest_body
);

#[inline(always)]
fn pairs_body<V: Vector>(words: &mut [f32], values: &[f32]) {
    let (lines, mut rest) = words.split_at_mut(values.len() / (2 * V::LANES) * V::LANES);
    let vectors = values.chunks_exact(2 * V::LANES);
    let values = vectors.remainder();
    for (words, values) in lines.chunks_exact_mut(V::LANES).zip(vectors) {
        V::neighbours(V::load(values), V::load(&values[V::LANES..])).store(words);
    }
    if !values.is_empty() {
        let (first, second) = values.split_at(values.len().min(V::LANES));
        let words = V::neighbours(V::load_first(first), V::load_first(second));
        let last = rest.split_off_mut(..values.len().div_ceil(2)).unwrap_or_default();
        words.store_first(last);
    }
    rest.fill(0.0);
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

/// The words of two rows, the upper one of which may be missing.
#[inline(always)]
fn interleave_body<V: Vector>(words: &mut [f32], low: &[f32], high: &[f32]) {
    let whole = words.len() - words.len() % V::LANES;
    let upper = |first: usize| if high.is_empty() { V::splat(0.0) } else { V::load(&high[first..]) };
    for (index, words) in words[..whole].chunks_exact_mut(V::LANES).enumerate() {
        let first = index * V::LANES;
        V::pairs(V::load(&low[first..]), upper(first)).store(words);
    }
    if whole < words.len() {
        let upper = if high.is_empty() { V::splat(0.0) } else { V::load_first(&high[whole..]) };
        V::pairs(V::load_first(&low[whole..]), upper).store_first(&mut words[whole..]);
    }
}

/// The rows of one word of a sum: in f32 one, in bf16 two of which the second may be missing.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// The first row, and what follows it: in bf16 more than one row only if the second is there.
    pub values: &'a [f32],
    /// Distance between rows.
    pub stride: usize,
    /// Values of a row that are wanted.
    pub n: usize,
}

/// Places for runs of words, `step` apart.
#[derive(Clone, Copy)]
pub(super) struct Runs {
    first: *mut f32,
    step: usize,
}

impl Runs {
    /// The runs that begin at `first`.
    ///
    /// # Safety
    /// While this is used, all words of all runs are valid for writing, and nobody else touches them.
    pub(super) unsafe fn new(first: *mut f32, step: usize) -> Self {
        Self { first, step }
    }

    /// The words of a run.
    #[inline(always)]
    fn run<const WIDTH: usize>(&mut self, index: usize) -> &mut [f32; WIDTH] {
        // SAFETY: as `new` was promised.
        unsafe { &mut *self.first.add(index * self.step).cast::<[f32; WIDTH]>() }
    }
}

impl<'a> Rows<'a> {
    /// The values from `first` on, `n` of them: of the first row, and of the second one in bf16 if there is one.
    #[inline(always)]
    fn part(&self, precision: Precision, first: usize, n: usize) -> (&'a [f32], &'a [f32]) {
        let low = &self.values[first..first + n];
        let high = self.values.get(self.stride + first..self.stride + first + n);
        (low, high.filter(|_| precision != Precision::F32).unwrap_or(&[]))
    }

    /// Asks for the values from `first` on, `n` of them, of a word further down the matrix: there is no time to lose when
    /// its turn comes.
    #[inline(always)]
    fn ask_for(&self, precision: Precision, words: usize, first: usize, n: usize) {
        let per_word = precision.per_word();
        for row in words * per_word..(words + 1) * per_word {
            prefetch(self.values.as_ptr().wrapping_add(row * self.stride + first), n);
        }
    }
}

/// Words of columns: as many as `words` has.
#[inline(always)]
fn words_of_columns<V: Vector>(words: &mut [f32], (low, high): (&[f32], &[f32]), precision: Precision) {
    if precision == Precision::F32 {
        words.copy_from_slice(low);
    } else {
        interleave_body::<V>(words, low, high);
    }
}

/// How many words ahead the parts of rows that lie far apart are asked for.
const AHEAD: usize = 6;

#[inline(always)]
fn panels_body<V: Vector>(mut to: Runs, rows: Rows<'_>, precision: Precision) {
    for (index, first) in (0..rows.n).step_by(WIDTH).enumerate() {
        let run: &mut [f32; WIDTH] = to.run(index);
        rows.ask_for(precision, 1, first, WIDTH);
        // A whole run has a length that the compiler knows.
        if first + WIDTH <= rows.n {
            words_of_columns::<V>(run, rows.part(precision, first, WIDTH), precision);
        } else {
            let (words, rest) = run.split_at_mut(rows.n - first);
            words_of_columns::<V>(words, rows.part(precision, first, rows.n - first), precision);
            rest.fill(0.0);
        }
    }
}

#[inline(always)]
fn groups_body<V: Vector>(mut to: Runs, rows: Rows<'_>, precision: Precision, sums: &mut [f32]) {
    rows.ask_for(precision, AHEAD, 0, rows.n);
    let (low, high) = rows.part(precision, 0, rows.n);
    if !sums.is_empty() {
        [low, high].into_iter().filter(|part| !part.is_empty()).for_each(|part| add_body::<V>(sums, part));
    }
    // All words first, since a run is no whole number of vectors.
    let mut line = [0.0; BLOCK_ROWS];
    words_of_columns::<V>(&mut line[..rows.n], (low, high), precision);
    for (index, words) in line.as_chunks::<ROWS>().0[..rows.n.div_ceil(ROWS)].iter().enumerate() {
        *to.run(index) = *words;
    }
}

kernel!(
    /// Words down the columns of `rows`, in runs of as many as a panel has columns.
    pub(super) spread_over_panels(to: Runs, rows: Rows<'_>, precision: Precision) = panels_body
);
kernel!(
    /// Words down the columns of `rows`, at most those of a block, in runs of as many as a group has rows. The numbers are
    /// added to `sums`, one for each column or none.
    pub(super) spread_over_groups(to: Runs, rows: Rows<'_>, precision: Precision, sums: &mut [f32]) = groups_body
);

/// The words of a row from `first` on, and zeros behind its end.
#[inline(always)]
fn line<V: Vector>(precision: Precision, row: &[f32], first: usize, per_scale: f32) -> [f32; MAX_LANES] {
    let per_word = precision.per_word();
    let values = &row[(first * per_word).min(row.len())..];
    let mut line = [0.0; MAX_LANES];
    // Whole lines have a length that the compiler knows.
    match precision {
        Precision::F32 => match values.first_chunk() {
            Some(whole) => line = *whole,
            None => line[..values.len()].copy_from_slice(values),
        },
        Precision::Bf16 => match values.first_chunk::<{ 2 * MAX_LANES }>() {
            Some(whole) => pairs_body::<V>(&mut line, whole),
            None => pairs_body::<V>(&mut line, values),
        },
        Precision::Int8 => match values.first_chunk::<{ 4 * MAX_LANES }>() {
            Some(whole) => quads_body::<V>(&mut line, whole, per_scale, 0),
            None => quads_body::<V>(&mut line, values, per_scale, 0),
        },
    }
    line
}

/// The columns of `words`, as many as there is room for, each as a row of a panel.
#[inline(always)]
fn transpose<V: Vector>(words: &[[f32; MAX_LANES]; MAX_LANES], to: &mut [f32]) {
    if to.len() >= (MAX_LANES - 1) * WIDTH + MAX_LANES {
        // SAFETY: the last of the rows ends within `to`.
        return unsafe { transpose_to::<V>(words, to.as_mut_ptr(), WIDTH) };
    }
    let mut columns = [[0.0; MAX_LANES]; MAX_LANES];
    // SAFETY: there are as many rows as columns.
    unsafe { transpose_to::<V>(words, columns.as_mut_ptr().cast(), MAX_LANES) };
    for (to, column) in to.chunks_mut(WIDTH).zip(&columns) {
        to[..MAX_LANES].copy_from_slice(column);
    }
}

/// The columns of `words` as rows, `stride` apart.
///
/// # Safety
/// All rows are valid for writing.
#[inline(always)]
unsafe fn transpose_to<V: Vector>(words: &[[f32; MAX_LANES]; MAX_LANES], to: *mut f32, stride: usize) {
    for row in (0..MAX_LANES).step_by(V::LANES) {
        for column in (0..MAX_LANES).step_by(V::LANES) {
            // SAFETY: a block of `LANES` words each way lies in `words`, and as the caller grants.
            unsafe {
                let from = words.as_ptr().cast::<f32>().add(row * MAX_LANES + column);
                V::transpose((to.add(column * stride + row), stride), (from, MAX_LANES), None);
            }
        }
    }
}

#[inline(always)]
fn columns_body<V: Vector>(panel: &mut [f32], rows: &[f32], k: usize, precision: Precision, per_scale: &[f32; WIDTH]) {
    for (block, to) in panel.chunks_mut(MAX_LANES * WIDTH).enumerate() {
        prefetch(to.as_ptr().wrapping_add(MAX_LANES * WIDTH), MAX_LANES * WIDTH);
        for half in (0..WIDTH).step_by(MAX_LANES) {
            let mut words = [[0.0; MAX_LANES]; MAX_LANES];
            for (column, row) in rows.chunks_exact(k).enumerate().skip(half).take(MAX_LANES) {
                let next = (block + 1) * MAX_LANES * precision.per_word();
                prefetch(row.as_ptr().wrapping_add(next), MAX_LANES * precision.per_word());
                words[column - half] = line::<V>(precision, row, block * MAX_LANES, per_scale[column]);
            }
            transpose::<V>(&words, &mut to[half..]);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::bf16;

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
