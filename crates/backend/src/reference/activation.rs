//! Operations element by element: activations, gates, sums and dropout.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

use super::{part, part_mut};
use crate::{Activation, ColumnsShape, Dropout, GatedShape, Real};

pub(super) fn forward<T: Real>(y: &mut [T], x: &[T], activation: Activation, len: usize) {
    let y = part_mut("y", y, len, &activation);
    let x = part("x", x, len, &activation);
    for (y, &x) in y.iter_mut().zip(x) {
        *y = value(activation, x);
    }
}

pub(super) fn backward<T: Real>(dx: &mut [T], dy: &[T], x: &[T], activation: Activation, len: usize) {
    let dx = part_mut("dx", dx, len, &activation);
    let dy = part("dy", dy, len, &activation);
    let x = part("x", x, len, &activation);
    for i in 0..len {
        dx[i] = dy[i] * slope(activation, x[i]);
    }
}

/// `f(x)`.
fn value<T: Real>(activation: Activation, x: T) -> T {
    match activation {
        Activation::GeluErf => x * normal_cdf(x),
        Activation::GeluTanh => x * T::from_f64(0.5) * (T::one() + tanh_argument(x).tanh()),
        // Not `max`, which would turn a NaN into a zero and hide that the run has diverged.
        Activation::Relu if x < T::zero() => T::zero(),
        Activation::Relu => x,
        Activation::Tanh => x.tanh(),
        Activation::Silu => x * sigmoid(x),
    }
}

/// `f'(x)`; relu's is 0 at 0.
fn slope<T: Real>(activation: Activation, x: T) -> T {
    let (one, half) = (T::one(), T::from_f64(0.5));
    match activation {
        Activation::GeluErf => {
            let density = T::from_f64(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2) * (-x * x * half).exp();
            normal_cdf(x) + x * density
        }
        Activation::GeluTanh => {
            let t = tanh_argument(x).tanh();
            let inner = T::from_f64(SQRT_2_OVER_PI) * (one + T::from_f64(3.0 * CUBIC) * x * x);
            half * (one + t) + half * x * (one - t * t) * inner
        }
        Activation::Relu if x <= T::zero() => T::zero(),
        Activation::Relu => one,
        Activation::Tanh => one - x.tanh() * x.tanh(),
        Activation::Silu => sigmoid(x) * (one + x * sigmoid(-x)),
    }
}

const SQRT_2_OVER_PI: f64 = 0.5 * FRAC_2_SQRT_PI * SQRT_2;
const CUBIC: f64 = 0.044715;

/// `√(2/π) (x + 0.044715 x³)`.
fn tanh_argument<T: Real>(x: T) -> T {
    T::from_f64(SQRT_2_OVER_PI) * (x + T::from_f64(CUBIC) * x * x * x)
}

/// `Φ(x)`, the share of a standard normal variable below `x`; by `erfc`, which stays exact where `1 + erf` cancels.
fn normal_cdf<T: Real>(x: T) -> T {
    T::from_f64(0.5 * libm::erfc(-x.to_f64() * FRAC_1_SQRT_2))
}

/// `1 / (1 + e^-x)`.
fn sigmoid<T: Real>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}

pub(super) fn gated_forward<T: Real>(y: &mut [T], x: &[T], activation: Activation, shape: GatedShape) {
    let GatedShape { rows, width } = shape;
    let y = part_mut("y", y, rows * width, &shape);
    let x = part("x", x, rows * 2 * width, &shape);
    for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(2 * width)) {
        let (gate, up) = x.split_at(width);
        (0..width).for_each(|i| y[i] = value(activation, gate[i]) * up[i]);
    }
}

/// `dgate = dy up f'(gate)` and `dup = dy f(gate)`.
pub(super) fn gated_backward<T: Real>(dx: &mut [T], y: &mut [T], x: &[T], activation: Activation, shape: GatedShape) {
    let GatedShape { rows, width } = shape;
    let dx = part_mut("dx", dx, rows * 2 * width, &shape);
    let y = part_mut("y", y, rows * width, &shape);
    let x = part("x", x, rows * 2 * width, &shape);
    for n in 0..rows {
        let y = &mut y[n * width..][..width];
        let (gate, up) = x[n * 2 * width..][..2 * width].split_at(width);
        let (dgate, dup) = dx[n * 2 * width..][..2 * width].split_at_mut(width);
        for i in 0..width {
            let (dy, activated) = (y[i], value(activation, gate[i]));
            dgate[i] = dy * up[i] * slope(activation, gate[i]);
            dup[i] = dy * activated;
            y[i] = activated * up[i];
        }
    }
}

pub(super) fn add<T: Real>(y: &mut [T], x: &[T], len: usize) {
    let x = part("x", x, len, &"`add`");
    super::add_scaled(part_mut("y", y, len, &"`add`"), T::one(), x);
}

pub(super) fn add_columns<T: Real>(y: &mut [T], x: &[T], factor: f64, shape: ColumnsShape) {
    let (to, from) = shape.values();
    let rows = part_mut("y", y, to, &shape).chunks_exact_mut(shape.to.of);
    for (y, x) in rows.zip(part("x", x, from, &shape).chunks_exact(shape.from.of)) {
        let (y, x) = (&mut y[shape.to.first..][..shape.count], &x[shape.from.first..][..shape.count]);
        super::add_scaled(y, T::from_f64(factor), x);
    }
}

pub(super) fn copy<T: Real>((y, at): (&mut [T], usize), x: &[T], len: usize) {
    part_mut("y", y, at + len, &"`copy`")[at..].copy_from_slice(part("x", x, len, &"`copy`"));
}

pub(super) fn dropout<T: Real>(x: &mut [T], dropout: Dropout, len: usize) {
    let scale = T::from_f64(dropout.scale());
    for (i, x) in part_mut("x", x, len, &dropout).iter_mut().enumerate() {
        *x = if dropout.keeps(i as u64) { *x * scale } else { T::zero() };
    }
}
