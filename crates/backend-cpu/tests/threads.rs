//! The number of threads changes no bit, at the shapes of real models and at ugly ones.

use finetone_backend::{
    Activation, AttentionShape, Backend, Dropout, GatedShape, LinearShape, Mask, NormKind, NormShape, NormSlots,
    Queries, RotaryShape, Segments, Span, Turn, WeightShape,
};
use finetone_backend_cpu::{Buffer, Cpu, CpuOptions};

/// Numbers between -1 and 1, the same for the same seed.
fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn buffer(cpu: &Cpu, len: usize, seed: u32) -> Buffer {
    let mut buffer = cpu.zeros(len);
    cpu.write(&mut buffer, &values(len, seed));
    buffer
}

/// Runs `work` with one, two and three threads and compares the bits of everything it returns.
fn same_bits(name: &str, work: impl Fn(&Cpu) -> Vec<Buffer>) {
    let run = |threads| work(&Cpu::new(CpuOptions { threads: Some(threads), ..CpuOptions::default() }).unwrap());
    let first = run(1);
    for threads in [2, 3] {
        for (i, (a, b)) in first.iter().zip(&run(threads)).enumerate() {
            let differing = a.iter().zip(b.iter()).position(|(a, b)| a.to_bits() != b.to_bits());
            assert_eq!(differing, None, "{name}: result {i} differs with {threads} threads");
        }
    }
}

#[test]
fn linear_layers() {
    for (rows, inputs, outputs) in
        [(1, 384, 384), (7, 5, 3), (33, 384, 1536), (513, 768, 257), (1030, 384, 1152), (4096, 384, 384)]
    {
        let shape = LinearShape { rows, inputs, outputs };
        same_bits(&format!("{shape:?}"), |cpu| {
            let (x, dy) = (buffer(cpu, rows * inputs, 1), buffer(cpu, rows * outputs, 2));
            let w = cpu.weight(&values(outputs * inputs, 3), WeightShape { rows: outputs, columns: inputs });
            let b = cpu.weight(&values(outputs, 4), WeightShape { rows: 1, columns: outputs });
            let (mut y, mut dx) = (cpu.zeros(rows * outputs), cpu.zeros(rows * inputs));
            let mut grads = buffer(cpu, outputs * inputs + outputs, 5);
            cpu.linear_forward(&mut y, &x, &w, Some(&b), shape);
            cpu.linear_backward_input(&mut dx, &dy, &w, shape);
            cpu.linear_backward_weight(&mut grads, Span { start: 0, len: outputs * inputs }, &dy, &x, shape);
            cpu.linear_backward_bias(&mut grads, Span { start: outputs * inputs, len: outputs }, &dy, shape);
            vec![y, dx, grads]
        });
    }
}

#[test]
fn attention_with_dropout() {
    let starts = [0, 300, 301, 365, 700];
    let cases = [(3, 3, 32, Mask::Causal), (2, 2, 20, Mask::Bidirectional), (6, 2, 32, Mask::Window(70))];
    for (heads, kv_heads, head_size, mask) in cases {
        let (starts, queries, scale) = (&starts, Queries::All, 0.2);
        let shape = AttentionShape { starts, heads, kv_heads, head_size, mask, queries, scale };
        let (width, qkv_width) = (heads * head_size, shape.qkv_width());
        let dropout = Some(Dropout { seed: 1, step: 2, site: 3, rate: 0.1 });
        same_bits(&format!("{mask:?}"), |cpu| {
            let (qkv, dy) = (buffer(cpu, 700 * qkv_width, 1), buffer(cpu, 700 * width, 2));
            let (mut y, mut sums) = (cpu.zeros(700 * width), cpu.zeros(700 * heads));
            let mut dqkv = cpu.zeros(700 * qkv_width);
            cpu.attention_forward(&mut y, &mut sums, &qkv, dropout, shape);
            cpu.attention_backward(&mut dqkv, &dy, (&y, &sums), &qkv, dropout, shape);
            vec![y, sums, dqkv]
        });
    }
}

#[test]
fn norms_and_the_norm_of_gradients() {
    let (rows, width) = (1030, 384);
    for kind in [NormKind::Layer, NormKind::Rms] {
        norms(NormShape { kind, ..NormShape::layer(rows, width, 1e-5) });
    }
    // Two heads of four, each alone.
    let segments = Segments { of: 4, first: 1, count: 2 };
    norms(NormShape { kind: NormKind::Rms, segments, ..NormShape::layer(rows, width / 4, 1e-5) });
}

fn norms(shape: NormShape) {
    let (len, width) = (shape.values(), shape.width);
    same_bits(&format!("{shape:?}"), |cpu| {
        let (x, dy) = (buffer(cpu, len, 1), buffer(cpu, len, 2));
        let gain = cpu.weight(&values(width, 3), WeightShape { rows: 1, columns: width });
        let (mut y, mut stats, mut dx) = (cpu.zeros(len), cpu.zeros(shape.stats()), cpu.zeros(len));
        let mut grads = cpu.zeros(2 * width);
        let bias = (shape.kind == NormKind::Layer).then_some(&gain);
        cpu.norm_forward(&mut y, &mut stats, &x, &gain, bias, shape);
        let span = |start| Some(Span { start, len: width });
        let slots = NormSlots { gain: span(0), bias: span(width) };
        cpu.norm_backward(&mut dx, (&mut grads, slots), &dy, (&x, &stats), &gain, shape);
        let norm = cpu.global_norm(&x, &[Span { start: 0, len }]).to_bits();
        let mut halves = cpu.zeros(4);
        let parts: Vec<f32> = (0..4).map(|i| ((norm >> (16 * i)) & 0xFFFF) as f32).collect();
        cpu.write(&mut halves, &parts);
        vec![y, stats, dx, grads, halves]
    });
}

#[test]
fn gates_and_rotations() {
    let (rows, width) = (300, 1030);
    let segments = Segments { of: 5, first: 0, count: 4 };
    let (gated, head_size) = (GatedShape { rows, width }, 64);
    let rotary = RotaryShape { tokens: rows, head_size, segments, turn: Turn::Forward };
    let positions: Vec<u32> = (0..rows as u32).map(|n| n % 7).collect();
    same_bits("gated", |cpu| {
        let (x, mut dx) = (buffer(cpu, 2 * rows * width, 1), cpu.zeros(2 * rows * width));
        let (mut y, mut dy) = (cpu.zeros(rows * width), buffer(cpu, rows * width, 2));
        let (mut heads, table) = (buffer(cpu, rows * 5 * head_size, 3), buffer(cpu, 7 * head_size, 4));
        cpu.gated_forward(&mut y, &x, Activation::Silu, gated);
        cpu.gated_backward(&mut dx, &mut dy, &x, Activation::Silu, gated);
        cpu.rotary(&mut heads, &table, &positions, rotary);
        vec![y, dx, dy, heads]
    });
}
