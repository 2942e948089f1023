//! The vectors of x86-64: eight lanes of AVX2 with FMA, sixteen lanes of AVX-512.

use super::{Vector, Wide, neighbours_by_lane, operators, pairs_by_lane};
use std::arch::x86_64::*;

/// Eight numbers in a `ymm` register.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

/// Sixteen numbers in a `zmm` register; with `NARROW` on a machine with instructions for bf16 and eight bits.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const NARROW: bool>(__m512);

/// Methods that are one instruction on whole registers.
macro_rules! instructions {
    ($($name:ident($($other:ident),*) = $instruction:ident),* $(,)?) => {$(
        #[inline(always)]
        fn $name(self, $($other: Self),*) -> Self {
            // SAFETY: these types occur only in kernels that run after their instruction set was detected.
            Self(unsafe { $instruction(self.0, $($other.0),*) })
        }
    )*};
}

/// The sum of four numbers, in the pairs of [`Vector::sum`].
#[inline(always)]
fn sum(four: __m128) -> f32 {
    // SAFETY: these instructions are those of every x86-64.
    unsafe {
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

impl Avx2 {
    instructions!(
        plus(other) = _mm256_add_ps,
        minus(other) = _mm256_sub_ps,
        times(other) = _mm256_mul_ps,
        over(other) = _mm256_div_ps,
    );
}

operators!(Avx2);

impl Vector for Avx2 {
    const LANES: usize = 8;
    type Wide = Avx2Wide;

    instructions!(
        fma(factor, term) = _mm256_fmadd_ps,
        max(other) = _mm256_max_ps,
        min(other) = _mm256_min_ps,
        sqrt() = _mm256_sqrt_ps,
    );

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: AVX2 was detected, as for every method of this type.
        Self(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn read(at: *const f32) -> Self {
        // SAFETY: the caller grants eight readable numbers.
        Self(unsafe { _mm256_loadu_ps(at) })
    }
    #[inline(always)]
    unsafe fn write(self, at: *mut f32) {
        // SAFETY: the caller grants eight writable numbers.
        unsafe { _mm256_storeu_ps(at, self.0) }
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: AVX2 was detected, as for every method of this type.
        Self(unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: AVX2 was detected, as for every method of this type.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    fn low_half(self) -> Self {
        // SAFETY: the instruction set was detected, as for every method of this type.
        unsafe {
            let words = _mm256_castps_si256(self.0);
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(words)))
        }
    }
    #[inline(always)]
    fn high_half(self) -> Self {
        // SAFETY: the instruction set was detected, as for every method of this type.
        unsafe {
            let words = _mm256_castps_si256(self.0);
            Self(_mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32(0xFFFF_0000_u32 as i32))))
        }
    }
    #[inline(always)]
    fn signed_byte<const SHIFT: u32>(self) -> Self {
        // SAFETY: the instruction set was detected, as for every method of this type.
        unsafe {
            let words = _mm256_castps_si256(self.0);
            let top = _mm256_sll_epi32(words, _mm_cvtsi32_si128(SHIFT as i32));
            Self(_mm256_cvtepi32_ps(_mm256_srai_epi32::<24>(top)))
        }
    }
    #[inline(always)]
    fn select_less(self, bound: Self, then: Self, otherwise: Self) -> Self {
        // SAFETY: AVX2 was detected, as for every method of this type.
        unsafe {
            let mask = _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, bound.0);
            Self(_mm256_blendv_ps(otherwise.0, then.0, mask))
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: AVX2 was detected, as for every method of this type.
        unsafe { sum(_mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0))) }
    }
    #[inline(always)]
    unsafe fn transpose(
        (to, to_stride): (*mut f32, usize),
        (from, from_stride): (*const f32, usize),
        factor: Option<Self>,
    ) {
        // SAFETY: AVX2 was detected, and the caller grants all rows.
        unsafe {
            // Four columns of four rows in each half of a register, for the upper and the lower rows.
            let mut fours = [_mm256_setzero_ps(); 8];
            for (group, fours) in fours.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let row = |i: usize| {
                    let row = _mm256_loadu_ps(from.add((4 * group + i) * from_stride));
                    factor.map_or(row, |factor| _mm256_mul_ps(row, factor.0))
                };
                let (low, high) = (_mm256_unpacklo_ps(row(0), row(1)), _mm256_unpackhi_ps(row(0), row(1)));
                let (low, high) = (_mm256_castps_pd(low), _mm256_castps_pd(high));
                let (lower, higher) = (_mm256_unpacklo_ps(row(2), row(3)), _mm256_unpackhi_ps(row(2), row(3)));
                let (lower, higher) = (_mm256_castps_pd(lower), _mm256_castps_pd(higher));
                fours[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, lower));
                fours[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, lower));
                fours[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high, higher));
                fours[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high, higher));
            }
            for c in 0..4 {
                let (upper, lower) = (fours[c], fours[4 + c]);
                _mm256_storeu_ps(to.add(c * to_stride), _mm256_permute2f128_ps::<0x20>(upper, lower));
                _mm256_storeu_ps(to.add((4 + c) * to_stride), _mm256_permute2f128_ps::<0x31>(upper, lower));
            }
        }
    }
    #[inline(always)]
    fn keep(self, bits: Avx2Wide, bound: u32) -> Self {
        // SAFETY: AVX2 was detected, as for every method of this type.
        unsafe {
            // There is no unsigned comparison, but the greater of two is the first just if it is not less.
            let kept = _mm256_cmpeq_epi32(_mm256_max_epu32(bits.0, _mm256_set1_epi32(bound as i32)), bits.0);
            Self(_mm256_and_ps(self.0, _mm256_castsi256_ps(kept)))
        }
    }
    #[inline(always)]
    fn keep_by_halves(numbers: [Self; 4], bits: (Avx2Wide, Avx2Wide), bound: u16) -> [Self; 4] {
        // SAFETY: AVX2 was detected, as for every method of this type.
        unsafe {
            let bound = _mm256_set1_epi16(bound as i16);
            let first = _mm256_unpacklo_epi64(bits.0.0, bits.1.0);
            let second = _mm256_unpackhi_epi64(bits.0.0, bits.1.0);
            let first = _mm256_cmpeq_epi16(_mm256_max_epu16(first, bound), first);
            let second = _mm256_cmpeq_epi16(_mm256_max_epu16(second, bound), second);
            let keep = |numbers: Self, kept: __m128i| {
                Self(_mm256_and_ps(numbers.0, _mm256_castsi256_ps(_mm256_cvtepi16_epi32(kept))))
            };
            [
                keep(numbers[0], _mm256_castsi256_si128(first)),
                keep(numbers[1], _mm256_extracti128_si256::<1>(first)),
                keep(numbers[2], _mm256_castsi256_si128(second)),
                keep(numbers[3], _mm256_extracti128_si256::<1>(second)),
            ]
        }
    }
}

