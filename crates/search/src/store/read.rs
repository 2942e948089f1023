//! What a study holds, read back: trials with all that was judged of them, and when somebody was at work.

use rusqlite::Connection;

use super::{FRESH, SEARCHED};
use crate::rungs::Standing;
use crate::space::Assignment;

/// A trial and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its number; 0 is the recipe as it stands.
    pub number: u64,
    /// How it came about: `default`, `random`, `grid` or `tpe`.
    pub origin: String,
    /// The values of its dimensions.
    pub assignment: Assignment,
    /// The score of each rung that it was judged on.
    pub scores: Vec<f64>,
    /// The score of each fold that it was judged in by itself with all epochs, in their order.
    pub folds: Vec<f64>,
    /// Seconds that these folds took.
    pub fold_seconds: f64,
    /// Seconds that they and the short training took.
    pub seconds: f64,
    /// When it was first judged, in seconds since 1970.
    pub at: f64,
    /// How many rungs it is to be judged on.
    pub target: usize,
    /// Why it came to nothing, if it did.
    pub problem: Option<String>,
    /// Who is at it.
    pub worker: Option<String>,
}

impl Trial {
    /// As the ladder of rungs sees it.
    pub fn standing(&self) -> Standing {
        let is_free = self.worker.is_none() && self.problem.is_none();
        Standing { number: self.number, scores: self.scores.clone(), is_free }
    }

    /// Whether it was begun and is neither finished nor at work.
    pub fn is_left_lying(&self) -> bool {
        self.worker.is_none() && self.problem.is_none() && self.scores.len() < self.target
    }
}

/// All trials by their numbers.
pub fn trials(connection: &Connection) -> rusqlite::Result<Vec<Trial>> {
    let mut trials = bare_trials(connection)?;
    let mut query = connection.prepare("SELECT trial, value FROM score ORDER BY trial, rung")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        trials[row.get::<_, i64>(0)? as usize].scores.push(row.get(1)?);
    }
    let sql = "SELECT trial, value, seconds, at, division FROM fold WHERE division <> ?1 ORDER BY trial, fold";
    let mut query = connection.prepare(sql)?;
    let mut rows = query.query([FRESH])?;
    while let Some(row) = rows.next()? {
        let trial = &mut trials[row.get::<_, i64>(0)? as usize];
        let seconds: f64 = row.get(2)?;
        if row.get::<_, u32>(4)? == SEARCHED {
            trial.folds.push(row.get(1)?);
            trial.fold_seconds += seconds;
        }
        trial.seconds += seconds;
        trial.at = trial.at.min(row.get(3)?);
    }
    Ok(trials)
}

/// The trials without what was judged; their numbers are their places.
fn bare_trials(connection: &Connection) -> rusqlite::Result<Vec<Trial>> {
    let sql = "SELECT number, origin, assignment, target, problem, worker FROM trial ORDER BY number";
    let mut query = connection.prepare(sql)?;
    let rows = query.query_map([], |row| {
        let text: String = row.get(2)?;
        let assignment = text.parse().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(error))
        })?;
        Ok(Trial {
            number: row.get::<_, i64>(0)? as u64,
            origin: row.get(1)?,
            assignment,
            scores: Vec::new(),
            folds: Vec::new(),
            fold_seconds: 0.0,
            seconds: 0.0,
            at: f64::INFINITY,
            target: row.get::<_, i64>(3)? as usize,
            problem: row.get(4)?,
            worker: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// Spans of time that do not touch each other, of some in the order of their beginnings.
pub fn united(lives: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for &(began, ended) in lives {
        match spans.last_mut() {
            Some((_, last)) if *last >= began => *last = last.max(ended),
            _ => spans.push((began, ended)),
        }
    }
    spans
}
