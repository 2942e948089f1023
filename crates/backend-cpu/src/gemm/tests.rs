//! Every row of a product is a function of that row and the right matrix alone.

use super::{DEPTH, Left, Onto, Right, Size, multiply, pack_transposed, panels_len};
use crate::{Cpu, CpuOptions, Isa};

fn cpu(isa: Isa) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(2), isa: Some(isa), ..CpuOptions::default() }).unwrap()
}

/// Whole numbers so small that every sum is exact.
fn whole(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + seed * 11) % 13) as f32 - 6.0).collect()
}

fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    (0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect()
}

#[test]
fn products_of_ugly_sizes_agree_with_plain_sums() {
    let sizes = [(1, 1, 1), (2, 3, 5), (12, 32, 16), (13, 33, DEPTH + 1), (25, 70, 600), (250, 31, 40), (300, 530, 20)];
    for isa in Isa::available() {
        let cpu = cpu(isa);
        for (m, n, k) in sizes {
            let (a, b, bias) = (whole(m * k, 1), whole(k * n, 2), whole(n, 3));
            let (columns, bt) = (transpose(&a, k), transpose(&b, n));
            let mut panels = vec![f32::NAN; panels_len(k, n)];
            pack_transposed(&mut panels, &bt, k);
            for (onto, left) in [(Onto::Nothing, 0), (Onto::Bias(&bias), 1), (Onto::Itself, 2)] {
                for (a_form, b_form) in
                    [(Left::Rows(&a), Right::Panels(&panels)), (Left::Columns(&columns), Right::Rows(&b))]
                {
                    let mut c = vec![2.0; m * n];
                    multiply(&cpu, &mut c, a_form, b_form, Size { m, n, k }, onto);
                    for (i, &c) in c.iter().enumerate() {
                        let (row, column) = (i / n, i % n);
                        let sum: f32 = (0..k).map(|p| a[row * k + p] * b[p * n + column]).sum();
                        let expected = sum + [0.0, bias[column], 2.0][left];
                        assert_eq!(c, expected, "{isa:?} {m} {n} {k}: row {row}, column {column}");
                    }
                }
            }
        }
    }
}