/// Of thirty-two halves one of the first sixteen, one of the others, and so on.
const ALTERNATE: [u16; 32] = {
    let mut order = [0; 32];
    let mut place = 0;
    while place < 32 {
        order[place] = (place / 2 + place % 2 * 16) as u16;
        place += 1;
    }
    order
};

impl<const NARROW: bool> Avx512<NARROW> {
    /// The register.
    #[inline(always)]
    pub(crate) fn register(self) -> __m512 {
        self.0
    }
    /// The numbers in a register.
    #[inline(always)]
    pub(crate) fn of(register: __m512) -> Self {
        Self(register)
    }
    instructions!(
        plus(other) = _mm512_add_ps,
        minus(other) = _mm512_sub_ps,
        times(other) = _mm512_mul_ps,
        over(other) = _mm512_div_ps,
    );
}

operators!(Avx512<NARROW>, const NARROW: bool);

impl<const NARROW: bool> Vector for Avx512<NARROW> {
    const LANES: usize = 16;
    type Wide = Avx512Wide;

    instructions!(
        fma(factor, term) = _mm512_fmadd_ps,
        max(other) = _mm512_max_ps,
        min(other) = _mm512_min_ps,
        sqrt() = _mm512_sqrt_ps,
    );

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn read(at: *const f32) -> Self {
        // SAFETY: the caller grants sixteen readable numbers.
        Self(unsafe { _mm512_loadu_ps(at) })
    }
    #[inline(always)]
    unsafe fn write(self, at: *mut f32) {
        // SAFETY: the caller grants sixteen writable numbers.
        unsafe { _mm512_storeu_ps(at, self.0) }
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        Self(unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    fn low_half(self) -> Self {
        // SAFETY: the instruction set was detected, as for every method of this type.
        unsafe {
            let words = _mm512_castps_si512(self.0);
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)))
        }
    }
    #[inline(always)]
    fn high_half(self) -> Self {
        // SAFETY: the instruction set was detected, as for every method of this type.
        unsafe {
            let words = _mm512_castps_si512(self.0);
            Self(_mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(0xFFFF_0000_u32 as i32))))
        }
    }
    #[inline(always)]
    fn pairs(low: Self, high: Self) -> Self {
        if !NARROW {
            return pairs_by_lane(low, high);
        }
        // SAFETY: `NARROW` says that the instructions were detected.
        unsafe {
            let halves = Self::neighbours(low, high).0;
            let alternate = _mm512_loadu_si512(ALTERNATE.as_ptr().cast());
            Self(_mm512_castsi512_ps(_mm512_permutexvar_epi16(alternate, _mm512_castps_si512(halves))))
        }
    }
    #[inline(always)]
    fn neighbours(first: Self, second: Self) -> Self {
        if !NARROW {
            return neighbours_by_lane(first, second);
        }
        // SAFETY: as above; thirty-two halves are as large as sixteen words.
        Self(unsafe { std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(second.0, first.0)) })
    }
    #[inline(always)]
    fn signed_byte<const SHIFT: u32>(self) -> Self {
        // SAFETY: the instruction set was detected, as for every method of this type.
        unsafe {
            let words = _mm512_castps_si512(self.0);
            let top = _mm512_sll_epi32(words, _mm_cvtsi32_si128(SHIFT as i32));
            Self(_mm512_cvtepi32_ps(_mm512_srai_epi32::<24>(top)))
        }
    }
    #[inline(always)]
    fn select_less(self, bound: Self, then: Self, otherwise: Self) -> Self {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        unsafe {
            let mask = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, bound.0);
            Self(_mm512_mask_blend_ps(mask, otherwise.0, then.0))
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        Avx2(unsafe { _mm256_add_ps(_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0)) }).sum()
    }
    #[inline(always)]
    unsafe fn transpose(
        (to, to_stride): (*mut f32, usize),
        (from, from_stride): (*const f32, usize),
        factor: Option<Self>,
    ) {
        // SAFETY: AVX-512 was detected, and the caller grants all rows.
        unsafe {
            // Four columns of four rows in each quarter of a register, for each four rows.
            let mut fours = [_mm512_setzero_ps(); 16];
            for (group, fours) in fours.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let row = |i: usize| {
                    let row = _mm512_loadu_ps(from.add((4 * group + i) * from_stride));
                    factor.map_or(row, |factor| _mm512_mul_ps(row, factor.0))
                };
                let (low, high) = (_mm512_unpacklo_ps(row(0), row(1)), _mm512_unpackhi_ps(row(0), row(1)));
                let (low, high) = (_mm512_castps_pd(low), _mm512_castps_pd(high));
                let (lower, higher) = (_mm512_unpacklo_ps(row(2), row(3)), _mm512_unpackhi_ps(row(2), row(3)));
                let (lower, higher) = (_mm512_castps_pd(lower), _mm512_castps_pd(higher));
                fours[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, lower));
                fours[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, lower));
                fours[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high, higher));
                fours[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high, higher));
            }
            for c in 0..4 {
                let [a, b, third, d] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
                let (ab, cd) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(third, d));
                _mm512_storeu_ps(to.add(c * to_stride), _mm512_shuffle_f32x4::<0x88>(ab, cd));
                _mm512_storeu_ps(to.add((4 + c) * to_stride), _mm512_shuffle_f32x4::<0xDD>(ab, cd));
                let (ab, cd) = (_mm512_shuffle_f32x4::<0xEE>(a, b), _mm512_shuffle_f32x4::<0xEE>(third, d));
                _mm512_storeu_ps(to.add((8 + c) * to_stride), _mm512_shuffle_f32x4::<0x88>(ab, cd));
                _mm512_storeu_ps(to.add((12 + c) * to_stride), _mm512_shuffle_f32x4::<0xDD>(ab, cd));
            }
        }
    }
    #[inline(always)]
    fn keep(self, bits: Avx512Wide, bound: u32) -> Self {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        unsafe {
            let kept = _mm512_cmpge_epu32_mask(bits.0, _mm512_set1_epi32(bound as i32));
            Self(_mm512_maskz_mov_ps(kept, self.0))
        }
    }
    #[inline(always)]
    fn keep_by_halves(numbers: [Self; 4], bits: (Avx512Wide, Avx512Wide), bound: u16) -> [Self; 4] {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        unsafe {
            let bound = _mm512_set1_epi16(bound as i16);
            let first = _mm512_cmpge_epu16_mask(_mm512_unpacklo_epi64(bits.0.0, bits.1.0), bound);
            let second = _mm512_cmpge_epu16_mask(_mm512_unpackhi_epi64(bits.0.0, bits.1.0), bound);
            let keep = |numbers: Self, kept: u32| Self(_mm512_maskz_mov_ps(kept as u16, numbers.0));
            [
                keep(numbers[0], first),
                keep(numbers[1], first >> 16),
                keep(numbers[2], second),
                keep(numbers[3], second >> 16),
            ]
        }
    }
}

