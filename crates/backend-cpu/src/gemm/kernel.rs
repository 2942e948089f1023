//! The inner loop: a few rows of the result times a panel of columns, in registers.

use super::panel::WIDTH;
use crate::simd::{Vector, kernel};

/// Rows of the tallest tile that any instruction set keeps in registers; packed left rows come in such groups.
pub(super) const ROWS: usize = 12;

/// One column panel of a block of the result: `c[m, n] = a[m, k] · panel[k, WIDTH]`.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result, at most [`WIDTH`].
    pub n: usize,
    /// Products in a sum.
    pub k: usize,
    /// Where the result begins, and the distance between its rows.
    pub c: (*mut f32, usize),
    /// Where the left rows begin, and the distances from a group of [`ROWS`] to the next, a row to the next, and a
    /// product to the next.
    pub a: (*const f32, [usize; 3]),
    /// `k` rows of [`WIDTH`] values.
    pub panel: *const f32,
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
unsafe fn strip_body<V: Vector>(strip: Strip, start: Start<'_>) {
    let [group, row, _] = strip.a.1;
    for first in (0..strip.m).step_by(ROWS) {
        let rows = ROWS.min(strip.m - first);
        // SAFETY: `first < m`; the caller grants all rows.
        unsafe {
            let a = strip.a.0.add(first / ROWS * group);
            let c = strip.c.0.add(first * strip.c.1);
            if strip.n == WIDTH {
                group_of_rows::<V>(c, strip.c.1, Strip { m: rows, a: (a, [group, row, strip.a.1[2]]), ..strip }, start);
            } else {
                narrow::<V>(c, Strip { m: rows, a: (a, [group, row, strip.a.1[2]]), ..strip }, start);
            }
        }
    }
}

/// A group of rows of a panel that is narrower than a full one, by way of a full one.
///
/// # Safety
/// As for [`strip_body`], with `c` as the place of the result.
#[inline(always)]
unsafe fn narrow<V: Vector>(c: *mut f32, strip: Strip, start: Start<'_>) {
    let mut full = [0.0_f32; ROWS * WIDTH];
    // SAFETY: the caller grants `n` values of each of the rows, and `n <= WIDTH`, `rows <= ROWS`.
    unsafe {
        for r in 0..strip.m {
            std::ptr::copy_nonoverlapping(c.add(r * strip.c.1), full.as_mut_ptr().add(r * WIDTH), strip.n);
        }
        group_of_rows::<V>(full.as_mut_ptr(), WIDTH, strip, start);
        for r in 0..strip.m {
            std::ptr::copy_nonoverlapping(full.as_ptr().add(r * WIDTH), c.add(r * strip.c.1), strip.n);
        }
    }
}

/// At most [`ROWS`] rows of a full panel, in tiles as large as the registers allow.
///
/// # Safety
/// As for [`strip_body`], with `c` and `stride` as the place of the result.
#[inline(always)]
unsafe fn group_of_rows<V: Vector>(c: *mut f32, stride: usize, strip: Strip, start: Start<'_>) {
    let tallest = if V::LANES == 16 { 12 } else { 6 };
    for column in (0..WIDTH).step_by(2 * V::LANES) {
        let mut row = 0;
        while row < strip.m {
            let rows = tallest.min(strip.m - row);
            // SAFETY: rows and columns lie in what the caller grants.
            unsafe {
                let c = (c.add(row * stride + column), stride);
                let a = strip.a.0.add(row * strip.a.1[1]);
                let tile = Strip { c, a: (a, strip.a.1), panel: strip.panel.add(column), ..strip };
                match rows {
                    1 => tile_of::<V, 1>(tile, start, column),
                    2 => tile_of::<V, 2>(tile, start, column),
                    3 => tile_of::<V, 3>(tile, start, column),
                    4 => tile_of::<V, 4>(tile, start, column),
                    5 => tile_of::<V, 5>(tile, start, column),
                    6 => tile_of::<V, 6>(tile, start, column),
                    7 => tile_of::<V, 7>(tile, start, column),
                    8 => tile_of::<V, 8>(tile, start, column),
                    9 => tile_of::<V, 9>(tile, start, column),
                    10 => tile_of::<V, 10>(tile, start, column),
                    11 => tile_of::<V, 11>(tile, start, column),
                    _ => tile_of::<V, 12>(tile, start, column),
                }
            }
            row += rows;
        }
    }
}

/// `R` rows of two vectors. Each sum runs over `k` in ascending order in a register of its own, for every `R`: that is
/// why a row's bits do not depend on the rows beside it.
///
/// # Safety
/// The pointers are valid for these rows and vectors.
#[inline(always)]
unsafe fn tile_of<V: Vector, const R: usize>(tile: Strip, start: Start<'_>, column: usize) {
    let (c, stride) = tile.c;
    let (a, [_, row, step]) = tile.a;
    // SAFETY: the caller grants all places that the strides lead to.
    unsafe {
        let mut sums = [[V::splat(0.0); 2]; R];
        for k in 0..tile.k {
            let right = [V::read(tile.panel.add(k * WIDTH)), V::read(tile.panel.add(k * WIDTH + V::LANES))];
            let a = a.add(k * step);
            for r in 0..R {
                let left = V::splat(*a.add(r * row));
                sums[r] = [left.fma(right[0], sums[r][0]), left.fma(right[1], sums[r][1])];
            }
        }
        for r in 0..R {
            for j in 0..2 {
                let at = c.add(r * stride + j * V::LANES);
                let sum = match start {
                    Start::Nothing => sums[r][j],
                    Start::Bias(bias) => sums[r][j] + V::read(bias.as_ptr().add(column + j * V::LANES)),
                    Start::Result => V::read(at) + sums[r][j],
                };
                sum.write(at);
            }
        }
    }
}

/// As a safe function for the macro; [`strip`] carries the contract.
#[inline(always)]
fn strip_checked<V: Vector>(at: Strip, start: Start<'_>) {
    // SAFETY: only `strip` calls this, whose caller grants the places.
    unsafe { strip_body::<V>(at, start) }
}

kernel!(dispatch(at: Strip, start: Start<'_>) = strip_checked);

/// Computes a strip with this instruction set.
///
/// # Safety
/// The pointers of the strip are valid for its sizes, and nobody else touches its part of the result.
pub(super) unsafe fn strip(isa: crate::Isa, at: Strip, start: Start<'_>) {
    dispatch(isa, at, start);
}
