//! Small dense products of tiles that lie in a cache: the inner loop of attention.

use crate::simd::{MAX_LANES, Vector};

/// Sizes and strides of `c[m, n] = a[m, k] · b[k, n]`; `c` and `b` are row-major, `a` has any strides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    /// Rows of `c`.
    pub m: usize,
    /// Columns of `c`, a multiple of the lanes of a vector.
    pub n: usize,
    /// Products in a sum.
    pub k: usize,
    /// Distances in `a` from a row to the next, and from a product to the next.
    pub a: (usize, usize),
    /// Distance between rows of `b`.
    pub b: usize,
    /// Distance between rows of `c`.
    pub c: usize,
    /// Whether the product is added to `c`.
    pub add: bool,
}

/// Vectors of a row of `c` that are kept in registers.
const VECTORS: usize = 2;

/// Computes the product.
#[inline(always)]
pub(crate) fn product<V: Vector>(c: &mut [f32], a: &[f32], b: &[f32], tile: Tile) {
    let Tile { m, n, k, .. } = tile;
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    assert!(n.is_multiple_of(V::LANES), "{n} columns in vectors of {}", V::LANES);
    assert!((m - 1) * tile.c + n <= c.len(), "{} values for {tile:?}", c.len());
    assert!((m - 1) * tile.a.0 + (k - 1) * tile.a.1 < a.len(), "{} left values for {tile:?}", a.len());
    assert!((k - 1) * tile.b + n <= b.len(), "{} right values for {tile:?}", b.len());
    let (c, a, b) = (c.as_mut_ptr(), a.as_ptr(), b.as_ptr());
    // The widest vectors come with twice the registers.
    let tallest = if V::LANES == MAX_LANES { 12 } else { 4 };
    let mut column = 0;
    while column < n {
        let vectors = if column + VECTORS * V::LANES <= n { VECTORS } else { 1 };
        let mut row = 0;
        while row < m {
            // As even as possible: few rows wait for one another's additions.
            let left = m - row;
            let rows = left.div_ceil(left.div_ceil(tallest));
            // SAFETY: `row + rows <= m` and `column + vectors · LANES <= n`, whose far corners were checked above.
            unsafe {
                let (c, a, b) = (c.add(row * tile.c + column), a.add(row * tile.a.0), b.add(column));
                if vectors == VECTORS {
                    rows_of::<V, VECTORS>(rows, c, a, b, tile)
                } else {
                    rows_of::<V, 1>(rows, c, a, b, tile)
                }
            }
            row += rows;
        }
        column += vectors * V::LANES;
    }
}

/// At most twelve rows and `C` vectors of the product.
///
/// # Safety
/// As for [`block`].
#[inline(always)]
unsafe fn rows_of<V: Vector, const C: usize>(rows: usize, c: *mut f32, a: *const f32, b: *const f32, tile: Tile) {
    // SAFETY: as the caller grants.
    unsafe {
        match rows {
            1 => block::<V, 1, C>(c, a, b, tile),
            2 => block::<V, 2, C>(c, a, b, tile),
            3 => block::<V, 3, C>(c, a, b, tile),
            4 => block::<V, 4, C>(c, a, b, tile),
            5 => block::<V, 5, C>(c, a, b, tile),
            6 => block::<V, 6, C>(c, a, b, tile),
            7 => block::<V, 7, C>(c, a, b, tile),
            8 => block::<V, 8, C>(c, a, b, tile),
            9 => block::<V, 9, C>(c, a, b, tile),
            10 => block::<V, 10, C>(c, a, b, tile),
            11 => block::<V, 11, C>(c, a, b, tile),
            _ => block::<V, 12, C>(c, a, b, tile),
        }
    }
}

/// `R` rows and `C` vectors of the product.
///
/// # Safety
/// The pointers are valid for these rows and vectors at the strides of `tile`.
#[inline(always)]
unsafe fn block<V: Vector, const R: usize, const C: usize>(c: *mut f32, a: *const f32, b: *const f32, tile: Tile) {
    // SAFETY: the caller grants all places that the strides lead to.
    unsafe {
        let mut sums = [[V::splat(0.0); C]; R];
        if tile.add {
            for r in 0..R {
                for j in 0..C {
                    sums[r][j] = V::read(c.add(r * tile.c + j * V::LANES));
                }
            }
        }
        for k in 0..tile.k {
            let (a, b) = (a.add(k * tile.a.1), b.add(k * tile.b));
            let mut right = [V::splat(0.0); C];
            for j in 0..C {
                right[j] = V::read(b.add(j * V::LANES));
            }
            for r in 0..R {
                let left = V::splat(*a.add(r * tile.a.0));
                for j in 0..C {
                    sums[r][j] = left.fma(right[j], sums[r][j]);
                }
            }
        }
        for r in 0..R {
            for j in 0..C {
                sums[r][j].write(c.add(r * tile.c + j * V::LANES));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::simd::kernel;

    kernel!(multiply(c: &mut [f32], a: &[f32], b: &[f32], tile: Tile) = product);

    #[test]
    fn tiles_of_all_shapes_and_strides_agree_with_plain_sums() {
        let value = |i: usize| ((i * 37 + 11) % 23) as f32 - 11.0;
        for isa in Isa::available() {
            for (m, vectors, k) in [(1, 1, 1), (4, 2, 3), (5, 3, 7), (7, 1, 16), (9, 4, 33), (64, 2, 20)] {
                let n = vectors * MAX_LANES;
                for (transposed, add) in [(false, false), (true, true)] {
                    let strides = if transposed { (1, m + 3) } else { (k + 2, 1) };
                    let a: Vec<f32> = (0..(m + 3) * (k + 2)).map(value).collect();
                    let b: Vec<f32> = (0..k * n).map(|i| value(i + 5)).collect();
                    let mut c = vec![1.0; m * (n + 1)];
                    multiply(isa, &mut c, &a, &b, Tile { m, n, k, a: strides, b: n, c: n + 1, add });
                    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                        let sum: f32 = (0..k).map(|p| a[i * strides.0 + p * strides.1] * b[p * n + j]).sum();
                        assert_eq!(c[i * (n + 1) + j], sum + if add { 1.0 } else { 0.0 }, "{isa:?} {m} {n} {k}");
                    }
                }
            }
        }
    }
}
