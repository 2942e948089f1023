//! Successive halving without a barrier: ASHA by Li and others (2020, <https://arxiv.org/abs/1810.05934>).
//!
//! Every trial is judged in one fold by a third of its epochs; the best third of those that were go on to the next rung, with all
//! epochs, and from there to about twice as many folds each time, up to all of them. A worker that is free promotes what can be promoted, from the
//! top rung down, and begins a new trial only where nothing can: nobody waits for others. A trial that is promoted runs in the
//! folds that are new to it, so what is stopped early has cost a third of one.

use std::fmt;

/// One of so many trials of a rung goes on.
pub const ONE_OF: usize = 3;

/// Share of the epochs on the first rung.
pub const FIRST_SHARE: f64 = 1.0 / 3.0;

/// How a trial is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rung {
    /// In so many folds, the first of the division.
    pub folds: usize,
    /// By this share of its epochs, but at least one.
    pub share: f64,
}

impl Rung {
    /// Whether the trainings are shorter than the recipe says.
    pub fn is_short(self) -> bool {
        self.share < 1.0
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.folds, self.is_short()) {
            (_, true) => write!(f, "1 fold, a third of the epochs"),
            (1, false) => write!(f, "1 fold"),
            (folds, false) => write!(f, "{folds} folds"),
        }
    }
}

/// The rungs of a division into so many folds.
pub fn rungs(folds: usize) -> Vec<Rung> {
    let whole = std::iter::successors(Some(folds), |&more| (more > 1).then_some(more / 2));
    let mut rungs: Vec<Rung> = whole.map(|folds| Rung { folds, share: 1.0 }).collect();
    rungs.push(Rung { folds: 1, share: FIRST_SHARE });
    rungs.reverse();
    rungs
}

/// Where a trial stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The number of the trial.
    pub number: u64,
    /// Its score on each rung that it was judged on, the higher the better.
    pub scores: Vec<f64>,
    /// Whether it can be given more folds: it neither runs nor failed.
    pub is_free: bool,
}

/// The trial to promote, of those on the highest rung where there is one to promote the best; of equals the first.
pub fn promotion(trials: &[Standing], rungs: usize) -> Option<u64> {
    (0..rungs.saturating_sub(1)).rev().find_map(|rung| {
        let mut judged: Vec<&Standing> = trials.iter().filter(|trial| trial.scores.len() > rung).collect();
        judged.sort_by(|a, b| b.scores[rung].total_cmp(&a.scores[rung]).then(a.number.cmp(&b.number)));
        judged.truncate(judged.len() / ONE_OF);
        judged.iter().find(|trial| trial.is_free && trial.scores.len() == rung + 1).map(|trial| trial.number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standings(scores: &[&[f64]]) -> Vec<Standing> {
        let standing = |(number, scores): (usize, &&[f64])| Standing {
            number: number as u64,
            scores: scores.to_vec(),
            is_free: true,
        };
        scores.iter().enumerate().map(standing).collect()
    }

    #[test]
    fn the_epochs_come_first_and_then_folds_about_double_from_rung_to_rung() {
        let folds = |folds| rungs(folds).iter().map(|rung| rung.folds).collect::<Vec<_>>();
        assert_eq!((folds(2), folds(3), folds(5)), (vec![1, 1, 2], vec![1, 1, 3], vec![1, 1, 2, 5]));
        assert_eq!(folds(10), [1, 1, 2, 5, 10]);
        let told: Vec<String> = rungs(2).iter().map(Rung::to_string).collect();
        assert_eq!(told, ["1 fold, a third of the epochs", "1 fold", "2 folds"]);
        assert!(rungs(5).iter().skip(1).all(|rung| !rung.is_short()));
    }

    #[test]
    fn promotions_worked_out_by_hand() {
        // Two are too few for a third of them to be one.
        assert_eq!(promotion(&standings(&[&[0.5], &[0.6]]), 3), None);
        // Of three the best goes on, and of those that are equal the first.
        assert_eq!(promotion(&standings(&[&[0.5], &[0.6], &[0.6]]), 3), Some(1));
        // When that one is up, the next two wait until there are six.
        assert_eq!(promotion(&standings(&[&[0.5], &[0.6, 0.4], &[0.6]]), 3), None);
        let six: [&[f64]; 6] = [&[0.5], &[0.6, 0.4], &[0.6], &[0.1], &[0.2], &[0.3]];
        assert_eq!(promotion(&standings(&six), 3), Some(2));
        // A trial that fell behind on its rung is not taken further for being good on the one before.
        let upper: [&[f64]; 9] =
            [&[0.9, 0.1], &[0.8, 0.7], &[0.7, 0.6], &[0.1], &[0.1], &[0.1], &[0.1], &[0.1], &[0.1]];
        assert_eq!(promotion(&standings(&upper), 3), Some(1), "from the top rung down");
        let mut busy = standings(&upper);
        busy[1].is_free = false;
        assert_eq!(promotion(&busy, 3), None, "the best third of the upper rung runs");
        // On the last rung there is nowhere to go.
        assert_eq!(promotion(&standings(&[&[0.1, 0.2], &[0.2, 0.3], &[0.3, 0.4]]), 2), None);
    }
}
