//! Which texts are computed together.
//!
//! Everything here is a pure function of lengths and a seed: no text, no tensors, no global random state. The random numbers are
//! [SplitMix64](https://doi.org/10.1145/2714064.2660195) and the shuffle is Fisher and Yates', both written out below, so that an
//! epoch's order is the same on every machine and with every version of every library.

/// Batches of one size are sorted by length inside groups of this many batches.
const BATCHES_PER_GROUP: usize = 50;

/// The order of one epoch: batches of indices into `lengths`, every index exactly once.
///
/// Without `group_by_length` the texts are shuffled and cut into batches of `batch_size`, the last one possibly shorter. With it,
/// the shuffled texts are cut into groups of 50 batches (fewer when there are fewer texts, so that at least four groups
/// remain and two epochs never see the same batches), sorted by length inside each group and cut; then the batches are
/// shuffled. Texts of like length are then computed together while every batch still comes from all over the data.
///
/// The same arguments give the same order. A `batch_size` of 0 counts as 1.
pub fn epoch_order(
    lengths: &[usize],
    batch_size: usize,
    group_by_length: bool,
    seed: u64,
    epoch: u64,
) -> Vec<Vec<usize>> {
    let batch_size = batch_size.max(1);
    let mut random = SplitMix64::new(seed, epoch);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    random.shuffle(&mut order);
    if !group_by_length {
        return order.chunks(batch_size).map(<[usize]>::to_vec).collect();
    }
    let groups = group_size(lengths.len(), batch_size);
    for group in order.chunks_mut(groups) {
        // A stable sort: texts of one length stay in their shuffled order.
        group.sort_by_key(|&index| lengths[index]);
    }
    let mut batches: Vec<Vec<usize>> = order.chunks(batch_size).map(<[usize]>::to_vec).collect();
    random.shuffle(&mut batches);
    batches
}

/// The number of texts in a group: a multiple of the batch size.
fn group_size(texts: usize, batch_size: usize) -> usize {
    let quarter = texts.div_ceil(batch_size) / 4;
    quarter.clamp(1, BATCHES_PER_GROUP) * batch_size
}

/// Splits one optimiser batch into groups of at most `token_budget` tokens.
///
/// `lengths` are tokens by index, `indices` the batch. A text longer than the budget gets a group of its own. The groups are
/// filled longest first, each text into the first group with room (first-fit decreasing, at most 11/9 of the fewest possible
/// groups), and inside a group the texts stand in the order of `indices`.
pub fn micro_batches(indices: &[usize], lengths: &[usize], token_budget: usize) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..indices.len()).collect();
    places.sort_by_key(|&place| std::cmp::Reverse(lengths[indices[place]]));
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    for place in places {
        let length = lengths[indices[place]];
        let room = groups.iter_mut().find(|(used, _)| used.checked_add(length).is_some_and(|sum| sum <= token_budget));
        match room {
            Some((used, group)) => {
                *used += length;
                group.push(place);
            }
            None => groups.push((length, vec![place])),
        }
    }
    groups
        .into_iter()
        .map(|(_, mut group)| {
            group.sort_unstable();
            group.into_iter().map(|place| indices[place]).collect()
        })
        .collect()
}

/// Groups a window of texts for prediction: sorted by length, cut where the token budget is reached.
///
/// `lengths` are the tokens of the texts of the window; the result holds indices into it, every one exactly once, so that the
/// caller can put the results back in their order. A text longer than the budget gets a group of its own.
pub fn inference_batches(lengths: &[usize], token_budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut used = 0_usize;
    for index in order {
        let sum = used.saturating_add(lengths[index]);
        match groups.last_mut() {
            Some(group) if sum <= token_budget => {
                group.push(index);
                used = sum;
            }
            _ => {
                groups.push(vec![index]);
                used = lengths[index];
            }
        }
    }
    groups
}

