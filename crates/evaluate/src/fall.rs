//! Whether a model that is judged row after row has become worse than it was.
//!
//! A bet against "it is right at least as often as before". Whoever bets starts with 1 and cannot be expected to win while that
//! holds, so by Ville's inequality (1939) 1/α is reached with a probability of at most α, however many rows come and however often
//! one looks (Ramdas, Grünwald, Vovk and Shafer 2023, <https://arxiv.org/abs/2210.01948>).
//!
//! When the fall will come and how deep it will be is not known, so the stake is divided: every [`BLOCK`] rows a part of it is
//! put on a fall from there on (the k-th part of all is `4/((k+3)(k+4))`, which adds up to 1), in equal shares on falls by which
//! 5, 10, 20 or 40 % of the right answers turn wrong. A bet on the share `f` is multiplied by `1 − f` for an answer that is right,
//! and by `(1 − p(1 − f)) / (1 − p)` for one that is wrong, where `p` is the old share of right answers: that is what the
//! likelihood of the row changes by.
//!
//! `p` itself is known from rows only. In its place stands the lower end of its exact one-sided interval (Clopper and Pearson
//! 1934), which is too high with half of the stated probability of a false alarm; the bet has the other half.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

/// The probability of a false alarm, ever: the reference was lucky, or the bet was.
pub const FALSE_ALARMS: f64 = 0.05;
/// Rows between two dates from which on a fall is betted on.
const BLOCK: u64 = 100;
/// Shares of right answers that may turn wrong.
const FALLS: [f64; 4] = [0.05, 0.1, 0.2, 0.4];
/// The fall by which the beginning is looked for.
const TYPICAL: f64 = 0.2;

/// Watches a stream of answers that are right or wrong. It can be kept and gone on with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FallDetector {
    /// Share of right answers that the reference has at least.
    floor: f64,
    /// Rows seen.
    rows: u64,
    /// What the bets on each of the falls have become.
    bets: [f64; FALLS.len()],
    /// What is not put on anything yet.
    cash: f64,
    /// Page's cumulative sum (1954), which says where a fall probably began.
    sum: f64,
    /// The row before which the sum was 0 last.
    since: u64,
    alarm: Option<Fall>,
}

/// A fall that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fall {
    /// The row, from 1, at which it was certain enough.
    pub row: u64,
    /// The row from which on it probably is.
    pub since: u64,
}

impl FallDetector {
    /// Watches for answers that are right less often than `right` of `n` were.
    pub fn new(right: u64, n: u64) -> Self {
        let bets = [0.0; FALLS.len()];
        Self { floor: lower_end(right, n), rows: 0, bets, cash: 1.0, sum: 0.0, since: 1, alarm: None }
    }

    /// Takes the next answer. After an alarm nothing is changed by more of them but the number of rows.
    pub fn see(&mut self, right: bool) {
        self.rows += 1;
        if self.alarm.is_some() {
            return;
        }
        if (self.rows - 1).is_multiple_of(BLOCK) {
            let k = ((self.rows - 1) / BLOCK + 1) as f64;
            let stake = 4.0 / ((k + 3.0) * (k + 4.0));
            self.cash -= stake;
            self.bets.iter_mut().for_each(|bet| *bet += stake / FALLS.len() as f64);
        }
        for (bet, fall) in self.bets.iter_mut().zip(FALLS) {
            *bet *= factor(self.floor, fall, right);
        }
        self.sum += factor(self.floor, TYPICAL, right).ln();
        if self.sum <= 0.0 {
            (self.sum, self.since) = (0.0, self.rows + 1);
        }
        if self.evidence() >= 2.0 / FALSE_ALARMS {
            self.alarm = Some(Fall { row: self.rows, since: self.since });
        }
    }

    /// What the stake of 1 has become: about 1 while nothing has changed, 40 at the alarm.
    pub fn evidence(&self) -> f64 {
        self.cash + self.bets.iter().sum::<f64>()
    }

    /// Rows seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The share of right answers that is taken for the old one: the reference has at least this.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// The fall, once it is found.
    pub fn alarm(&self) -> Option<Fall> {
        self.alarm
    }
}

