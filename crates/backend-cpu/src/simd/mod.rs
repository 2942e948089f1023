//! Vectors of `f32`, one type per instruction set, and the macro that compiles a kernel for each of them.
//!
//! A kernel is written once, as an `#[inline(always)]` function over `V: Vector`; [`kernel!`] wraps it in one function
//! per instruction set with the target features switched on, so that everything inlines into straight vector code.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

use std::ops::{Add, Div, Mul, Sub};

/// The nearest bf16, ties to even, as the lower half of a word; what is not a number stays none.
#[inline(always)]
pub(crate) fn bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + ((bits >> 16) & 1));
    (if value.is_nan() { bits | 0x0040_0000 } else { rounded }) >> 16
}

/// [`Vector::pairs`] in operations that the compiler makes vectors of.
#[inline(always)]
fn pairs_by_lane<V: Vector>(low: V, high: V) -> V {
    let (mut words, mut upper) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
    low.store(&mut words);
    high.store(&mut upper);
    for (word, &high) in words[..V::LANES].iter_mut().zip(&upper) {
        *word = f32::from_bits(bf16(*word) | (bf16(high) << 16));
    }
    V::load(&words)
}

/// [`Vector::neighbours`] in operations that the compiler makes vectors of.
#[inline(always)]
fn neighbours_by_lane<V: Vector>(first: V, second: V) -> V {
    let (mut numbers, mut words) = ([0.0; 2 * MAX_LANES], [0.0; MAX_LANES]);
    first.store(&mut numbers);
    second.store(&mut numbers[V::LANES..]);
    for (word, &[low, high]) in words[..V::LANES].iter_mut().zip(numbers.as_chunks().0) {
        *word = f32::from_bits(bf16(low) | (bf16(high) << 16));
    }
    V::load(&words)
}

/// The most lanes that any vector has.
pub(crate) const MAX_LANES: usize = 16;

/// A register of `LANES` numbers. All functions work lane by lane unless they say otherwise.
pub(crate) trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// Numbers in a register.
    const LANES: usize;
    /// The same register as whole numbers of 64 bits, `LANES / 2` of them.
    type Wide: Wide;

    /// The same number in every lane.
    fn splat(value: f32) -> Self;
    /// Reads `LANES` numbers.
    ///
    /// # Safety
    /// `at` is valid for reads of `LANES` numbers; no alignment is needed.
    unsafe fn read(at: *const f32) -> Self;
    /// Writes `LANES` numbers.
    ///
    /// # Safety
    /// `at` is valid for writes of `LANES` numbers; no alignment is needed.
    unsafe fn write(self, at: *mut f32);
    /// `self · factor + term`, in one rounding where the machine can.
    fn fma(self, factor: Self, term: Self) -> Self;
    /// The greater one; `other` where either is not a number.
    fn max(self, other: Self) -> Self;
    /// The lesser one; `other` where either is not a number.
    fn min(self, other: Self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The nearest whole number, for magnitudes below 2^22.
    fn round(self) -> Self;
    /// Two to the power of `self`, a whole number in -126..=127.
    fn power_of_two(self) -> Self;
    /// The lower halves of the words, read as bf16.
    fn low_half(self) -> Self;
    /// The upper halves of the words, read as bf16.
    fn high_half(self) -> Self;
    /// Words of two numbers in bf16, the nearest ones, ties to even: `low` in the lower half, `high` in the upper one. What
    /// is not a number stays none; numbers below the normal ones may become zero, as they do in products.
    #[inline(always)]
    fn pairs(low: Self, high: Self) -> Self {
        pairs_by_lane(low, high)
    }
    /// The same for `2 · LANES` numbers in order: each word has a number and the next.
    #[inline(always)]
    fn neighbours(first: Self, second: Self) -> Self {
        neighbours_by_lane(first, second)
    }
    /// The byte of each word that a shift to the left by `SHIFT` brings to the top, as a signed number.
    fn signed_byte<const SHIFT: u32>(self) -> Self;
    /// `then` where `self < bound`, else `otherwise`.
    fn select_less(self, bound: Self, then: Self, otherwise: Self) -> Self;
    /// `self` in the lanes whose 32 bits of `bits` are at least `bound`, else zero.
    fn keep(self, bits: Self::Wide, bound: u32) -> Self;
    /// Of `4 · LANES` numbers in order those whose 16 bits are at least `bound`, else zero. Eight successive numbers
    /// have their bits in one 64-bit lane of `bits.0`, then the same lane of `bits.1`: the first half of all numbers in
    /// the even lanes, the second half in the odd ones.
    fn keep_by_halves(numbers: [Self; 4], bits: (Self::Wide, Self::Wide), bound: u16) -> [Self; 4];

    /// Transposes `LANES` rows of `LANES` words, a stride apart, which may be numbers to be multiplied by `factor`.
    ///
    /// # Safety
    /// `from` is valid for reads of these rows at its stride, and `to` for writes at its own.
    unsafe fn transpose(to: (*mut f32, usize), from: (*const f32, usize), factor: Option<Self>);

    /// The first `LANES` of `values`.
    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        assert!(values.len() >= Self::LANES, "{} values for {} lanes", values.len(), Self::LANES);
        // SAFETY: the slice has at least `LANES` values.
        unsafe { Self::read(values.as_ptr()) }
    }
    /// Overwrites the first `LANES` of `values`.
    #[inline(always)]
    fn store(self, values: &mut [f32]) {
        assert!(values.len() >= Self::LANES, "{} values for {} lanes", values.len(), Self::LANES);
        // SAFETY: the slice has at least `LANES` values.
        unsafe { self.write(values.as_mut_ptr()) }
    }
    /// Fewer than `LANES` values, and zeros in the other lanes.
    #[inline(always)]
    fn load_first(values: &[f32]) -> Self {
        let mut lanes = [0.0; MAX_LANES];
        lanes[..values.len()].copy_from_slice(values);
        Self::load(&lanes)
    }
    /// Stores the first lanes only, as many as `values` holds.
    #[inline(always)]
    fn store_first(self, values: &mut [f32]) {
        let mut lanes = [0.0; MAX_LANES];
        self.store(&mut lanes);
        values.copy_from_slice(&lanes[..values.len()]);
    }
    /// The sum of all lanes, in pairs.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = [0.0; MAX_LANES];
        self.store(&mut lanes);
        let mut width = Self::LANES / 2;
        while width > 0 {
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
            width /= 2;
        }
        lanes[0]
    }
    /// The greatest of all lanes, none of which is other than a number.
    #[inline(always)]
    fn greatest(self) -> f32 {
        let mut lanes = [0.0; MAX_LANES];
        self.store(&mut lanes);
        let mut width = Self::LANES / 2;
        while width > 0 {
            for lane in 0..width {
                lanes[lane] = if lanes[lane] > lanes[lane + width] { lanes[lane] } else { lanes[lane + width] };
            }
            width /= 2;
        }
        lanes[0]
    }
    /// The magnitude.
    #[inline(always)]
    fn abs(self) -> Self {
        self.max(Self::splat(0.0) - self)
    }
}

