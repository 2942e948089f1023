//! Loops that stay in registers: chains of multiply-adds, more of them than an instruction takes cycles.

use std::hint::black_box;

use finetone_backend_cpu::{Isa, Precision};

use super::best_seconds;

/// Independent chains; two instructions a cycle that take four cycles need eight, and AVX2 has sixteen registers.
const CHAINS: usize = 12;
/// Turns of a loop in a sample: some milliseconds.
const TURNS: usize = 400_000;

/// A loop that does nothing but multiply and add.
pub struct Kernel {
    pub precision: Precision,
    pub instruction: &'static str,
    /// Multiplications and additions of one instruction.
    flops: usize,
    run: fn(usize),
}

impl Kernel {
    /// What `threads` threads reach together, in 10^9 operations a second.
    pub fn gigaflops(&self, threads: usize) -> f64 {
        let seconds = best_seconds(threads, || (), |()| (self.run)(TURNS));
        (threads * self.flops * CHAINS * TURNS) as f64 / seconds / 1e9
    }
}

/// The best loop of each precision that this instruction set has.
pub fn kernels(isa: Isa) -> Vec<Kernel> {
    let kernel = |precision, instruction, flops, run| Kernel { precision, instruction, flops, run };
    #[cfg(target_arch = "x86_64")]
    {
        let wide = kernel(Precision::F32, "vfmadd on 512 bits", 32, x86::avx512 as fn(usize));
        match isa {
            Isa::Scalar => {}
            Isa::Avx2 => return vec![kernel(Precision::F32, "vfmadd on 256 bits", 16, x86::avx2)],
            Isa::Avx512 => return vec![wide],
            // The tiles of AMX can do more than these instructions, so shares above 100 % are possible there.
            Isa::Avx512Bf16 | Isa::Amx => {
                let bf16 = kernel(Precision::Bf16, "vdpbf16ps on 512 bits", 64, x86::bf16_pairs as fn(usize));
                return vec![wide, bf16, kernel(Precision::Int8, "vpdpbusd on 512 bits", 128, x86::int8)];
            }
        }
    }
    let _ = isa;
    vec![kernel(Precision::F32, "portable", 8, portable)]
}

/// Four numbers in whatever registers there are.
fn portable(turns: usize) {
    let factor = black_box([1.0_f32; 4]);
    let mut sums = [[0.0_f32; 4]; CHAINS];
    for _ in 0..turns {
        for sum in &mut sums {
            for (s, f) in sum.iter_mut().zip(factor) {
                // A fused instruction is at hand on aarch64; on others it might be a call.
                *s = if cfg!(target_arch = "aarch64") { f.mul_add(f, *s) } else { *s * f + f };
            }
        }
    }
    black_box(sums);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{CHAINS, black_box};
    use std::arch::x86_64::*;

    /// A loop over chains `sum = step`, compiled for some features and called after they were detected. The step stands
    /// in the loop itself: what a call would not inline would go through memory.
    macro_rules! chains {
        ($name:ident, $features:literal, $zero:expr, $value:expr, |$sum:ident, $operand:ident| $step:expr) => {
            pub fn $name(turns: usize) {
                #[target_feature(enable = $features)]
                fn run(turns: usize) {
                    let $operand = black_box($value);
                    let mut sums = [$zero; CHAINS];
                    for _ in 0..turns {
                        for place in &mut sums {
                            let $sum = *place;
                            *place = $step;
                        }
                    }
                    black_box(sums);
                }
                // SAFETY: `kernels` names this function only for instruction sets that were detected.
                unsafe { run(turns) }
            }
        };
    }

    chains!(avx2, "avx2,fma", _mm256_setzero_ps(), _mm256_set1_ps(1.0), |sum, one| _mm256_fmadd_ps(one, one, sum));
    chains!(avx512, "avx512f", _mm512_setzero_ps(), _mm512_set1_ps(1.0), |sum, one| _mm512_fmadd_ps(one, one, sum));
    chains!(bf16_pairs, "avx512f,avx512bf16", _mm512_setzero_ps(), ones_bf16(), |sum, ones| {
        _mm512_dpbf16_ps(sum, ones, ones)
    });
    chains!(int8, "avx512f,avx512vnni", _mm512_setzero_si512(), _mm512_set1_epi8(1), |sum, ones| {
        _mm512_dpbusd_epi32(sum, ones, ones)
    });

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn ones_bf16() -> __m512bh {
        _mm512_cvtne2ps_pbh(_mm512_set1_ps(1.0), _mm512_set1_ps(1.0))
    }
}