/// Four whole numbers in a `ymm` register.
#[derive(Clone, Copy)]
pub(crate) struct Avx2Wide(__m256i);

impl Wide for Avx2Wide {
    const LANES: usize = 4;

    instructions!(plus(other) = _mm256_add_epi64, times(other) = _mm256_mul_epu32);

    #[inline(always)]
    fn splat(value: u64) -> Self {
        // SAFETY: AVX2 was detected, as for every method of this type.
        Self(unsafe { _mm256_set1_epi64x(value as i64) })
    }
    #[inline(always)]
    fn load(values: &[u64]) -> Self {
        assert!(values.len() >= 4, "{} values for 4 lanes", values.len());
        // SAFETY: AVX2 was detected, as for every method of this type, and the slice has the values.
        Self(unsafe { _mm256_loadu_si256(values.as_ptr().cast()) })
    }
    #[inline(always)]
    fn xor(self, other: Self, third: Self) -> Self {
        // SAFETY: AVX2 was detected, as for every method of this type.
        Self(unsafe { _mm256_xor_si256(_mm256_xor_si256(self.0, other.0), third.0) })
    }
    #[inline(always)]
    fn upper(self) -> Self {
        // SAFETY: AVX2 was detected, as for every method of this type.
        Self(unsafe { _mm256_srli_epi64::<32>(self.0) })
    }
    #[inline(always)]
    fn join(self, upper: Self) -> Self {
        // SAFETY: AVX2 was detected, as for every method of this type.
        Self(unsafe { _mm256_blend_epi32::<0xAA>(self.0, _mm256_slli_epi64::<32>(upper.0)) })
    }
    #[inline(always)]
    fn raise(self) -> Self {
        // SAFETY: AVX2 was detected, as for every method of this type.
        Self(unsafe { _mm256_slli_epi32::<16>(self.0) })
    }
}

