//! Dropout masks, sixteen blocks of the generator at a time.
//!
//! The generator is that of [`finetone_backend::Dropout`], in a form that the compiler turns into vector code; a test
//! holds the two together.

use crate::Cpu;
use crate::parallel::GRAIN;
use crate::simd::{Vector, kernel};
use finetone_backend::Dropout;

/// Blocks of four words computed together.
const BLOCKS: usize = 16;
/// Sixteen blocks: word `w` of block `b` at `[w][b]`.
type Words = [[u32; BLOCKS]; 4];

/// Philox4x32-10 on sixteen counters.
#[inline(always)]
fn words(dropout: &Dropout, blocks: &[u64; BLOCKS]) -> Words {
    let mut key = [(dropout.seed as u32) ^ dropout.site.wrapping_mul(0x9E37_79B9), (dropout.seed >> 32) as u32];
    let mut a = blocks.map(|block| block as u32);
    let mut b = blocks.map(|block| (block >> 32) as u32);
    let mut c = [dropout.step as u32; BLOCKS];
    let mut d = [((dropout.step >> 32) as u32) ^ dropout.site; BLOCKS];
    for _ in 0..10 {
        for lane in 0..BLOCKS {
            let left = u64::from(a[lane]) * 0xD251_1F53;
            let right = u64::from(c[lane]) * 0xCD9E_8D57;
            a[lane] = (right >> 32) as u32 ^ b[lane] ^ key[0];
            b[lane] = right as u32;
            c[lane] = (left >> 32) as u32 ^ d[lane] ^ key[1];
            d[lane] = left as u32;
        }
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    [a, b, c, d]
}

#[inline(always)]
fn apply_body<V: Vector>(x: &mut [f32], first_block: u64, dropout: &Dropout) {
    let (threshold, scale) = (dropout.threshold(), dropout.scale() as f32);
    for (i, x) in x.chunks_mut(4 * BLOCKS).enumerate() {
        let first = first_block + (i * BLOCKS) as u64;
        let words = words(dropout, &std::array::from_fn(|b| first + b as u64));
        let mut factors = [0.0; 4 * BLOCKS];
        for b in 0..BLOCKS {
            for w in 0..4 {
                factors[4 * b + w] = if words[w][b] < threshold { 0.0 } else { scale };
            }
        }
        for (x, factor) in x.iter_mut().zip(factors) {
            *x = if factor == 0.0 { 0.0 } else { *x * factor };
        }
    }
}

kernel!(apply_block(x: &mut [f32], first_block: u64, dropout: &Dropout) = apply_body);

/// Zeroes or scales every value by its index.
pub(crate) fn apply(cpu: &Cpu, x: &mut [f32], dropout: Dropout) {
    // GRAIN is a multiple of the four words of a block, so pieces begin at block borders.
    cpu.chunks([(x, GRAIN)], |i, [x]| apply_block(cpu.isa(), x, (i * GRAIN / 4) as u64, &dropout));
}

/// Factors of a tile of attention probabilities: `factors[key, query]`, rows of `width` queries, for keys
/// `first_key..` (a multiple of four) of queries whose rows of the mask begin at block `start + query · stride`.
#[inline(always)]
pub(crate) fn tile_factors(
    factors: &mut [f32],
    width: usize,
    dropout: &Dropout,
    (start, stride): (u64, u64),
    first_key: usize,
) {
    let (threshold, scale) = (dropout.threshold(), dropout.scale() as f32);
    for (group, rows) in factors.chunks_mut(4 * width).enumerate() {
        let block = start + (first_key / 4 + group) as u64;
        for query in (0..width).step_by(BLOCKS) {
            let words = words(dropout, &std::array::from_fn(|q| block + (query + q) as u64 * stride));
            let count = BLOCKS.min(width - query);
            for (row, words) in rows.chunks_exact_mut(width).zip(&words) {
                for (factor, &word) in row[query..query + count].iter_mut().zip(words) {
                    *factor = if word < threshold { 0.0 } else { scale };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_specification() {
        let dropout = Dropout { seed: 0x1234_5678_9ABC_DEF0, step: 0xFF_0000_0003, site: 11, rate: 0.1 };
        let blocks: [u64; BLOCKS] = std::array::from_fn(|b| (b as u64) * 0x1_2345_6789);
        let words = words(&dropout, &blocks);
        for (b, &block) in blocks.iter().enumerate() {
            assert_eq!([words[0][b], words[1][b], words[2][b], words[3][b]], dropout.words(block));
        }
    }
}
