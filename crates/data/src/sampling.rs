//! Which rows an epoch is made of: all once, drawn by weight, or the classes brought nearer to one size.
//!
//! Everything here is a function of classes, weights, a seed and the number of the epoch; the rows themselves are numbers. The
//! order and the batches of what is drawn are those of [`crate::batching::epoch_order`].

use crate::split::random::Random;

/// What an epoch takes of the rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Sampling {
    /// Every row once.
    Every {
        /// How many rows there are.
        rows: usize,
    },
    /// So many draws with replacement; see [`Sampling::weighted`].
    Weighted {
        /// Sums of the weights up to each row, itself included.
        sums: Vec<f64>,
        /// How many rows are drawn.
        draws: usize,
    },
    /// As many rows of each class as it is due; see [`Sampling::balanced`].
    Due {
        /// The rows of each class, ascending.
        members: Vec<Vec<usize>>,
        /// How many rows of each class are taken.
        due: Vec<usize>,
    },
}

/// Which way classes are brought nearer to one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Balance {
    /// Rows are repeated until every class has this share of the rows of the largest.
    Over(f64),
    /// Rows are left out until no class has more than this many times the rows of the smallest.
    Under(f64),
}

impl Sampling {
    /// Draws `draws` rows with replacement, each with a probability in proportion to its weight.
    ///
    /// # Panics
    /// When a weight is negative or not finite, or all are zero.
    pub fn weighted(weights: &[f64], draws: usize) -> Sampling {
        let mut sum = 0.0;
        let sums: Vec<f64> = weights
            .iter()
            .map(|&weight| {
                assert!(weight.is_finite() && weight >= 0.0, "a weight of {weight}");
                sum += weight;
                sum
            })
            .collect();
        assert!(sum > 0.0 && sum.is_finite(), "weights with a sum of {sum}");
        Sampling::Weighted { sums, draws }
    }

    /// Brings the classes nearer to one size. `classes` has the class of each row.
    ///
    /// Where a class is due more rows than it has, every row is taken as often as it goes, and the rest is chosen at random
    /// among its rows; where it is due fewer, they are chosen at random. The choice is another one in each epoch. A class
    /// is never left without a row, nor made smaller by [`Balance::Over`] or larger by [`Balance::Under`].
    pub fn balanced(classes: &[usize], balance: Balance) -> Sampling {
        let mut members = vec![Vec::new(); classes.iter().max().map_or(0, |last| last + 1)];
        classes.iter().enumerate().for_each(|(row, &class)| members[class].push(row));
        let sizes = || members.iter().map(Vec::len).filter(|&size| size > 0);
        let (largest, smallest) = (sizes().max().unwrap_or(0), sizes().min().unwrap_or(0));
        let due = |rows: &Vec<usize>| match balance {
            _ if rows.is_empty() => 0,
            Balance::Over(share) => rows.len().max((share * largest as f64).round() as usize),
            Balance::Under(times) => rows.len().min(((times * smallest as f64).round() as usize).max(1)),
        };
        let due = members.iter().map(due).collect();
        Sampling::Due { members, due }
    }

    /// How many rows an epoch has.
    pub fn len(&self) -> usize {
        match self {
            Sampling::Every { rows } => *rows,
            Sampling::Weighted { draws, .. } => *draws,
            Sampling::Due { due, .. } => due.iter().sum(),
        }
    }

    /// Whether an epoch has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rows of each of `count` classes an epoch has: by chance where rows are drawn with replacement, and so as
    /// an expectation. `classes` has the class of each row.
    pub fn expected(&self, classes: &[usize], count: usize) -> Vec<f64> {
        let mut expected = vec![0.0; count];
        match self {
            Sampling::Every { .. } => classes.iter().for_each(|&class| expected[class] += 1.0),
            Sampling::Weighted { sums, draws } => {
                let total = sums.last().copied().unwrap_or(1.0);
                let before = std::iter::once(0.0).chain(sums.iter().copied());
                for ((&class, &sum), before) in classes.iter().zip(sums).zip(before) {
                    expected[class] += *draws as f64 * (sum - before) / total;
                }
            }
            Sampling::Due { due, .. } => expected.iter_mut().zip(due).for_each(|(place, &due)| *place = due as f64),
        }
        expected
    }

    /// The rows of an epoch, in no order that means anything. The same seed and epoch give the same rows.
    pub fn draw(&self, seed: u64, epoch: u64) -> Vec<usize> {
        let mut random = Random::of(&[seed, epoch]);
        match self {
            Sampling::Every { rows } => (0..*rows).collect(),
            Sampling::Weighted { sums, draws } => {
                let total = sums.last().copied().unwrap_or(0.0);
                // Rounding can make a product as large as the total, where no row is.
                let last = sums.iter().position(|&sum| sum == total).unwrap_or(0);
                let row = |point: f64| sums.partition_point(|&sum| sum <= point).min(last);
                (0..*draws).map(|_| row(random.share() * total)).collect()
            }
            Sampling::Due { members, due } => {
                members.iter().zip(due).flat_map(|(rows, &due)| take(rows, due, &mut random)).collect()
            }
        }
    }
}

