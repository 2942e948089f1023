//! Scaled dot-product attention on packed sequences, tile by tile.
//!
//! Scores are computed as `scores[key, query]`, keys down and queries across: then the softmax, which runs over keys,
//! is plain vector arithmetic, and of all operands only the queries of a tile need transposing. The softmax is online
//! (<https://arxiv.org/abs/1805.02867>), so no more than one tile of scores per thread is ever in memory, and backward
//! recomputes it (<https://arxiv.org/abs/2205.14135>).
//!
//! A piece of work is a key and value head of a sequence (in forward, of up to 256 queries of it) with the query heads that
//! read it, or several of a short sequence; the longest come first. It copies keys and values to contiguous rows padded to
//! whole vectors, and writes columns that no other piece writes.

mod backward;
mod forward;

pub(crate) use backward::backward;
pub(crate) use forward::forward;

use crate::Cpu;
use crate::ops::dropout::{BLOCK, tile_factors};
use crate::simd::{Vector, read_through};
use finetone_backend::{AttentionShape, Dropout, Mask, Queries};
use std::cell::Cell;
use std::ops::Range;

/// Queries of a tile.
const QUERIES: usize = 64;
/// Keys of a tile, a multiple of the elements of a block of the dropout generator.
const KEYS: usize = 64;
/// Scores of a piece of work at least, as far as the heads of a sequence go: what short sequences take should not be
/// less than handing it out.
const SCORES: usize = 64 * 64;
/// Pieces of work for each thread at most, if one has more than [`SCORES`]: few, so that a thread has several heads of a
/// sequence, one after the other, and enough that threads finish together.
const PIECES_OF_A_THREAD: usize = 12;
/// Values of the heads of a piece, if it has several: they stay in the second cache.
const VALUES: usize = 128 * 1024;
/// Rows of a token and head that backward reads: query, key, value, result, gradient.
const ROWS: usize = 5;
/// Elements of the dropout mask from a query's row to that of the next head.
const MASK_ROW: u64 = 1 << 20;

/// A sequence, or some queries of it.
#[derive(Clone, Copy, Debug)]
struct Item {
    /// First token of the sequence.
    start: usize,
    /// Tokens of the sequence.
    length: usize,
    /// The queries, counted within the sequence.
    first: usize,
    end: usize,
    /// Row of the first query's results.
    row: usize,
}

impl Item {
    /// The queries of the item from `first` on, at most [`QUERIES`] of them.
    fn block(self, first: usize) -> Self {
        Self { first, end: self.end.min(first + QUERIES), row: self.row + first - self.first, ..self }
    }

    /// Keys that the queries see together, from the beginning of a tile on.
    fn keys(&self, mask: Mask) -> Range<usize> {
        match mask {
            Mask::Bidirectional => 0..self.length,
            Mask::Causal => 0..self.end,
            Mask::Window(most) => {
                let first = (self.first + 1).saturating_sub(most);
                first - first % KEYS..self.end
            }
        }
    }

    /// Scores of a head, at most.
    fn scores(&self, mask: Mask) -> usize {
        self.keys(mask).len() * (self.end - self.first)
    }
}

/// Some key and value heads of an item.
#[derive(Clone, Copy, Debug)]
struct Piece {
    item: Item,
    first_head: usize,
    end_head: usize,
}

impl Piece {
    fn scores(&self, mask: Mask) -> usize {
        self.item.scores(mask) * (self.end_head - self.first_head)
    }
}

thread_local! {
    /// The list of the pieces of work, kept by the thread that hands them out.
    static PIECES: Cell<Vec<Piece>> = const { Cell::new(Vec::new()) };
}

/// The items of sequence `s`, with at most `queries` queries each.
fn items(shape: &AttentionShape<'_>, s: usize, queries: usize) -> impl Iterator<Item = Item> {
    let (start, length) = (shape.starts[s] as usize, (shape.starts[s + 1] - shape.starts[s]) as usize);
    assert!(length > 0, "sequence {s} is empty");
    assert!((length as u64) <= MASK_ROW, "a sequence of {length} tokens, more than {MASK_ROW}");
    let (asking, row) = match shape.queries {
        Queries::All => (0..length, start),
        Queries::First => (0..1, s),
        Queries::Last => (length - 1..length, s),
    };
    let end = asking.end;
    asking.step_by(queries).enumerate().map(move |(i, first)| {
        let end = end.min(first.saturating_add(queries));
        Item { start, length, first, end, row: row + i * queries }
    })
}

