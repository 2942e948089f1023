//! The search: claim a trial, judge it in the folds of its next rung, write down what was found, and again.

use std::time::{Duration, Instant};

use finetone_evaluate::Metric;
use finetone_train::{Control, JudgedFold, RunFile};

use crate::error::SearchError;
use crate::judge::{Judge, is_of_the_settings};
use crate::propose::{Known, Method, is_by_chance, propose};
use crate::pulse::{At, BETWEEN_LOOKS, Pulse};
use crate::rungs::{FIRST_SHARE, Rung, promotion, rungs};
use crate::space::{Assignment, Space};
use crate::store::{Fold, SEARCHED, SHORT, Store, Task, Trial};

/// If the first so many trials all came to nothing, others will.
const HOPELESS: usize = 10;

/// What is searched, and how far.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The recipe that the trials differ from. As it stands, it is trial 0.
    pub base: RunFile,
    /// In what they may differ.
    pub space: Space,
    /// How their values are proposed.
    pub method: Method,
    /// What the best trial has most of.
    pub metric: Metric,
    /// Of the proposals.
    pub seed: u64,
    /// The most trials.
    pub trials: Option<u64>,
    /// The most time during which at least one worker is at work, over all calls.
    pub time: Option<Duration>,
}

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The time is used up, or too short for another trial.
    Time,
    /// There are as many trials as were asked for.
    Trials,
    /// Everything in the space was tried.
    Space,
    /// The user stopped it.
    Interrupted,
}

/// What happens in a search.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchEvent {
    /// A trial is begun, gone on with, or promoted to this many folds.
    Begun {
        /// Number and values; no scores yet of what is begun now.
        trial: Trial,
        /// How it will have been judged.
        rung: Rung,
    },
    /// A trial has been judged.
    Judged {
        /// Its number.
        trial: u64,
        /// The metric over all rows of the folds.
        score: f64,
        /// How it was judged.
        rung: Rung,
        /// Seconds that this took, with the folds that were judged before.
        seconds: f64,
    },
    /// A trial has come to nothing.
    Failed {
        /// Its number.
        trial: u64,
        /// Why.
        problem: String,
    },
    /// The winner and trial 0 are about to be judged on fresh folds.
    Confirm {
        /// Seconds that this will take, by what they took in the search.
        seconds: f64,
    },
    /// A fold of the confirmation is judged.
    Confirming {
        /// The number of the trial.
        trial: u64,
        /// The fold, from 1.
        fold: usize,
        /// Of how many.
        folds: usize,
    },
}

/// One worker on a study.
pub struct Worker<'a> {
    /// What nobody else is called.
    pub name: String,
    /// The study.
    pub store: &'a mut Store,
    /// Who judges.
    pub judge: &'a mut dyn Judge,
    /// Lets the user stop it.
    pub user: &'a Control,
    /// Hears what happens.
    pub tell: &'a mut dyn FnMut(&SearchEvent),
}

/// Searches until time, trials or space are used up, or the user stops it.
///
/// # Errors
/// A study that cannot be read or written, data that cannot be read any more. Settings that a training refuses, or that lead to
/// numbers that are none, are no errors: the trial has failed.
pub fn search(worker: &mut Worker<'_>, plan: &Plan) -> Result<End, SearchError> {
    let name = worker.name.clone();
    worker.store.renew(&name, None)?;
    let left = match plan.time {
        Some(time) => Some(time.saturating_sub(Duration::from_secs_f64(worker.store.elapsed()?))),
        None => None,
    };
    let pulse = Pulse::new(left.map(|left| Instant::now() + left));
    let end = pulse.during(worker, |worker| turns(worker, plan, &pulse));
    worker.store.renew(&name, None)?;
    end
}

/// Trial after trial.
fn turns(worker: &mut Worker<'_>, plan: &Plan, pulse: &Pulse) -> Result<End, SearchError> {
    let rungs = rungs(worker.judge.folds());
    loop {
        if worker.user.is_stopped() {
            return Ok(End::Interrupted);
        }
        let left = pulse.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).as_secs_f64());
        if left == Some(0.0) {
            return Ok(End::Time);
        }
        let mut end = End::Space;
        let claimed = worker.store.claim(&worker.name, |trials| {
            let chosen = choose(plan, &rungs, trials, left);
            end = *chosen.as_ref().err().unwrap_or(&end);
            chosen.ok()
        })?;
        let Some(trial) = claimed else {
            // The trial of a worker that was killed is anybody's in a moment.
            if end != End::Time && worker.store.has_silent_claims(&worker.name)? {
                std::thread::sleep(BETWEEN_LOOKS);
                continue;
            }
            return Ok(end);
        };
        pulse.set(At::Trial(trial.number));
        let judged = take(worker, plan, &rungs, &trial, &pulse.control);
        pulse.set(At::Nothing);
        let problem = match judged {
            Ok(()) => None,
            Err(SearchError::Train(error)) if is_of_the_settings(&error) => Some(error.to_string()),
            Err(error) => {
                worker.store.let_go(&worker.name, trial.number, None)?;
                return Err(error);
            }
        };
        worker.store.let_go(&worker.name, trial.number, problem.as_deref())?;
        if let Some(problem) = problem {
            (worker.tell)(&SearchEvent::Failed { trial: trial.number, problem });
        }
    }
}

