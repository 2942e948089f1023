//! Element-wise functions, their slopes, and addition.

use super::math::{normal, polynomial, sigmoid, tanh};
use crate::parallel::GRAIN;
use crate::simd::{Vector, kernel};
use crate::{Cpu, Precision};
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
/// [`GeluErfRatio`] takes less than half the time, but rounds to 2e-7 of a share instead of 1e-7, and the ten-step
/// curves of PyTorch in f32 tell.
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

/// The same as a ratio of polynomials, for machines whose products round their operands to eight bits anyway.
///
/// Both `Φ - 1/2` and the slope less 1/2 are odd functions of `x`, smooth enough for `x P(x²) / Q(x²)` with the same
/// `Q`: up to |x| = 5.8 within 2.1e-8, fitted by least squares with weights that even out the error. Beyond that they
/// are constant within 1.2e-7.
struct GeluErfRatio;

impl GeluErfRatio {
    const LIMIT: f32 = 5.8;
    const SHARE: [f32; 8] = [
        0.398_942_38,
        0.046_637_103,
        0.006_119_345,
        0.000_351_588_18,
        1.638_900_2e-5,
        3.990_625_2e-7,
        2.057_545e-9,
        -3.523_77e-12,
    ];
    const SLOPE: [f32; 8] = [
        0.797_884_46,
        -0.039_704_915,
        0.014_421_354,
        -0.000_106_589_185,
        3.200_058_6e-5,
        7.210_716e-8,
        5.936_745e-9,
        -2.354_900_3e-11,
    ];
    const DENOMINATOR: [f32; 7] =
        [1.0, 0.283_569_87, 0.037_598_71, 0.003_036_006, 0.000_161_136_78, 5.661_904_6e-6, 7.932_715e-8];

    /// `x²` and `x / Q(x²)`, within the limit; what is no number stays none.
    #[inline(always)]
    fn ratio<V: Vector>(x: V) -> (V, V) {
        let x = V::splat(-Self::LIMIT).max(V::splat(Self::LIMIT).min(x));
        let square = x * x;
        (square, x / polynomial(Self::DENOMINATOR, square))
    }
    #[inline(always)]
    fn value_of<V: Vector>(x: V, (square, ratio): (V, V)) -> V {
        // What little the share is off must not grow with `x` on the left.
        polynomial(Self::SHARE, square).fma(ratio, V::splat(0.5)) * V::splat(-Self::LIMIT).max(x)
    }
    #[inline(always)]
    fn slope_of<V: Vector>((square, ratio): (V, V)) -> V {
        polynomial(Self::SLOPE, square).fma(ratio, V::splat(0.5))
    }
}

