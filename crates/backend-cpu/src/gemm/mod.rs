//! Matrix products, by the `gemm` crate.
//!
//! The result is cut into blocks whose borders depend on its shape alone, and each block is computed by one thread: the
//! bits do not depend on the number of threads. The crate chooses its own instruction set; [`crate::Isa`] governs the
//! other operations.

use crate::Cpu;
use crate::ops::activation::add_block;
use crate::parallel::Disjoint;

/// A matrix read with strides.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    /// The values.
    pub values: &'a [f32],
    /// Distance from a row to the next.
    pub row: usize,
    /// Distance from a column to the next.
    pub column: usize,
}

/// `m × n` results, each a sum of `k` products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

/// What becomes of the values that were in the result.
#[derive(Clone, Copy)]
pub(crate) enum Onto<'a> {
    /// They are overwritten.
    Nothing,
    /// They are overwritten, and this row is added to every row.
    Bias(&'a [f32]),
    /// They are added to.
    Itself,
}

/// Most rows and columns of a block: tall blocks pack the right matrix less often.
const BLOCK: usize = 512;
/// With fewer blocks than this, blocks half as tall are worth their packing.
const FEW_BLOCKS: usize = 8;

/// `c[m, n] = a[m, k] · b[k, n]`, with `c` row-major.
pub(crate) fn multiply(cpu: &Cpu, c: &mut [f32], a: Operand<'_>, b: Operand<'_>, size: Size, onto: Onto<'_>) {
    let Size { m, n, k } = size;
    if m == 0 || n == 0 {
        return;
    }
    assert_eq!(c.len(), m * n, "the result of {size:?}");
    let last = |x: Operand<'_>, rows: usize, columns: usize| (rows - 1) * x.row + (columns - 1) * x.column;
    assert!(k > 0 && last(a, m, k) < a.values.len(), "left matrix of {} values for {size:?}", a.values.len());
    assert!(last(b, k, n) < b.values.len(), "right matrix of {} values for {size:?}", b.values.len());
    let (block_m, block_n) = block(size);
    let across = n.div_ceil(block_n);
    let result = Disjoint::new(c);
    cpu.parallel(m.div_ceil(block_m) * across, |i| {
        let (row, column) = (i / across * block_m, i % across * block_n);
        let part = Size { m: block_m.min(m - row), n: block_n.min(n - column), k };
        let a = Operand { values: &a.values[row * a.row..], ..a };
        let b = Operand { values: &b.values[column * b.column..], ..b };
        // SAFETY: blocks do not overlap; `product` and `add_bias` touch only `part` of the rows that start there.
        unsafe { product(result, row * n + column, n, (a, b), part, matches!(onto, Onto::Itself)) };
        if let Onto::Bias(bias) = onto {
            for r in row..row + part.m {
                // SAFETY: this row of the block belongs to this piece of work.
                let y = unsafe { result.slice(r * n + column..r * n + column + part.n) };
                add_block(cpu.isa(), y, &bias[column..column + part.n]);
            }
        }
    });
}

/// Rows and columns of a block: a function of the shape, never of the threads.
fn block(size: Size) -> (usize, usize) {
    let few = size.m.div_ceil(BLOCK) * size.n.div_ceil(BLOCK) < FEW_BLOCKS;
    (size.m.min(if few { BLOCK / 2 } else { BLOCK }), size.n.min(BLOCK))
}

/// One block on one thread, at `offset` in a matrix of `stride` columns.
///
/// # Safety
/// Nobody else reads or writes these rows and columns meanwhile, and `a` and `b` hold `size`.
unsafe fn product(
    c: Disjoint<'_>,
    offset: usize,
    stride: usize,
    (a, b): (Operand<'_>, Operand<'_>),
    size: Size,
    add: bool,
) {
    // Both operands are read-only slices: their lengths, checked by the caller, fit `isize`, and so do the strides.
    let [a_row, a_column, b_row, b_column, stride] =
        [a.row, a.column, b.row, b.column, stride].map(|stride| stride as isize);
    // SAFETY: the caller grants the block of `c`, and has checked the far corners of `a` and `b`.
    unsafe {
        gemm::gemm(
            size.m,
            size.n,
            size.k,
            c.pointer(offset),
            1,
            stride,
            add,
            a.values.as_ptr(),
            a_column,
            a_row,
            b.values.as_ptr(),
            b_column,
            b_row,
            1.0_f32,
            1.0_f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
