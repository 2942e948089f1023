//! What a step of a sum is: a word of 32 bits on the left times a word on the right.

use super::kernel::Scales;
use super::panel::WIDTH;
use crate::simd::Vector;
use std::marker::PhantomData;

/// The products that a word stands for, and the sums they are added to.
pub(super) trait Product {
    /// The registers.
    type Vector: Vector;
    /// Where the sums of a vector of columns begin. Zeros are read from memory as well: zeros that the compiler knows of
    /// make it clear the sums in memory first instead of in registers.
    #[inline(always)]
    fn begin(scales: Scales<'_>, column: usize) -> Self::Vector {
        let begin = &scales.begin[column..column + Self::Vector::LANES];
        // SAFETY: the slice has a register's length; any bits may be read as numbers.
        unsafe { Self::Vector::read(begin.as_ptr().cast()) }
    }
    /// `sum + left · right`, with the same left word for every lane.
    fn step(left: f32, right: Self::Vector, sum: Self::Vector) -> Self::Vector;
    /// The numbers that the sums of the first row stand for: themselves, unless there are scales.
    #[inline(always)]
    fn finish(sum: Self::Vector, _: Scales<'_>, _: usize) -> Self::Vector {
        sum
    }
}

/// A number in f32.
pub(super) struct Singles<V>(PhantomData<V>);

impl<V: Vector> Product for Singles<V> {
    type Vector = V;
    #[inline(always)]
    fn step(left: f32, right: V, sum: V) -> V {
        V::splat(left).fma(right, sum)
    }
}

/// Two numbers in bf16, on machines without instructions for them: each is the upper half of a number in f32.
pub(super) struct Pairs<V>(PhantomData<V>);

impl<V: Vector> Product for Pairs<V> {
    type Vector = V;
    #[inline(always)]
    fn step(left: f32, right: V, sum: V) -> V {
        let word = left.to_bits();
        let (low, high) = (f32::from_bits(word << 16), f32::from_bits(word & 0xFFFF_0000));
        V::splat(low).fma(right.low_half(), V::splat(high).fma(right.high_half(), sum))
    }
}

/// Four numbers of eight bits, on machines without instructions for them. All sums are whole numbers below 2^24, so
/// f32 holds them exactly: a strip has at most 1,024 products below 2^14.
pub(super) struct Quads<V>(PhantomData<V>);

impl<V: Vector> Product for Quads<V> {
    type Vector = V;
    #[inline(always)]
    fn begin(_: Scales<'_>, _: usize) -> V {
        V::splat(0.0)
    }
    #[inline(always)]
    fn step(left: f32, right: V, sum: V) -> V {
        let [a, b, c, d] = left.to_bits().to_le_bytes().map(|byte| V::splat(f32::from(byte) - 128.0));
        let sum = a.fma(right.signed_byte::<24>(), sum);
        let sum = b.fma(right.signed_byte::<16>(), sum);
        let sum = c.fma(right.signed_byte::<8>(), sum);
        d.fma(right.signed_byte::<0>(), sum)
    }
    #[inline(always)]
    fn finish(sum: V, scales: Scales<'_>, column: usize) -> V {
        scaled(sum, scales, column)
    }
}

/// Sums times the scale of their row and of their columns.
#[inline(always)]
fn scaled<V: Vector>(sum: V, scales: Scales<'_>, column: usize) -> V {
    debug_assert!(column + V::LANES <= WIDTH);
    // SAFETY: eight-bit strips have a scale for each of their rows, and this is one of them.
    let row = V::splat(unsafe { *scales.rows });
    sum * (row * V::load(&scales.columns[column..]))
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{NativePairs, NativeQuads};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Product, Scales, scaled};
    use crate::simd::Vector;
    use std::arch::x86_64::*;

    type Avx512 = crate::simd::Avx512<true>;

    /// Two numbers in bf16, by `vdpbf16ps`.
    pub(in super::super) struct NativePairs;

    impl Product for NativePairs {
        type Vector = Avx512;
        #[inline(always)]
        fn step(left: f32, right: Avx512, sum: Avx512) -> Avx512 {
            // SAFETY: this type occurs only in kernels that run after the instructions were detected.
            unsafe {
                let pairs = |v: Avx512| std::mem::transmute::<__m512, __m512bh>(v.register());
                Avx512::of(_mm512_dpbf16_ps(sum.register(), pairs(right), pairs(Avx512::splat(left))))
            }
        }
    }

    /// Four numbers of eight bits, by `vpdpbusd`; sums are whole numbers of 32 bits.
    pub(in super::super) struct NativeQuads;

    impl Product for NativeQuads {
        type Vector = Avx512;
        #[inline(always)]
        fn step(left: f32, right: Avx512, sum: Avx512) -> Avx512 {
            // SAFETY: this type occurs only in kernels that run after the instructions were detected.
            unsafe {
                let words = |v: Avx512| _mm512_castps_si512(v.register());
                let sum = _mm512_dpbusd_epi32(words(sum), words(Avx512::splat(left)), words(right));
                Avx512::of(_mm512_castsi512_ps(sum))
            }
        }
        #[inline(always)]
        fn finish(sum: Avx512, scales: Scales<'_>, column: usize) -> Avx512 {
            // SAFETY: as above.
            let numbers = unsafe { _mm512_cvtepi32_ps(_mm512_castps_si512(sum.register())) };
            scaled(Avx512::of(numbers), scales, column)
        }
    }
}
