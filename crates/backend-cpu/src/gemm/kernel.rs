//! The inner loop: a few rows of the result times a panel of columns, in registers.

use super::panel::WIDTH;
use super::product::{Pairs, Product, Quads, Singles};
use crate::simd::{Vector, kernel, prefetch};
use crate::{Isa, Precision};

/// Rows of the tallest tile that any instruction set keeps in registers, and the most of a group of packed left rows.
pub(super) const ROWS: usize = 12;

/// One column panel of a block of the result: `c[m, n] = a[m, k] · panel[k, WIDTH]`, where `k` counts words of 32 bits:
/// numbers in f32, pairs in bf16, or quadruples of eight bits.
#[derive(Clone, Copy)]
pub(super) struct Strip<'a> {
    /// Rows of the result.
    pub m: usize,
    /// Rows of a group of left words, at most [`ROWS`].
    pub group: usize,
    /// Columns of the result, at most [`WIDTH`].
    pub n: usize,
    /// Words in a sum.
    pub k: usize,
    /// Where the result begins, and the distance between its rows.
    pub c: (*mut f32, usize),
    /// An array like the result that will be read soon, where its part for this strip begins; or null.
    pub reads: *const f32,
    /// Where the left words begin, and the distances from a group to the next, a row to the next, and a word to the next.
    pub a: (*const f32, [usize; 3]),
    /// `k` rows of [`WIDTH`] words.
    pub panel: *const f32,
    /// What turns sums of eight-bit products into numbers.
    pub scales: Scales<'a>,
}

/// The scales of eight-bit operands; for other precisions they are not looked at.
#[derive(Clone, Copy)]
pub(super) struct Scales<'a> {
    /// One for each row of the strip.
    pub rows: *const f32,
    /// One for each column of the panel.
    pub columns: &'a [f32; WIDTH],
    /// Where the sum of each column begins, because left numbers are stored with 128 added to them.
    pub begin: &'a [i32; WIDTH],
}

impl Scales<'_> {
    /// For precisions without scales.
    pub const NONE: Scales<'static> = Scales { rows: std::ptr::null(), columns: &[0.0; WIDTH], begin: &[0; WIDTH] };
}

/// What the sums of a strip are added to.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// Nothing: they overwrite.
    Nothing,
    /// Nothing but the bias of each column; there are [`WIDTH`] of them.
    Bias(&'a [f32; WIDTH]),
    /// The values in the result.
    Result,
}

/// Computes a strip.
///
/// # Safety
/// The pointers of the strip are valid for its sizes, and nobody else touches its part of the result.
#[inline(always)]
unsafe fn strip_body<P: Product>(strip: Strip<'_>, start: Start<'_>) {
    for (index, first) in (0..strip.m).step_by(strip.group).enumerate() {
        // SAFETY: `first < m`; the caller grants all rows.
        unsafe {
            let rows = Strip { m: strip.group.min(strip.m - first), ..strip.below(first, index * strip.a.1[0]) };
            rows.ask_for_next();
            if strip.n == WIDTH { group_of_rows::<P>(rows, start) } else { narrow::<P>(rows, start) }
        }
    }
}

impl Strip<'_> {
    /// Asks for the next group of rows of what is written, and of what will be read, while this one is computed: rows lie
    /// too far apart for the processor to guess.
    #[inline(always)]
    fn ask_for_next(&self) {
        let (c, stride) = self.c;
        for row in self.group..2 * self.group {
            prefetch(c.wrapping_add(row * stride), WIDTH);
        }
        if !self.reads.is_null() {
            for row in 0..self.group {
                prefetch(self.reads.wrapping_add(row * stride), WIDTH);
            }
        }
    }

    /// The strip from row `first` on, whose left words begin `words` further on.
    ///
    /// # Safety
    /// The row lies in the strip.
    #[inline(always)]
    unsafe fn below(self, first: usize, words: usize) -> Self {
        let scales = Scales { rows: self.scales.rows.wrapping_add(first), ..self.scales };
        let reads = if self.reads.is_null() { self.reads } else { self.reads.wrapping_add(first * self.c.1) };
        // SAFETY: the caller grants the row.
        unsafe {
            let c = (self.c.0.add(first * self.c.1), self.c.1);
            Self { c, reads, a: (self.a.0.add(words), self.a.1), scales, ..self }
        }
    }
}

