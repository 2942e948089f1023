//! `y = M P v` with `P = softmax(scale q kᵀ)` and `M` the dropout's factors, for every head of every sequence alone.
//! Where several query heads read one key and value head, its gradients are the sums over them.
//!
//! Backward, with `dP = M (dy vᵀ)`: the derivative of the softmax is `dS = P (dP - Σ_j P dP)`, and the sum over the keys
//! is `dy · y`, so a row of probabilities is all that is ever held. Then `dq = scale dS k`, `dk = scale dSᵀ q` and
//! `dv = (M P)ᵀ dy`.

use std::ops::Range;

use super::{add_scaled, dot, part, part_mut, sequences, softmax, tokens};
use crate::{AttentionShape, Dropout, Mask, Queries, Real};

/// Where the values of one query head of a token lie in `qkv`, and those of the key and value head that it reads.
struct Head {
    index: usize,
    shared: usize,
    heads: usize,
    kv_heads: usize,
    size: usize,
}

impl Head {
    fn new(shape: AttentionShape<'_>, index: usize) -> Self {
        let AttentionShape { heads, kv_heads, head_size, .. } = shape;
        assert!(heads.is_multiple_of(kv_heads), "{heads} query heads share {kv_heads} key and value heads");
        Self { index, shared: index / (heads / kv_heads), heads, kv_heads, size: head_size }
    }

    /// Head number `head` of a token, counted from the first query head to the last value head.
    fn place(&self, token: usize, head: usize) -> Range<usize> {
        let start = (token * (self.heads + 2 * self.kv_heads) + head) * self.size;
        start..start + self.size
    }

    fn query(&self, token: usize) -> Range<usize> {
        self.place(token, self.index)
    }

    fn key(&self, token: usize) -> Range<usize> {
        self.place(token, self.heads + self.shared)
    }

    fn value(&self, token: usize) -> Range<usize> {
        self.place(token, self.heads + self.kv_heads + self.shared)
    }

    fn output(&self, row: usize) -> Range<usize> {
        let start = (row * self.heads + self.index) * self.size;
        start..start + self.size
    }
}

/// A token that asks, the row of its results, and the first token of its sequence.
#[derive(Clone, Copy)]
struct Query {
    token: usize,
    row: usize,
    start: usize,
}

/// The queries of sequence `s`.
fn queries(asked: Queries, s: usize, sequence: Range<usize>) -> impl Iterator<Item = Query> {
    let start = sequence.start;
    let asking = match asked {
        Queries::All => sequence,
        Queries::First => sequence.start..sequence.start + 1,
        Queries::Last => sequence.end - 1..sequence.end,
    };
    asking.map(move |token| Query { token, row: if asked == Queries::All { token } else { s }, start })
}

/// Calls `visit` with every head and query, and with the keys that the query sees.
fn each_query(shape: AttentionShape<'_>, mut visit: impl FnMut(&Head, Query, Range<usize>)) {
    for (s, sequence) in sequences(shape.starts).enumerate() {
        for index in 0..shape.heads {
            let head = Head::new(shape, index);
            for query in queries(shape.queries, s, sequence.clone()) {
                let (start, next) = (sequence.start, query.token + 1);
                let keys = match shape.mask {
                    Mask::Bidirectional => sequence.clone(),
                    Mask::Causal => start..next,
                    Mask::Window(most) => start.max(next.saturating_sub(most))..next,
                };
                visit(&head, query, keys);
            }
        }
    }
}

/// What the probability of key `j` of its sequence is multiplied by.
fn factor<T: Real>(dropout: Option<Dropout>, n: usize, head: &Head, j: usize) -> T {
    let index = ((n * head.heads + head.index) as u64) * (1 << 20) + j as u64;
    match dropout {
        None => T::one(),
        Some(dropout) if dropout.keeps(index) => T::from_f64(dropout.scale()),
        Some(_) => T::zero(),
    }
}

pub(super) fn forward<T: Real>(
    y: &mut [T],
    log_sums: &mut [T],
    qkv: &[T],
    dropout: Option<Dropout>,
    shape: AttentionShape<'_>,
) {
    let (tokens, width) = (tokens(shape.starts), shape.heads * shape.head_size);
    let y = part_mut("y", y, shape.rows() * width, &shape);
    let log_sums = part_mut("log_sums", log_sums, shape.rows() * shape.heads, &shape);
    let qkv = part("qkv", qkv, tokens * shape.qkv_width(), &shape);
    let scale = T::from_f64(shape.scale);
    y.fill(T::zero());
    each_query(shape, |head, Query { token, row, start }, keys| {
        let query = &qkv[head.query(token)];
        let mut p: Vec<T> = keys.clone().map(|key| dot(query, &qkv[head.key(key)]) * scale).collect();
        log_sums[row * shape.heads + head.index] = softmax(&mut p);
        for (p, key) in p.into_iter().zip(keys) {
            add_scaled(&mut y[head.output(row)], p * factor(dropout, token, head, key - start), &qkv[head.value(key)]);
        }
    });
}

pub(super) fn backward<T: Real>(
    dqkv: &mut [T],
    dy: &[T],
    (y, log_sums): (&Vec<T>, &Vec<T>),
    qkv: &[T],
    dropout: Option<Dropout>,
    shape: AttentionShape<'_>,
) {
    let (tokens, width) = (tokens(shape.starts), shape.heads * shape.head_size);
    let dqkv = part_mut("dqkv", dqkv, tokens * shape.qkv_width(), &shape);
    let dy = part("dy", dy, shape.rows() * width, &shape);
    let y = part("y", y, shape.rows() * width, &shape);
    let log_sums = part("log_sums", log_sums, shape.rows() * shape.heads, &shape);
    let qkv = part("qkv", qkv, tokens * shape.qkv_width(), &shape);
    let scale = T::from_f64(shape.scale);
    dqkv.fill(T::zero());
    each_query(shape, |head, Query { token, row, start }, keys| {
        let (query, dy) = (&qkv[head.query(token)], &dy[head.output(row)]);
        let sum = dot(dy, &y[head.output(row)]);
        for key in keys {
            let (k, v) = (&qkv[head.key(key)], &qkv[head.value(key)]);
            let p = (dot(query, k) * scale - log_sums[row * shape.heads + head.index]).exp();
            let m: T = factor(dropout, token, head, key - start);
            let ds = p * (m * dot(dy, v) - sum) * scale;
            add_scaled(&mut dqkv[head.query(token)], ds, k);
            add_scaled(&mut dqkv[head.key(key)], ds, query);
            add_scaled(&mut dqkv[head.value(key)], m * p, dy);
        }
    });
}