/// `due` of the rows: all of them as often as it goes, then some at random.
fn take(rows: &[usize], due: usize, random: &mut Random) -> Vec<usize> {
    let mut shuffled = rows.to_vec();
    random.shuffle(&mut shuffled);
    shuffled.into_iter().cycle().take(due).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(rows: &[usize], of: usize) -> Vec<usize> {
        let mut counts = vec![0; of];
        rows.iter().for_each(|&row| counts[row] += 1);
        counts
    }

    /// 542, 411 and 17 rows of three classes.
    fn rare() -> Vec<usize> {
        [vec![1; 542], vec![0; 411], vec![2; 17]].concat()
    }

    fn class_counts(drawn: &[usize], classes: &[usize]) -> Vec<usize> {
        counts(&drawn.iter().map(|&row| classes[row]).collect::<Vec<_>>(), 3)
    }

    #[test]
    fn rows_are_drawn_in_proportion_to_their_weights() {
        let sampling = Sampling::weighted(&[1.0, 0.0, 3.0, 4.0, 0.0], 80_000);
        let counts = counts(&sampling.draw(7, 0), 5);
        assert_eq!((counts[1], counts[4]), (0, 0));
        // Five standard deviations of a binomial are below 710.
        for (count, expected) in [(counts[0], 10_000.0), (counts[2], 30_000.0), (counts[3], 40_000.0)] {
            assert!((count as f64 - expected).abs() < 710.0, "{counts:?}");
        }
        assert_eq!(sampling.expected(&[0, 0, 1, 2, 2], 3), [10_000.0, 30_000.0, 40_000.0]);
    }

    #[test]
    fn draws_are_a_function_of_seed_and_epoch() {
        for sampling in [
            Sampling::weighted(&[1.0; 50], 50),
            Sampling::balanced(&rare(), Balance::Under(1.0)),
            Sampling::balanced(&rare(), Balance::Over(1.0)),
        ] {
            assert_eq!(sampling.draw(1, 3), sampling.draw(1, 3));
            assert_ne!(sampling.draw(1, 3), sampling.draw(1, 4));
            assert_ne!(sampling.draw(1, 3), sampling.draw(2, 3));
            assert_eq!(sampling.draw(1, 3).len(), sampling.len());
        }
        assert_eq!(Sampling::Every { rows: 3 }.draw(1, 3), [0, 1, 2]);
    }

    #[test]
    fn a_draw_never_changes_between_versions() {
        // Runs that are resumed rely on it.
        assert_eq!(Sampling::weighted(&[1.0, 2.0, 3.0, 4.0], 8).draw(42, 1), DRAW_42);
    }

    #[test]
    fn oversampling_repeats_every_row_about_as_often() {
        let classes = rare();
        let whole = Sampling::balanced(&classes, Balance::Over(1.0));
        let drawn = whole.draw(0, 0);
        assert_eq!(class_counts(&drawn, &classes), [542, 542, 542]);
        let times = counts(&drawn, classes.len());
        assert!(times[..542].iter().all(|&n| n == 1), "the largest class is taken once");
        // 542 = 31 · 17 + 15.
        assert!(times[953..].iter().all(|&n| n == 31 || n == 32), "{:?}", &times[953..]);
        let half = Sampling::balanced(&classes, Balance::Over(0.5));
        assert_eq!(class_counts(&half.draw(0, 0), &classes), [411, 542, 271]);
        assert_eq!(half.expected(&classes, 3), [411.0, 542.0, 271.0]);
    }

    #[test]
    fn undersampling_takes_other_rows_in_each_epoch() {
        let classes = rare();
        let sampling = Sampling::balanced(&classes, Balance::Under(2.0));
        let (first, second) = (sampling.draw(0, 0), sampling.draw(0, 1));
        assert_eq!(class_counts(&first, &classes), [34, 34, 17]);
        assert!(counts(&first, classes.len()).iter().all(|&n| n <= 1));
        assert_ne!(first, second);
        // A tiny multiple leaves a row of each class.
        let tiny = Sampling::balanced(&classes, Balance::Under(0.01));
        assert_eq!(class_counts(&tiny.draw(0, 0), &classes), [1, 1, 1]);
    }

    #[test]
    fn a_class_without_rows_is_passed_over() {
        let sampling = Sampling::balanced(&[0, 0, 0, 2], Balance::Over(1.0));
        assert_eq!(sampling.len(), 6);
        assert_eq!(sampling.expected(&[0, 0, 0, 2], 4), [3.0, 0.0, 3.0, 0.0]);
    }

    proptest! {
        #[test]
        fn what_is_drawn_exists_and_has_weight(
            weights in prop::collection::vec(prop_oneof![Just(0.0), 1e-300..1e300], 1..40),
            draws in 0_usize..100,
            seed: u64,
        ) {
            prop_assume!(weights.iter().any(|&weight| weight > 0.0));
            let drawn = Sampling::weighted(&weights, draws).draw(seed, 0);
            prop_assert_eq!(drawn.len(), draws);
            prop_assert!(drawn.iter().all(|&row| weights[row] > 0.0));
        }
    }

    const DRAW_42: [usize; 8] = [2, 2, 2, 3, 2, 0, 0, 3];
}
