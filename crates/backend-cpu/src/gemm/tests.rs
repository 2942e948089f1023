//! Products of whole numbers, which every precision holds exactly, and the bounds of those that round.

use super::{DONE, Finish, Left, Onto, Panels, Right, Size, multiply};
use crate::{Cpu, CpuOptions, Isa, Precision};
use finetone_backend::conformance::{self, Tolerance};
use std::sync::atomic::{AtomicU32, Ordering};

fn cpu(isa: Isa, precision: Precision) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(2), isa: Some(isa), precision }).unwrap()
}

/// Whole numbers so small that every sum is exact.
fn whole(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + seed * 11) % 13) as f32 - 6.0).collect()
}

/// Numbers between -1 and 1.
fn fractions(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    (0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect()
}

#[test]
fn products_of_ugly_sizes_agree_with_plain_sums() {
    let sizes = [
        (1, 1, 1),
        (2, 3, 5),
        (12, 32, 16),
        (13, 33, 257),
        (25, 70, 600),
        (250, 31, 40),
        (300, 530, 20),
        (3, 40, 9001),
    ];
    for (isa, precision) in Isa::available().into_iter().flat_map(|isa| [(isa, Precision::F32), (isa, Precision::Bf16)])
    {
        let cpu = cpu(isa, precision);
        for (m, n, k) in sizes {
            let (a, b, bias) = (whole(m * k, 1), whole(k * n, 2), whole(n, 3));
            let (columns, bt) = (transpose(&a, k), transpose(&b, n));
            let panels = Panels::new(isa, precision, &bt, k);
            for (onto, left) in [(Onto::Nothing, 0), (Onto::Bias(&bias), 1), (Onto::Itself, 2)] {
                let forms = [
                    (Left::Rows(&a), Right::Panels(&panels)),
                    (Left::Rows(&a), Right::Rows(&b, precision)),
                    (Left::Rows(&a), Right::Columns(&bt, precision)),
                    (Left::Columns(&columns, None), Right::Rows(&b, precision)),
                ];
                for (a_form, b_form) in forms {
                    let mut c = vec![2.0; m * n];
                    multiply(&cpu, &mut c, a_form, b_form, Size { m, n, k }, onto, DONE);
                    for (i, &c) in c.iter().enumerate() {
                        let (row, column) = (i / n, i % n);
                        let sum: f32 = (0..k).map(|p| a[row * k + p] * b[p * n + column]).sum();
                        let expected = sum + [0.0, bias[column], 2.0][left];
                        assert_eq!(c, expected, "{isa:?} {precision:?} {m} {n} {k}: row {row}, column {column}");
                    }
                }
            }
        }
    }
}

/// What rounding both factors costs at most, as a share of the sum of the products' magnitudes: half a unit in the last
/// of eight bits for each factor, and their product.
const BF16_BOUND: f64 = 1.0 / 128.0;

#[test]
fn rounded_products_stay_within_their_bounds() {
    let (m, n, k) = (37, 50, 700);
    let (a, b) = (fractions(m * k, 1), fractions(n * k, 2));
    let greatest = |row: &[f32]| row.iter().fold(0.0_f32, |top, v| top.max(v.abs()));
    for (isa, precision) in
        Isa::available().into_iter().flat_map(|isa| [(isa, Precision::Bf16), (isa, Precision::Int8)])
    {
        let panels = Panels::new(isa, precision, &b, k);
        let mut c = vec![f32::NAN; m * n];
        let right = Right::Panels(&panels);
        multiply(&cpu(isa, precision), &mut c, Left::Rows(&a), right, Size { m, n, k }, Onto::Nothing, DONE);
        for (i, &c) in c.iter().enumerate() {
            let (a, b) = (&a[i / n * k..][..k], &b[i % n * k..][..k]);
            let products = || a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
            let exact: f64 = products().sum();
            let bound = if precision == Precision::Bf16 {
                BF16_BOUND * products().map(f64::abs).sum::<f64>()
            } else {
                // Half a step of either scale for each factor, and a little for the reciprocals.
                let (half_a, half_b) = (f64::from(greatest(a)) / 253.0, f64::from(greatest(b)) / 253.0);
                let (sum_a, sum_b): (f64, f64) =
                    (a.iter().map(|v| f64::from(v.abs())).sum(), b.iter().map(|v| f64::from(v.abs())).sum());
                half_a * sum_b + half_b * sum_a + k as f64 * half_a * half_b
            };
            let error = (f64::from(c) - exact).abs();
            assert!(error <= bound, "{isa:?} {precision:?}: {c} for {exact}, {error} beyond {bound}");
        }
    }
}

#[test]
fn finished_blocks_cover_the_result_once() {
    let (m, n, k) = (230, 700, 33);
    let (a, b) = (whole(m * k, 1), whole(k * n, 2));
    let counts: Vec<AtomicU32> = (0..m * n).map(|_| AtomicU32::new(0)).collect();
    let cpu = cpu(Isa::Scalar, Precision::Bf16);
    let finish = |first: usize, part: &mut [f32]| {
        for (place, value) in (first..).zip(part.iter_mut()) {
            counts[place].fetch_add(1, Ordering::Relaxed);
            *value += 0.5;
        }
    };
    let mut c = vec![0.0; m * n];
    let right = Right::Rows(&b, Precision::Bf16);
    multiply(
        &cpu,
        &mut c,
        Left::Rows(&a),
        right,
        Size { m, n, k },
        Onto::Nothing,
        Some(Finish { part: &finish, reads: &[] }),
    );
    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    assert!(c.iter().all(|value| value.fract().abs() == 0.5), "finished after the last sum");
}

#[test]
fn tiles_pass_the_suite() {
    if !Isa::Amx.is_available() {
        println!("skipped: this machine has no instructions for what tiles leave over");
        return;
    }
    conformance::check(&cpu(Isa::Amx, Precision::Bf16), &Tolerance::BF16);
}