/// Steele, Lea and Flood's generator: a counter and a mixing function.
struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// A stream of its own for every pair of seed and epoch.
    fn new(seed: u64, epoch: u64) -> Self {
        let mut first = Self { state: seed };
        let mixed = first.next();
        Self { state: mixed ^ epoch.wrapping_mul(0xd134_2543_de82_ef95) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, by Lemire's multiplication: its bias is below `bound` / 2^64.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(groups: &[Vec<usize>]) -> Vec<usize> {
        let mut all: Vec<usize> = groups.concat();
        all.sort_unstable();
        all
    }

    fn tokens(group: &[usize], lengths: &[usize]) -> usize {
        group.iter().map(|&index| lengths[index]).sum()
    }

    #[test]
    fn the_generator_gives_the_published_numbers() {
        // The first outputs of the reference implementation with the state 1234567.
        let mut random = SplitMix64 { state: 1_234_567 };
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(expected.map(|_| random.next()), expected);
    }

    #[test]
    fn an_order_never_changes_between_versions() {
        let order = epoch_order(&[1; 10], 4, false, 42, 0);
        assert_eq!(order, ORDER_42);
    }

    #[test]
    fn epochs_and_seeds_differ() {
        let lengths: Vec<usize> = (0..200).map(|i| i * 7 % 31).collect();
        for grouped in [false, true] {
            let order = |seed, epoch| epoch_order(&lengths, 8, grouped, seed, epoch);
            assert_ne!(order(1, 0), order(1, 1));
            assert_ne!(order(1, 0), order(2, 0));
            assert_ne!(order(1, 1), order(2, 0));
        }
    }

    #[test]
    fn grouping_brings_like_lengths_together() {
        let lengths: Vec<usize> = (0..4000).map(|i| 1 + i * 7919 % 500).collect();
        let spread = |grouped| -> usize {
            epoch_order(&lengths, 16, grouped, 3, 0)
                .iter()
                .map(|batch| {
                    let of = |index: &usize| lengths[*index];
                    batch.iter().map(of).max().unwrap() - batch.iter().map(of).min().unwrap()
                })
                .sum()
        };
        assert!(spread(true) * 10 < spread(false), "{} {}", spread(true), spread(false));
    }

    #[test]
    fn a_shuffle_is_fair() {
        let mut counts = [[0_u32; 5]; 5];
        for seed in 0..10_000 {
            for (place, &index) in epoch_order(&[1; 5], 5, false, seed, 0)[0].iter().enumerate() {
                counts[place][index] += 1;
            }
        }
        assert!(counts.iter().flatten().all(|&count| (1800..2200).contains(&count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn an_epoch_has_every_index_once(
            lengths in prop::collection::vec(0_usize..600, 0..700),
            batch_size in 0_usize..40,
            grouped: bool,
            seed: u64,
            epoch in 0_u64..5,
        ) {
            let order = epoch_order(&lengths, batch_size, grouped, seed, epoch);
            prop_assert_eq!(sorted(&order), (0..lengths.len()).collect::<Vec<_>>());
            let size = batch_size.max(1);
            prop_assert_eq!(order.len(), lengths.len().div_ceil(size));
            prop_assert!(order.iter().filter(|batch| batch.len() != size).count() <= 1);
            prop_assert!(order.iter().all(|batch| (1..=size).contains(&batch.len())));
            prop_assert_eq!(order, epoch_order(&lengths, batch_size, grouped, seed, epoch));
        }

        #[test]
        fn micro_batches_respect_the_budget(
            lengths in prop::collection::vec(0_usize..600, 1..80),
            budget in 0_usize..2000,
        ) {
            let indices: Vec<usize> = (0..lengths.len()).rev().step_by(2).collect();
            let groups = micro_batches(&indices, &lengths, budget);
            let mut expected = indices.clone();
            expected.sort_unstable();
            prop_assert_eq!(sorted(&groups), expected);
            for group in &groups {
                prop_assert!(tokens(group, &lengths) <= budget || group.len() == 1);
            }
            // Two groups that fit into one would be one too many.
            let mut sums: Vec<usize> = groups.iter().map(|group| tokens(group, &lengths)).collect();
            sums.sort_unstable();
            prop_assert!(sums.len() < 2 || sums[0] + sums[1] > budget);
        }

        #[test]
        fn inference_batches_respect_the_budget(
            lengths in prop::collection::vec(0_usize..600, 0..200),
            budget in 0_usize..3000,
        ) {
            let groups = inference_batches(&lengths, budget);
            prop_assert_eq!(sorted(&groups), (0..lengths.len()).collect::<Vec<_>>());
            for group in &groups {
                prop_assert!(tokens(group, &lengths) <= budget || group.len() == 1);
            }
            let flat = groups.concat();
            prop_assert!(flat.windows(2).all(|pair| lengths[pair[0]] >= lengths[pair[1]]));
        }
    }

    /// What `epoch_order(&[1; 10], 4, false, 42, 0)` gave when it was written: runs that are resumed rely on it.
    const ORDER_42: [&[usize]; 3] = [&[1, 7, 2, 5], &[6, 4, 0, 9], &[8, 3]];
}
