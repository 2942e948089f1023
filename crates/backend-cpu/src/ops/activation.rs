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
    /// Value and slope, the same bits as each alone.
    #[inline(always)]
    fn both<V: Vector>(x: V) -> (V, V) {
        (Self::value(x), Self::slope(x))
    }
}

/// `x Φ(x)`, whose slope is `Φ(x) + x φ(x)`.
///
/// A ratio of polynomials in `x²` takes less than half the time, but rounds to 2e-7 of a share instead of 1e-7, and the
/// ten-step curves of PyTorch tell.
struct GeluErf;

impl Function for GeluErf {
    #[inline(always)]
    fn value<V: Vector>(x: V) -> V {
        x * normal(x).0
    }
    #[inline(always)]
    fn slope<V: Vector>(x: V) -> V {
        Self::both(x).1
    }
    #[inline(always)]
    fn both<V: Vector>(x: V) -> (V, V) {
        let (share, bell) = normal(x);
        (x * share, (x * bell).fma(V::splat(0.398_942_3), share))
    }
}

/// `x/2 (1 + tanh(u))`, which is `x σ(2u)`, with `u = √(2/π) (x + 0.044715 x³)`.
struct GeluTanh;

/// `2 √(2/π)`.
const TWICE_ROOT: f32 = (std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::SQRT_2) as f32;

impl GeluTanh {
    #[inline(always)]
    fn gate<V: Vector>(x: V) -> V {
        sigmoid(x * (x * x).fma(V::splat(TWICE_ROOT * 0.044_715), V::splat(TWICE_ROOT)))
    }
    #[inline(always)]
    fn slope_of<V: Vector>(x: V, gate: V) -> V {
        let inner = (x * x).fma(V::splat(TWICE_ROOT * 3.0 * 0.044_715), V::splat(TWICE_ROOT));
        (x * inner * gate).fma(V::splat(1.0) - gate, gate)
    }
}