/// A group of rows of a panel that is narrower than a full one, by way of a full one.
///
/// # Safety
/// As for [`strip_body`], with at most [`ROWS`] rows.
#[inline(always)]
unsafe fn narrow<P: Product>(strip: Strip<'_>, start: Start<'_>) {
    let mut full = [0.0_f32; ROWS * WIDTH];
    let (c, stride) = strip.c;
    // SAFETY: the caller grants `n` values of each of the rows, and `n <= WIDTH`, `rows <= ROWS`.
    unsafe {
        for r in 0..strip.m {
            std::ptr::copy_nonoverlapping(c.add(r * stride), full.as_mut_ptr().add(r * WIDTH), strip.n);
        }
        group_of_rows::<P>(Strip { c: (full.as_mut_ptr(), WIDTH), ..strip }, start);
        for r in 0..strip.m {
            std::ptr::copy_nonoverlapping(full.as_ptr().add(r * WIDTH), c.add(r * stride), strip.n);
        }
    }
}

/// At most [`ROWS`] rows of a full panel, in tiles as large as the registers allow.
///
/// # Safety
/// As for [`strip_body`].
#[inline(always)]
unsafe fn group_of_rows<P: Product>(strip: Strip<'_>, start: Start<'_>) {
    let lanes = P::Vector::LANES;
    let tallest = if lanes == 16 { 12 } else { 6 };
    for column in (0..WIDTH).step_by(2 * lanes) {
        let mut row = 0;
        while row < strip.m {
            let rows = tallest.min(strip.m - row);
            // SAFETY: rows and columns lie in what the caller grants.
            unsafe {
                let tile = strip.below(row, row * strip.a.1[1]);
                match rows {
                    1 => tile_of::<P, 1>(tile, start, column),
                    2 => tile_of::<P, 2>(tile, start, column),
                    3 => tile_of::<P, 3>(tile, start, column),
                    4 => tile_of::<P, 4>(tile, start, column),
                    5 => tile_of::<P, 5>(tile, start, column),
                    6 => tile_of::<P, 6>(tile, start, column),
                    7 => tile_of::<P, 7>(tile, start, column),
                    8 => tile_of::<P, 8>(tile, start, column),
                    9 => tile_of::<P, 9>(tile, start, column),
                    10 => tile_of::<P, 10>(tile, start, column),
                    11 => tile_of::<P, 11>(tile, start, column),
                    _ => tile_of::<P, 12>(tile, start, column),
                }
            }
            row += rows;
        }
    }
}

/// `R` rows of two vectors from `column` on. Each sum runs over `k` in ascending order in a register of its own, for
/// every `R`: that is why a row's bits do not depend on the rows beside it.
///
/// # Safety
/// The pointers are valid for these rows and vectors.
#[inline(always)]
unsafe fn tile_of<P: Product, const R: usize>(tile: Strip<'_>, start: Start<'_>, column: usize) {
    let lanes = P::Vector::LANES;
    let (a, [_, row, step]) = tile.a;
    // SAFETY: the caller grants all places that the strides lead to.
    unsafe {
        let panel = tile.panel.add(column);
        let mut sums = [[P::begin(tile.scales, column), P::begin(tile.scales, column + lanes)]; R];
        for k in 0..tile.k {
            let right = [P::Vector::read(panel.add(k * WIDTH)), P::Vector::read(panel.add(k * WIDTH + lanes))];
            let a = a.add(k * step);
            for r in 0..R {
                let left = *a.add(r * row);
                sums[r] = [P::step(left, right[0], sums[r][0]), P::step(left, right[1], sums[r][1])];
            }
        }
        for r in 0..R {
            let row = tile.below(r, 0);
            finish::<P>(row, start, column, sums[r][0]);
            finish::<P>(row, start, column + lanes, sums[r][1]);
        }
    }
}

/// Writes a vector of sums to its place in the first row of the strip.
///
/// # Safety
/// The row has a vector from `column` on.
#[inline(always)]
unsafe fn finish<P: Product>(row: Strip<'_>, start: Start<'_>, column: usize, sum: P::Vector) {
    // SAFETY: the caller grants the place; a bias has a whole panel's width.
    unsafe {
        let at = row.c.0.add(column);
        let sum = P::finish(sum, row.scales, column);
        let value = match start {
            Start::Nothing => sum,
            Start::Bias(bias) => sum + P::Vector::read(bias.as_ptr().add(column)),
            Start::Result => P::Vector::read(at) + sum,
        };
        value.write(at);
    }
}

