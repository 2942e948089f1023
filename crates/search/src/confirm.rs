//! The winner once more, beside the recipe it started from, in folds that no trial has seen.
//!
//! The best of many looks better than it is: luck in the folds of the search helped to choose it. So it is judged on a fresh
//! division of the rows, with another seed, and what comes out is only told: nothing is chosen by it.

use finetone_evaluate::{Comparison, EvaluationOptions, Metric, Predictions};
use finetone_train::RunFile;

use crate::error::SearchError;
use crate::pulse::{At, BETWEEN_LOOKS, Pulse};
use crate::search::{Plan, SearchEvent, Worker, fold_seconds};
use crate::store::{FRESH, Fold, Trial};

/// The recipe as it stands and the winner on fresh folds.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmation {
    /// The number of the winner.
    pub winner: u64,
    /// Trial 0.
    pub default_folds: FreshFolds,
    /// The winner.
    pub winner_folds: FreshFolds,
    /// The second is the winner.
    pub comparison: Comparison,
}

/// What one recipe reached on fresh folds.
#[derive(Debug, Clone, PartialEq)]
pub struct FreshFolds {
    /// The metric over all rows.
    pub score: f64,
    /// The metric of each fold.
    pub folds: Vec<f64>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// How a confirmation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Confirmed {
    /// The winner was judged.
    Done(Box<Confirmation>),
    /// The recipe as it stands is the best, or cannot be trained, or nobody asked.
    NotNeeded,
    /// Another worker is still at a trial, or at this.
    Elsewhere,
    /// The user stopped it; what was judged by then is kept.
    Interrupted,
}

impl Confirmed {
    /// What was found, if it was.
    pub fn confirmation(&self) -> Option<Confirmation> {
        match self {
            Self::Done(confirmation) => Some((**confirmation).clone()),
            Self::NotNeeded | Self::Elsewhere | Self::Interrupted => None,
        }
    }
}

/// The trial that is best by the search: of those that came furthest the one with the best score, of equals the first.
pub fn best(trials: &[Trial]) -> Option<&Trial> {
    let judged = trials.iter().filter(|trial| !trial.scores.is_empty() && trial.problem.is_none());
    judged.reduce(|best, other| {
        let (further, score) =
            (other.scores.len().cmp(&best.scores.len()), |trial: &Trial| trial.scores.last().copied());
        if further.is_gt() || (further.is_eq() && score(other) > score(best)) { other } else { best }
    })
}

/// Judges trial 0 and the best one on fresh folds, unless they are the same, or trial 0 came to nothing.
///
/// # Errors
/// What a training fails with, a study that cannot be written.
pub fn confirm(worker: &mut Worker<'_>, plan: &Plan) -> Result<Confirmed, SearchError> {
    let name = worker.name.clone();
    while !worker.store.claim_confirmation(&name)? {
        if worker.user.is_stopped() {
            return Ok(Confirmed::Interrupted);
        }
        if !worker.store.has_silent_claims(&name)? {
            return Ok(Confirmed::Elsewhere);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    let trials = worker.store.trials()?;
    let can_be_compared = trials.first().is_some_and(|default| default.problem.is_none());
    let Some(winner) = best(&trials).filter(|winner| winner.number != 0 && can_be_compared) else {
        worker.store.end_confirmation(&name)?;
        return Ok(Confirmed::NotNeeded);
    };
    let of_both = [&trials[0], winner].into_iter().filter_map(fold_seconds).sum::<f64>();
    (worker.tell)(&SearchEvent::Confirm { seconds: of_both * worker.judge.folds() as f64 });
    let pulse = Pulse::new(None);
    pulse.set(At::Confirmation);
    let found = pulse.during(worker, |worker| {
        let recipe = plan.space.apply(&plan.base, &winner.assignment);
        let Some(default) = judge(worker, (0, &plan.base), &plan.metric, &pulse)? else {
            return Ok(Confirmed::Interrupted);
        };
        let Some(won) = judge(worker, (winner.number, &recipe), &plan.metric, &pulse)? else {
            return Ok(Confirmed::Interrupted);
        };
        let comparison = Comparison::new(&default.1, &won.1, &EvaluationOptions::default())?;
        let (default_folds, winner_folds) = (default.0, won.0);
        Ok(Confirmed::Done(Box::new(Confirmation { winner: winner.number, default_folds, winner_folds, comparison })))
    });
    worker.store.end_confirmation(&name)?;
    found
}

/// One recipe in all fresh folds, those that were judged before included.
fn judge(
    worker: &mut Worker<'_>,
    (trial, recipe): (u64, &RunFile),
    metric: &Metric,
    pulse: &Pulse,
) -> Result<Option<(FreshFolds, Predictions)>, SearchError> {
    let folds = worker.judge.folds();
    let known = worker.store.folds(FRESH, trial)?;
    for fold in (0..folds).filter(|fold| known.iter().all(|known| known.fold != *fold)) {
        (worker.tell)(&SearchEvent::Confirming { trial, fold: fold + 1, folds });
        let Some(said) = worker.judge.judge(FRESH, recipe, (fold, 1.0), &pulse.control)? else { return Ok(None) };
        let value = worker.judge.score(metric, FRESH, &[(fold, &said.probabilities)])?;
        let found = Fold { fold, value, seconds: said.seconds, probabilities: said.probabilities };
        worker.store.keep_fresh_fold(&worker.name, trial, &found)?;
    }
    let judged = worker.store.folds(FRESH, trial)?;
    let parts: Vec<(usize, &[f32])> = judged.iter().map(Fold::part).collect();
    let predictions = worker.judge.together(FRESH, &parts)?;
    let found = FreshFolds {
        score: metric.compute(&predictions)?,
        folds: judged.iter().map(|fold| fold.value).collect(),
        seconds: judged.iter().map(|fold| fold.seconds).sum(),
    };
    Ok(Some((found, predictions)))
}
