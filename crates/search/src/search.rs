//! The search: claim a trial, judge it in the folds of its next rung, write down what was found, and again.

use std::time::{Duration, Instant};

use finetone_train::{Control, RunFile};

use crate::error::SearchError;
use crate::judge::{Judge, is_of_the_settings};
use crate::propose::{Known, Method, is_by_chance, propose};
use crate::pulse::{At, BETWEEN_LOOKS, Pulse};
use crate::rungs::{promotion, rungs};
use crate::space::{Assignment, Space};
use crate::store::{Fold, SEARCHED, Store, Task, Trial};

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
        /// How many folds it will have been judged in.
        folds: usize,
    },
    /// A trial has been judged.
    Judged {
        /// Its number.
        trial: u64,
        /// Macro F1 over all rows of the folds.
        score: f64,
        /// In how many folds.
        folds: usize,
        /// Seconds that it has taken up to now.
        seconds: f64,
    },
    /// A trial has come to nothing.
    Failed {
        /// Its number.
        trial: u64,
        /// Why.
        problem: String,
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
fn choose(plan: &Plan, rungs: &[usize], trials: &[Trial], left: Option<f64>) -> Result<Task, End> {
    let in_time = |seconds: Option<f64>| left.is_none_or(|left| seconds.is_none_or(|seconds| seconds <= left));
    let fits = |trial: &Trial, target: usize| {
        let judged = trial.folds.len();
        let of_fold = if judged > 0 { Some(trial.seconds / judged as f64) } else { usual_seconds(trials) };
        in_time(of_fold.map(|seconds| seconds * (rungs[target - 1] - judged) as f64))
    };
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

/// What three quarters of the trials take for a fold, if any is known.
fn usual_seconds(trials: &[Trial]) -> Option<f64> {
    let judged = trials.iter().filter(|trial| !trial.folds.is_empty());
    let mut seconds: Vec<f64> = judged.map(|trial| trial.seconds / trial.folds.len() as f64).collect();
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
    rungs: &[usize],
    trial: &Trial,
    control: &Control,
) -> Result<(), SearchError> {
    let number = trial.number;
    (worker.tell)(&SearchEvent::Begun { trial: trial.clone(), folds: rungs[trial.target - 1] });
    let recipe = plan.space.apply(&plan.base, &trial.assignment);
    let mut judged = worker.store.folds(SEARCHED, number)?;
    for (rung, &folds) in rungs.iter().enumerate().take(trial.target).skip(trial.scores.len()) {
        for fold in 0..folds {
            if judged.iter().any(|(known, ..)| *known == fold) {
                continue;
            }
            let Some(said) = worker.judge.judge(SEARCHED, &recipe, fold, control)? else { return Ok(()) };
            let value = worker.judge.score(SEARCHED, &[(fold, &said.probabilities)])?;
            let found = Fold { fold, value, seconds: said.seconds, probabilities: &said.probabilities };
            if !worker.store.keep_fold(&worker.name, number, &found)? {
                return Ok(());
            }
            judged.push((fold, said.probabilities, said.seconds));
        }
        let of_rung = judged.iter().filter(|(fold, ..)| *fold < folds);
        let parts: Vec<(usize, &[f32])> = of_rung.map(|(fold, said, _)| (*fold, said.as_slice())).collect();
        let score = worker.judge.score(SEARCHED, &parts)?;
        if !worker.store.keep_score(&worker.name, number, (rung, score))? {
            return Ok(());
        }
        let seconds = judged.iter().map(|(.., seconds)| seconds).sum();
        (worker.tell)(&SearchEvent::Judged { trial: number, score, folds, seconds });
    }
    Ok(())
}