/// Calls `work` with all items and key and value heads, the longest pieces first; an item has at most `queries` queries.
/// Before that, `approach` is called with the item and the heads of a piece that has several.
fn for_each_item(
    cpu: &Cpu,
    shape: &AttentionShape<'_>,
    queries: usize,
    approach: impl Fn(Item, Range<usize>) + Sync,
    work: impl Fn(Item, usize) + Sync,
) {
    // Taken rather than borrowed: while this thread waits for others it may start an attention of its own.
    let mut pieces = PIECES.take();
    pieces.clear();
    let all = || (1..shape.starts.len()).flat_map(|s| items(shape, s - 1, queries));
    let total: usize = all().map(|item| item.scores(shape.mask) * shape.heads).sum();
    let least = SCORES.max(total / (PIECES_OF_A_THREAD * cpu.threads()));
    for item in all() {
        let group = shape.heads / shape.kv_heads;
        let near = VALUES / (item.length * ROWS * shape.head_size * group);
        let heads = (least / (item.scores(shape.mask) * group)).min(near).clamp(1, shape.kv_heads);
        pieces.extend((0..shape.kv_heads).step_by(heads).map(|first_head| {
            let end_head = shape.kv_heads.min(first_head + heads);
            Piece { item, first_head, end_head }
        }));
    }
    // Pieces write to places of their own, so their order changes no bit, and an unstable sort needs no memory.
    pieces.sort_unstable_by_key(|piece| std::cmp::Reverse(piece.scores(shape.mask)));
    cpu.parallel(pieces.len(), |i| {
        let Piece { item, first_head, end_head } = pieces[i];
        if end_head > first_head + 1 {
            approach(item, first_head..end_head);
        }
        (first_head..end_head).for_each(|head| work(item, head));
    });
    PIECES.set(pieces);
}

/// Of a token, what a head has.
#[derive(Clone, Copy)]
enum Part {
    Query,
    Key,
    Value,
}

/// What all pieces of work share.
#[derive(Clone, Copy)]
struct Plan<'a> {
    heads: usize,
    kv_heads: usize,
    head_size: usize,
    /// Head size rounded up to whole pairs of the widest vector.
    padded: usize,
    scale: f32,
    mask: Mask,
    qkv: &'a [f32],
    dropout: Option<&'a Dropout>,
}

impl<'a> Plan<'a> {
    fn new(qkv: &'a [f32], dropout: Option<&'a Dropout>, shape: &AttentionShape<'_>) -> Self {
        let AttentionShape { heads, kv_heads, .. } = *shape;
        assert!(heads.is_multiple_of(kv_heads), "{heads} query heads share {kv_heads} key and value heads");
        Self {
            heads,
            kv_heads,
            head_size: shape.head_size,
            padded: shape.head_size.next_multiple_of(crate::simd::MAX_LANES),
            scale: shape.scale as f32,
            mask: shape.mask,
            qkv,
            dropout,
        }
    }

    /// Width of a row of `y`.
    fn width(&self) -> usize {
        self.heads * self.head_size
    }

    /// Width of a row of `qkv`.
    fn stride(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_size
    }

    /// Where the query, key or value of a token and head lies.
    fn place(&self, token: usize, part: Part, head: usize) -> usize {
        let before = match part {
            Part::Query => 0,
            Part::Key => self.heads,
            Part::Value => self.heads + self.kv_heads,
        };
        token * self.stride() + (before + head) * self.head_size
    }

    /// The query heads that read this key and value head.
    fn readers(&self, kv_head: usize) -> Range<usize> {
        let group = self.heads / self.kv_heads;
        kv_head * group..(kv_head + 1) * group
    }

    /// Reads the queries, keys and values of these heads once, row by row, in the order in which they lie: the processor
    /// guesses what comes next, which it does not when one head after the other is read.
    fn read_through(&self, item: Item, kv_heads: &Range<usize>) {
        for token in item.start..item.start + item.length {
            for part in [Part::Key, Part::Value] {
                let first = self.place(token, part, kv_heads.start);
                read_through(&self.qkv[first..first + kv_heads.len() * self.head_size]);
            }
        }
        let heads = self.readers(kv_heads.start).start..self.readers(kv_heads.end - 1).end;
        for token in item.start + item.first..item.start + item.end {
            let first = self.place(token, Part::Query, heads.start);
            read_through(&self.qkv[first..first + heads.len() * self.head_size]);
        }
    }

    /// The same for results, or for their gradients, `[.., H E]`.
    fn read_through_results(&self, y: &[f32], item: Item, kv_heads: &Range<usize>) {
        let heads = self.readers(kv_heads.start).start..self.readers(kv_heads.end - 1).end;
        for row in item.row..item.row + item.end - item.first {
            let first = row * self.width() + heads.start * self.head_size;
            read_through(&y[first..first + heads.len() * self.head_size]);
        }
    }

    /// The dropout factors of a tile, if there is dropout; see [`tile_factors`].
    #[inline(always)]
    fn factors<V: Vector>(
        &self,
        factors: &mut [f32],
        width: usize,
        token: usize,
        head: usize,
        first_key: usize,
    ) -> bool {
        let Some(dropout) = self.dropout else { return false };
        let row = MASK_ROW / BLOCK as u64;
        let start = (token as u64 * self.heads as u64 + head as u64) * row;
        tile_factors::<V>(factors, width, dropout, (start, self.heads as u64 * row), first_key);
        true
    }
}