/// What to do next, or why there is nothing to do: first what was left lying, then what can be promoted, then something new.
/// Nothing is begun that will not be done in the seconds that are `left`.
fn choose(plan: &Plan, rungs: &[Rung], trials: &[Trial], left: Option<f64>) -> Result<Task, End> {
    let in_time = |seconds: Option<f64>| left.is_none_or(|left| seconds.is_none_or(|seconds| seconds <= left));
    let fits = |trial: &Trial, target: usize| in_time(seconds_to(trial, rungs[target - 1], trials));
    if let Some(trial) = trials.iter().find(|trial| trial.is_left_lying() && fits(trial, trial.target)) {
        return Ok(Task::Take(trial.number, trial.target));
    }
    let standings: Vec<_> = trials.iter().map(Trial::standing).collect();
    if let Some(number) = promotion(&standings, rungs.len()) {
        let trial = &trials[number as usize];
        let target = trial.scores.len() + 1;
        if fits(trial, target) {
            return Ok(Task::Take(number, target));
        }
    }
    if plan.trials.is_some_and(|most| trials.len() as u64 >= most) {
        return Err(End::Trials);
    }
    if trials.len() >= HOPELESS && trials.iter().all(|trial| trial.problem.is_some()) {
        return Err(End::Space);
    }
    if trials.is_empty() {
        return Ok(Task::Begin(Assignment::new(), "default"));
    }
    if !in_time(usual_seconds(trials)) {
        return Err(End::Time);
    }
    begin(plan, trials).ok_or(End::Space)
}

/// What is to be expected of a trial on its way to a rung, if anything is known.
fn seconds_to(trial: &Trial, rung: Rung, trials: &[Trial]) -> Option<f64> {
    let missing = (rung.folds - trial.folds.len().min(rung.folds)) as f64;
    if rung.is_short() { usual_seconds(trials) } else { Some(fold_seconds(trial)? * missing) }
}

/// What a fold takes with all epochs, by those that are known or by the short training.
pub(crate) fn fold_seconds(trial: &Trial) -> Option<f64> {
    let short = trial.seconds - trial.fold_seconds;
    match trial.folds.len() {
        0 => Some(short / FIRST_SHARE).filter(|seconds| *seconds > 0.0),
        folds => Some(trial.fold_seconds / folds as f64),
    }
}

/// What three quarters of the trials take on the first rung, if any is known.
fn usual_seconds(trials: &[Trial]) -> Option<f64> {
    let judged = trials.iter().filter(|trial| !trial.scores.is_empty());
    let mut seconds: Vec<f64> = judged.map(|trial| trial.seconds - trial.fold_seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() * 3 / 4).copied()
}

fn begin(plan: &Plan, trials: &[Trial]) -> Option<Task> {
    let known: Vec<Known<'_>> = trials
        .iter()
        .map(|trial| {
            let failed = trial.problem.as_ref().map(|_| (0, f64::NEG_INFINITY));
            let judged = trial.scores.last().map(|&score| (trial.scores.len(), score));
            Known { values: &trial.assignment, standing: failed.or(judged) }
        })
        .collect();
    let fits = |values: &Assignment| plan.space.apply(&plan.base, values).resolve().is_ok();
    let assignment = propose(&plan.space, (plan.method, plan.seed, trials.len() as u64), &known, fits)?;
    let by_chance = plan.method == Method::Tpe && is_by_chance(&known);
    Some(Task::Begin(assignment, if by_chance { Method::Random } else { plan.method }.name()))
}

/// Takes a claimed trial to the rung that it is to reach.
fn take(
    worker: &mut Worker<'_>,
    plan: &Plan,
    rungs: &[Rung],
    trial: &Trial,
    control: &Control,
) -> Result<(), SearchError> {
    let number = trial.number;
    (worker.tell)(&SearchEvent::Begun { trial: trial.clone(), rung: rungs[trial.target - 1] });
    let recipe = plan.space.apply(&plan.base, &trial.assignment);
    for (place, &rung) in rungs.iter().enumerate().take(trial.target).skip(trial.scores.len()) {
        let Some(judged) = judge(worker, (number, &recipe), (rung, &plan.metric), control)? else { return Ok(()) };
        let parts: Vec<(usize, &[f32])> = judged.iter().map(Fold::part).collect();
        let score = worker.judge.score(&plan.metric, SEARCHED, &parts)?;
        if !worker.store.keep_score(&worker.name, number, (place, score))? {
            return Ok(());
        }
        let seconds = judged.iter().map(|fold| fold.seconds).sum();
        (worker.tell)(&SearchEvent::Judged { trial: number, score, rung, seconds });
    }
    Ok(())
}

/// A trial in all folds of a rung, those that were judged before included; nothing where it was stopped, or given to another.
fn judge(
    worker: &mut Worker<'_>,
    (trial, recipe): (u64, &RunFile),
    (rung, metric): (Rung, &Metric),
    control: &Control,
) -> Result<Option<Vec<Fold>>, SearchError> {
    let part = if rung.is_short() { SHORT } else { SEARCHED };
    let mut judged = worker.store.folds(part, trial)?;
    judged.retain(|known| known.fold < rung.folds);
    for fold in 0..rung.folds {
        if judged.iter().any(|known| known.fold == fold) {
            continue;
        }
        let said = worker.judge.judge(SEARCHED, recipe, (fold, rung.share), control)?;
        let Some(JudgedFold { probabilities, seconds }) = said else { return Ok(None) };
        let value = worker.judge.score(metric, SEARCHED, &[(fold, &probabilities)])?;
        let found = Fold { fold, value, seconds, probabilities };
        if !worker.store.keep_fold(&worker.name, (part, trial), &found)? {
            return Ok(None);
        }
        judged.push(found);
    }
    Ok(Some(judged))
}