/// What a bet on the share `fall` is multiplied by.
fn factor(floor: f64, fall: f64, right: bool) -> f64 {
    if right { 1.0 - fall } else { (1.0 - floor * (1.0 - fall)) / (1.0 - floor) }
}

fn lower_end(right: u64, n: u64) -> f64 {
    match Beta::new(right as f64, (n + 1).saturating_sub(right) as f64) {
        Ok(distribution) if right > 0 => distribution.inverse_cdf(FALSE_ALARMS / 2.0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    /// Whether an event of this probability happens.
    fn happens(random: &mut SplitMix64, probability: f64) -> bool {
        (random.next() >> 11) as f64 * 2.0_f64.powi(-53) < probability
    }

    /// The detector that a reference of so many rows gives.
    fn detector(random: &mut SplitMix64, n: u64, accuracy: f64) -> FallDetector {
        let right = (0..n).filter(|_| happens(random, accuracy)).count();
        FallDetector::new(right as u64, n)
    }

    /// The row of the alarm, in so many rows of which those behind `fall` have a label in five turned round.
    fn alarm(random: &mut SplitMix64, accuracy: f64, rows: u64, fall: u64) -> Option<Fall> {
        let mut watched = detector(random, 800, accuracy);
        for row in 1..=rows {
            let right = happens(random, accuracy);
            let turned = row > fall && happens(random, 0.2);
            watched.see(right != turned);
        }
        watched.alarm()
    }

    /// scipy.stats.binomtest(k, n, alternative="greater").proportion_ci(0.975, "exact").low
    #[test]
    fn the_floor_is_clopper_and_pearsons() {
        for (right, n, low) in [(90, 100, 0.823_777_402_259_8), (800, 800, 0.995_399_515_479_2), (0, 20, 0.0)] {
            assert!((lower_end(right, n) - low).abs() < 1e-9, "{right} of {n}: {}", lower_end(right, n));
        }
    }

    #[test]
    fn a_fall_from_row_1000_on_is_found_within_300_rows() {
        let mut random = SplitMix64::new(1);
        let alarms: Vec<Option<Fall>> = (0..200).map(|_| alarm(&mut random, 0.9, 1_300, 1_000)).collect();
        let in_time = alarms.iter().flatten().filter(|fall| fall.row > 1_000).count();
        assert!(in_time >= 180, "{in_time} of 200");
        let mut begins: Vec<u64> = alarms.iter().flatten().map(|fall| fall.since).collect();
        begins.sort_unstable();
        let middle = begins[begins.len() / 2];
        assert!((990..1_030).contains(&middle), "{middle}");
    }

    #[test]
    fn false_alarms_are_fewer_than_stated_in_200_streams() {
        let mut random = SplitMix64::new(2);
        for accuracy in [0.7, 0.9] {
            let alarms = (0..200).filter(|_| alarm(&mut random, accuracy, 3_000, u64::MAX).is_some()).count();
            assert!(alarms < 10, "{alarms} of 200");
        }
    }

    #[test]
    fn what_is_kept_goes_on_as_if_it_had_not_stopped() {
        let answers: Vec<bool> = (0..500_u64).map(|row| row * row % 7 != 2).collect();
        let mut whole = FallDetector::new(95, 100);
        answers.iter().for_each(|&right| whole.see(right));
        let mut parts = FallDetector::new(95, 100);
        for part in answers.chunks(77) {
            part.iter().for_each(|&right| parts.see(right));
            parts = serde_json::from_str(&serde_json::to_string(&parts).expect("JSON")).expect("itself");
        }
        assert_eq!(parts.rows(), whole.rows());
        assert!((parts.evidence() - whole.evidence()).abs() < 1e-9 && parts.alarm() == whole.alarm());
    }

    #[test]
    fn a_bet_is_not_expected_to_win_while_nothing_falls() {
        for floor in [0.0, 0.3, 0.9, 0.999] {
            for fall in FALLS {
                let mean = floor * factor(floor, fall, true) + (1.0 - floor) * factor(floor, fall, false);
                assert!((mean - 1.0).abs() < 1e-12, "{floor} {fall}: {mean}");
            }
        }
    }
}
