//! The result for a row does not depend on the rows beside it: a text gives the same bits alone and in a batch.

use finetone_backend::{Backend, LinearShape, WeightShape};
use finetone_backend_cpu::{Buffer, Cpu, CpuOptions, Isa, Precision, Weight};

const WIDTHS: [usize; 10] = [16, 32, 48, 64, 72, 128, 384, 768, 1536, 3072];
const OUTPUTS: [usize; 9] = [1, 2, 3, 7, 16, 64, 384, 1152, 1536];
/// Rows of the batch that holds all others.
const BATCH: usize = 300;

/// Numbers between -1 and 1, the same for the same seed.
fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn buffer(cpu: &Cpu, values: &[f32]) -> Buffer {
    let mut buffer = cpu.zeros(values.len());
    cpu.write(&mut buffer, values);
    buffer
}

/// A product of rows with a weight, and the width of what goes in and comes out.
struct Product<'a> {
    name: &'a str,
    widths: (usize, usize),
    run: &'a dyn Fn(&mut Buffer, &Buffer, usize),
}

/// Compares some rows from `first` on with the same rows of the batch.
fn compare(cpu: &Cpu, product: &Product<'_>, all: &[f32], expected: &Buffer, (first, rows): (usize, usize)) {
    let (inputs, outputs) = product.widths;
    let x = buffer(cpu, &all[first * inputs..(first + rows) * inputs]);
    let mut y = cpu.zeros(rows * outputs);
    (product.run)(&mut y, &x, rows);
    let expected = &expected[first * outputs..(first + rows) * outputs];
    let differing = y.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits());
    let place = differing.map(|i| (i / outputs, i % outputs));
    assert_eq!(place, None, "{} {:?}: {rows} rows from {first} differ from the batch", product.name, product.widths);
}

/// Compares the numbers of rows that `chosen` accepts with the batch.
fn check(cpu: &Cpu, product: &Product<'_>, chosen: impl Fn(usize) -> bool) {
    let (inputs, outputs) = product.widths;
    let all = values(BATCH * inputs, 1);
    let mut expected = cpu.zeros(BATCH * outputs);
    (product.run)(&mut expected, &buffer(cpu, &all), BATCH);
    for rows in (1..=70).filter(|&rows| chosen(rows)) {
        for first in [0, (rows * 37) % (BATCH - rows)] {
            compare(cpu, product, &all, &expected, (first, rows));
        }
    }
}

/// Forward and the gradient of the input of one layer.
fn layer(cpu: &Cpu, inputs: usize, outputs: usize, chosen: impl Fn(usize) -> bool + Copy) {
    let w = cpu.weight(&values(outputs * inputs, 2), WeightShape { rows: outputs, columns: inputs });
    let b: Weight = cpu.weight(&values(outputs, 3), WeightShape { rows: 1, columns: outputs });
    let shape = |rows| LinearShape { rows, inputs, outputs };
    let forward = |y: &mut Buffer, x: &Buffer, rows| cpu.linear_forward(y, x, &w, Some(&b), shape(rows));
    check(cpu, &Product { name: "forward", widths: (inputs, outputs), run: &forward }, chosen);
    let backward = |dx: &mut Buffer, dy: &Buffer, rows| cpu.linear_backward_input(dx, dy, &w, shape(rows));
    check(cpu, &Product { name: "backward", widths: (outputs, inputs), run: &backward }, chosen);
}

/// All layers; large ones at the numbers of rows around the borders of tiles and groups, small ones at all.
fn layers(precision: Precision) {
    for isa in Isa::available() {
        let cpu = Cpu::new(CpuOptions { threads: Some(2), isa: Some(isa), precision }).unwrap();
        for inputs in WIDTHS {
            for outputs in OUTPUTS {
                let small = inputs * outputs <= 16_384;
                layer(&cpu, inputs, outputs, |rows| small || [1, 2, 5, 11, 12, 13, 24, 31, 61, 70].contains(&rows));
            }
        }
    }
}

#[test]
fn every_number_of_rows_gives_the_bits_of_the_batch() {
    layers(Precision::F32);
}

#[test]
fn every_number_of_rows_gives_the_bits_of_the_batch_in_bf16() {
    layers(Precision::Bf16);
}

#[test]
fn every_number_of_rows_gives_the_bits_of_the_batch_in_eight_bits() {
    layers(Precision::Int8);
}
