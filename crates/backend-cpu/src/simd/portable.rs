//! Eight lanes in plain Rust, for any processor; the compiler turns them into SSE2 or NEON.

use super::{Vector, Wide, operators};

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

operators!(Portable);

impl Vector for Portable {
    const LANES: usize = 8;
    type Wide = Portable64;

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
    #[inline(always)]
    unsafe fn transpose(
        (to, to_stride): (*mut f32, usize),
        (from, from_stride): (*const f32, usize),
        factor: Option<Self>,
    ) {
        for row in 0..8 {
            for column in 0..8 {
                // SAFETY: the caller grants both places.
                unsafe {
                    let word = *from.add(row * from_stride + column);
                    *to.add(column * to_stride + row) = factor.map_or(word, |factor| word * factor.0[column]);
                }
            }
        }
    }
    #[inline(always)]
    fn keep(self, bits: Portable64, bound: u32) -> Self {
        let mut out = self.0;
        for lane in 0..8 {
            let bits = (bits.0[lane / 2] >> (32 * (lane % 2))) as u32;
            out[lane] = if bits >= bound { out[lane] } else { 0.0 };
        }
        Self(out)
    }
    #[inline(always)]
    fn keep_by_halves(mut numbers: [Self; 4], bits: (Portable64, Portable64), bound: u16) -> [Self; 4] {
        for (lane, numbers) in [0, 2, 1, 3].into_iter().zip(&mut numbers) {
            let (low, high) = (bits.0.0[lane], bits.1.0[lane]);
            for i in 0..8 {
                let word = if i < 4 { low } else { high };
                let bits = (word >> (16 * (i % 4))) as u16;
                numbers.0[i] = if bits >= bound { numbers.0[i] } else { 0.0 };
            }
        }
        numbers
    }
}

/// Four whole numbers.
#[derive(Clone, Copy)]
pub(crate) struct Portable64([u64; 4]);

impl Portable64 {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        let mut out = self.0;
        for lane in 0..4 {
            out[lane] = f(out[lane], other.0[lane]);
        }
        Self(out)
    }
}

/// The lower half of a number.
const LOWER: u64 = 0xFFFF_FFFF;

impl Wide for Portable64 {
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(value: u64) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    fn load(values: &[u64]) -> Self {
        Self([values[0], values[1], values[2], values[3]])
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.zip(other, u64::wrapping_add)
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.zip(other, |a, b| (a & LOWER) * (b & LOWER))
    }
    #[inline(always)]
    fn xor(self, other: Self, third: Self) -> Self {
        self.zip(other, |a, b| a ^ b).zip(third, |a, b| a ^ b)
    }
    #[inline(always)]
    fn upper(self) -> Self {
        self.zip(self, |a, _| a >> 32)
    }
    #[inline(always)]
    fn join(self, upper: Self) -> Self {
        self.zip(upper, |a, b| (a & LOWER) | (b << 32))
    }
    #[inline(always)]
    fn raise(self) -> Self {
        self.zip(self, |a, _| (a & 0xFFFF_0000_FFFF) << 16)
    }
}