impl Function for GeluTanh {
    #[inline(always)]
    fn value<V: Vector>(x: V) -> V {
        x * Self::gate(x)
    }
    #[inline(always)]
    fn slope<V: Vector>(x: V) -> V {
        Self::slope_of(x, Self::gate(x))
    }
    #[inline(always)]
    fn both<V: Vector>(x: V) -> (V, V) {
        let gate = Self::gate(x);
        (x * gate, Self::slope_of(x, gate))
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
        Self::both(x).1
    }
    #[inline(always)]
    fn both<V: Vector>(x: V) -> (V, V) {
        let y = tanh(x);
        (y, V::splat(1.0) - y * y)
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
fn both<V: Vector, F: Function>(dx: &mut [f32], activated: &mut [f32], x: &[f32]) {
    let whole = dx.len() - dx.len() % V::LANES;
    let vectors = activated.chunks_exact_mut(V::LANES).zip(x.chunks_exact(V::LANES));
    for (dx, (activated, x)) in dx.chunks_exact_mut(V::LANES).zip(vectors) {
        let (value, slope) = F::both(V::load(x));
        (V::load(activated) * slope).store(dx);
        value.store(activated);
    }
    if whole < dx.len() {
        let activated = &mut activated[whole..];
        let (value, slope) = F::both(V::load_first(&x[whole..]));
        (V::load_first(activated) * slope).store_first(&mut dx[whole..]);
        value.store_first(activated);
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
fn both_body<V: Vector>(dx: &mut [f32], activated: &mut [f32], x: &[f32], activation: Activation) {
    match activation {
        Activation::GeluErf => both::<V, GeluErf>(dx, activated, x),
        Activation::GeluTanh => both::<V, GeluTanh>(dx, activated, x),
        Activation::Relu => both::<V, Relu>(dx, activated, x),
        Activation::Tanh => both::<V, Tanh>(dx, activated, x),
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
    /// `y = f(x)`, slices of the same length, on this thread.
    pub(crate) forward_block(y: &mut [f32], x: &[f32], activation: Activation) = forward_body
);
kernel!(
    /// `dx = dy · f'(x)`, slices of the same length, on this thread.
    pub(crate) backward_block(dx: &mut [f32], dy: &[f32], x: &[f32], activation: Activation) = backward_body
);
kernel!(
    /// `dx = dy · f'(x)` and `activated = f(x)`, where `activated` holds `dy` before; slices of the same length, on this
    /// thread. The bits are those of [`backward_block`] and [`forward_block`].
    pub(crate) both_block(dx: &mut [f32], activated: &mut [f32], x: &[f32], activation: Activation) = both_body
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    /// The share of a standard normal variable below `x`, by the series of its density, in f64.
    fn normal_share(x: f64) -> f64 {
        let (mut term, mut sum, mut n) = (x, x, 1.0);
        while term.abs() > 1e-18 {
            term *= x * x / (2.0 * n + 1.0);
            sum += term;
            n += 1.0;
        }
        0.5 + sum * normal_density(x)
    }

    fn normal_density(x: f64) -> f64 {
        (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
    }

    #[test]
    fn gelu_is_exact_to_rounding() {
        let x: Vec<f32> = (-70_000..=70_000).map(|i| i as f32 * 1e-4).collect();
        for isa in Isa::available() {
            let (mut y, mut slope) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            forward_block(isa, &mut y, &x, Activation::GeluErf);
            backward_block(isa, &mut slope, &vec![1.0; x.len()], &x, Activation::GeluErf);
            for ((&x, y), slope) in x.iter().zip(y).zip(slope) {
                let x = f64::from(x);
                let (share, density) = (normal_share(x), normal_density(x));
                // As a share, since that is what the rounding of its sum with 1/2 is relative to.
                let off = (f64::from(y) - x * share).abs() / x.abs().max(1.0);
                assert!(off < 2.5e-7, "{isa:?}: gelu({x}) = {y}, not {}", x * share);
                let off = (f64::from(slope) - share - x * density).abs();
                assert!(off < 3e-7, "{isa:?}: gelu'({x}) = {slope}, not {}", share + x * density);
            }
        }
    }

    #[test]
    fn far_away_gelu_is_the_identity_or_nothing_and_not_a_number_shows() {
        let x = [1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        for isa in Isa::available() {
            for activation in [Activation::GeluErf, Activation::GeluTanh] {
                let mut y = [0.0; 5];
                forward_block(isa, &mut y, &x, activation);
                assert!((y[0] / 1e30 - 1.0).abs() < 3e-7, "{isa:?} {activation:?}: {y:?}");
                assert!(y[1].abs() < 1e-6 && y[2] == f32::INFINITY, "{isa:?} {activation:?}: {y:?}");
                assert!(y[4].is_nan(), "{isa:?} {activation:?}: {y:?}");
            }
        }
    }

    #[test]
    fn value_and_slope_together_have_the_bits_of_each_alone() {
        for isa in Isa::available() {
            for activation in [Activation::GeluErf, Activation::GeluTanh, Activation::Relu, Activation::Tanh] {
                for len in [1, 15, 16, 17, 100] {
                    let x: Vec<f32> = (0..len).map(|i| (i as f32 - 50.0) * 0.13).collect();
                    let dy: Vec<f32> = (0..len).map(|i| (i % 7) as f32 - 2.5).collect();
                    let (mut y, mut dx) = (vec![0.0; len], vec![0.0; len]);
                    forward_block(isa, &mut y, &x, activation);
                    backward_block(isa, &mut dx, &dy, &x, activation);
                    let (mut joint, mut activated) = (vec![0.0; len], dy);
                    both_block(isa, &mut joint, &mut activated, &x, activation);
                    assert_eq!((joint, activated), (dx, y), "{isa:?} {activation:?} {len}");
                }
            }
        }
    }
}
