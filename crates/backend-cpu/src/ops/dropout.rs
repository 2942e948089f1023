//! Dropout masks, a register of the generator's blocks at a time.
//!
//! The generator is that of [`finetone_backend::Dropout`], with the words of a block in four registers of whole numbers
//! whose lanes are blocks. A round then takes two products, two shifts and two sums; the upper halves of lanes may hold
//! anything, since neither products nor results look at them.

use crate::Cpu;
use crate::parallel::GRAIN;
use crate::simd::{MAX_LANES, Vector, Wide, kernel};
use finetone_backend::Dropout;

/// Elements of a block.
pub(crate) const BLOCK: usize = 8;
/// Registers of blocks computed together, so that one hides the latency of the other.
const PAIR: usize = 2;
/// Vectors that a pair of registers of blocks decides on.
const VECTORS: usize = 4 * PAIR;

/// A dropout, ready for use.
#[derive(Clone, Copy)]
struct Generator {
    keys: [[u64; 2]; 7],
    step: [u64; 2],
    threshold: u16,
    scale: f32,
}

impl Generator {
    #[inline(always)]
    fn new(dropout: &Dropout) -> Self {
        let [_, _, low, high] = dropout.counter(0);
        let (step, mut key) = ([u64::from(low), u64::from(high)], dropout.key());
        let keys = std::array::from_fn(|_| {
            let now = key.map(u64::from);
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
            now
        });
        Self { keys, step, threshold: dropout.threshold(), scale: dropout.scale() as f32 }
    }

    /// Philox4x32-7: the words of each block, in the lower halves of the lanes.
    #[inline(always)]
    fn words<W: Wide>(&self, blocks: [W; PAIR]) -> [[W; 4]; PAIR] {
        let (left, right) = (W::splat(0xD251_1F53), W::splat(0xCD9E_8D57));
        let step = [W::splat(self.step[0]), W::splat(self.step[1])];
        let [first, second] = blocks;
        let mut words = [[first, first.upper(), step[0], step[1]], [second, second.upper(), step[0], step[1]]];
        for key in self.keys {
            let (first, second) = (W::splat(key[0]), W::splat(key[1]));
            for [a, b, c, d] in &mut words {
                let products = (a.times(left), c.times(right));
                *a = products.1.upper().xor(*b, first);
                *b = products.1;
                *c = products.0.upper().xor(*d, second);
                *d = products.0;
            }
        }
        words
    }

    /// Scales what is kept of [`VECTORS`] vectors whose elements begin at `block`.
    #[inline(always)]
    fn keep<V: Vector>(&self, mut values: [V; VECTORS], block: u64) -> [V; VECTORS] {
        // The order of lanes that `keep_by_halves` asks for.
        let half = V::Wide::LANES / 2;
        let order: [u64; MAX_LANES] = std::array::from_fn(|lane| (lane / 2 + lane % 2 * half) as u64);
        let first = V::Wide::load(&order).plus(V::Wide::splat(block));
        let words = self.words([first, first.plus(V::Wide::splat(V::Wide::LANES as u64))]);
        for v in &mut values {
            *v = *v * V::splat(self.scale);
        }
        for ([a, b, c, d], values) in words.iter().zip(values.as_chunks_mut::<4>().0) {
            *values = V::keep_by_halves(*values, (a.join(*b), c.join(*d)), self.threshold);
        }
        values
    }
}

/// Up to [`VECTORS`] vectors, with zeros after them.
#[inline(always)]
fn load<V: Vector>(values: &[f32]) -> [V; VECTORS] {
    // Loops rather than `map` and `from_fn`, here and below: those are not always inlined, and a vector passed to a
    // function goes through memory.
    let mut vectors = [V::splat(0.0); VECTORS];
    if values.len() >= VECTORS * V::LANES {
        for (i, v) in vectors.iter_mut().enumerate() {
            *v = V::load(&values[i * V::LANES..]);
        }
    } else {
        let mut padded = [0.0; VECTORS * MAX_LANES];
        padded[..values.len()].copy_from_slice(values);
        for (i, v) in vectors.iter_mut().enumerate() {
            *v = V::load(&padded[i * V::LANES..]);
        }
    }
    vectors
}

/// As much of the vectors as there is room for.
#[inline(always)]
fn store<V: Vector>(vectors: [V; VECTORS], values: &mut [f32]) {
    if values.len() >= VECTORS * V::LANES {
        for (i, v) in vectors.iter().enumerate() {
            v.store(&mut values[i * V::LANES..]);
        }
    } else {
        let mut padded = [0.0; VECTORS * MAX_LANES];
        for (i, v) in vectors.iter().enumerate() {
            v.store(&mut padded[i * V::LANES..]);
        }
        values.copy_from_slice(&padded[..values.len()]);
    }
}

#[inline(always)]
fn apply_body<V: Vector>(x: &mut [f32], first_block: u64, dropout: &Dropout) {
    let generator = Generator::new(dropout);
    for (i, x) in x.chunks_mut(VECTORS * V::LANES).enumerate() {
        let block = first_block + (i * VECTORS * V::LANES / BLOCK) as u64;
        store(generator.keep(load::<V>(x), block), x);
    }
}

#[inline(always)]
fn add_body<V: Vector>(y: &mut [f32], x: &[f32], first_block: u64, dropout: &Dropout) {
    let generator = Generator::new(dropout);
    let size = VECTORS * V::LANES;
    for (i, (y, x)) in y.chunks_mut(size).zip(x.chunks(size)).enumerate() {
        let mut sums = generator.keep(load::<V>(y), first_block + (i * size / BLOCK) as u64);
        for (sum, x) in sums.iter_mut().zip(&load::<V>(x)) {
            *sum = *sum + *x;
        }
        store(sums, y);
    }
}