/// A register of whole numbers, for the random bits of dropout. All functions work lane by lane.
pub(crate) trait Wide: Copy {
    /// Numbers in a register.
    const LANES: usize;

    /// The same number in every lane.
    fn splat(value: u64) -> Self;
    /// Reads the first `LANES` of `values`.
    fn load(values: &[u64]) -> Self;
    /// The sum, modulo 2^64.
    fn plus(self, other: Self) -> Self;
    /// The product of the lower 32 bits.
    fn times(self, other: Self) -> Self;
    /// Bits that are set in an odd number of the three.
    fn xor(self, other: Self, third: Self) -> Self;
    /// The upper 32 bits, moved down.
    fn upper(self) -> Self;
    /// The lower 32 bits, and above them those of `upper`.
    fn join(self, upper: Self) -> Self;
    /// In each half of a lane, its lower sixteen bits moved up.
    fn raise(self) -> Self;
}

/// Asks for `len` numbers to be brought into the first cache, where the machine has an instruction for it. Nothing is read:
/// the place may be anywhere.
#[inline(always)]
pub(crate) fn prefetch(at: *const f32, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..len).step_by(MAX_LANES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is part of x86-64 and has no effect but on caches, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(line).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, len);
}

/// Reads a number of every line of these values, so that they are in the caches afterwards.
pub(crate) fn read_through(values: &[f32]) {
    let bits = values.iter().step_by(MAX_LANES).fold(0, |bits, value| bits | value.to_bits());
    std::hint::black_box(bits);
}

/// Defines the operators of a vector type by its methods.
macro_rules! operators {
    ($vector:ty $(, const $generic:ident: $kind:ty)?) => {
        operators!($vector $(, const $generic: $kind)?: Add add plus);
        operators!($vector $(, const $generic: $kind)?: Sub sub minus);
        operators!($vector $(, const $generic: $kind)?: Mul mul times);
        operators!($vector $(, const $generic: $kind)?: Div div over);
    };
    ($vector:ty $(, const $generic:ident: $kind:ty)?: $operator:ident $name:ident $method:ident) => {
        impl $(<const $generic: $kind>)? std::ops::$operator for $vector {
            type Output = Self;
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                self.$method(other)
            }
        }
    };
}
pub(crate) use operators;

/// Compiles `$body::<V>` for every instruction set, as a function whose first argument chooses.
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? = $body:ident) => {
        $(#[$meta])* $vis fn $name(isa: $crate::Isa, $($arg: $ty),*) $(-> $out)? {
            $crate::simd::native!(avx2, "avx2,fma": $body::<Avx2>($($arg: $ty),*) $(-> $out)?);
            $crate::simd::native!(avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma":
                $body::<Avx512<false>>($($arg: $ty),*) $(-> $out)?);
            $crate::simd::native!(avx512_bf16, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512bf16,avx512vnni":
                $body::<Avx512<true>>($($arg: $ty),*) $(-> $out)?);
            match isa {
                #[cfg(target_arch = "x86_64")] // SAFETY: `Cpu::new` lets only available instruction sets in.
                $crate::Isa::Avx512Bf16 | $crate::Isa::Amx => unsafe { avx512_bf16($($arg),*) },
                #[cfg(target_arch = "x86_64")] // SAFETY: as above.
                $crate::Isa::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")] // SAFETY: as above.
                $crate::Isa::Avx2 => unsafe { avx2($($arg),*) },
                _ => $body::<$crate::simd::Portable>($($arg),*),
            }
        }
    };
}
pub(crate) use kernel;

/// A function with these features switched on, on machines that may have them.
macro_rules! native {
    ($name:ident, $features:literal: $body:ident::<$vector:ty>($($arg:ident: $ty:ty),*) $(-> $out:ty)?) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        fn $name($($arg: $ty),*) $(-> $out)? {
            use $crate::simd::*;
            $body::<$vector>($($arg),*)
        }
    };
}
pub(crate) use native;