impl Function for GeluErfRatio {
    #[inline(always)]
    fn value<V: Vector>(x: V) -> V {
        Self::value_of(x, Self::ratio(x))
    }
    #[inline(always)]
    fn slope<V: Vector>(x: V) -> V {
        Self::slope_of(Self::ratio(x))
    }
    #[inline(always)]
    fn both<V: Vector>(x: V) -> (V, V) {
        let parts = Self::ratio(x);
        (Self::value_of(x, parts), Self::slope_of(parts))
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

/// `x σ(x)`, whose slope is `σ + x σ (1 - σ)`.
struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn value<V: Vector>(x: V) -> V {
        x * sigmoid(x)
    }
    #[inline(always)]
    fn slope<V: Vector>(x: V) -> V {
        Self::both(x).1
    }
    #[inline(always)]
    fn both<V: Vector>(x: V) -> (V, V) {
        let share = sigmoid(x);
        let value = x * share;
        (value, value.fma(V::splat(1.0) - share, share))
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
fn values_in_place<V: Vector, F: Function>(y: &mut [f32]) {
    let mut vectors = y.chunks_exact_mut(V::LANES);
    for y in vectors.by_ref() {
        F::value(V::load(y)).store(y);
    }
    let rest = vectors.into_remainder();
    F::value(V::load_first(rest)).store_first(rest);
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

/// A function in the form that a kernel computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    GeluErf,
    GeluErfRatio,
    GeluTanh,
    Relu,
    Tanh,
    Silu,
}

impl Form {
    /// The form of a function that is exact enough for the products beside it.
    pub(crate) fn of(cpu: &Cpu, activation: Activation) -> Self {
        match activation {
            Activation::GeluErf if cpu.precision() == Precision::F32 => Self::GeluErf,
            Activation::GeluErf => Self::GeluErfRatio,
            Activation::GeluTanh => Self::GeluTanh,
            Activation::Relu => Self::Relu,
            Activation::Tanh => Self::Tanh,
            Activation::Silu => Self::Silu,
        }
    }
}

#[inline(always)]
fn forward_body<V: Vector>(y: &mut [f32], x: &[f32], form: Form) {
    match form {
        Form::GeluErf => values::<V, GeluErf>(y, x),
        Form::GeluErfRatio => values::<V, GeluErfRatio>(y, x),
        Form::GeluTanh => values::<V, GeluTanh>(y, x),
        Form::Relu => values::<V, Relu>(y, x),
        Form::Tanh => values::<V, Tanh>(y, x),
        Form::Silu => values::<V, Silu>(y, x),
    }
}

#[inline(always)]
fn in_place_body<V: Vector>(y: &mut [f32], form: Form) {
    match form {
        Form::GeluErf => values_in_place::<V, GeluErf>(y),
        Form::GeluErfRatio => values_in_place::<V, GeluErfRatio>(y),
        Form::GeluTanh => values_in_place::<V, GeluTanh>(y),
        Form::Relu => values_in_place::<V, Relu>(y),
        Form::Tanh => values_in_place::<V, Tanh>(y),
        Form::Silu => values_in_place::<V, Silu>(y),
    }
}

#[inline(always)]
fn backward_body<V: Vector>(dx: &mut [f32], dy: &[f32], x: &[f32], form: Form) {
    match form {
        Form::GeluErf => slopes::<V, GeluErf>(dx, dy, x),
        Form::GeluErfRatio => slopes::<V, GeluErfRatio>(dx, dy, x),
        Form::GeluTanh => slopes::<V, GeluTanh>(dx, dy, x),
        Form::Relu => slopes::<V, Relu>(dx, dy, x),
        Form::Tanh => slopes::<V, Tanh>(dx, dy, x),
        Form::Silu => slopes::<V, Silu>(dx, dy, x),
    }
}

#[inline(always)]
fn both_body<V: Vector>(dx: &mut [f32], activated: &mut [f32], x: &[f32], form: Form) {
    match form {
        Form::GeluErf => both::<V, GeluErf>(dx, activated, x),
        Form::GeluErfRatio => both::<V, GeluErfRatio>(dx, activated, x),
        Form::GeluTanh => both::<V, GeluTanh>(dx, activated, x),
        Form::Relu => both::<V, Relu>(dx, activated, x),
        Form::Tanh => both::<V, Tanh>(dx, activated, x),
        Form::Silu => both::<V, Silu>(dx, activated, x),
    }
}

/// `y += x`, slices of the same length.
#[inline(always)]
pub(crate) fn add_body<V: Vector>(y: &mut [f32], x: &[f32]) {
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
    pub(crate) forward_block(y: &mut [f32], x: &[f32], form: Form) = forward_body
);
kernel!(
    /// `y = f(y)` on this thread. The bits are those of [`forward_block`].
    pub(crate) in_place_block(y: &mut [f32], form: Form) = in_place_body
);
kernel!(
    /// `dx = dy · f'(x)`, slices of the same length, on this thread.
    pub(crate) backward_block(dx: &mut [f32], dy: &[f32], x: &[f32], form: Form) = backward_body
);
kernel!(
    /// `dx = dy · f'(x)` and `activated = f(x)`, where `activated` holds `dy` before; slices of the same length, on this
    /// thread. The bits are those of [`backward_block`] and [`forward_block`].
    pub(crate) both_block(dx: &mut [f32], activated: &mut [f32], x: &[f32], form: Form) = both_body
);
kernel!(
    /// `y += x`, slices of the same length.
    pub(crate) add_block(y: &mut [f32], x: &[f32]) = add_body
);

/// `y = f(x)`, slices of the same length.
pub(crate) fn forward(cpu: &Cpu, y: &mut [f32], x: &[f32], activation: Activation) {
    let form = Form::of(cpu, activation);
    cpu.chunks([(y, GRAIN)], |i, [y]| forward_block(cpu.isa(), y, &x[i * GRAIN..][..y.len()], form));
}

/// `dx = dy · f'(x)`, slices of the same length.
pub(crate) fn backward(cpu: &Cpu, dx: &mut [f32], dy: &[f32], x: &[f32], activation: Activation) {
    let form = Form::of(cpu, activation);
    cpu.chunks([(dx, GRAIN)], |i, [dx]| {
        let range = i * GRAIN..i * GRAIN + dx.len();
        backward_block(cpu.isa(), dx, &dy[range.clone()], &x[range], form);
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
        let forms = [Form::GeluErf, Form::GeluErfRatio];
        for (isa, form) in Isa::available().into_iter().flat_map(|isa| forms.map(|form| (isa, form))) {
            let (mut y, mut slope) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            forward_block(isa, &mut y, &x, form);
            backward_block(isa, &mut slope, &vec![1.0; x.len()], &x, form);
            for ((&x, y), slope) in x.iter().zip(y).zip(slope) {
                let x = f64::from(x);
                let (share, density) = (normal_share(x), normal_density(x));
                // As a share, since that is what the rounding of its sum with 1/2 is relative to.
                let off = (f64::from(y) - x * share).abs() / x.abs().max(1.0);
                assert!(off < 3e-7, "{isa:?} {form:?}: gelu({x}) = {y}, not {}", x * share);
                let off = (f64::from(slope) - share - x * density).abs();
                assert!(off < 3e-7, "{isa:?} {form:?}: gelu'({x}) = {slope}, not {}", share + x * density);
            }
        }
    }

    #[test]
    fn far_away_gelu_and_silu_are_the_identity_or_nothing_and_not_a_number_shows() {
        let x = [1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        for isa in Isa::available() {
            for form in [Form::GeluErf, Form::GeluErfRatio, Form::GeluTanh, Form::Silu] {
                let mut y = [0.0; 5];
                forward_block(isa, &mut y, &x, form);
                assert!((y[0] / 1e30 - 1.0).abs() < 3e-7, "{isa:?} {form:?}: {y:?}");
                assert!(y[1].abs() < 1e-6 && y[2] == f32::INFINITY, "{isa:?} {form:?}: {y:?}");
                assert!(y[4].is_nan(), "{isa:?} {form:?}: {y:?}");
            }
        }
    }

    #[test]
    fn value_and_slope_together_have_the_bits_of_each_alone() {
        for isa in Isa::available() {
            for form in [Form::GeluErf, Form::GeluErfRatio, Form::GeluTanh, Form::Relu, Form::Tanh, Form::Silu] {
                for len in [1, 15, 16, 17, 100] {
                    let x: Vec<f32> = (0..len).map(|i| (i as f32 - 50.0) * 0.13).collect();
                    let dy: Vec<f32> = (0..len).map(|i| (i % 7) as f32 - 2.5).collect();
                    let (mut y, mut dx) = (vec![0.0; len], vec![0.0; len]);
                    forward_block(isa, &mut y, &x, form);
                    backward_block(isa, &mut dx, &dy, &x, form);
                    let (mut joint, mut activated) = (vec![0.0; len], dy);
                    both_block(isa, &mut joint, &mut activated, &x, form);
                    assert_eq!((joint, activated), (dx, y), "{isa:?} {form:?} {len}");
                }
            }
        }
    }
}
