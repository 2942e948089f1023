//! Rough speed of every operation at the shapes of MiniLM and GPT-2: the best of a few runs, for finding what is slow.
//!
//! `cargo bench -p finetone-backend-cpu`, or with a part of the names of some: `… -- dropout`

use finetone_backend::{
    Activation, AdamW, AttentionShape, Backend, Dropout, EmbeddingShape, LinearShape, Mask, NormShape, NormSlots,
    Queries, Span, WeightShape,
};
use finetone_backend_cpu::{Buffer, Cpu, CpuOptions, Weight};
use std::time::Instant;

/// Runs of each operation, of which the best counts.
const RUNS: usize = 7;

/// Prints time and rate of `work`, whose amount is in `unit`s of 10^9, if the name has what was asked for.
fn measure(name: &str, amount: f64, unit: &str, mut work: impl FnMut()) {
    // Cargo adds an option of its own; what is left are words.
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
    if words.peek().is_some() && !words.any(|word| name.contains(&word)) {
        return;
    }
    work();
    let seconds = (0..RUNS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    });
    let best = seconds.fold(f64::INFINITY, f64::min);
    println!("{name:<58} {:>9.3} ms {:>8.1} {unit}", best * 1e3, amount / best / 1e9);
}

/// Numbers between -1 and 1 without a pattern that matters.
fn values(len: usize) -> Vec<f32> {
    let mut state = 0x2545_F491_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn buffer(cpu: &Cpu, len: usize) -> Buffer {
    let mut buffer = cpu.zeros(len);
    cpu.write(&mut buffer, &values(len));
    buffer
}

fn weight(cpu: &Cpu, rows: usize, columns: usize) -> Weight {
    cpu.weight(&values(rows * columns), WeightShape { rows, columns })
}

fn linear(cpu: &Cpu, rows: usize, inputs: usize, outputs: usize) {
    let shape = LinearShape { rows, inputs, outputs };
    let (mut x, mut y) = (buffer(cpu, rows * inputs), buffer(cpu, rows * outputs));
    let (w, b) = (weight(cpu, outputs, inputs), weight(cpu, 1, outputs));
    let mut grads = cpu.zeros(outputs * inputs);
    let flops = 2.0 * (rows * inputs * outputs) as f64;
    let name = |what: &str| format!("linear {what} {rows} x {inputs} -> {outputs}");
    measure(&name("forward"), flops, "GFLOP/s", || cpu.linear_forward(&mut y, &x, &w, Some(&b), shape));
    let span = Span { start: 0, len: outputs * inputs };
    measure(&name("weight"), flops, "GFLOP/s", || cpu.linear_backward_weight(&mut grads, span, &y, &x, shape));
    let bytes = 4.0 * (rows * outputs) as f64;
    let bias = Span { start: 0, len: outputs };
    measure(&name("bias"), bytes, "GB/s", || cpu.linear_backward_bias(&mut grads, bias, &y, shape));
    measure(&name("input"), flops, "GFLOP/s", || cpu.linear_backward_input(&mut x, &y, &w, shape));
}

fn attention(cpu: &Cpu, tokens: usize, length: usize, (heads, head_size): (usize, usize), mask: Mask, drop: bool) {
    let starts: Vec<u32> = (0..=tokens / length).map(|s| (s * length) as u32).collect();
    let scale = 1.0 / (head_size as f64).sqrt();
    let shape = AttentionShape { starts: &starts, heads, head_size, mask, queries: Queries::All, scale };
    let width = heads * head_size;
    let (qkv, dy) = (buffer(cpu, 3 * tokens * width), buffer(cpu, tokens * width));
    let (mut y, mut sums) = (cpu.zeros(tokens * width), cpu.zeros(tokens * heads));
    let mut dqkv = cpu.zeros(3 * tokens * width);
    let share = if mask == Mask::Causal { 0.5 } else { 1.0 };
    let flops = share * 4.0 * (tokens * length * width) as f64;
    let dropout = drop.then_some(Dropout { seed: 1, step: 1, site: 1, rate: 0.1 });
    let kind = if drop { "with dropout" } else { "" };
    let name = |what: &str| format!("attention {what} {tokens} of {length}, {heads} x {head_size} {kind}");
    measure(&name("forward"), flops, "GFLOP/s", || cpu.attention_forward(&mut y, &mut sums, &qkv, dropout, shape));
    measure(&name("backward"), 2.5 * flops, "GFLOP/s", || {
        cpu.attention_backward(&mut dqkv, &dy, (&y, &sums), &qkv, dropout, shape);
    });
}

fn rows(cpu: &Cpu, rows: usize, width: usize) {
    let len = rows * width;
    let (x, dy) = (buffer(cpu, len), buffer(cpu, len));
    let (mut y, mut stats, mut grads) = (cpu.zeros(len), cpu.zeros(2 * rows), cpu.zeros(30_522 * width));
    let (gain, bias, table) = (weight(cpu, 1, width), weight(cpu, 1, width), weight(cpu, 30_522, width));
    let gb = 4.0 * len as f64;
    let name = |what: &str| format!("{what} {rows} x {width}");
    let shape = NormShape { rows, width, epsilon: 1e-12 };
    measure(&name("norm forward"), 2.0 * gb, "GB/s", || cpu.norm_forward(&mut y, &mut stats, &x, &gain, &bias, shape));
    let span = |start| Some(Span { start, len: width });
    let slots = NormSlots { gain: span(0), bias: span(width) };
    measure(&name("norm backward"), 3.0 * gb, "GB/s", || {
        cpu.norm_backward(&mut y, (&mut grads, slots), &dy, (&x, &stats), &gain, shape);
    });
    measure(&name("add"), 3.0 * gb, "GB/s", || cpu.add(&mut y, &x, len));
    let dropout = Dropout { seed: 1, step: 1, site: 1, rate: 0.1 };
    measure(&name("dropout"), 2.0 * gb, "GB/s", || cpu.dropout(&mut y, dropout, len));
    let shape = EmbeddingShape { tokens: rows, width };
    let ids: Vec<u32> = (0..rows as u32).map(|n| n.wrapping_mul(2_654_435_761) % 30_522).collect();
    measure(&name("embedding forward"), 2.0 * gb, "GB/s", || cpu.embedding_forward(&mut y, &[(&ids, &table)], shape));
    let all = Span { start: 0, len: 30_522 * width };
    measure(&name("embedding backward"), 3.0 * gb, "GB/s", || {
        cpu.embedding_backward(&mut grads, all, &dy, &ids, shape);
    });
}

fn elements(cpu: &Cpu, len: usize) {
    let (x, dy, mut y) = (buffer(cpu, len), buffer(cpu, len), cpu.zeros(len));
    let gb = 4.0 * len as f64;
    for activation in [Activation::GeluErf, Activation::GeluTanh, Activation::Relu, Activation::Tanh] {
        let name = |what: &str| format!("{activation:?} {what} {len}");
        measure(&name("forward"), 2.0 * gb, "GB/s", || cpu.activation_forward(&mut y, &x, activation, len));
        measure(&name("backward"), 3.0 * gb, "GB/s", || cpu.activation_backward(&mut y, &dy, &x, activation, len));
    }
}

fn optimiser(cpu: &Cpu, len: usize) {
    let (mut w, mut grads) = (weight(cpu, 1, len), buffer(cpu, len));
    let (mut first, mut second) = (cpu.zeros(len), cpu.zeros(len));
    let (rate, beta1, beta2, epsilon) = (1e-4, 0.9, 0.999, 1e-8);
    let update = AdamW { rate, beta1, beta2, epsilon, weight_decay: 0.01, step: 3, gradient_scale: 0.5 };
    let gb = 4.0 * len as f64;
    let span = Span { start: 0, len };
    measure(&format!("global norm {len}"), gb, "GB/s", || {
        assert!(cpu.global_norm(&grads, &[span]) > 0.0);
    });
    measure(&format!("adamw {len}"), 8.0 * gb, "GB/s", || {
        cpu.adamw(&mut w, (&mut first, &mut second), &mut grads, span, None, &update);
    });
}

fn all(cpu: &Cpu) {
    for (rows, inputs, outputs) in [
        (512, 384, 1152),
        (512, 384, 1536),
        (4096, 384, 384),
        (4096, 384, 1536),
        (4096, 1536, 384),
        (1024, 768, 3072),
        (1024, 3072, 768),
        (16, 384, 3),
    ] {
        linear(cpu, rows, inputs, outputs);
    }
    for (length, drop) in [(32, false), (32, true), (128, false), (128, true), (512, false), (1024, false)] {
        attention(cpu, 4096, length, (12, 32), Mask::Bidirectional, drop);
    }
    for (length, drop) in [(128, false), (1024, false), (1024, true)] {
        attention(cpu, 1024, length, (12, 64), Mask::Causal, drop);
    }
    rows(cpu, 4096, 384);
    rows(cpu, 1024, 768);
    elements(cpu, 4096 * 1536);
    optimiser(cpu, 22_000_000);
}

fn main() -> Result<(), finetone_backend_cpu::CpuError> {
    let cpu = Cpu::new(CpuOptions::default())?;
    println!("{}", cpu.name());
    cpu.install(|| all(&cpu));
    Ok(())
}
