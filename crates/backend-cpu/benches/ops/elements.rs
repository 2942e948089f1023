//! What goes through memory once: activations, sums, dropout, norms, embeddings, pooling and the loss.

use std::sync::Arc;

use finetone_backend::{
    Activation, Backend, Dropout, EmbeddingShape, Loss, NormShape, NormSlots, PoolShape, Pooling, Span, Targets,
};
use finetone_backend_cpu::Weight;

use crate::case::{Amount, Case, Machines, PRECISIONS};
use crate::memory::{Memory, weight};

/// Rows and width: a batch of MiniLM and one of GPT-2.
const SHAPES: [(usize, usize); 2] = [(2048, 384), (1024, 768)];
const VOCABULARY: usize = 30_522;
const DROPOUT: Dropout = Dropout { seed: 1, step: 1, site: 1, rate: 0.1 };

pub fn cases(machines: &Machines, memory: &Memory) -> Vec<Case> {
    let cpu = machines.of(PRECISIONS[0]);
    let mut cases = Vec::new();
    for (rows, width) in SHAPES {
        cases.extend(activations(memory, 4 * rows * width));
        cases.extend(sums(memory, rows, width));
        cases.extend(norms(memory, Arc::new((weight(cpu, 1, width), weight(cpu, 1, width))), rows, width));
        cases.extend(pooling(memory, rows, width));
    }
    let (rows, width) = SHAPES[0];
    cases.extend(embeddings(memory, Arc::new(weight(cpu, VOCABULARY, width)), rows, width));
    cases.extend([(32, 3), (1024, 128)].map(|(sequences, classes)| loss(memory, sequences, classes)));
    cases
}

fn activations(memory: &Memory, len: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for activation in [Activation::GeluErf, Activation::GeluTanh, Activation::Relu, Activation::Tanh] {
        let name = |direction: &str| format!("{activation:?} {direction}");
        let m = memory.clone();
        cases.push(Case::new(&name("forward"), format!("{len}"), Amount::numbers(2 * len), move |cpu| {
            cpu.activation_forward(&mut m.out(), &m.x, activation, len);
        }));
        let m = memory.clone();
        cases.push(Case::new(&name("backward"), format!("{len}"), Amount::numbers(3 * len), move |cpu| {
            cpu.activation_backward(&mut m.out(), &m.dy, &m.x, activation, len);
        }));
    }
    cases
}

fn sums(memory: &Memory, rows: usize, width: usize) -> [Case; 5] {
    let len = rows * width;
    let shape = format!("{rows} x {width}");
    let (add, copy, dropout, dropout_add, dropout_copy) =
        (memory.clone(), memory.clone(), memory.clone(), memory.clone(), memory.clone());
    [
        Case::new("add", shape.clone(), Amount::numbers(3 * len), move |cpu| cpu.add(&mut add.out(), &add.x, len)),
        Case::new("copy", shape.clone(), Amount::numbers(2 * len), move |cpu| cpu.copy(&mut copy.out(), &copy.x, len)),
        Case::new("dropout", shape.clone(), Amount::numbers(2 * len), move |cpu| {
            cpu.dropout(&mut dropout.out(), DROPOUT, len);
        }),
        Case::new("dropout and add", shape.clone(), Amount::numbers(3 * len), move |cpu| {
            cpu.dropout_add(&mut dropout_add.out(), &dropout_add.x, Some(DROPOUT), len);
        }),
        Case::new("dropout and copy", shape, Amount::numbers(2 * len), move |cpu| {
            cpu.dropout_copy(&mut dropout_copy.out(), &dropout_copy.x, DROPOUT, len);
        }),
    ]
}

fn norms(memory: &Memory, parameters: Arc<(Weight, Weight)>, rows: usize, width: usize) -> [Case; 2] {
    let shape = NormShape::layer(rows, width, 1e-12);
    let title = format!("{rows} x {width}");
    let span = |start| Some(Span { start, len: width });
    let slots = NormSlots { gain: span(0), bias: span(width) };
    let (m, weights) = (memory.clone(), parameters.clone());
    let forward = Case::new("norm forward", title.clone(), Amount::numbers(2 * rows * width), move |cpu| {
        cpu.norm_forward(&mut m.out(), &mut m.second(), &m.x, &weights.0, Some(&weights.1), shape);
    });
    let (m, mut saved) = (memory.clone(), None);
    let backward = Case::new("norm backward", title, Amount::numbers(3 * rows * width), move |cpu| {
        let stats = saved.get_or_insert_with(|| {
            let mut stats = cpu.zeros(2 * rows);
            cpu.norm_forward(&mut m.out(), &mut stats, &m.x, &parameters.0, Some(&parameters.1), shape);
            stats
        });
        cpu.norm_backward(&mut m.out(), (&mut m.grads(), slots), &m.dy, (&m.x, stats), &parameters.0, shape);
    });
    [forward, backward]
}

fn pooling(memory: &Memory, rows: usize, width: usize) -> [Case; 2] {
    let starts: Arc<Vec<u32>> = Arc::new((0..=rows / 64).map(|s| (s * 64) as u32).collect());
    let (title, amount) = (format!("{rows} x {width} in 64s"), Amount::numbers(rows * width));
    let (m, s) = (memory.clone(), starts.clone());
    let forward = Case::new("mean pooling forward", title.clone(), amount, move |cpu| {
        cpu.pool_forward(&mut m.out(), &m.x, Pooling::Mean, PoolShape { starts: &s, width });
    });
    let m = memory.clone();
    let backward = Case::new("mean pooling backward", title, amount, move |cpu| {
        cpu.pool_backward(&mut m.out(), &m.dy, Pooling::Mean, PoolShape { starts: &starts, width });
    });
    [forward, backward]
}

fn embeddings(memory: &Memory, table: Arc<Weight>, tokens: usize, width: usize) -> [Case; 2] {
    let ids: Vec<u32> = (0..tokens as u32).map(|n| n.wrapping_mul(2_654_435_761) % VOCABULARY as u32).collect();
    let (ids, shape) = (Arc::new(ids), EmbeddingShape { tokens, width });
    let title = format!("{tokens} of {VOCABULARY} x {width}");
    let (m, forward_ids) = (memory.clone(), ids.clone());
    let forward = Case::new("embedding forward", title.clone(), Amount::numbers(2 * tokens * width), move |cpu| {
        cpu.embedding_forward(&mut m.out(), &[(&forward_ids, &table)], shape);
    });
    let (m, all) = (memory.clone(), Span { start: 0, len: VOCABULARY * width });
    let backward = Case::new("embedding backward", title, Amount::numbers(3 * tokens * width), move |cpu| {
        cpu.embedding_backward(&mut m.grads(), all, &m.dy, &ids, shape);
    });
    [forward, backward]
}

fn loss(memory: &Memory, sequences: usize, classes: usize) -> Case {
    let targets: Vec<u32> = (0..sequences).map(|s| (s % classes) as u32).collect();
    let normaliser = sequences as f64;
    let loss = Loss { classes, smoothing: 0.0, class_weights: None, focal_gamma: 0.0, normaliser };
    let (m, amount) = (memory.clone(), Amount::numbers(2 * sequences * classes));
    Case::new("cross-entropy", format!("{sequences} x {classes}"), amount, move |cpu| {
        cpu.cross_entropy(&mut m.second(), &mut m.out(), &m.x, Targets::Classes(&targets), &loss);
    })
}
