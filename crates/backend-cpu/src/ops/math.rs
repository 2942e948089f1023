//! The exponential and its relatives on vectors, to about one unit in the last place.

use crate::simd::Vector;

/// Below this the exponential is taken as zero, so that it never leaves the normal numbers.
const EXP_UNDERFLOW: f32 = -87.0;
/// Above this it is taken as that of this bound, 2.4e38.
const EXP_OVERFLOW: f32 = 88.37;

/// `x = n ln 2 + r` with whole `n` and small `r`; returns `(2^n, e^r - 1)`.
#[inline(always)]
fn split_exp<V: Vector>(x: V) -> (V, V) {
    let n = (x * V::splat(std::f32::consts::LOG2_E)).round();
    // ln 2 in two parts, the first with so few bits that its product with n is exact.
    let r = n.fma(V::splat(-0.693_359_4), x);
    let r = n.fma(V::splat(2.121_944_4e-4), r);
    // The Taylor series to the seventh power: 5e-9 at |r| = ln 2 / 2.
    let mut series = V::splat(1.0 / 5040.0);
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        series = series.fma(r, V::splat(coefficient));
    }
    (n.power_of_two(), (series * r).fma(r, r))
}

/// `e^x`; zero below -87, and that of 88.37 above it.
#[inline(always)]
pub(crate) fn exp<V: Vector>(x: V) -> V {
    let low = V::splat(EXP_UNDERFLOW);
    let (power, rest) = split_exp(low.max(V::splat(EXP_OVERFLOW).min(x)));
    x.select_less(low, V::splat(0.0), power.fma(rest, power))
}

/// The hyperbolic tangent: `(e^2x - 1) / (e^2x + 1)` without cancellation near zero.
#[inline(always)]
pub(crate) fn tanh<V: Vector>(x: V) -> V {
    let (power, rest) = split_exp(V::splat(20.0).min((x + x).abs()));
    let minus_one = power.fma(rest, power - V::splat(1.0));
    let size = minus_one / (minus_one + V::splat(2.0));
    x.select_less(V::splat(0.0), V::splat(0.0) - size, size)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<V: Vector>(x: V) -> V {
    V::splat(1.0) / (V::splat(1.0) + exp(V::splat(0.0) - x))
}

/// The natural logarithm of a normal number, in operations that the compiler makes vectors of; not a number for one that
/// is none or infinite.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // x = 2^n m with m from 2/3 up to 4/3, the bits of which differ by as much as those of x.
    let n = (x.to_bits().wrapping_sub(0x3F2A_AAAB) as i32) >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub((n as u32) << 23));
    // ln m = 2 artanh t; its series up to t^11 is off by a relative 3e-10 at most.
    let t = (m - 1.0) / (m + 1.0);
    let square = t * t;
    let mut series = 1.0 / 11.0;
    for divisor in [9.0, 7.0, 5.0, 3.0] {
        series = series * square + 1.0 / divisor;
    }
    let double = t + t;
    // The last term is zero, or not a number where `x` is no finite number.
    n as f32 * std::f32::consts::LN_2 + (series * square * double + double) + 0.0 * x
}

/// `Σ coefficients[i] x^i`.
#[inline(always)]
pub(crate) fn polynomial<V: Vector, const N: usize>(coefficients: [f32; N], x: V) -> V {
    let mut sum = V::splat(coefficients[N - 1]);
    for i in (0..N - 1).rev() {
        sum = sum.fma(x, V::splat(coefficients[i]));
    }
    sum
}

/// The standard normal distribution at `x`: its cumulative share and its density times √(2π).
#[inline(always)]
pub(crate) fn normal<V: Vector>(x: V) -> (V, V) {
    let size = x.abs();
    let bell = exp(V::splat(-0.5) * x * x);
    // The tail beyond |x|, divided by e^(-x²/2), as a polynomial in t = 1 / (1 + 0.24 |x|), fitted to the scaled
    // complementary error function with a relative error of 3e-9 for |x| up to 14, where the tail vanishes in f32.
    let t = V::splat(1.0) / size.fma(V::splat(0.24), V::splat(1.0));
    let mut tail = V::splat(0.025_473_633);
    for coefficient in [
        -0.124_336_15,
        0.204_727_5,
        -0.143_198_39,
        0.140_492_28,
        0.028_711_817,
        0.087_552_66,
        0.088_983_42,
        0.095_850_82,
        0.095_742_437,
    ] {
        tail = tail.fma(t, V::splat(coefficient));
    }
    let tail = tail * t * bell;
    let far = x.select_less(V::splat(0.0), tail, V::splat(1.0) - tail);
    (size.select_less(V::splat(1.0), near_share(x), far), bell)
}

