//! Backward of attention.
//!
//! With probabilities `P`, dropout factors `M`, `dP = (dy · Vᵀ) ∘ M` and `D = rowsum(dy ∘ y)`:
//! `dV = (P ∘ M)ᵀ · dy`, `dS = P ∘ (dP - D)`, `dQ = scale dS · K`, `dK = scale dSᵀ · Q`.

use super::{
    Item, KEYS, MASK_ROW, Part, Plan, QUERIES, copy_rows, for_each_item, hide, scale_all, scaled_rows, split, transpose,
};
use crate::Cpu;
use crate::ops::attention_pool::dot_body;
use crate::ops::math::exp;
use crate::ops::tile::{Tile, product};
use crate::parallel::{Disjoint, with_scratch};
use crate::simd::{Vector, kernel};
use finetone_backend::{AttentionShape, Dropout};
use std::ops::Range;

/// What forward left, and the incoming gradient.
#[derive(Clone, Copy)]
struct Saved<'a> {
    y: &'a [f32],
    log_sums: &'a [f32],
    dy: &'a [f32],
}

/// Keys and values of a head, and their gradients, in padded rows.
struct Panels<'a> {
    k: &'a mut [f32],
    v: &'a mut [f32],
    dk: &'a mut [f32],
    dv: &'a mut [f32],
}

/// The queries of a block: rows and columns of them and of the incoming gradient.
struct Block<'a> {
    q: &'a mut [f32],
    qt: &'a mut [f32],
    dy: &'a mut [f32],
    dyt: &'a mut [f32],
    dq: &'a mut [f32],
    log_sums: &'a mut [f32],
    /// `D`, for each query.
    means: &'a mut [f32],
    p: &'a mut [f32],
    dp: &'a mut [f32],
    factors: &'a mut [f32],
}

impl<'a> Block<'a> {
    fn sizes(padded: usize, width: usize, count: usize) -> [usize; 10] {
        let (columns, tile) = (padded * width, KEYS * width);
        [columns, columns, columns, columns, count * padded, width, width, tile, tile, tile]
    }

    /// Copies the queries of the item and the gradients of their results.
    #[inline(always)]
    fn load<V: Vector>(
        memory: &'a mut [f32],
        plan: Plan<'_>,
        saved: Saved<'_>,
        (item, head): (Item, usize),
        width: usize,
    ) -> Self {
        let (padded, size) = (plan.padded, plan.head_size);
        let sizes = Self::sizes(padded, width, item.end - item.first);
        let [q, qt, dy, dyt, dq, log_sums, means, p, dp, factors] = split(memory, sizes);
        let token = item.start + item.first;
        let from = item.row * plan.width() + head * size;
        let count = item.end - item.first;
        copy_rows::<V>(q, padded, &plan.qkv[plan.place(token, Part::Query, head)..], plan.stride(), (count, size));
        copy_rows::<V>(dy, padded, &saved.dy[from..], plan.width(), (count, size));
        transpose::<V>(qt, width, q, padded, plan.scale);
        transpose::<V>(dyt, width, dy, padded, 1.0);
        dq.fill(0.0);
        log_sums.fill(0.0);
        means.fill(0.0);
        for (i, dy) in dy.chunks_exact(padded).take(count).enumerate() {
            let y = &saved.y[from + i * plan.width()..][..size];
            means[i] = dot_body::<V>(y, &dy[..size]);
            log_sums[i] = saved.log_sums[(item.row + i) * plan.heads + head];
        }
        Self { q, qt, dy, dyt, dq, log_sums, means, p, dp, factors }
    }

    /// Probabilities from scores, `p[key, query]`, in place.
    #[inline(always)]
    fn probabilities<V: Vector>(&mut self, rows: usize, width: usize) {
        for row in self.p[..rows * width].chunks_exact_mut(width) {
            for (p, log_sum) in row.chunks_exact_mut(V::LANES).zip(self.log_sums.chunks_exact(V::LANES)) {
                exp(V::load(p) - V::load(log_sum)).store(p);
            }
        }
    }

    /// `dp` becomes the gradient of the scaled scores.
    #[inline(always)]
    fn scores<V: Vector>(&mut self, rows: usize, width: usize, scale: f32) {
        let tiles = self.dp[..rows * width].chunks_exact_mut(width).zip(self.p.chunks_exact(width));
        for (dp, p) in tiles {
            for c in (0..width).step_by(V::LANES) {
                let centred = V::load(&dp[c..]) - V::load(&self.means[c..]);
                (centred * V::load(&p[c..]) * V::splat(scale)).store(&mut dp[c..]);
            }
        }
    }
}

