//! `y = x Wᵀ + b`, so `dx = dy W`, `dW = dyᵀ x` and `db = Σ_n dy[n]`.

use super::{ReferenceWeight, add_scaled, dot, matrix, part, part_mut, slot, vector};
use crate::{LinearShape, Real, Span};

pub(super) fn forward<T: Real>(
    y: &mut [T],
    x: &[T],
    weight: &ReferenceWeight<T>,
    bias: Option<&ReferenceWeight<T>>,
    shape: LinearShape,
) {
    let LinearShape { rows, inputs, outputs } = shape;
    let y = part_mut("y", y, rows * outputs, &shape);
    let x = part("x", x, rows * inputs, &shape);
    let weight = matrix("weight", weight, outputs, inputs);
    let bias = bias.map(|bias| vector("bias", bias, outputs));
    for n in 0..rows {
        for o in 0..outputs {
            let product = dot(&x[n * inputs..][..inputs], &weight[o * inputs..][..inputs]);
            y[n * outputs + o] = bias.map_or(product, |bias| product + bias[o]);
        }
    }
}

pub(super) fn backward_input<T: Real>(dx: &mut [T], dy: &[T], weight: &ReferenceWeight<T>, shape: LinearShape) {
    let LinearShape { rows, inputs, outputs } = shape;
    let dx = part_mut("dx", dx, rows * inputs, &shape);
    let dy = part("dy", dy, rows * outputs, &shape);
    let weight = matrix("weight", weight, outputs, inputs);
    dx.fill(T::zero());
    for n in 0..rows {
        for o in 0..outputs {
            add_scaled(&mut dx[n * inputs..][..inputs], dy[n * outputs + o], &weight[o * inputs..][..inputs]);
        }
    }
}

pub(super) fn backward_weight<T: Real>(grads: &mut [T], dweight: Span, dy: &[T], x: &[T], shape: LinearShape) {
    let LinearShape { rows, inputs, outputs } = shape;
    let dweight = slot("dweight", grads, dweight, outputs * inputs);
    let dy = part("dy", dy, rows * outputs, &shape);
    let x = part("x", x, rows * inputs, &shape);
    for n in 0..rows {
        for o in 0..outputs {
            add_scaled(&mut dweight[o * inputs..][..inputs], dy[n * outputs + o], &x[n * inputs..][..inputs]);
        }
    }
}

pub(super) fn backward_bias<T: Real>(grads: &mut [T], dbias: Span, dy: &[T], shape: LinearShape) {
    let LinearShape { rows, outputs, .. } = shape;
    let dbias = slot("dbias", grads, dbias, outputs);
    let dy = part("dy", dy, rows * outputs, &shape);
    for n in 0..rows {
        add_scaled(dbias, T::one(), &dy[n * outputs..][..outputs]);
    }
}
