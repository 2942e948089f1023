//! Eight lanes in plain Rust, for any processor; the compiler turns them into SSE2 or NEON.

use super::{Vector, operators};

/// Eight numbers.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = self.0;
        for lane in 0..8 {
            out[lane] = f(out[lane], other.0[lane]);
        }
        Self(out)
    }
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        self.zip(self, |a, _| f(a))
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
}

operators!(Portable: Add add plus, Sub sub minus, Mul mul times, Div div over);

impl Vector for Portable {
    const LANES: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    unsafe fn read(at: *const f32) -> Self {
        // SAFETY: the caller grants eight readable numbers.
        Self(unsafe { at.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn write(self, at: *mut f32) {
        // SAFETY: the caller grants eight writable numbers.
        unsafe { at.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn fma(self, factor: Self, term: Self) -> Self {
        // Without the instruction `f32::mul_add` is a slow library call; aarch64 always has it.
        if cfg!(target_arch = "aarch64") {
            let mut out = term.0;
            for lane in 0..8 {
                out[lane] = self.0[lane].mul_add(factor.0[lane], out[lane]);
            }
            return Self(out);
        }
        self.times(factor).plus(term)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }
    #[inline(always)]
    fn round(self) -> Self {
        // Adding 1.5 · 2^23 leaves no bits for the fraction.
        self.map(|a| (a + 12_582_912.0) - 12_582_912.0)
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        self.map(|a| f32::from_bits(((a as i32).wrapping_add(127) as u32) << 23))
    }
    #[inline(always)]
    fn low_half(self) -> Self {
        self.map(|a| f32::from_bits(a.to_bits() << 16))
    }
    #[inline(always)]
    fn high_half(self) -> Self {
        self.map(|a| f32::from_bits(a.to_bits() & 0xFFFF_0000))
    }
    #[inline(always)]
    fn signed_byte<const SHIFT: u32>(self) -> Self {
        self.map(|a| ((a.to_bits() << SHIFT) as i32 >> 24) as f32)
    }
    #[inline(always)]
    fn select_less(self, bound: Self, then: Self, otherwise: Self) -> Self {
        let mut out = otherwise.0;
        for lane in 0..8 {
            out[lane] = if self.0[lane] < bound.0[lane] { then.0[lane] } else { out[lane] };
        }
        Self(out)
    }
}
