//! Dropout masks that are computed, never stored.
//!
//! The mask is a pure function of a key and an element's index, by the counter-based generator Philox4x32-7
//! (Salmon et al. 2011, <https://doi.org/10.1145/2063384.2063405>, whose table 2 has it pass all of BigCrush), so
//! backward regenerates what forward used and every backend agrees with every other. An element takes sixteen bits, so a
//! block of the generator serves eight: the rate is rounded to a multiple of 2^-16, and the scale belongs to the rounded
//! rate, so that the expected value is exact.

/// Rounds of the generator.
const ROUNDS: u32 = 7;

/// The key of one dropout site at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the forward pass within the run.
    pub step: u64,
    /// Number of the site within the model.
    pub site: u32,
    /// Share of the values set to zero, in `[0, 1)`.
    pub rate: f64,
}

impl Dropout {
    /// The generator's key, which mixes seed and site.
    #[inline]
    pub fn key(&self) -> [u32; 2] {
        [(self.seed as u32) ^ self.site.wrapping_mul(0x9E37_79B9), (self.seed >> 32) as u32]
    }

    /// The generator's counter at a block: the block, which counts up to 2^64, and the step mixed with the site.
    #[inline]
    pub fn counter(&self, block: u64) -> [u32; 4] {
        let step_high = ((self.step >> 32) as u32) ^ self.site;
        [block as u32, (block >> 32) as u32, self.step as u32, step_high]
    }

    /// Random bits for the elements `8 block .. 8 block + 8`: the lower half of a word before its upper half.
    #[inline]
    pub fn halves(&self, block: u64) -> [u16; 8] {
        let words = philox(self.counter(block), self.key(), ROUNDS);
        std::array::from_fn(|i| (words[i / 2] >> (16 * (i % 2))) as u16)
    }

    /// Bits below this are dropped. A rate above zero drops something, a rate below one keeps something.
    #[inline]
    pub fn threshold(&self) -> u16 {
        if self.rate > 0.0 { (self.rate * 65_536.0).round().clamp(1.0, 65_535.0) as u16 } else { 0 }
    }

    /// What a kept value is multiplied by.
    #[inline]
    pub fn scale(&self) -> f64 {
        1.0 / (1.0 - f64::from(self.threshold()) / 65_536.0)
    }

    /// Whether the element at `index` is kept.
    #[inline]
    pub fn keeps(&self, index: u64) -> bool {
        self.halves(index / 8)[(index % 8) as usize] >= self.threshold()
    }
}

/// Philox4x32.
#[inline]
fn philox(mut counter: [u32; 4], mut key: [u32; 2], rounds: u32) -> [u32; 4] {
    for _ in 0..rounds {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_test_vectors() {
        let (zeros, ones) = (|rounds| philox([0; 4], [0; 2], rounds), |rounds| philox([!0; 4], [!0; 2], rounds));
        assert_eq!(zeros(7), [0x5f6f_b709, 0x0d89_3f64, 0x4f12_1f81, 0x4f73_0a48]);
        assert_eq!(ones(7), [0x5207_ddc2, 0x4516_5e59, 0x4d8e_e751, 0x8c52_f662]);
        assert_eq!(zeros(10), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(ones(10), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn the_rate_is_rounded_and_the_scale_makes_up_for_it() {
        let dropout = |rate| Dropout { seed: 7, step: 3, site: 2, rate };
        for (rate, threshold) in [(0.0, 0), (1e-9, 1), (0.1, 6554), (0.5, 32_768), (0.999_999_9, 65_535)] {
            assert_eq!(dropout(rate).threshold(), threshold, "rate {rate}");
            let kept = 1.0 - f64::from(threshold) / 65_536.0;
            assert!((dropout(rate).scale() * kept - 1.0).abs() < 1e-12, "rate {rate}");
        }
    }

    #[test]
    fn the_share_of_dropped_values_is_the_rate() {
        let dropout = Dropout { seed: 7, step: 3, site: 2, rate: 0.3 };
        let kept = (0..100_000).filter(|&i| dropout.keeps(i)).count() as f64 / 100_000.0;
        assert!((kept - 0.7).abs() < 0.005, "kept {kept}");
    }

    #[test]
    fn steps_sites_and_seeds_give_different_masks() {
        let base = Dropout { seed: 7, step: 3, site: 2, rate: 0.5 };
        let mask = |d: Dropout| (0..256).map(|i| d.keeps(i)).collect::<Vec<_>>();
        for other in [Dropout { seed: 8, ..base }, Dropout { step: 4, ..base }, Dropout { site: 3, ..base }] {
            assert_ne!(mask(base), mask(other));
        }
    }
}