/// `to[i] = from[i] · factor(i)` for `count` rows of `size` values, the rows of each side a stride apart, vector by vector:
/// they are so short that a call that copies memory would take longer.
///
/// # Safety
/// All rows are valid, for reading and for writing, and no row of one side overlaps one of the other.
#[inline(always)]
unsafe fn scaled_rows<V: Vector>(
    (to, to_stride): (*mut f32, usize),
    (from, from_stride): (*const f32, usize),
    (count, size): (usize, usize),
    factor: impl Fn(usize) -> f32,
) {
    let whole = size - size % V::LANES;
    for row in 0..count {
        // SAFETY: the caller grants the rows, and `whole` is no more than their length.
        unsafe {
            let (to, from, factor) = (to.add(row * to_stride), from.add(row * from_stride), factor(row));
            for column in (0..whole).step_by(V::LANES) {
                (V::read(from.add(column)) * V::splat(factor)).write(to.add(column));
            }
            for column in whole..size {
                *to.add(column) = *from.add(column) * factor;
            }
        }
    }
}

/// Copies `count` rows of `size` values, `stride` apart, to rows of `padded` values. Zeros follow, in a row and in rows
/// after the last.
#[inline(always)]
fn copy_rows<V: Vector>(to: &mut [f32], padded: usize, from: &[f32], stride: usize, (count, size): (usize, usize)) {
    let (copied, rest) = to.split_at_mut(count * padded);
    assert!(size <= padded && from.len() >= (count - 1) * stride + size, "{count} rows of {size}");
    // SAFETY: `copied` has `count` padded rows, and `from` was checked to have as many.
    unsafe { scaled_rows::<V>((copied.as_mut_ptr(), padded), (from.as_ptr(), stride), (count, size), |_| 1.0) };
    if size < padded {
        copied.chunks_exact_mut(padded).for_each(|row| row[size..].fill(0.0));
    }
    rest.fill(0.0);
}

/// `to[e, row] = from[row, e] · factor`, both in whole vectors: `width` rows of `padded` values.
#[inline(always)]
fn transpose<V: Vector>(to: &mut [f32], width: usize, from: &[f32], padded: usize, factor: f32) {
    assert!(width.is_multiple_of(V::LANES) && padded.is_multiple_of(V::LANES), "{width} x {padded}");
    assert!(from.len() >= width * padded && to.len() >= width * padded, "{width} x {padded}");
    for row in (0..width).step_by(V::LANES) {
        for e in (0..padded).step_by(V::LANES) {
            // SAFETY: the square lies in both matrices, whose lengths were checked.
            unsafe {
                let (to, from) = (to.as_mut_ptr().add(e * width + row), from.as_ptr().add(row * padded + e));
                V::transpose((to, width), (from, padded), Some(V::splat(factor)));
            }
        }
    }
}

/// Hides the keys after each query: `scores[key, query]` with the first key and query of the tile.
#[inline(always)]
fn hide_future(scores: &mut [f32], width: usize, first_key: usize, first_query: usize) {
    for (key, scores) in scores.chunks_exact_mut(width).enumerate() {
        let hidden = (first_key + key).saturating_sub(first_query).min(width);
        scores[..hidden].fill(f32::NEG_INFINITY);
    }
}

/// What a hidden score is where a query may see no key of a tile: a number, since the difference of two infinities is
/// none, and so low that no score of a visible key leaves anything of it.
const OUT_OF_SIGHT: f32 = -1e30;

/// Hides the keys that are `window` or more before each query.
#[inline(always)]
fn hide_past(scores: &mut [f32], width: usize, first_key: usize, first_query: usize, window: usize) {
    for (key, scores) in scores.chunks_exact_mut(width).enumerate() {
        let visible = (first_key + key + window).saturating_sub(first_query).min(width);
        scores[visible..].fill(OUT_OF_SIGHT);
    }
}

/// Hides what the queries of the item do not see of a tile of `n` keys.
#[inline(always)]
fn hide(scores: &mut [f32], width: usize, mask: Mask, item: Item, (key, n): (usize, usize)) {
    if mask != Mask::Bidirectional && key + n > item.first + 1 {
        hide_future(scores, width, key, item.first);
    }
    if let Mask::Window(window) = mask
        && item.end > key + window
    {
        hide_past(scores, width, key, item.first, window);
    }
}

/// `scores *= factors`.
#[inline(always)]
fn scale_all<V: Vector>(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.chunks_exact_mut(V::LANES).zip(factors.chunks_exact(V::LANES)) {
        (V::load(value) * V::load(factor)).store(value);
    }
}

/// Lends `N` pieces of scratch memory of the given lengths.
#[inline(always)]
fn split<const N: usize>(mut memory: &mut [f32], lengths: [usize; N]) -> [&mut [f32]; N] {
    lengths.map(|length| {
        let (piece, rest) = std::mem::take(&mut memory).split_at_mut(length);
        memory = rest;
        piece
    })
}
