//! Dropout masks that are computed, never stored.
//!
//! The mask is a pure function of a key and an element's index, by the counter-based generator Philox4x32-10
//! (Salmon et al. 2011, <https://doi.org/10.1145/2063384.2063405>), so backward regenerates what forward used and every
//! backend agrees with every other.

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
    /// Four random words for the elements `4 block .. 4 block + 4`.
    #[inline]
    pub fn words(&self, block: u64) -> [u32; 4] {
        // The key mixes seed and site; the counter holds the block (up to 2^62 elements) and the step.
        let key = [(self.seed as u32) ^ self.site.wrapping_mul(0x9E37_79B9), (self.seed >> 32) as u32];
        let step_high = ((self.step >> 32) as u32) ^ self.site;
        philox([block as u32, (block >> 32) as u32, self.step as u32, step_high], key)
    }

    /// A word below this is dropped.
    #[inline]
    pub fn threshold(&self) -> u32 {
        // The rate is below 1, so the product stays within 32 bits.
        (self.rate * 4_294_967_296.0) as u32
    }

    /// What a kept value is multiplied by.
    #[inline]
    pub fn scale(&self) -> f64 {
        1.0 / (1.0 - self.rate)
    }

    /// Whether the element at `index` is kept.
    #[inline]
    pub fn keeps(&self, index: u64) -> bool {
        self.words(index / 4)[(index % 4) as usize] >= self.threshold()
    }
}

/// Philox4x32 with ten rounds.
#[inline]
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
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
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
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