/// The cumulative share for `|x| <= 1`, by the Taylor series `1/2 + x/√(2π) Σ (-x²/2)^n / (n! (2n + 1))`, whose
/// terms cancel less than those of the tail.
#[inline(always)]
fn near_share<V: Vector>(x: V) -> V {
    let half = V::splat(-0.5) * x * x;
    let mut series = V::splat(1.0 / (5040.0 * 15.0));
    for divisor in [720.0 * 13.0, 120.0 * 11.0, 24.0 * 9.0, 6.0 * 7.0, 2.0 * 5.0, 3.0, 1.0] {
        series = series.fma(half, V::splat(1.0 / divisor));
    }
    (x * series).fma(V::splat(0.398_942_3), V::splat(0.5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::simd::kernel;

    #[inline(always)]
    fn all_body<V: Vector>(x: &[f32; 16], out: &mut [[f32; 16]; 3]) {
        for first in (0..16).step_by(V::LANES) {
            let v = V::load(&x[first..]);
            for (values, result) in out.iter_mut().zip([exp(v), tanh(v), sigmoid(v)]) {
                result.store(&mut values[first..]);
            }
        }
    }
    kernel!(all(x: &[f32; 16], out: &mut [[f32; 16]; 3]) = all_body);

    /// The three functions at sixteen points between `low` and `high`, for every instruction set.
    fn for_each_point(low: f64, high: f64, check: impl Fn(f64, [f64; 3])) {
        for isa in Isa::available() {
            for block in 0..2000 {
                let x: [f32; 16] =
                    std::array::from_fn(|i| (low + (high - low) * (block * 16 + i) as f64 / 32_000.0) as f32);
                let mut out = [[0.0; 16]; 3];
                all(isa, &x, &mut out);
                for i in 0..16 {
                    check(f64::from(x[i]), std::array::from_fn(|f| f64::from(out[f][i])));
                }
            }
        }
    }

    #[test]
    fn exp_tanh_and_sigmoid_are_within_a_few_units_in_the_last_place() {
        for_each_point(-86.9, 88.3, |x, [e, _, _]| {
            assert!((e / x.exp() - 1.0).abs() < 2e-7, "exp({x}) = {e}");
        });
        for_each_point(-12.0, 12.0, |x, [_, t, s]| {
            assert!((t - x.tanh()).abs() <= 2.5e-7 * x.tanh().abs(), "tanh({x}) = {t}");
            assert!((s * (1.0 + (-x).exp()) - 1.0).abs() < 4e-7, "sigmoid({x}) = {s}");
        });
        for_each_point(-1e-3, 1e-3, |x, [_, t, _]| {
            assert!((t - x.tanh()).abs() <= 2.5e-7 * x.abs(), "tanh({x}) = {t}");
        });
    }

    #[test]
    fn ln_is_within_a_few_units_in_the_last_place() {
        for i in 1..200_000 {
            let x = 1e-3 * 1.000_2_f32.powi(i % 100_000) + i as f32 * 1e-5;
            let exact = f64::from(x).ln();
            assert!((f64::from(ln(x)) - exact).abs() < 1.5e-7 * exact.abs().max(1.0), "ln({x}) = {}", ln(x));
        }
        assert_eq!(ln(1.0), 0.0);
        assert!(ln(f32::NAN).is_nan() && ln(f32::INFINITY).is_nan());
    }

    #[test]
    fn the_ends_of_the_line_are_what_attention_and_the_loss_rely_on() {
        for isa in Isa::available() {
            let mut x = [f32::NEG_INFINITY; 16];
            x[1] = f32::NAN;
            x[2] = 1e30;
            x[3] = -1e30;
            let mut out = [[0.0; 16]; 3];
            all(isa, &x, &mut out);
            assert_eq!(out[0][0], 0.0);
            assert!(out.iter().all(|values| values[1].is_nan()), "{out:?}");
            assert!(out[0][2].is_finite());
            assert_eq!([out[1][2], out[1][3]], [1.0, -1.0]);
            assert_eq!(out[2][2], 1.0);
        }
    }
}