/// Eight whole numbers in a `zmm` register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Wide(__m512i);

impl Wide for Avx512Wide {
    const LANES: usize = 8;

    instructions!(plus(other) = _mm512_add_epi64, times(other) = _mm512_mul_epu32);

    #[inline(always)]
    fn splat(value: u64) -> Self {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        Self(unsafe { _mm512_set1_epi64(value as i64) })
    }
    #[inline(always)]
    fn load(values: &[u64]) -> Self {
        assert!(values.len() >= 8, "{} values for 8 lanes", values.len());
        // SAFETY: AVX-512 was detected, as for every method of this type, and the slice has the values.
        Self(unsafe { _mm512_loadu_si512(values.as_ptr().cast()) })
    }
    #[inline(always)]
    fn xor(self, other: Self, third: Self) -> Self {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        Self(unsafe { _mm512_ternarylogic_epi64::<0x96>(self.0, other.0, third.0) })
    }
    #[inline(always)]
    fn upper(self) -> Self {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        Self(unsafe { _mm512_srli_epi64::<32>(self.0) })
    }
    #[inline(always)]
    fn join(self, upper: Self) -> Self {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        Self(unsafe { _mm512_mask_shuffle_epi32::<_MM_PERM_CCAA>(self.0, 0xAAAA, upper.0) })
    }
    #[inline(always)]
    fn raise(self) -> Self {
        // SAFETY: AVX-512 was detected, as for every method of this type.
        Self(unsafe { _mm512_slli_epi32::<16>(self.0) })
    }
}
