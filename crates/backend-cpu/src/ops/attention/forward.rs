//! Forward of attention.

use super::{
    Item, KEYS, Part, Plan, QUERIES, copy_rows, for_each_item, hide, scale_all, scaled_rows, split, transpose,
};
use crate::Cpu;
use crate::ops::math::{exp, ln};
use crate::ops::tile::{Tile, product};
use crate::parallel::{Disjoint, with_scratch};
use crate::simd::{Vector, kernel};
use finetone_backend::{AttentionShape, Dropout};
use std::ops::Range;

/// Queries of a piece of work: enough that copying keys and values is a small share.
const CHUNK: usize = 256;

/// Where results go.
#[derive(Clone, Copy)]
struct Outputs<'a> {
    y: Disjoint<'a>,
    log_sums: Disjoint<'a>,
}

/// The state of the softmax of the queries of a tile.
struct Softmax<'a> {
    greatest: &'a mut [f32],
    total: &'a mut [f32],
    /// What the sums so far shrink by when a greater score appears.
    shrink: &'a mut [f32],
}

impl Softmax<'_> {
    /// Turns scores into `e^(score - greatest)` and updates the state. Rows of `scores` are `width` long.
    #[inline(always)]
    fn update<V: Vector>(&mut self, scores: &mut [f32], width: usize) {
        for q in (0..width).step_by(V::LANES) {
            let before = V::load(&self.greatest[q..]);
            let mut greatest = before;
            for row in scores.chunks_exact(width) {
                greatest = greatest.max(V::load(&row[q..]));
            }
            let shrink = exp(before - greatest);
            let mut total = V::load(&self.total[q..]) * shrink;
            for row in scores.chunks_exact_mut(width) {
                let p = exp(V::load(&row[q..]) - greatest);
                total = total + p;
                p.store(&mut row[q..]);
            }
            greatest.store(&mut self.greatest[q..]);
            total.store(&mut self.total[q..]);
            shrink.store(&mut self.shrink[q..]);
        }
    }
}

/// Keys and values of a head in padded rows, from key `first` of the sequence on.
#[derive(Clone, Copy)]
struct Panels<'a> {
    k: &'a [f32],
    v: &'a [f32],
    first: usize,
}

#[inline(always)]
fn item_body<V: Vector>(out: Outputs<'_>, plan: Plan<'_>, (item, kv_head): (Item, usize), memory: &mut [f32]) {
    let (padded, stride) = (plan.padded, plan.stride());
    let keys = item.keys(plan.mask);
    let [k, v, memory] = {
        let panel = keys.len() * padded;
        let rest = memory.len() - 2 * panel;
        split(memory, [panel, panel, rest])
    };
    let (token, size) = (item.start + keys.start, (keys.len(), plan.head_size));
    copy_rows::<V>(k, padded, &plan.qkv[plan.place(token, Part::Key, kv_head)..], stride, size);
    copy_rows::<V>(v, padded, &plan.qkv[plan.place(token, Part::Value, kv_head)..], stride, size);
    let panels = Panels { k, v, first: keys.start };
    for head in plan.readers(kv_head) {
        for first in (item.first..item.end).step_by(QUERIES) {
            query_block::<V>(out, plan, (item.block(first), head), panels, memory);
        }
    }
}

