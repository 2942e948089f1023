//! A study in SQLite: what was judged, who is at what, and how long it has taken.
//!
//! Everything that must not come apart is one transaction, so a process that is killed at any moment leaves a study that goes
//! on: a fold that was judged is there, one that was not is judged again. A worker claims a trial and renews the claim every
//! second; a claim that nobody renewed for [`LAPSE`] seconds is anybody's. What a worker writes about a trial is written only
//! while the claim is its own.

mod read;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::error::SearchError;
use crate::space::Assignment;
pub use read::Trial;
use read::{trials, united};

/// Seconds after which a claim that nobody renewed has lapsed, and after which that is to be expected.
pub const LAPSE: f64 = 10.0;
const SILENCE: f64 = 3.0;
/// How long a worker waits for another one's transaction.
const PATIENCE: Duration = Duration::from_secs(60);
/// The marks by which a database is known as ours, and in which form its tables are.
const APPLICATION: i64 = 0x6669_6e65;
const FORM: i64 = 1;

const TABLES: &str = "
CREATE TABLE study (about TEXT NOT NULL, space TEXT);
CREATE TABLE trial (
  number INTEGER PRIMARY KEY, origin TEXT NOT NULL, assignment TEXT NOT NULL, target INTEGER NOT NULL,
  problem TEXT, worker TEXT, seen REAL
);
CREATE TABLE score (
  trial INTEGER NOT NULL, rung INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (trial, rung)
);
CREATE TABLE fold (
  division INTEGER NOT NULL, trial INTEGER NOT NULL, fold INTEGER NOT NULL, value REAL NOT NULL, seconds REAL NOT NULL,
  at REAL NOT NULL, worker TEXT NOT NULL, probabilities BLOB NOT NULL, PRIMARY KEY (division, trial, fold)
);
CREATE TABLE worker (name TEXT PRIMARY KEY, began REAL NOT NULL, seen REAL NOT NULL);
CREATE TABLE confirmation (worker TEXT NOT NULL, seen REAL NOT NULL);
";

/// The division of the rows into folds that the search judges by.
pub const SEARCHED: u32 = 0;
/// The division that the winner is judged by afterwards.
pub const FRESH: u32 = 1;
/// Short trainings in the division of the search.
pub const SHORT: u32 = 2;

/// An open study.
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

/// What a worker is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Begin a trial with these values, by this origin.
    Begin(Assignment, &'static str),
    /// Take a trial to as many rungs.
    Take(u64, usize),
}

/// A fold that was judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// Its number.
    pub fold: usize,
    /// Its score by itself.
    pub value: f64,
    /// Seconds that it took.
    pub seconds: f64,
    /// What was said about its rows.
    pub probabilities: Vec<f32>,
}

impl Fold {
    /// Its number with what was said about its rows.
    pub fn part(&self) -> (usize, &[f32]) {
        (self.fold, &self.probabilities)
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

impl Store {
    /// Opens the study of a file, or begins it. `about` says what must not change while it goes on: a line for each thing.
    ///
    /// # Errors
    /// A file that is no database, or that of another study.
    pub fn open(path: &Path, about: &str) -> Result<Self, SearchError> {
        let mut store = Self::connect(path)?;
        let found = store.write(|write| {
            let mark: i64 = write.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let tables: i64 = write.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if mark == 0 && tables == 0 {
                write.execute_batch(TABLES)?;
                write.pragma_update(None, "application_id", APPLICATION)?;
                write.pragma_update(None, "user_version", FORM)?;
                write.execute("INSERT INTO study (about) VALUES (?1)", [about])?;
            }
            let form: i64 = write.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if write.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0))? != APPLICATION
                || form != FORM
            {
                return Ok(None);
            }
            write.query_row("SELECT about FROM study", [], |row| row.get::<_, String>(0)).map(Some)
        })?;
        let other = |problem: String| Err(SearchError::OtherStudy { path: path.to_owned(), problem });
        match found {
            None => other("the file is a database of something else".into()),
            Some(begun) if begun != about => other(difference(&begun, about)),
            Some(_) => Ok(store),
        }
    }