#[inline(always)]
fn copy_body<V: Vector>(y: &mut [f32], x: &[f32], first_block: u64, dropout: &Dropout) {
    let generator = Generator::new(dropout);
    let size = VECTORS * V::LANES;
    for (i, (y, x)) in y.chunks_mut(size).zip(x.chunks(size)).enumerate() {
        store(generator.keep(load::<V>(x), first_block + (i * size / BLOCK) as u64), y);
    }
}

kernel!(apply_block(x: &mut [f32], first_block: u64, dropout: &Dropout) = apply_body);
kernel!(add_block(y: &mut [f32], x: &[f32], first_block: u64, dropout: &Dropout) = add_body);
kernel!(copy_block(y: &mut [f32], x: &[f32], first_block: u64, dropout: &Dropout) = copy_body);

/// Block of the first value of a piece of work.
fn block_of(piece: usize) -> u64 {
    (piece * GRAIN / BLOCK) as u64
}

/// Zeroes or scales every value by its index.
pub(crate) fn apply(cpu: &Cpu, x: &mut [f32], dropout: Dropout) {
    cpu.chunks([(x, GRAIN)], |i, [x]| apply_block(cpu.isa(), x, block_of(i), &dropout));
}

/// `y = drop(y) + x`, slices of the same length.
pub(crate) fn add(cpu: &Cpu, y: &mut [f32], x: &[f32], dropout: Dropout) {
    cpu.chunks([(y, GRAIN)], |i, [y]| add_block(cpu.isa(), y, &x[i * GRAIN..][..y.len()], block_of(i), &dropout));
}

/// `y = drop(x)`, slices of the same length.
pub(crate) fn copy(cpu: &Cpu, y: &mut [f32], x: &[f32], dropout: Dropout) {
    cpu.chunks([(y, GRAIN)], |i, [y]| copy_block(cpu.isa(), y, &x[i * GRAIN..][..y.len()], block_of(i), &dropout));
}

/// Factors of a tile of attention probabilities: `factors[key, query]`, rows of `width` queries (whole vectors), for
/// keys `first_key..` (a multiple of [`BLOCK`]) of queries whose rows of the mask begin at block
/// `start + query · stride`.
#[inline(always)]
pub(crate) fn tile_factors<V: Vector>(
    factors: &mut [f32],
    width: usize,
    dropout: &Dropout,
    (start, stride): (u64, u64),
    first_key: usize,
) {
    let generator = Generator::new(dropout);
    let scale = V::splat(generator.scale);
    let bound = u32::from(generator.threshold) << 16;
    for query in (0..width).step_by(V::LANES) {
        // Even queries in one register and odd ones in the other, to be joined to a vector's lanes.
        let places: [[u64; MAX_LANES]; PAIR] =
            std::array::from_fn(|odd| std::array::from_fn(|lane| start + (query + 2 * lane + odd) as u64 * stride));
        let (even, odd) = (V::Wide::load(&places[0]), V::Wide::load(&places[1]));
        for (group, rows) in factors.chunks_mut(BLOCK * width).enumerate() {
            let block = V::Wide::splat((first_key / BLOCK + group) as u64);
            let [even, odd] = generator.words([even.plus(block), odd.plus(block)]);
            for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                let word = even[i / 2].join(odd[i / 2]);
                scale.keep(if i % 2 == 0 { word.raise() } else { word }, bound).store(&mut row[query..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    kernel!(tile(factors: &mut [f32], width: usize, dropout: &Dropout, at: (u64, u64), key: usize) = tile_factors);

    #[test]
    fn masks_are_those_of_the_specification() {
        let dropout = Dropout { seed: 0x1234_5678_9ABC_DEF0, step: 0xFF_0000_0003, site: 11, rate: 0.3 };
        // A carry into the upper word of the block among the elements.
        let first = u64::from(u32::MAX) - 2;
        for isa in Isa::available() {
            for len in [1, 7, 8, 63, 64, 65, 127, 128, 129, 1000] {
                let mut x = vec![1.0; len];
                apply_block(isa, &mut x, first, &dropout);
                for (i, &x) in x.iter().enumerate() {
                    let kept = dropout.keeps(first * BLOCK as u64 + i as u64);
                    assert_eq!(x, if kept { dropout.scale() as f32 } else { 0.0 }, "{isa:?}, {i} of {len}");
                }
            }
        }
    }

    #[test]
    fn tiles_are_those_of_the_specification() {
        let dropout = Dropout { seed: 7, step: 8, site: 9, rate: 0.5 };
        let (start, stride) = (u64::from(u32::MAX) - 20, 12 << 17);
        for isa in Isa::available() {
            for (keys, width, first_key) in [(1, 16, 0), (13, 32, 8), (64, 64, 128)] {
                let mut factors = vec![9.0; keys * width];
                tile(isa, &mut factors, width, &dropout, (start, stride), first_key);
                for (i, &factor) in factors.iter().enumerate() {
                    let (key, query) = (first_key + i / width, i % width);
                    let kept = dropout.keeps((start + query as u64 * stride) * BLOCK as u64 + key as u64);
                    assert_eq!(factor, if kept { 2.0 } else { 0.0 }, "{isa:?}, key {key}, query {query}");
                }
            }
        }
    }
}
