//! Random numbers that are the same on every machine and in every version.
//!
//! xoshiro256++ by David Blackman and Sebastiano Vigna (<https://prng.di.unimi.it/>), seeded by SplitMix64 as they advise.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream that belongs to a seed.
    pub fn new(seed: u64) -> Random {
        let mut counter = seed;
        let mut split_mix = || {
            counter = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = counter;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        Random { state: [split_mix(), split_mix(), split_mix(), split_mix()] }
    }

    /// The stream that belongs to several numbers in their order, such as a seed, an epoch and a row.
    pub fn of(keys: &[u64]) -> Random {
        Random::new(keys.iter().fold(0, |seed, key| Random::new(seed ^ key).bits()))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let state = &mut self.state;
        let result = state[0].wrapping_add(state[3]).rotate_left(23).wrapping_add(state[0]);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        result
    }

    /// A number below `bound`, which must not be 0. The bias is below `bound / 2^64`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// A number from 0 to below 1, a multiple of 2⁻⁵³.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2.0_f64.powi(-53)
    }

    /// Puts items into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_is_the_published_one() {
        // SplitMix64 from seed 0 begins with these numbers, which seed the state.
        assert_eq!(Random::new(0).state[..2], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
        // The first output for the state 1, 2, 3, 4, from the authors' program.
        let mut random = Random { state: [1, 2, 3, 4] };
        assert_eq!([random.bits(), random.bits()], [41_943_041, 58_720_359]);
    }

    #[test]
    fn streams_of_several_numbers_differ() {
        let first = |keys: &[u64]| Random::of(keys).bits();
        let all = [first(&[]), first(&[0]), first(&[0, 0]), first(&[0, 1]), first(&[1, 0]), first(&[1, 1])];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{all:?}");
        }
    }

    #[test]
    fn shares_fill_the_unit_interval_evenly() {
        let mut random = Random::new(5);
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let share = random.share();
            assert!((0.0..1.0).contains(&share));
            tenths[(share * 10.0) as usize] += 1;
        }
        // Five standard deviations of a binomial are 150.
        assert!(tenths.iter().all(|&n| (850..1150).contains(&n)), "{tenths:?}");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..1000).collect();
        Random::new(3).shuffle(&mut items);
        assert_ne!(items[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        items.sort_unstable();
        assert!(items.iter().enumerate().all(|(index, item)| index == *item));
    }
}
