//! Matrix products in f32.
//!
//! The right matrix is read in panels of 32 columns ([`panel`]), a few rows of the result at a time are kept in
//! registers ([`kernel`]), and long sums are cut into chunks of a fixed length, each summed from zero and then added. So
//! every value of the result is a function of its row, its column and the length of the sum alone: neither the rows
//! beside it nor the number of threads change a bit. The layout follows <https://doi.org/10.1145/1356052.1356053>.

pub(crate) mod amx;
mod kernel;
mod panel;
#[cfg(test)]
mod tests;

pub(crate) use panel::{pack_transposed, pack_transposed_together, panels_len};

use crate::Cpu;
use crate::parallel::{Disjoint, with_scratch};
use kernel::{ROWS, Start, Strip, strip};
use panel::{WIDTH, pack_rows};

/// The left matrix, `m × k`.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// Row by row.
    Rows(&'a [f32]),
    /// Column by column: the transpose of what lies there row by row.
    Columns(&'a [f32]),
}

/// The right matrix, `k × n`.
#[derive(Clone, Copy)]
pub(crate) enum Right<'a> {
    /// Row by row.
    Rows(&'a [f32]),
    /// In panels, as [`pack_transposed`] leaves them.
    Panels(&'a [f32]),
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

/// Products that are summed in registers before they are added to the result.
const DEPTH: usize = 256;
/// Most rows of a block, whose packed left rows stay in the second cache.
const BLOCK_ROWS: usize = 20 * ROWS;
/// Most columns of a block.
const BLOCK_COLUMNS: usize = 8 * WIDTH;
/// Products for which a second thread is worth its waking.
const PIECE: usize = 1 << 19;

/// One piece of work: its first row and column, and the whole product.
#[derive(Clone, Copy)]
struct Block<'a> {
    row: usize,
    column: usize,
    /// Rows and columns of this block, and the whole sum.
    size: Size,
    /// The whole product.
    whole: Size,
    a: Left<'a>,
    b: Right<'a>,
    onto: Onto<'a>,
}

/// `c[m, n] = a[m, k] · b[k, n]`, with `c` row-major.
pub(crate) fn multiply(cpu: &Cpu, c: &mut [f32], a: Left<'_>, b: Right<'_>, size: Size, onto: Onto<'_>) {
    let Size { m, n, k } = size;
    if m == 0 || n == 0 {
        return;
    }
    let (Left::Rows(left) | Left::Columns(left)) = a;
    let (right, columns) = match b {
        Right::Rows(values) => (values, n),
        Right::Panels(values) => (values, n.next_multiple_of(WIDTH)),
    };
    assert_eq!(c.len(), m * n, "the result of {size:?}");
    assert!(k > 0 && left.len() == m * k, "left matrix of {} values for {size:?}", left.len());
    assert!(right.len() == k * columns, "right matrix of {} values for {size:?}", right.len());
    if let Onto::Bias(bias) = onto {
        assert_eq!(bias.len(), n, "the bias of {size:?}");
    }
    let (block_m, block_n) = block_of(size);
    let across = n.div_ceil(block_n);
    let result = Disjoint::new(c);
    cpu.parallel(m.div_ceil(block_m) * across, |i| {
        let (row, column) = (i / across * block_m, i % across * block_n);
        let part = Size { m: block_m.min(m - row), n: block_n.min(n - column), k };
        // SAFETY: blocks do not overlap, and the lengths were checked against the whole size.
        unsafe { compute(cpu, result, Block { row, column, size: part, whole: size, a, b, onto }) };
    });
}

/// Rows and columns of a block. A few rows are cut across only, so that every weight is read once.
fn block_of(size: Size) -> (usize, usize) {
    let Size { m, n, k } = size;
    if m > BLOCK_ROWS {
        return (m.div_ceil(m.div_ceil(BLOCK_ROWS)).next_multiple_of(ROWS), n.min(BLOCK_COLUMNS));
    }
    let columns = (PIECE / (m * k)).next_multiple_of(WIDTH).max(2 * WIDTH);
    (m, if m * n * k <= PIECE { n } else { n.min(columns) })
}

/// Computes a block on one thread.
///
/// # Safety
/// Nobody else reads or writes its part of the result meanwhile; the operands hold the whole size.
unsafe fn compute(cpu: &Cpu, c: Disjoint<'_>, block: Block<'_>) {
    let Size { m, n, k } = block.size;
    with_scratch((BLOCK_ROWS + WIDTH) * DEPTH, |memory| {
        let (left, right) = memory.split_at_mut(BLOCK_ROWS * DEPTH);
        for depth in (0..k).step_by(DEPTH) {
            let part = Size { m, n, k: DEPTH.min(k - depth) };
            let a = left_rows(left, &block, depth, part.k);
            for column in (0..n).step_by(WIDTH) {
                let count = WIDTH.min(n - column);
                let panel = right_panel(right, &block, (depth, part.k), (block.column + column, count));
                let mut bias = [0.0; WIDTH];
                let start = start(&block, depth, (block.column + column, count), &mut bias);
                let place = c.pointer(block.row * block.whole.n + block.column + column);
                let at = Strip { m, n: count, k: part.k, c: (place, block.whole.n), a, panel: panel.as_ptr() };
                // SAFETY: the strip lies in this block, which is the caller's alone; `a` and `panel` hold `part.k`
                // products of all its rows and columns.
                unsafe { strip(cpu.isa(), at, start) };
            }
        }
    });
}

/// What the sums of this chunk are added to.
fn start<'a>(block: &Block<'_>, depth: usize, (column, n): (usize, usize), bias: &'a mut [f32; WIDTH]) -> Start<'a> {
    match block.onto {
        _ if depth > 0 => Start::Result,
        Onto::Nothing => Start::Nothing,
        Onto::Itself => Start::Result,
        Onto::Bias(all) => {
            bias[..n].copy_from_slice(&all[column..column + n]);
            Start::Bias(bias)
        }
    }
}

/// The left rows of a chunk and their strides. Columns are gathered into groups of [`ROWS`] first.
fn left_rows(to: &mut [f32], block: &Block<'_>, depth: usize, k: usize) -> (*const f32, [usize; 3]) {
    match block.a {
        Left::Rows(values) => {
            let stride = block.whole.k;
            (values[block.row * stride + depth..].as_ptr(), [ROWS * stride, stride, 1])
        }
        Left::Columns(values) => {
            let (m, stride) = (block.size.m, block.whole.m);
            for (group, to) in to[..m.div_ceil(ROWS) * ROWS * k].chunks_exact_mut(ROWS * k).enumerate() {
                let first = group * ROWS;
                let rows = ROWS.min(m - first);
                let from = &values[depth * stride + block.row + first..];
                for (to, from) in to.chunks_exact_mut(ROWS).zip(from.chunks(stride)) {
                    if rows == ROWS {
                        to.copy_from_slice(&from[..ROWS]);
                    } else {
                        to[..rows].copy_from_slice(&from[..rows]);
                    }
                }
            }
            (to.as_ptr(), [ROWS * k, 1, ROWS])
        }
    }
}

/// The panel of a chunk, packed into `to` if it is not in panels yet.
fn right_panel<'a>(
    to: &'a mut [f32],
    block: &Block<'a>,
    (depth, k): (usize, usize),
    (column, n): (usize, usize),
) -> &'a [f32] {
    match block.b {
        Right::Panels(panels) => &panels[(column * block.whole.k + depth * WIDTH)..][..k * WIDTH],
        Right::Rows(values) => {
            let to = &mut to[..k * WIDTH];
            pack_rows(to, &values[depth * block.whole.n + column..], block.whole.n, n);
            to
        }
    }
}