/// One block of queries against all keys that they see.
#[inline(always)]
fn query_block<V: Vector>(
    out: Outputs<'_>,
    plan: Plan<'_>,
    (item, head): (Item, usize),
    panels: Panels<'_>,
    memory: &mut [f32],
) {
    let (padded, count) = (plan.padded, item.end - item.first);
    let width = count.next_multiple_of(V::LANES);
    let [q, qt, scores, factors, y, greatest, total, shrink] = split(memory, sizes(padded, width, count));
    let queries = &plan.qkv[plan.place(item.start + item.first, Part::Query, head)..];
    copy_rows::<V>(q, padded, queries, plan.stride(), (count, plan.head_size));
    transpose::<V>(qt, width, q, padded, plan.scale);
    greatest.fill(f32::NEG_INFINITY);
    total.fill(0.0);
    let mut softmax = Softmax { greatest, total, shrink };
    let keys = item.keys(plan.mask);
    for key in keys.clone().step_by(KEYS) {
        let (n, again) = (KEYS.min(keys.end - key), key > keys.start);
        let scores = &mut scores[..n * width];
        let rows = (key - panels.first) * padded..(key - panels.first + n) * padded;
        let (k, v) = (&panels.k[rows.clone()], &panels.v[rows]);
        let tile = Tile { m: n, n: width, k: plan.head_size, a: (padded, 1), b: width, c: width, add: false };
        product::<V>(scores, k, qt, tile);
        hide(scores, width, plan.mask, item, (key, n));
        softmax.update::<V>(scores, width);
        if plan.factors::<V>(&mut factors[..n * width], width, item.start + item.first, head, key) {
            scale_all::<V>(scores, factors);
        }
        if again {
            for (y, &shrink) in y.chunks_exact_mut(padded).zip(softmax.shrink.iter()) {
                y.iter_mut().for_each(|y| *y *= shrink);
            }
        }
        let tile = Tile { m: count, n: padded, k: n, a: (1, width), b: padded, c: padded, add: again };
        product::<V>(y, scores, v, tile);
    }
    write::<V>(out, plan, (item, head), y, &mut softmax);
}

/// Lengths of the scratch memory of a block of queries.
fn sizes(padded: usize, width: usize, count: usize) -> [usize; 8] {
    let tile = KEYS * width;
    [width * padded, padded * width, tile, tile, count * padded, width, width, width]
}

/// Divides by the sum of the softmax and writes the rows of this head.
#[inline(always)]
fn write<V: Vector>(
    out: Outputs<'_>,
    plan: Plan<'_>,
    (item, head): (Item, usize),
    y: &[f32],
    softmax: &mut Softmax<'_>,
) {
    let (width, size) = (plan.width(), plan.head_size);
    for (greatest, total) in softmax.greatest.iter_mut().zip(softmax.total.iter_mut()) {
        *greatest += ln(*total);
        *total = 1.0 / *total;
    }
    let count = item.end - item.first;
    assert!(y.len() >= count * plan.padded, "{count} rows of {} values", plan.padded);
    let first = out.y.pointer(item.row * width + head * size);
    out.y.pointer((item.row + count - 1) * width + head * size + size - 1);
    // SAFETY: the first and the last value lie in the result, and only this piece of work writes this head of these rows.
    unsafe { scaled_rows::<V>((first, width), (y.as_ptr(), plan.padded), (count, size), |q| softmax.total[q]) };
    for (q, &log_sum) in softmax.greatest[..count].iter().enumerate() {
        let place = (item.row + q) * plan.heads + head;
        // SAFETY: as above.
        unsafe { *out.log_sums.pointer(place) = log_sum };
    }
}

kernel!(item(out: Outputs<'_>, plan: Plan<'_>, at: (Item, usize), memory: &mut [f32]) = item_body);

/// `y[N, H E]` and the logarithms of the sums, `[N, H]`.
pub(crate) fn forward(
    cpu: &Cpu,
    y: &mut [f32],
    log_sums: &mut [f32],
    qkv: &[f32],
    dropout: Option<Dropout>,
    shape: AttentionShape<'_>,
) {
    let plan = Plan::new(qkv, dropout.as_ref(), &shape);
    let out = Outputs { y: Disjoint::new(y), log_sums: Disjoint::new(log_sums) };
    let approach = |item: Item, kv_heads: Range<usize>| plan.read_through(item, &kv_heads);
    for_each_item(cpu, &shape, CHUNK, approach, |work, kv_head| {
        let block: usize = sizes(plan.padded, QUERIES, QUERIES).iter().sum();
        let memory = block + 2 * work.keys(plan.mask).len() * plan.padded;
        with_scratch(memory, |memory| item(cpu.isa(), out, plan, (work, kv_head), memory));
    });
}
