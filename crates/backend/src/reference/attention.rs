//! `y = M P v` with `P = softmax(scale q kᵀ)` and `M` the dropout's factors, for every head of every sequence alone.
//!
//! Backward, with `dP = M (dy vᵀ)`: the derivative of the softmax is `dS = P (dP - Σ_j P dP)`, and the sum over the keys
//! is `dy · y`, so a row of probabilities is all that is ever held. Then `dq = scale dS k`, `dk = scale dSᵀ q` and
//! `dv = (M P)ᵀ dy`.

use std::ops::Range;

use super::{add_scaled, dot, part, part_mut, sequences, softmax, tokens};
use crate::{AttentionShape, Dropout, Mask, Queries, Real};

/// Where the values of one head of one token lie in `qkv`.
struct Head {
    index: usize,
    size: usize,
    all: usize,
}

impl Head {
    fn query(&self, token: usize) -> Range<usize> {
        let start = token * 3 * self.all + self.index * self.size;
        start..start + self.size
    }

    fn key(&self, token: usize) -> Range<usize> {
        let query = self.query(token);
        query.start + self.all..query.end + self.all
    }

    fn value(&self, token: usize) -> Range<usize> {
        let key = self.key(token);
        key.start + self.all..key.end + self.all
    }

    fn output(&self, row: usize) -> Range<usize> {
        let start = row * self.all + self.index * self.size;
        start..start + self.size
    }
}

/// A token that asks, and the row of its results.
#[derive(Clone, Copy)]
struct Query {
    token: usize,
    row: usize,
}

/// The queries of sequence `s`.
fn queries(asked: Queries, s: usize, sequence: Range<usize>) -> impl Iterator<Item = Query> {
    let asking = match asked {
        Queries::All => sequence,
        Queries::First => sequence.start..sequence.start + 1,
        Queries::Last => sequence.end - 1..sequence.end,
    };
    asking.map(move |token| Query { token, row: if asked == Queries::All { token } else { s } })
}

/// Calls `visit` with every head and query, and with the keys that the query sees.
fn each_query(shape: AttentionShape<'_>, mut visit: impl FnMut(&Head, Query, Range<usize>)) {
    let AttentionShape { heads, head_size, .. } = shape;
    for (s, sequence) in sequences(shape.starts).enumerate() {
        for index in 0..heads {
            let head = Head { index, size: head_size, all: heads * head_size };
            for query in queries(shape.queries, s, sequence.clone()) {
                let end = match shape.mask {
                    Mask::Bidirectional => sequence.end,
                    Mask::Causal => query.token + 1,
                };
                visit(&head, query, sequence.start..end);
            }
        }
    }
}

/// What the probability of key `j` of its sequence is multiplied by.
fn factor<T: Real>(dropout: Option<Dropout>, n: usize, head: &Head, j: usize) -> T {
    let heads = head.all / head.size;
    let index = ((n * heads + head.index) as u64) * (1 << 20) + j as u64;
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
    let qkv = part("qkv", qkv, tokens * 3 * width, &shape);
    let scale = T::from_f64(shape.scale);
    y.fill(T::zero());
    each_query(shape, |head, Query { token, row }, keys| {
        let query = &qkv[head.query(token)];
        let mut p: Vec<T> = keys.clone().map(|key| dot(query, &qkv[head.key(key)]) * scale).collect();
        log_sums[row * shape.heads + head.index] = softmax(&mut p);
        for (j, key) in keys.enumerate() {
            add_scaled(&mut y[head.output(row)], p[j] * factor(dropout, token, head, j), &qkv[head.value(key)]);
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
    let dqkv = part_mut("dqkv", dqkv, tokens * 3 * width, &shape);
    let dy = part("dy", dy, shape.rows() * width, &shape);
    let y = part("y", y, shape.rows() * width, &shape);
    let log_sums = part("log_sums", log_sums, shape.rows() * shape.heads, &shape);
    let qkv = part("qkv", qkv, tokens * 3 * width, &shape);
    let scale = T::from_f64(shape.scale);
    dqkv.fill(T::zero());
    each_query(shape, |head, Query { token, row }, keys| {
        let (query, dy) = (&qkv[head.query(token)], &dy[head.output(row)]);
        let sum = dot(dy, &y[head.output(row)]);
        for (j, key) in keys.enumerate() {
            let (k, v) = (&qkv[head.key(key)], &qkv[head.value(key)]);
            let p = (dot(query, k) * scale - log_sums[row * shape.heads + head.index]).exp();
            let m: T = factor(dropout, token, head, j);
            let ds = p * (m * dot(dy, v) - sum) * scale;
            add_scaled(&mut dqkv[head.query(token)], ds, k);
            add_scaled(&mut dqkv[head.key(key)], ds, query);
            add_scaled(&mut dqkv[head.value(key)], m * p, dy);
        }
    });
}
