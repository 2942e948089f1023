//! What a job told, in the order in which it happened.

use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow, SqliteConnection};

use super::page::Page;
use super::{Store, now};
use crate::ids;

/// How serious an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As expected.
    Info,
    /// The end of the job.
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Error => "error",
        }
    }
}

/// An event before it is kept.
#[derive(Debug, Clone)]
pub struct NewEvent {
    level: Level,
    message: String,
    data: Option<Value>,
    step: Option<i64>,
}

impl NewEvent {
    /// Something that happened.
    pub fn new(level: Level, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), data: None, step: None }
    }

    /// Something that happened as expected.
    pub fn info(message: impl Into<String>) -> Self {
        Self::new(Level::Info, message)
    }

    /// The numbers of a step.
    pub fn metrics(step: u64, message: String, data: Value) -> Self {
        Self { data: Some(data), step: Some(step as i64), ..Self::info(message) }
    }

    /// With something for programs.
    pub fn data(self, data: Value) -> Self {
        Self { data: Some(data), ..self }
    }

    /// Keeps it. An event about a step takes the place of what was known of that step.
    pub(super) async fn insert(&self, job: &str, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let query = sqlx::query(
            "INSERT INTO events (id, job, created_at, level, message, data, step) VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (job, step) WHERE step IS NOT NULL DO UPDATE SET message = excluded.message, data = excluded.data",
        );
        let data = self.data.as_ref().map(Value::to_string);
        let query = query.bind(ids::with_prefix("ftevent-", 24)).bind(job).bind(now()).bind(self.level.word());
        query.bind(&self.message).bind(data).bind(self.step).execute(connection).await.map(drop)
    }
}

/// An event as it is kept.
#[derive(Debug, Clone, FromRow)]
pub struct EventRow {
    /// `ftevent-` and 24 letters and digits.
    pub id: String,
    /// Seconds since 1970.
    pub created_at: i64,
    /// `info` or `error`.
    pub level: String,
    /// A sentence.
    pub message: String,
    /// JSON.
    pub data: Option<String>,
    /// The optimiser step that it is about.
    pub step: Option<i64>,
}

const COLUMNS: &str = "id, created_at, level, message, data, step";

impl Store {
    /// Adds an event to a job.
    pub async fn add_event(&self, job: &str, event: &NewEvent) -> Result<(), sqlx::Error> {
        event.insert(job, &mut *self.pool.acquire().await?).await
    }

    /// Adds an event unless the job has told the same before: a run that goes on repeats itself.
    pub async fn add_event_once(&self, job: &str, event: &NewEvent) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let told = sqlx::query("SELECT 1 FROM events WHERE job = ? AND message = ?").bind(job).bind(&event.message);
        if told.fetch_optional(&mut *transaction).await?.is_none() {
            event.insert(job, &mut transaction).await?;
        }
        transaction.commit().await
    }

    /// A page of the events of a job; `None` if there is none with the id behind which it should begin.
    pub async fn events(&self, job: &str, page: &Page) -> Result<Option<(Vec<EventRow>, bool)>, sqlx::Error> {
        let Some(place) = self.place("events", page).await? else { return Ok(None) };
        let sql = format!("SELECT {COLUMNS} FROM events WHERE job = ?2 AND {}", page.sql("place"));
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(place.0).bind(job);
        Ok(Some(page.cut(query.fetch_all(&self.pool).await?)))
    }

    /// The numbers of every step of a job.
    pub async fn steps(&self, job: &str) -> Result<Vec<EventRow>, sqlx::Error> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE job = ? AND step IS NOT NULL ORDER BY step");
        sqlx::query_as(AssertSqlSafe(sql)).bind(job).fetch_all(&self.pool).await
    }

    /// What is known of a step.
    pub async fn step(&self, job: &str, step: u64) -> Result<Option<EventRow>, sqlx::Error> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE job = ? AND step = ?");
        sqlx::query_as(AssertSqlSafe(sql)).bind(job).bind(step as i64).fetch_optional(&self.pool).await
    }

    /// Forgets the steps behind `step`: the run goes on from there and takes them again.
    pub async fn forget_steps_after(&self, job: &str, step: u64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("DELETE FROM events WHERE job = ? AND step > ?").bind(job).bind(step as i64);
        query.execute(&self.pool).await.map(drop)
    }
}