/// The tile of `n` keys from `key` against the block of queries.
#[inline(always)]
fn tile<V: Vector>(panels: &mut Panels<'_>, block: &mut Block<'_>, plan: Plan<'_>, at: (Item, usize), key: usize) {
    let (item, head) = at;
    let (padded, count) = (plan.padded, item.end - item.first);
    let width = count.next_multiple_of(V::LANES);
    let n = KEYS.min(item.keys(plan.mask).end - key);
    let rows = key * padded..(key + n) * padded;
    let (k, v) = (&panels.k[rows.clone()], &panels.v[rows.clone()]);
    let across = Tile { m: n, n: width, k: plan.head_size, a: (padded, 1), b: width, c: width, add: false };
    product::<V>(block.p, k, block.qt, across);
    hide(&mut block.p[..n * width], width, plan.mask, item, (key, n));
    block.probabilities::<V>(n, width);
    product::<V>(block.dp, v, block.dyt, across);
    let down = Tile { m: n, n: padded, k: count, a: (width, 1), b: padded, c: padded, add: true };
    if plan.factors::<V>(&mut block.factors[..n * width], width, item.start + item.first, head, key) {
        let factors = &mut block.factors[..n * width];
        scale_all::<V>(&mut block.dp[..n * width], factors);
        scale_all::<V>(factors, block.p);
        product::<V>(&mut panels.dv[rows.clone()], factors, block.dy, down);
    } else {
        product::<V>(&mut panels.dv[rows.clone()], block.p, block.dy, down);
    }
    block.scores::<V>(n, width, plan.scale);
    product::<V>(&mut panels.dk[rows], block.dp, block.q, down);
    let back = Tile { m: count, n: padded, k: n, a: (1, width), b: padded, c: padded, add: true };
    product::<V>(block.dq, block.dp, k, back);
}

#[inline(always)]
fn item_body<V: Vector>(
    dqkv: Disjoint<'_>,
    plan: Plan<'_>,
    saved: Saved<'_>,
    (item, kv_head): (Item, usize),
    memory: &mut [f32],
) {
    let (padded, stride) = (plan.padded, plan.stride());
    let panel = item.length * padded;
    let rest = memory.len() - 4 * panel;
    let [k, v, dk, dv, memory] = split(memory, [panel, panel, panel, panel, rest]);
    let size = (item.length, plan.head_size);
    copy_rows::<V>(k, padded, &plan.qkv[plan.place(item.start, Part::Key, kv_head)..], stride, size);
    copy_rows::<V>(v, padded, &plan.qkv[plan.place(item.start, Part::Value, kv_head)..], stride, size);
    dk.fill(0.0);
    dv.fill(0.0);
    let mut panels = Panels { k, v, dk, dv };
    for head in plan.readers(kv_head) {
        for first in (item.first..item.end).step_by(QUERIES) {
            let queries = item.block(first);
            let width = (queries.end - first).next_multiple_of(V::LANES);
            let mut block = Block::load::<V>(memory, plan, saved, (queries, head), width);
            for key in queries.keys(plan.mask).step_by(KEYS) {
                tile::<V>(&mut panels, &mut block, plan, (queries, head), key);
            }
            write::<V>(dqkv, plan, (item.start + first, Part::Query, head), block.dq);
        }
        clear_others(dqkv, plan, item, head);
    }
    write::<V>(dqkv, plan, (item.start, Part::Key, kv_head), panels.dk);
    write::<V>(dqkv, plan, (item.start, Part::Value, kv_head), panels.dv);
}

/// Writes padded rows to one head of the queries, keys or values of the tokens from the first one.
#[inline(always)]
fn write<V: Vector>(dqkv: Disjoint<'_>, plan: Plan<'_>, (token, part, head): (usize, Part, usize), rows: &[f32]) {
    let (count, size) = (rows.len() / plan.padded, plan.head_size);
    let first = dqkv.pointer(plan.place(token, part, head));
    dqkv.pointer(plan.place(token + count - 1, part, head) + size - 1);
    // SAFETY: the first and the last value lie in the gradients, and only this piece of work writes this head of these
    // tokens.
    unsafe { scaled_rows::<V>((first, plan.stride()), (rows.as_ptr(), plan.padded), (count, size), |_| 1.0) };
}

/// Zeroes the gradients of the queries that did not ask.
#[inline(always)]
fn clear_others(dqkv: Disjoint<'_>, plan: Plan<'_>, item: Item, head: usize) {
    for token in (0..item.first).chain(item.end..item.length) {
        let start = plan.place(item.start + token, Part::Query, head);
        // SAFETY: only this piece of work writes this head of this token.
        unsafe { dqkv.slice(start..start + plan.head_size) }.fill(0.0);
    }
}

kernel!(
    item(dqkv: Disjoint<'_>, plan: Plan<'_>, saved: Saved<'_>, at: (Item, usize), memory: &mut [f32]) = item_body
);

/// Overwrites `dqkv[N, (H + 2 K) E]`. `saved` is `(y, log_sums)`.
pub(crate) fn backward(
    cpu: &Cpu,
    dqkv: &mut [f32],
    dy: &[f32],
    (y, log_sums): (&[f32], &[f32]),
    qkv: &[f32],
    dropout: Option<Dropout>,
    shape: AttentionShape<'_>,
) {
    let plan = Plan::new(qkv, dropout.as_ref(), &shape);
    let saved = Saved { y, log_sums, dy };
    let dqkv = Disjoint::new(dqkv);
    let approach = |item: Item, kv_heads: Range<usize>| {
        plan.read_through(item, &kv_heads);
        plan.read_through_results(dy, item, &kv_heads);
        plan.read_through_results(y, item, &kv_heads);
    };
    for_each_item(cpu, &shape, MASK_ROW as usize, approach, |work, kv_head| {
        let block: usize = Block::sizes(plan.padded, QUERIES, QUERIES).iter().sum();
        let memory = block + 4 * work.length * plan.padded;
        with_scratch(memory, |memory| item(cpu.isa(), dqkv, plan, saved, (work, kv_head), memory));
    });
}
