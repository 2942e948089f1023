//! What a job told, in the order in which it happened.

use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, FromRow};

use super::claims::Claim;
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
        // Data may hold this character, which PostgreSQL keeps in no text.
        let message = message.into().replace('\0', "\u{FFFD}");
        Self { level, message, data: None, step: None }
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
    pub(super) async fn insert(&self, job: &str, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let query = sqlx::query(
            "INSERT INTO events (id, job, created_at, level, message, data, step) VALUES ($1, $2, $3, $4, $5, $6, $7)
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
    /// Adds an event to a claimed job; says whether it is still claimed, as all do that write about one.
    pub async fn add_event(&self, claim: &Claim, event: &NewEvent) -> Result<bool, sqlx::Error> {
        let Some(mut transaction) = self.holding(claim).await? else { return Ok(false) };
        event.insert(&claim.job, &mut transaction).await?;
        transaction.commit().await.map(|()| true)
    }

    /// Adds an event unless the job has told the same before: a run that goes on repeats itself.
    pub async fn add_event_once(&self, claim: &Claim, event: &NewEvent) -> Result<bool, sqlx::Error> {
        let Some(mut transaction) = self.holding(claim).await? else { return Ok(false) };
        let told = sqlx::query("SELECT 1 FROM events WHERE job = $1 AND message = $2").bind(&claim.job);
        if told.bind(&event.message).fetch_optional(&mut *transaction).await?.is_none() {
            event.insert(&claim.job, &mut transaction).await?;
        }
        transaction.commit().await.map(|()| true)
    }

    /// A page of the events of a job; `None` if there is none with the id behind which it should begin.
    pub async fn events(&self, job: &str, page: &Page) -> Result<Option<(Vec<EventRow>, bool)>, sqlx::Error> {
        let Some(place) = self.place("events", page).await? else { return Ok(None) };
        let sql = format!("SELECT {COLUMNS} FROM events WHERE job = $2 AND {}", page.sql("place"));
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(place.0).bind(job);
        Ok(Some(page.cut(query.fetch_all(&self.pool).await?)))
    }

    /// The numbers of every step of a job.
    pub async fn steps(&self, job: &str) -> Result<Vec<EventRow>, sqlx::Error> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE job = $1 AND step IS NOT NULL ORDER BY step");
        sqlx::query_as(AssertSqlSafe(sql)).bind(job).fetch_all(&self.pool).await
    }

    /// What is known of a step.
    pub async fn step(&self, job: &str, step: u64) -> Result<Option<EventRow>, sqlx::Error> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE job = $1 AND step = $2");
        sqlx::query_as(AssertSqlSafe(sql)).bind(job).bind(step as i64).fetch_optional(&self.pool).await
    }

    /// Forgets the steps behind `step`: the run goes on from there and takes them again.
    pub async fn forget_steps_after(&self, claim: &Claim, step: u64) -> Result<bool, sqlx::Error> {
        let Some(mut transaction) = self.holding(claim).await? else { return Ok(false) };
        let query = sqlx::query("DELETE FROM events WHERE job = $1 AND step > $2").bind(&claim.job).bind(step as i64);
        query.execute(&mut *transaction).await?;
        transaction.commit().await.map(|()| true)
    }
}
