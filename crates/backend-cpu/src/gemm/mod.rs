//! Matrix products with operands in f32, bf16 or eight bits, and sums in f32 (whole numbers for eight bits).
//!
//! Operands are packed into words of 32 bits ([`words`]): one number, two, or four neighbours of a sum. With that the
//! layouts are the same for all precisions. The right matrix is read in panels of 32 columns ([`panel`]), blocks of the
//! left one are packed by the thread that needs them ([`left`]), and a few rows of the result at a time are kept in
//! registers ([`kernel`]) or tiles ([`amx`]). Long sums are cut into chunks of a fixed length, each summed from zero and
//! then added. So every value of the result is a function of its row, its column and the length of the sum alone:
//! neither the rows beside it nor the number of threads change a bit. The layout follows
//! <https://doi.org/10.1145/1356052.1356053>.

pub(crate) mod amx;
mod kernel;
mod left;
mod panel;
mod product;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use panel::Panels;

use crate::parallel::{Disjoint, with_scratch};
use crate::{Cpu, Isa, Precision};
use kernel::{ROWS, Scales, Start, Strip, strip};
use left::{Chunk, row_scales};
use panel::{View, WIDTH, pack_columns, pack_rows, panels_len};
use std::ops::Range;

/// The left matrix, `m × k`.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// Row by row.
    Rows(&'a [f32]),
    /// Column by column: the transpose of what lies there row by row. The sums of its `m` rows are added to the second, if
    /// it is there, on the way.
    Columns(&'a [f32], Option<Disjoint<'a>>),
}