    /// Another connection to a study that is open.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn again(&self) -> Result<Self, SearchError> {
        Self::connect(&self.path)
    }

    fn connect(path: &Path) -> Result<Self, SearchError> {
        let failed = |source| SearchError::Store { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// The space as it was fitted to file and model when the study was begun, if it was.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn space(&self) -> Result<Option<String>, SearchError> {
        self.run(|connection| connection.query_row("SELECT space FROM study", [], |row| row.get(0)))
    }

    /// Keeps the space, unless another worker was faster.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn keep_space(&mut self, space: &str) -> Result<(), SearchError> {
        self.write(|write| write.execute("UPDATE study SET space = coalesce(space, ?1)", [space]).map(drop))
    }

    /// All trials by their numbers.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn trials(&self) -> Result<Vec<Trial>, SearchError> {
        self.run(trials)
    }

    /// Lets `choose` look at all trials and choose what `worker` does, and writes that down, before another worker looks.
    /// Claims that have lapsed are nobody's by then.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn claim(
        &mut self,
        worker: &str,
        choose: impl FnOnce(&[Trial]) -> Option<Task>,
    ) -> Result<Option<Trial>, SearchError> {
        self.write(|write| {
            write.execute("UPDATE trial SET worker = NULL WHERE seen < ?1", [now() - LAPSE])?;
            let number = match choose(&trials(write)?) {
                None => return Ok(None),
                Some(Task::Begin(assignment, origin)) => {
                    let sql = "INSERT INTO trial (number, origin, assignment, target)
                               SELECT coalesce(max(number) + 1, 0), ?1, ?2, 1 FROM trial RETURNING number";
                    let text = assignment.to_string();
                    write.query_row(sql, params![origin, text], |row| row.get::<_, i64>(0))?
                }
                Some(Task::Take(number, target)) => {
                    let sql = "UPDATE trial SET target = ?2 WHERE number = ?1 AND worker IS NULL";
                    write.execute(sql, params![number as i64, target as i64])?;
                    number as i64
                }
            };
            let sql = "UPDATE trial SET worker = ?2, seen = ?3 WHERE number = ?1 AND worker IS NULL";
            write.execute(sql, params![number, worker, now()])?;
            let trial = trials(write)?.into_iter().find(|trial| trial.number == number as u64);
            Ok(trial.filter(|trial| trial.worker.as_deref() == Some(worker)))
        })
    }

    /// Says that a worker lives, and is still at a trial; false where that was given to another.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn renew(&mut self, worker: &str, trial: Option<u64>) -> Result<bool, SearchError> {
        self.write(|write| {
            let sql = "INSERT INTO worker VALUES (?1, ?2, ?2) ON CONFLICT (name) DO UPDATE SET seen = ?2";
            write.execute(sql, params![worker, now()])?;
            let Some(trial) = trial else { return Ok(true) };
            let sql = "UPDATE trial SET seen = ?3 WHERE number = ?1 AND worker = ?2";
            Ok(write.execute(sql, params![trial as i64, worker, now()])? == 1)
        })
    }

    /// Keeps a fold of a claimed trial; false where the trial was given to another worker.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn keep_fold(&mut self, worker: &str, (division, trial): (u32, u64), fold: &Fold) -> Result<bool, SearchError> {
        self.write(|write| {
            let claimed = is_claimed(write, worker, trial)?;
            if claimed {
                insert_fold(write, worker, (division, trial), fold)?;
            }
            Ok(claimed)
        })
    }

    /// Keeps a fold of the confirmation.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn keep_fresh_fold(&mut self, worker: &str, trial: u64, fold: &Fold) -> Result<(), SearchError> {
        self.write(|write| insert_fold(write, worker, (FRESH, trial), fold))
    }

    /// Keeps the score of the next rung of a claimed trial; false where it was given to another.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn keep_score(&mut self, worker: &str, trial: u64, (rung, value): (usize, f64)) -> Result<bool, SearchError> {
        self.write(|write| {
            let claimed = is_claimed(write, worker, trial)?;
            if claimed {
                write.execute("INSERT INTO score VALUES (?1, ?2, ?3)", params![trial as i64, rung as i64, value])?;
            }
            Ok(claimed)
        })
    }

    /// Lets go of a trial, which has come to nothing if there is a problem.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn let_go(&mut self, worker: &str, trial: u64, problem: Option<&str>) -> Result<(), SearchError> {
        let sql = "UPDATE trial SET worker = NULL, problem = ?3 WHERE number = ?1 AND worker = ?2";
        self.write(|write| write.execute(sql, params![trial as i64, worker, problem]).map(drop))
    }

    /// The folds of a trial, by their numbers.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn folds(&self, division: u32, trial: u64) -> Result<Vec<Fold>, SearchError> {
        self.run(|connection| {
            let sql =
                "SELECT fold, value, seconds, probabilities FROM fold WHERE division = ?1 AND trial = ?2 ORDER BY fold";
            let mut query = connection.prepare(sql)?;
            let rows = query.query_map(params![division, trial as i64], |row| {
                let bytes: Vec<u8> = row.get(3)?;
                let probabilities = bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
                let (fold, value, seconds) = (row.get::<_, i64>(0)? as usize, row.get(1)?, row.get(2)?);
                Ok(Fold { fold, value, seconds, probabilities })
            })?;
            rows.collect()
        })
    }

    /// Seconds during which at least one worker was at work.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn elapsed(&self) -> Result<f64, SearchError> {
        Ok(self.spans()?.iter().map(|(began, ended)| ended - began).sum())
    }

    /// The seconds of the study, as [`Store::elapsed`] counts them, until the time `at`.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn elapsed_until(&self, at: f64) -> Result<f64, SearchError> {
        Ok(self.spans()?.iter().map(|(began, ended)| (ended.min(at) - began).max(0.0)).sum())
    }

    /// When at least one worker was at work.
    fn spans(&self) -> Result<Vec<(f64, f64)>, SearchError> {
        let lives: Vec<(f64, f64)> = self.run(|connection| {
            let mut query = connection.prepare("SELECT began, seen FROM worker ORDER BY began")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })?;
        Ok(united(&lives))
    }

    /// Whether `worker` may judge the winner on fresh folds: nobody is at a trial, or at that.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn claim_confirmation(&mut self, worker: &str) -> Result<bool, SearchError> {
        self.write(|write| {
            let least = now() - LAPSE;
            write.execute("DELETE FROM confirmation WHERE seen < ?1 OR worker = ?2", params![least, worker])?;
            let sql = "SELECT (SELECT count(*) FROM trial WHERE worker IS NOT NULL AND worker <> ?2 AND seen >= ?1)
                       + (SELECT count(*) FROM confirmation)";
            let others: i64 = write.query_row(sql, params![least, worker], |row| row.get(0))?;
            if others == 0 {
                write.execute("INSERT INTO confirmation VALUES (?1, ?2)", params![worker, now()])?;
            }
            Ok(others == 0)
        })
    }

    /// Whether a claim of another worker is about to lapse, because that worker has fallen silent.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn has_silent_claims(&self, worker: &str) -> Result<bool, SearchError> {
        let sql = "SELECT count(*) FROM
                   (SELECT worker, seen FROM trial WHERE worker IS NOT NULL UNION ALL SELECT worker, seen FROM confirmation)
                   WHERE worker <> ?1 AND seen < ?2";
        let silent = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        Ok(self.run(|connection| connection.query_row(sql, params![worker, now() - SILENCE], silent))? > 0)
    }

    /// Says that a worker is still at the confirmation.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn renew_confirmation(&mut self, worker: &str) -> Result<(), SearchError> {
        let sql = "UPDATE confirmation SET seen = ?2 WHERE worker = ?1";
        self.write(|write| write.execute(sql, params![worker, now()]).map(drop))
    }

    /// Lets go of the confirmation.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn end_confirmation(&mut self, worker: &str) -> Result<(), SearchError> {
        self.write(|write| write.execute("DELETE FROM confirmation WHERE worker = ?1", [worker]).map(drop))
    }

    fn run<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, SearchError> {
        read(&self.connection).map_err(|source| SearchError::Store { path: self.path.clone(), source })
    }

    fn write<T>(&mut self, write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, SearchError> {
        let failed = |source| SearchError::Store { path: self.path.clone(), source };
        // Immediate: two that read first and write then would refuse each other.
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
        let done = write(&transaction).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        Ok(done)
    }
}

fn is_claimed(connection: &Connection, worker: &str, trial: u64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM trial WHERE number = ?1 AND worker = ?2";
    Ok(connection.query_row(sql, params![trial as i64, worker], |_| Ok(())).optional()?.is_some())
}

fn insert_fold(
    connection: &Connection,
    worker: &str,
    (division, trial): (u32, u64),
    fold: &Fold,
) -> rusqlite::Result<()> {
    let bytes: Vec<u8> = fold.probabilities.iter().flat_map(|number| number.to_le_bytes()).collect();
    let (trial, number) = (trial as i64, fold.fold as i64);
    let values = params![division, trial, number, fold.value, fold.seconds, now(), worker, bytes];
    connection.execute("INSERT INTO fold VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", values).map(drop)
}

/// The first line in which two descriptions differ.
fn difference(begun: &str, now: &str) -> String {
    let lines = begun.lines().zip(now.lines()).find(|(begun, now)| begun != now);
    match lines {
        Some((begun, now)) => format!("the study was begun with `{begun}`, and this is `{now}`"),
        None => "the study was begun with other settings".into(),
    }
}
