//! Which values a trial gets: by chance, along a grid, or where the trials so far let expect the most.
//!
//! A proposal is a function of the space, the method, the seed, the number of the trial, and what is known of the others: the
//! same study goes on in the same way, whenever and wherever it is resumed.
//!
//! TPE is the tree-structured Parzen estimator of Bergstra and others (2011, <https://papers.nips.cc/paper/4443>): for each
//! dimension the values of the best tenth of the trials and those of the others are two densities `l` and `g`, and of 24 values
//! drawn from `l` the one with the greatest `l / g` is taken. Densities, candidates and choice are those of the crate `tpe`.
//! Ours is what it leaves open: logarithms, whole numbers, dimensions that do not matter in a trial and are unknown in its
//! densities, ten trials by chance first, and trials that were stopped early, which rank behind those that came further, as in
//! Optuna. As there, the best are never more than 25.

use std::convert::Infallible;

use finetone_data::split::random::Random;
use rand_core::TryRng;
use tpe::{TpeOptimizer, TpeOptimizerBuilder};

use crate::space::{Assignment, Dimension, Space};

/// Trials by chance before the first by TPE.
const BY_CHANCE_FIRST: usize = 10;
/// Share of the trials that are the good ones, and how many they are at most.
const GOOD_SHARE: f64 = 0.1;
const MOST_GOOD: f64 = 25.0;
/// Values drawn for a trial before the space counts as used up.
const ATTEMPTS: u64 = 200;

/// How values are proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Where the trials so far let expect the most.
    Tpe,
    /// By chance.
    Random,
    /// Every combination of a grid, in a scattered order.
    Grid,
}

impl Method {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tpe => "tpe",
            Self::Random => "random",
            Self::Grid => "grid",
        }
    }
}

/// What is known of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Known<'a> {
    /// Its values.
    pub values: &'a Assignment,
    /// How many rungs it has been judged on, and its score on the last; none while it runs for the first time.
    pub standing: Option<(usize, f64)>,
}

/// The values of trial `number`, unlike those of all others and accepted by `fits`; none where there are no more.
pub fn propose(
    space: &Space,
    (method, seed, number): (Method, u64, u64),
    known: &[Known<'_>],
    fits: impl Fn(&Assignment) -> bool,
) -> Option<Assignment> {
    let is_new = |values: &Assignment| known.iter().all(|one| one.values != values) && fits(values);
    if method == Method::Grid {
        return grid(space, seed).find(is_new);
    }
    let drawn = |attempt: u64| {
        let mut random = Random::of(&[seed, number, attempt]);
        // What TPE insists on though it was tried is no use.
        let by_chance = method == Method::Random || is_by_chance(known) || attempt > ATTEMPTS / 2;
        if by_chance { by_luck(space, &mut random) } else { by_tpe(space, known, random) }
    };
    (0..ATTEMPTS).map(drawn).find(is_new)
}

/// Whether too little is known for TPE.
pub fn is_by_chance(known: &[Known<'_>]) -> bool {
    known.iter().filter(|one| one.standing.is_some()).count() < BY_CHANCE_FIRST
}

/// Each dimension's value where the one before it lets it matter.
fn assigned(space: &Space, mut place: impl FnMut(&Dimension) -> f64) -> Assignment {
    let mut values = Assignment::new();
    for dimension in space.dimensions() {
        if dimension.matters(&values) {
            let value = dimension.at(place(dimension));
            values.insert(dimension.name.clone(), value);
        }
    }
    values
}

fn by_luck(space: &Space, random: &mut Random) -> Assignment {
    assigned(space, |dimension| {
        let (start, end) = dimension.ends();
        start + (end - start) * random.share()
    })
}

fn by_tpe(space: &Space, known: &[Known<'_>], random: Random) -> Assignment {
    let ranked = ranked(known);
    let mut random = Stream(random);
    assigned(space, |dimension| {
        let mut optimiser = optimiser(dimension, ranked.len());
        for (rank, one) in ranked.iter().enumerate() {
            let place = one.values.get(&dimension.name).and_then(|value| dimension.place(value));
            optimiser.tell(place.unwrap_or(f64::NAN), rank as f64).expect("places lie between the ends");
        }
        let Ok(place) = optimiser.ask(&mut random);
        place
    })
}

/// The trials that were judged, the best first: those that came further before the others.
fn ranked<'k, 'a>(known: &'k [Known<'a>]) -> Vec<&'k Known<'a>> {
    let mut ranked: Vec<_> = known.iter().filter(|one| one.standing.is_some()).collect();
    ranked.sort_by(|a, b| {
        let standing = |one: &Known<'_>| one.standing.expect("the others were left out");
        let ((rung_a, score_a), (rung_b, score_b)) = (standing(a), standing(b));
        rung_b.cmp(&rung_a).then(score_b.total_cmp(&score_a))
    });
    ranked
}

/// The estimators of a dimension.
pub(crate) fn optimiser(dimension: &Dimension, trials: usize) -> TpeOptimizer {
    let (start, end) = dimension.ends();
    let range = tpe::range(start, end).expect("a space has no empty ranges");
    let kind = if dimension.is_listed() { tpe::histogram_estimator() } else { tpe::parzen_estimator() };
    let share = GOOD_SHARE.min(MOST_GOOD / trials.max(1) as f64);
    TpeOptimizerBuilder::new().gamma(share).build(kind, range).expect("the share is one, and there are candidates")
}

/// Every combination once for each that differs, in an order in which neighbours are far apart.
fn grid(space: &Space, seed: u64) -> impl Iterator<Item = Assignment> {
    let grids: Vec<Vec<f64>> = space.dimensions().iter().map(places).collect();
    let count = grids.iter().fold(1_u64, |count, grid| count.saturating_mul(grid.len() as u64));
    // Steps of about 0.618 of the whole scatter best; without a common divisor they meet every combination.
    let mut step = (count as f64 * 0.618) as u64;
    while greatest_common_divisor(step, count) != 1 {
        step += 1;
    }
    let first = Random::new(seed).below(count as usize) as u64;
    (0..count).map(move |number| {
        let mut rest = ((u128::from(first) + u128::from(number) * u128::from(step)) % u128::from(count)) as usize;
        let mut grids = grids.iter();
        let mut chosen = std::collections::BTreeMap::new();
        for dimension in space.dimensions() {
            let grid = grids.next().expect("one for each dimension");
            chosen.insert(dimension.name.as_str(), grid[rest % grid.len()]);
            rest /= grid.len();
        }
        assigned(space, |dimension| chosen[dimension.name.as_str()])
    })
}

fn places(dimension: &Dimension) -> Vec<f64> {
    dimension.grid().iter().filter_map(|value| dimension.place(value)).collect()
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The project's random numbers as the crate `tpe` takes them.
pub(crate) struct Stream(pub Random);

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0.bits() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.bits())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&self.0.bits().to_le_bytes()[..piece.len()]);
        }
        Ok(())
    }
}