/// The right matrix, `k × n`.
#[derive(Clone, Copy)]
pub(crate) enum Right<'a> {
    /// Row by row; it is packed for this product alone.
    Rows(&'a [f32], Precision),
    /// Column by column; it is packed for this product alone.
    Columns(&'a [f32], Precision),
    /// In panels that are kept.
    Panels(&'a Panels),
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

/// What is done with finished values of the result while they are in a cache.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    /// Called once for each part, a piece of a row, with the index of its first value.
    pub part: &'a (dyn Fn(usize, &mut [f32]) + Sync),
    /// As many values as the result has, of which `part` reads those of its own place; they are asked for ahead. Or none.
    pub reads: &'a [f32],
}

/// Nothing more to do.
pub(crate) const DONE: Option<Finish<'static>> = None;

/// Most words that are summed in registers before they are added to the result.
const DEPTH: usize = 384;
/// The same for eight bits: the portable kernel sums their products in f32, exactly only up to 1,024 of them.
const DEPTH_OF_BYTES: usize = 256;
/// Most rows of a block, a multiple of [`ROWS`] and of [`TILED_ROWS`], whose packed left rows stay in the second cache.
const BLOCK_ROWS: usize = 96;
/// Rows of the result that tiles compute together.
const TILED_ROWS: usize = 32;
/// Words of a row that are packed together, a multiple of both depths: a block of them stays in the second cache while all
/// panels pass by.
const PACKED_WORDS: usize = 4 * DEPTH;
/// Most chunks of these.
const CHUNKS: usize = PACKED_WORDS / DEPTH_OF_BYTES;
/// Columns that are finished together: the most values of a part.
const FINISHED_COLUMNS: usize = 8 * WIDTH;
/// Products for which another piece of work is worth handing out.
const PIECE: usize = 1 << 19;
/// Most products of a sum whose right matrix is packed at a time; longer sums are taken in turns.
const TURN: usize = 8 * 1024;

/// A whole product.
#[derive(Clone, Copy)]
struct Whole<'a> {
    size: Size,
    a: Left<'a>,
    b: View<'a>,
    onto: Onto<'a>,
    finish: Option<Finish<'a>>,
}

/// One piece of work: rows and columns of the result.
#[derive(Clone, Copy)]
struct Block {
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
}

/// `c[m, n] = a[m, k] · b[k, n]`, with `c` row-major.
pub(crate) fn multiply(
    cpu: &Cpu,
    c: &mut [f32],
    a: Left<'_>,
    b: Right<'_>,
    size: Size,
    onto: Onto<'_>,
    finish: Option<Finish<'_>>,
) {
    let Size { m, n, k } = size;
    if m == 0 || n == 0 {
        return;
    }
    let (Left::Rows(left) | Left::Columns(left, _)) = a;
    assert_eq!(c.len(), m * n, "the result of {size:?}");
    assert!(k > 0 && left.len() == m * k, "left matrix of {} values for {size:?}", left.len());
    if let Onto::Bias(bias) = onto {
        assert_eq!(bias.len(), n, "the bias of {size:?}");
    }
    match b {
        Right::Panels(panels) => {
            assert!((panels.k, panels.n) == (k, n), "panels of {} by {} for {size:?}", panels.k, panels.n);
            multiply_panels(cpu, c, Whole { size, a, b: panels.view(), onto, finish });
        }
        Right::Columns(values, precision) => {
            assert!(values.len() == k * n, "right matrix of {} values for {size:?}", values.len());
            cpu.with_partials(panels_len(precision, k, n), |words| {
                pack_columns(cpu, precision, words, values, k);
                multiply_panels(cpu, c, Whole { size, a, b: View::new(precision, words, k), onto, finish });
            });
        }
        Right::Rows(values, precision) => {
            assert!(values.len() == k * n, "right matrix of {} values for {size:?}", values.len());
            // Only a gradient of weights sums over more than a turn, and its left matrix lies column by column.
            let turn = if matches!(a, Left::Columns(..)) { TURN } else { k };
            for first in (0..k).step_by(turn) {
                let (size, last) = (Size { k: turn.min(k - first), ..size }, first + turn >= k);
                let a = match a {
                    Left::Columns(values, sums) => Left::Columns(&values[first * m..(first + size.k) * m], sums),
                    rows => rows,
                };
                let (onto, finish) = (if first > 0 { Onto::Itself } else { onto }, if last { finish } else { DONE });
                cpu.with_partials(panels_len(precision, size.k, n), |words| {
                    pack_rows(cpu, precision, words, &values[first * n..(first + size.k) * n], n);
                    multiply_panels(cpu, c, Whole { size, a, b: View::new(precision, words, size.k), onto, finish });
                });
            }
        }
    }
}

/// The product with a packed right matrix, cut into blocks for all threads.
fn multiply_panels(cpu: &Cpu, c: &mut [f32], whole: Whole<'_>) {
    let Size { m, n, .. } = whole.size;
    let tiles = in_tiles(cpu, whole.b.precision);
    let group = if tiles { TILED_ROWS } else { ROWS };
    let (groups, columns) = (m.div_ceil(group), columns_of(whole.size, cpu.threads()));
    let (down, across) = (blocks_down(groups, BLOCK_ROWS / group, cpu.threads()), n.div_ceil(columns));
    // As many rows in one block as in another, or one more; of columns and of tiles whole groups.
    let unit = if tiles || matches!(whole.a, Left::Columns(..)) { group } else { 1 };
    let result = Disjoint::new(c);
    cpu.parallel(down * across, |i| {
        let first_row = |block: usize| (block * m.div_ceil(unit) / down * unit).min(m);
        let (row, column) = (first_row(i / across), i % across * columns);
        let rows = first_row(i / across + 1) - row;
        let block = Block { row, rows, column, columns: columns.min(n - column) };
        // SAFETY: blocks do not overlap, and the lengths were checked against the whole size.
        unsafe { compute(cpu, result, whole, block) };
    });
}

/// Most words of a chunk: a chunk's sums begin at zero.
fn depth_of(precision: Precision) -> usize {
    if precision == Precision::Int8 { DEPTH_OF_BYTES } else { DEPTH }
}

/// Whether products of this precision are computed in tiles.
fn in_tiles(cpu: &Cpu, precision: Precision) -> bool {
    cpu.isa() == Isa::Amx && precision != Precision::F32
}

/// Blocks of at most so many groups of rows: an equal number for each thread, if there are enough groups. What a value is
/// does not depend on the block it lies in.
fn blocks_down(groups: usize, most: usize, threads: usize) -> usize {
    let blocks = groups.div_ceil(most);
    if blocks > 1 { blocks.next_multiple_of(threads).min(groups) } else { 1 }
}

/// Columns of a block: all of them, so that left rows are packed once, unless that leaves threads idle.
fn columns_of(size: Size, threads: usize) -> usize {
    let Size { m, n, k } = size;
    let down = m.div_ceil(BLOCK_ROWS);
    if down >= threads {
        return n;
    }
    let affordable = (m * n * k / PIECE).max(1).div_ceil(down);
    let across = (2 * threads).div_ceil(down).min(affordable).min(n.div_ceil(2 * WIDTH));
    n.div_ceil(across).next_multiple_of(WIDTH)
}

/// Some chunks of the sums of a block, with the left rows packed: first word, number of words, and where they lie.
#[derive(Clone, Copy)]
struct Packed {
    depth: usize,
    count: usize,
    a: (*const f32, [usize; 3]),
}

/// Computes a block on one thread.
///
/// # Safety
/// Nobody else reads or writes its part of the result meanwhile; the operands hold the whole size.
unsafe fn compute(cpu: &Cpu, c: Disjoint<'_>, whole: Whole<'_>, block: Block) {
    let Size { m, k, .. } = whole.size;
    let (isa, precision) = (cpu.isa(), whole.b.precision);
    let (mut scales, mut reciprocals) = ([0.0; BLOCK_ROWS], [0.0; BLOCK_ROWS]);
    if precision == Precision::Int8 {
        row_scales(isa, (&mut scales[..block.rows], &mut reciprocals), whole.a, k, block.row);
    }
    let tiles = in_tiles(cpu, precision);
    let words = panel::words(precision, k);
    let sums: &mut [f32] = match &whole.a {
        // SAFETY: a row's sum belongs to its first block, which is the caller's alone.
        Left::Columns(_, Some(sums)) if block.column == 0 => unsafe { sums.slice(block.row..block.row + block.rows) },
        _ => &mut [],
    };
    let most = depth_of(precision);
    with_scratch(BLOCK_ROWS * PACKED_WORDS, |memory| {
        for first in (0..words).step_by(PACKED_WORDS) {
            let mut packed = [Packed { depth: 0, count: 0, a: (std::ptr::null(), [0; 3]) }; CHUNKS];
            let last = first + PACKED_WORDS >= words;
            let chunks = (words.min(first + PACKED_WORDS) - first).div_ceil(most);
            for (i, memory) in memory.chunks_exact_mut(BLOCK_ROWS * most).take(chunks).enumerate() {
                let depth = first + i * most;
                let count = most.min(words - depth);
                let (rows, words) = ((block.row, block.rows), (depth, count));
                let chunk = Chunk { isa, precision, a: whole.a, whole: (m, k), rows, words };
                let a = match tiles {
                    true => chunk.tiles(memory, &reciprocals, sums),
                    false => chunk.streams(memory, &reciprocals, sums),
                };
                packed[i] = Packed { depth, count, a };
            }
            // SAFETY: as the caller grants.
            unsafe { compute_strips(cpu, c, (whole, block), (&packed[..chunks], &scales), last) };
        }
    });
}

/// Computes the strips of some chunks, all of one panel after the other while its part of the result is in a cache, and
/// finishes them if these chunks are the last ones.
///
/// # Safety
/// As for [`compute`], with the packed left rows of the chunks.
unsafe fn compute_strips(
    cpu: &Cpu,
    c: Disjoint<'_>,
    (whole, block): (Whole<'_>, Block),
    (chunks, row_scales): (&[Packed], &[f32; BLOCK_ROWS]),
    last: bool,
) {
    let stride = whole.size.n;
    let (isa, precision) = (cpu.isa(), whole.b.precision);
    let tiles = in_tiles(cpu, precision);
    let _configured = tiles.then(amx::Configured::new);
    let group = Chunk::group(whole.a, block.rows);
    let end = block.column + block.columns;
    for column in (block.column..end).step_by(WIDTH) {
        let n = WIDTH.min(end - column);
        for &Packed { depth, count, a } in chunks {
            let scales = whole.b.scales(column / WIDTH, depth);
            let scales =
                scales.map_or(Scales::NONE, |(columns, begin)| Scales { rows: row_scales.as_ptr(), columns, begin });
            let mut bias = [0.0; WIDTH];
            let start = start(whole.onto, depth, (column, n), &mut bias);
            let first = block.row * stride + column;
            let reads = whole.finish.map_or(&[][..], |finish| finish.reads);
            let reads = if reads.is_empty() || depth > 0 { std::ptr::null() } else { reads[first..].as_ptr() };
            let place = (c.pointer(first), stride);
            let panel = whole.b.panel(column / WIDTH, depth);
            let at = Strip { m: block.rows, group, n, k: count, c: place, reads, a, panel, scales };
            // SAFETY: the strip lies in this block, which is the caller's alone; `a` and `panel` hold `count` words of
            // all its rows and columns.
            unsafe { if tiles { amx::strip(isa, precision, at, start) } else { strip(isa, precision, at, start) } };
        }
        let finished = column + n - block.column;
        if last && (finished.is_multiple_of(FINISHED_COLUMNS) || column + n == end) {
            let first = block.column + (finished - 1) / FINISHED_COLUMNS * FINISHED_COLUMNS;
            finish(c, whole, block, first..column + n);
        }
    }
}

/// Finishes some columns of a block, row by row.
fn finish(c: Disjoint<'_>, whole: Whole<'_>, block: Block, columns: Range<usize>) {
    let Some(finish) = whole.finish else { return };
    for row in block.row..block.row + block.rows {
        let place = row * whole.size.n + columns.start;
        // SAFETY: the part lies in this block, which is this thread's alone, and no strip of it is at work.
        (finish.part)(place, unsafe { c.slice(place..place + columns.len()) });
    }
}

/// What the sums of this chunk are added to.
fn start<'a>(onto: Onto<'_>, depth: usize, (column, n): (usize, usize), bias: &'a mut [f32; WIDTH]) -> Start<'a> {
    match onto {
        _ if depth > 0 => Start::Result,
        Onto::Nothing => Start::Nothing,
        Onto::Itself => Start::Result,
        Onto::Bias(all) => {
            bias[..n].copy_from_slice(&all[column..column + n]);
            Start::Bias(bias)
        }
    }
}