/// Writes the sums of whole tiles, `sums[m, WIDTH]`, to their places.
///
/// # Safety
/// As for [`strip_body`], with `sums` holding `m` rows.
#[inline(always)]
unsafe fn store_body<P: Product>(strip: Strip<'_>, start: Start<'_>, sums: *const f32) {
    for first in 0..strip.m {
        // SAFETY: the caller grants the row and its sums; a narrow row goes by way of a full one.
        unsafe {
            let row = strip.below(first, 0);
            let mut full = [0.0_f32; WIDTH];
            let whole = if strip.n == WIDTH { row } else { Strip { c: (full.as_mut_ptr(), WIDTH), ..row } };
            if strip.n < WIDTH {
                std::ptr::copy_nonoverlapping(row.c.0, full.as_mut_ptr(), strip.n);
            }
            for column in (0..WIDTH).step_by(P::Vector::LANES) {
                let sum = P::Vector::read(sums.add(first * WIDTH + column));
                finish::<P>(whole, start, column, sum);
            }
            if strip.n < WIDTH {
                std::ptr::copy_nonoverlapping(full.as_ptr(), row.c.0, strip.n);
            }
        }
    }
}

/// As safe functions for the macro; [`strip`] and [`store`] carry the contracts.
macro_rules! checked {
    ($($name:ident = $body:ident of $product:ident($($sums:ident)?)),*) => {$(
        #[inline(always)]
        fn $name<V: Vector>(at: Strip<'_>, start: Start<'_> $(, $sums: *const f32)?) {
            // SAFETY: only `strip` and `store` call this, whose callers grant the places.
            unsafe { $body::<$product<V>>(at, start $(, $sums)?) }
        }
    )*};
}

checked!(
    singles_checked = strip_body of Singles(),
    pairs_checked = strip_body of Pairs(),
    quads_checked = strip_body of Quads(),
    store_checked = store_body of Singles(sums)
);

kernel!(singles(at: Strip<'_>, start: Start<'_>) = singles_checked);
kernel!(pairs(at: Strip<'_>, start: Start<'_>) = pairs_checked);
kernel!(quads(at: Strip<'_>, start: Start<'_>) = quads_checked);
kernel!(store_numbers(at: Strip<'_>, start: Start<'_>, sums: *const f32) = store_checked);

/// The kernels with instructions for products of pairs and quadruples.
#[cfg(target_arch = "x86_64")]
mod native {
    use super::super::product::{NativePairs, NativeQuads};
    use super::{Start, Strip, store_body, strip_body};

    /// # Safety
    /// As for [`strip_body`], on a processor with these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512bf16")]
    pub(super) unsafe fn pairs(at: Strip<'_>, start: Start<'_>) {
        // SAFETY: as the caller grants.
        unsafe { strip_body::<NativePairs>(at, start) }
    }

    /// # Safety
    /// As for [`strip_body`], on a processor with these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512vnni")]
    pub(super) unsafe fn quads(at: Strip<'_>, start: Start<'_>) {
        // SAFETY: as the caller grants.
        unsafe { strip_body::<NativeQuads>(at, start) }
    }

    /// # Safety
    /// As for [`store_body`], on a processor with these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512vnni")]
    pub(super) unsafe fn store_quads(at: Strip<'_>, start: Start<'_>, sums: *const f32) {
        // SAFETY: as the caller grants.
        unsafe { store_body::<NativeQuads>(at, start, sums) }
    }
}

/// Computes a strip with this instruction set and precision.
///
/// # Safety
/// The pointers of the strip are valid for its sizes, and nobody else touches its part of the result.
pub(super) unsafe fn strip(isa: Isa, precision: Precision, at: Strip<'_>, start: Start<'_>) {
    match precision {
        Precision::F32 => singles(isa, at, start),
        #[cfg(target_arch = "x86_64")] // SAFETY: the instruction set is available; the caller grants the places.
        Precision::Bf16 if isa >= Isa::Avx512Bf16 => unsafe { native::pairs(at, start) },
        #[cfg(target_arch = "x86_64")] // SAFETY: as above.
        Precision::Int8 if isa >= Isa::Avx512Bf16 => unsafe { native::quads(at, start) },
        Precision::Bf16 => pairs(isa, at, start),
        Precision::Int8 => quads(isa, at, start),
    }
}

/// Writes sums that were computed in tiles, `sums[m, WIDTH]`: numbers, or whole numbers of 32 bits for eight-bit
/// operands.
///
/// # Safety
/// As for [`strip`], with `sums` holding `m` rows.
pub(super) unsafe fn store(isa: Isa, precision: Precision, at: Strip<'_>, start: Start<'_>, sums: *const f32) {
    match precision {
        #[cfg(target_arch = "x86_64")] // SAFETY: tiles come with these instructions; the caller grants the places.
        Precision::Int8 => unsafe { native::store_quads(at, start, sums) },
        _ => store_numbers(isa, at, start, sums),
    }
}
