//! The number of threads changes no bit, at the shapes of real models and at ugly ones.

use finetone_backend::{
    AttentionShape, Backend, Dropout, LinearShape, Mask, NormShape, NormSlots, Queries, Span, WeightShape,
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
    for (heads, head_size, mask) in [(3, 32, Mask::Causal), (2, 20, Mask::Bidirectional)] {
        let shape = AttentionShape { starts: &starts, heads, head_size, mask, queries: Queries::All, scale: 0.2 };
        let width = heads * head_size;
        let dropout = Some(Dropout { seed: 1, step: 2, site: 3, rate: 0.1 });
        same_bits(&format!("{mask:?}"), |cpu| {
            let (qkv, dy) = (buffer(cpu, 700 * 3 * width, 1), buffer(cpu, 700 * width, 2));
            let (mut y, mut sums) = (cpu.zeros(700 * width), cpu.zeros(700 * heads));
            let mut dqkv = cpu.zeros(700 * 3 * width);
            cpu.attention_forward(&mut y, &mut sums, &qkv, dropout, shape);
            cpu.attention_backward(&mut dqkv, &dy, (&y, &sums), &qkv, dropout, shape);
            vec![y, sums, dqkv]
        });
    }
}

#[test]
fn norms_and_the_norm_of_gradients() {
    let (rows, width) = (1030, 384);
    let shape = NormShape { rows, width, epsilon: 1e-5 };
    same_bits("norm", |cpu| {
        let (x, dy) = (buffer(cpu, rows * width, 1), buffer(cpu, rows * width, 2));
        let gain = cpu.weight(&values(width, 3), WeightShape { rows: 1, columns: width });
        let (mut y, mut stats, mut dx) = (cpu.zeros(rows * width), cpu.zeros(2 * rows), cpu.zeros(rows * width));
        let mut grads = cpu.zeros(2 * width);
        cpu.norm_forward(&mut y, &mut stats, &x, &gain, &gain, shape);
        let span = |start| Some(Span { start, len: width });
        let slots = NormSlots { gain: span(0), bias: span(width) };
        cpu.norm_backward(&mut dx, (&mut grads, slots), &dy, (&x, &stats), &gain, shape);
        let norm = cpu.global_norm(&x, &[Span { start: 0, len: rows * width }]).to_bits();
        let mut halves = cpu.zeros(4);
        let parts: Vec<f32> = (0..4).map(|i| ((norm >> (16 * i)) & 0xFFFF) as f32).collect();
        cpu.write(&mut halves, &parts);
        vec![y, stats, dx, grads, halves]
    });
}
