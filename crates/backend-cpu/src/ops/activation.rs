//! Element-wise functions, their slopes, and addition.

use super::math::{normal, sigmoid, tanh};
use crate::Cpu;
use crate::parallel::GRAIN;
use crate::simd::{Vector, kernel};
use finetone_backend::Activation;

/// A function of one number and its derivative.
trait Function {
    fn value<V: Vector>(x: V) -> V;
    fn slope<V: Vector>(x: V) -> V;
}

/// `x Φ(x)`.
struct GeluErf;

impl Function for GeluErf {
    #[inline(always)]
    fn value<V: Vector>(x: V) -> V {
        x * normal(x).0
    }
    #[inline(always)]
    fn slope<V: Vector>(x: V) -> V {
        let (share, bell) = normal(x);
        (x * bell).fma(V::splat(0.398_942_3), share)
    }
}

/// `x/2 (1 + tanh(u))`, which is `x σ(2u)`, with `u = √(2/π) (x + 0.044715 x³)`.
struct GeluTanh;

/// `2 √(2/π)`.
const TWICE_ROOT: f32 = (std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::SQRT_2) as f32;

impl Function for GeluTanh {
    #[inline(always)]
    fn value<V: Vector>(x: V) -> V {
        x * Self::gate(x)
    }
    #[inline(always)]
    fn slope<V: Vector>(x: V) -> V {
        let gate = Self::gate(x);
        let inner = (x * x).fma(V::splat(TWICE_ROOT * 3.0 * 0.044_715), V::splat(TWICE_ROOT));
        (x * inner * gate).fma(V::splat(1.0) - gate, gate)
    }
}

impl GeluTanh {
    #[inline(always)]
    fn gate<V: Vector>(x: V) -> V {
        sigmoid(x * (x * x).fma(V::splat(TWICE_ROOT * 0.044_715), V::splat(TWICE_ROOT)))
    }
}

/// `max(x, 0)`.
struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn value<V: Vector>(x: V) -> V {
        V::splat(0.0).max(x)
    }
    #[inline(always)]
    fn slope<V: Vector>(x: V) -> V {
        V::splat(0.0).select_less(x, V::splat(1.0), V::splat(0.0))
    }
}

/// The hyperbolic tangent.
struct Tanh;

impl Function for Tanh {
    #[inline(always)]
    fn value<V: Vector>(x: V) -> V {
        tanh(x)
    }
    #[inline(always)]
    fn slope<V: Vector>(x: V) -> V {
        let y = tanh(x);
        V::splat(1.0) - y * y
    }
}

#[inline(always)]
fn values<V: Vector, F: Function>(y: &mut [f32], x: &[f32]) {
    let whole = y.len() - y.len() % V::LANES;
    for (y, x) in y.chunks_exact_mut(V::LANES).zip(x.chunks_exact(V::LANES)) {
        F::value(V::load(x)).store(y);
    }
    if whole < y.len() {
        F::value(V::load_first(&x[whole..])).store_first(&mut y[whole..]);
    }
}

#[inline(always)]
fn slopes<V: Vector, F: Function>(dx: &mut [f32], dy: &[f32], x: &[f32]) {
    let whole = dx.len() - dx.len() % V::LANES;
    let vectors = dy.chunks_exact(V::LANES).zip(x.chunks_exact(V::LANES));
    for (dx, (dy, x)) in dx.chunks_exact_mut(V::LANES).zip(vectors) {
        (V::load(dy) * F::slope(V::load(x))).store(dx);
    }
    if whole < dx.len() {
        (V::load_first(&dy[whole..]) * F::slope(V::load_first(&x[whole..]))).store_first(&mut dx[whole..]);
    }
}

#[inline(always)]
fn forward_body<V: Vector>(y: &mut [f32], x: &[f32], activation: Activation) {
    match activation {
        Activation::GeluErf => values::<V, GeluErf>(y, x),
        Activation::GeluTanh => values::<V, GeluTanh>(y, x),
        Activation::Relu => values::<V, Relu>(y, x),
        Activation::Tanh => values::<V, Tanh>(y, x),
    }
}

#[inline(always)]
fn backward_body<V: Vector>(dx: &mut [f32], dy: &[f32], x: &[f32], activation: Activation) {
    match activation {
        Activation::GeluErf => slopes::<V, GeluErf>(dx, dy, x),
        Activation::GeluTanh => slopes::<V, GeluTanh>(dx, dy, x),
        Activation::Relu => slopes::<V, Relu>(dx, dy, x),
        Activation::Tanh => slopes::<V, Tanh>(dx, dy, x),
    }
}

#[inline(always)]
fn add_body<V: Vector>(y: &mut [f32], x: &[f32]) {
    let whole = y.len() - y.len() % V::LANES;
    for (y, x) in y.chunks_exact_mut(V::LANES).zip(x.chunks_exact(V::LANES)) {
        (V::load(y) + V::load(x)).store(y);
    }
    for (y, x) in y[whole..].iter_mut().zip(&x[whole..]) {
        *y += x;
    }
}

kernel!(
    /// `y = f(x)`, slices of the same length.
    pub(crate) forward_block(y: &mut [f32], x: &[f32], activation: Activation) = forward_body
);
kernel!(
    /// `dx = dy · f'(x)`, slices of the same length.
    pub(crate) backward_block(dx: &mut [f32], dy: &[f32], x: &[f32], activation: Activation) = backward_body
);
kernel!(
    /// `y += x`, slices of the same length.
    pub(crate) add_block(y: &mut [f32], x: &[f32]) = add_body
);

/// `y = f(x)`, slices of the same length.
pub(crate) fn forward(cpu: &Cpu, y: &mut [f32], x: &[f32], activation: Activation) {
    cpu.chunks([(y, GRAIN)], |i, [y]| forward_block(cpu.isa(), y, &x[i * GRAIN..][..y.len()], activation));
}

/// `dx = dy · f'(x)`, slices of the same length.
pub(crate) fn backward(cpu: &Cpu, dx: &mut [f32], dy: &[f32], x: &[f32], activation: Activation) {
    cpu.chunks([(dx, GRAIN)], |i, [dx]| {
        let range = i * GRAIN..i * GRAIN + dx.len();
        backward_block(cpu.isa(), dx, &dy[range.clone()], &x[range], activation);
    });
}

/// `y += x`, slices of the same length.
pub(crate) fn add(cpu: &Cpu, y: &mut [f32], x: &[f32]) {
    cpu.chunks([(y, GRAIN)], |i, [y]| add_block(cpu.isa(), y, &x[i * GRAIN..][..y.len()]));
}
