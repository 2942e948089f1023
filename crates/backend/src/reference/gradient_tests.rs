//! Every backward against central differences of its forward, in `f64`.
//!
//! The function that is differentiated is `Σ dy · y` with random `dy`, so that its gradient is what backward returns.

use crate::conformance::desk::{Numbers, starts};
use crate::{
    Activation, AttentionPoolShape, AttentionShape, Backend, Dropout, EmbeddingShape, GatedShape, LinearShape, Loss,
    Mask, NormKind, NormShape, NormSlots, PoolShape, Pooling, Queries, Reference, RotaryShape, Segments, Span, Targets,
    Turn, WeightShape,
};

type Weight = super::ReferenceWeight<f64>;
const BACKEND: Reference<f64> = Reference { real: std::marker::PhantomData };
/// Batches of packed sequences, among them one token alone and many sequences of one.
const LENGTHS: [&[usize]; 4] = [&[1], &[1, 1, 1], &[4, 1, 6], &[9]];

fn vector(values: &[f64]) -> Weight {
    matrix(values, 1)
}

fn matrix(values: &[f64], rows: usize) -> Weight {
    BACKEND.weight(values, WeightShape { rows, columns: values.len() / rows })
}

/// A parameter that has the gradient buffer for itself.
fn whole(len: usize) -> Span {
    Span { start: 0, len }
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `gradient` is that of `f` at `x`.
fn assert_gradient(what: &str, gradient: &[f64], x: &[f64], f: impl Fn(&[f64]) -> f64) {
    assert_eq!(gradient.len(), x.len(), "{what}");
    let step = 1e-5;
    for i in 0..x.len() {
        let at = |delta: f64| {
            let mut moved = x.to_vec();
            moved[i] += delta;
            f(&moved)
        };
        let slope = (at(step) - at(-step)) / (2.0 * step);
        let off = (slope - gradient[i]).abs();
        assert!(off <= 1e-7 * slope.abs().max(1.0), "{what}[{i}] is {}, the difference says {slope}", gradient[i]);
    }
}

#[test]
fn linear() {
    for (rows, inputs, outputs) in [(1, 1, 1), (1, 3, 2), (4, 2, 5), (7, 6, 3)] {
        let shape = LinearShape { rows, inputs, outputs };
        let mut numbers = Numbers::of(&shape);
        let (x, w) = (numbers.values(rows * inputs), numbers.values(inputs * outputs));
        let (b, dy) = (numbers.values(outputs), numbers.values(rows * outputs));
        let value = |x: &[f64], w: &[f64], b: &[f64]| {
            let mut y = vec![0.0; rows * outputs];
            BACKEND.linear_forward(&mut y, &x.to_vec(), &matrix(w, outputs), Some(&vector(b)), shape);
            inner(&y, &dy)
        };
        let (mut dx, mut dw, mut db) = (vec![9.0; x.len()], vec![0.0; w.len()], vec![0.0; outputs]);
        BACKEND.linear_backward_input(&mut dx, &dy, &matrix(&w, outputs), shape);
        BACKEND.linear_backward_weight(&mut dw, whole(w.len()), &dy, &x, shape);
        BACKEND.linear_backward_bias(&mut db, whole(outputs), &dy, shape);
        assert_gradient("dx", &dx, &x, |x| value(x, &w, &b));
        assert_gradient("dweight", &dw, &w, |w| value(&x, w, &b));
        assert_gradient("dbias", &db, &b, |b| value(&x, &w, b));
    }
}

#[test]
fn norm() {
    for (rows, width) in [(1, 1), (1, 2), (3, 5), (4, 8)] {
        let shape = NormShape::layer(rows, width, 0.01);
        let mut numbers = Numbers::of(&shape);
        let (x, dy) = (numbers.values(rows * width), numbers.values(rows * width));
        let (gain, bias) = (numbers.values(width), numbers.values(width));
        let (mut y, mut stats) = (vec![0.0; x.len()], vec![0.0; 2 * rows]);
        BACKEND.norm_forward(&mut y, &mut stats, &x, &vector(&gain), Some(&vector(&bias)), shape);
        let value = |x: &[f64], gain: &[f64], bias: &[f64]| {
            let (mut y, mut stats) = (vec![0.0; x.len()], vec![0.0; 2 * rows]);
            BACKEND.norm_forward(&mut y, &mut stats, &x.to_vec(), &vector(gain), Some(&vector(bias)), shape);
            inner(&y, &dy)
        };
        let (mut dx, mut grads) = (vec![9.0; x.len()], vec![0.0; 2 * width]);
        let slots = NormSlots { gain: Some(whole(width)), bias: Some(Span { start: width, len: width }) };
        BACKEND.norm_backward(&mut dx, (&mut grads, slots), &dy, (&x, &stats), &vector(&gain), shape);
        assert_gradient("dx", &dx, &x, |x| value(x, &gain, &bias));
        assert_gradient("dgain", &grads[..width], &gain, |gain| value(&x, gain, &bias));
        assert_gradient("dbias", &grads[width..], &bias, |bias| value(&x, &gain, bias));
    }
}

#[test]
fn root_mean_square_norm_of_some_heads() {
    for (rows, width, segments) in [(2, 3, Segments::WHOLE), (3, 4, Segments { of: 4, first: 1, count: 2 })] {
        let shape = NormShape { kind: NormKind::Rms, segments, ..NormShape::layer(rows, width, 0.01) };
        let mut numbers = Numbers::of(&shape);
        let (x, gain) = (numbers.values(shape.values()), numbers.values(width));
        // Nothing comes back from the heads that are left as they are.
        let dy: Vec<f64> = numbers.values(shape.values());
        let meant = |i: usize| segments.range(width).contains(&(i % (segments.of * width)));
        let value = |x: &[f64], gain: &[f64]| {
            let (mut y, mut stats) = (vec![0.0; x.len()], vec![0.0; shape.stats()]);
            BACKEND.norm_forward(&mut y, &mut stats, &x.to_vec(), &vector(gain), None, shape);
            (inner(&y, &dy), stats)
        };
        let stats = value(&x, &gain).1;
        let mut dx: Vec<f64> = (0..x.len()).map(|i| if meant(i) { 9.0 } else { 0.0 }).collect();
        let mut dgain = vec![0.0; width];
        let slots = NormSlots { gain: Some(whole(width)), bias: None };
        BACKEND.norm_backward(&mut dx, (&mut dgain, slots), &dy, (&x, &stats), &vector(&gain), shape);
        assert_gradient("dx", &dx, &x, |x| value(x, &gain).0);
        assert_gradient("dgain", &dgain, &gain, |gain| value(&x, gain).0);
    }
}

#[test]
fn rotary() {
    for segments in [Segments::WHOLE, Segments { of: 4, first: 1, count: 2 }] {
        let (tokens, head_size, positions) = (3, 4, [2, 0, 4]);
        let shape = RotaryShape { tokens, head_size, segments, turn: Turn::Forward };
        let mut numbers = Numbers::of(&shape);
        let len = tokens * segments.of * head_size;
        let (x, dy, table) = (numbers.values(len), numbers.values(len), numbers.values(5 * head_size));
        let mut dx = dy.clone();
        BACKEND.rotary(&mut dx, &table, &positions, RotaryShape { turn: Turn::Backward, ..shape });
        assert_gradient("dx", &dx, &x, |x| {
            let mut y = x.to_vec();
            BACKEND.rotary(&mut y, &table, &positions, shape);
            inner(&y, &dy)
        });
    }
}

#[test]
fn gated() {
    for activation in [Activation::Silu, Activation::GeluTanh] {
        let shape = GatedShape { rows: 3, width: 7 };
        let mut numbers = Numbers::of(&activation);
        let (x, dy) = (numbers.scaled(42, 4.0), numbers.values(21));
        let forward = |x: &[f64]| {
            let mut y = vec![0.0; 21];
            BACKEND.gated_forward(&mut y, &x.to_vec(), activation, shape);
            y
        };
        let (mut dx, mut y) = (vec![9.0; 42], dy.clone());
        BACKEND.gated_backward(&mut dx, &mut y, &x, activation, shape);
        assert_eq!(y, forward(&x));
        assert_gradient(&format!("dx of {activation:?}"), &dx, &x, |x| inner(&forward(x), &dy));
    }
}

#[test]
fn attention() {
    for lengths in LENGTHS {
        for mask in [Mask::Bidirectional, Mask::Causal] {
            for rate in [None, Some(0.3)] {
                for (heads, head_size, queries) in
                    [(1, 1, Queries::All), (2, 3, Queries::All), (2, 3, Queries::First), (2, 3, Queries::Last)]
                {
                    let (starts, kv_heads) = (&starts(lengths), heads);
                    let shape = AttentionShape { starts, heads, kv_heads, head_size, mask, queries, scale: 0.7 };
                    check_attention(shape, rate.map(|rate| Dropout { seed: 3, step: 1, site: 4, rate }));
                }
            }
        }
    }
}

#[test]
fn attention_of_shared_heads_in_a_window() {
    for lengths in LENGTHS {
        for mask in [Mask::Causal, Mask::Window(1), Mask::Window(3)] {
            for queries in [Queries::All, Queries::Last] {
                let (starts, heads, kv_heads, head_size) = (&starts(lengths), 4, 2, 3);
                let shape = AttentionShape { starts, heads, kv_heads, head_size, mask, queries, scale: 0.7 };
                check_attention(shape, Some(Dropout { seed: 3, step: 1, site: 4, rate: 0.3 }));
            }
        }
    }
}

fn check_attention(shape: AttentionShape<'_>, dropout: Option<Dropout>) {
    let (tokens, width) = (shape.starts[shape.starts.len() - 1] as usize, shape.heads * shape.head_size);
    let mut numbers = Numbers::of(&(shape, dropout));
    let (qkv, dy) = (numbers.scaled(tokens * shape.qkv_width(), 2.0), numbers.values(shape.rows() * width));
    let forward = |qkv: &[f64]| {
        let (mut y, mut log_sums) = (vec![0.0; shape.rows() * width], vec![0.0; shape.rows() * shape.heads]);
        BACKEND.attention_forward(&mut y, &mut log_sums, &qkv.to_vec(), dropout, shape);
        (y, log_sums)
    };
    let (y, log_sums) = forward(&qkv);
    let mut dqkv = vec![9.0; qkv.len()];
    BACKEND.attention_backward(&mut dqkv, &dy, (&y, &log_sums), &qkv, dropout, shape);
    assert_gradient(&format!("dqkv of {shape:?}"), &dqkv, &qkv, |qkv| inner(&forward(qkv).0, &dy));
}

#[test]
fn activation() {
    let all = [Activation::GeluErf, Activation::GeluTanh, Activation::Relu, Activation::Tanh, Activation::Silu];
    for activation in all {
        let mut numbers = Numbers::of(&activation);
        let (x, dy) = (numbers.scaled(50, 4.0), numbers.values(50));
        let mut dx = vec![9.0; x.len()];
        BACKEND.activation_backward(&mut dx, &dy, &x, activation, x.len());
        assert_gradient(&format!("dx of {activation:?}"), &dx, &x, |x| {
            let mut y = vec![0.0; x.len()];
            BACKEND.activation_forward(&mut y, &x.to_vec(), activation, x.len());
            inner(&y, &dy)
        });
    }
}

#[test]
fn dropout() {
    let mut numbers = Numbers::of(&"dropout");
    let (x, dy) = (numbers.values(40), numbers.values(40));
    let key = Dropout { seed: 1, step: 2, site: 3, rate: 0.4 };
    let mut dx = dy.clone();
    BACKEND.dropout(&mut dx, key, dy.len());
    assert!(dx.contains(&0.0), "nothing was dropped");
    assert_gradient("dx", &dx, &x, |x| {
        let mut y = x.to_vec();
        BACKEND.dropout(&mut y, key, x.len());
        inner(&y, &dy)
    });
}

#[test]
fn embedding_accumulates_repeated_ids() {
    for ids in [&[2][..], &[1, 1, 1], &[0, 3, 1, 3, 0, 3]] {
        let (rows, width) = (4, 3);
        let shape = EmbeddingShape { tokens: ids.len(), width };
        let mut numbers = Numbers::of(&ids);
        let (table, dy) = (numbers.values(rows * width), numbers.values(ids.len() * width));
        let mut dtable = vec![0.0; table.len()];
        BACKEND.embedding_backward(&mut dtable, whole(table.len()), &dy, ids, shape);
        assert_gradient("dtable", &dtable, &table, |table| {
            let mut y = vec![0.0; dy.len()];
            BACKEND.embedding_forward(&mut y, &[(ids, &matrix(table, rows))], shape);
            inner(&y, &dy)
        });
    }
}

#[test]
fn pool() {
    for lengths in LENGTHS {
        for pooling in [Pooling::First, Pooling::Last, Pooling::Mean] {
            let starts = &starts(lengths);
            let shape = PoolShape { starts, width: 3 };
            let mut numbers = Numbers::of(&(shape, pooling));
            let (x, dy) = (numbers.values(lengths.iter().sum::<usize>() * 3), numbers.values(lengths.len() * 3));
            let mut dx = vec![9.0; x.len()];
            BACKEND.pool_backward(&mut dx, &dy, pooling, shape);
            assert_gradient(&format!("dx of {pooling:?}"), &dx, &x, |x| {
                let mut y = vec![0.0; dy.len()];
                BACKEND.pool_forward(&mut y, &x.to_vec(), pooling, shape);
                inner(&y, &dy)
            });
        }
    }
}

#[test]
fn attention_pool() {
    for lengths in LENGTHS {
        for last in [1, 2, 4, 100] {
            check_attention_pool(AttentionPoolShape { starts: &starts(lengths), width: 3, last });
        }
    }
}

fn check_attention_pool(shape: AttentionPoolShape<'_>) {
    let (tokens, width) = (shape.starts[shape.starts.len() - 1] as usize, shape.width);
    let mut numbers = Numbers::of(&shape);
    let (x, query) = (numbers.scaled(tokens * width, 2.0), numbers.scaled(width, 2.0));
    let dy = numbers.values((shape.starts.len() - 1) * width);
    let forward = |x: &[f64], query: &[f64]| {
        let (mut y, mut p) = (vec![0.0; dy.len()], vec![9.0; tokens]);
        BACKEND.attention_pool_forward(&mut y, &mut p, &x.to_vec(), &vector(query), shape);
        (y, p)
    };
    let p = forward(&x, &query).1;
    let (mut dx, mut dquery) = (vec![9.0; x.len()], vec![0.0; width]);
    let slot = (&mut dquery, Some(whole(width)));
    BACKEND.attention_pool_backward(&mut dx, slot, &dy, (&x, &p), &vector(&query), shape);
    assert_gradient(&format!("dx of {shape:?}"), &dx, &x, |x| inner(&forward(x, &query).0, &dy));
    assert_gradient(&format!("dquery of {shape:?}"), &dquery, &query, |query| inner(&forward(&x, query).0, &dy));
}

#[test]
fn cross_entropy() {
    for (sequences, classes) in [(1, 1), (1, 2), (3, 4)] {
        for focal_gamma in [0.0, 0.5, 1.0, 2.0] {
            for smoothing in [0.0, 0.1] {
                for class_weights in [None, Some((1..=classes).map(|c| 0.3 * c as f64).collect())] {
                    let loss = Loss { classes, smoothing, class_weights, focal_gamma, normaliser: 1.7 };
                    check_cross_entropy(sequences, &loss);
                }
            }
        }
    }
}

fn check_cross_entropy(sequences: usize, loss: &Loss) {
    let len = sequences * loss.classes;
    let mut numbers = Numbers::of(&(sequences, loss));
    let logits = numbers.scaled(len, 2.0);
    let labels = numbers.indices(sequences, loss.classes);
    let answers: Vec<f32> = numbers.indices(len, 2).into_iter().map(|t| t as f32).collect();
    for targets in [Targets::Classes(&labels), Targets::Binary(&answers)] {
        let call = |logits: &[f64]| {
            let (mut losses, mut dlogits) = (vec![9.0; sequences], vec![9.0; len]);
            BACKEND.cross_entropy(&mut losses, &mut dlogits, &logits.to_vec(), targets, loss);
            (losses.iter().sum::<f64>() / loss.normaliser, dlogits)
        };
        let what = format!("dlogits of {targets:?}, {loss:?}");
        assert_gradient(&what, &call(&logits).1, &logits, |logits| call(logits).0);
    }
}
