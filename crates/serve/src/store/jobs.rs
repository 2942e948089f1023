//! Fine-tuning jobs: what was asked for, how far it is, how it ended.

use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, FromRow};

use super::claims::Claim;
use super::events::{Level, NewEvent};
use super::page::Page;
use super::{Store, now};

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its files are being read.
    ValidatingFiles,
    /// It waits for its turn.
    Queued,
    /// It is trained.
    Running,
    /// It waits to be resumed.
    Paused,
    /// Its model is there.
    Succeeded,
    /// It could not be finished.
    Failed,
    /// The user ended it.
    Cancelled,
}

impl Status {
    /// As clients read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::ValidatingFiles => "validating_files",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    const ALL: [Self; 7] = [
        Self::ValidatingFiles,
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|status| status.word() == word);
        known.ok_or_else(|| format!("`{word}` is not where a job can be"))
    }
}

/// How to train; `None` is `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Default, FromRow)]
pub struct Hyperparameters {
    /// How often every example is seen.
    pub n_epochs: Option<i64>,
    /// Examples of one step.
    pub batch_size: Option<i64>,
    /// How many times the usual learning rate.
    pub learning_rate_multiplier: Option<f64>,
}

/// A job.
#[derive(Debug, Clone, FromRow)]
pub struct JobRow {
    /// `ftjob-` and 24 letters and digits.
    pub id: String,
    /// Where it is.
    #[sqlx(try_from = "String")]
    pub status: Status,
    /// The model that it begins with, by its own name.
    pub model: String,
    /// Where that lies if it is a base, for workers that know no names.
    pub base: Option<String>,
    /// The name that the model will have.
    pub tuned_name: String,
    /// What it learns from.
    pub training_file: String,
    /// What it is measured on.
    pub validation_file: Option<String>,
    /// What the user wants in the name.
    pub suffix: Option<String>,
    /// Of everything random.
    pub seed: i64,
    /// As asked for until the files are validated, then as used.
    #[sqlx(flatten)]
    pub hyperparameters: Hyperparameters,
    /// A JSON object of texts.
    pub metadata: Option<String>,
    /// A JSON list of who else gets its numbers, as clients see it.
    pub integrations: Option<String>,
    /// Seconds since 1970, as all times.
    pub created_at: i64,
    /// When the first step was near.
    pub started_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// When it may end.
    pub estimated_finish: Option<i64>,
    /// Tokens that it has learnt from.
    pub trained_tokens: Option<i64>,
    /// The step whose weights are the model.
    pub final_step: Option<i64>,
    /// The file with the numbers of its steps.
    pub result_file: Option<String>,
    /// Why it failed: JSON `{code, message, param}`.
    pub error: Option<String>,
}

pub(super) const COLUMNS: &str = "id, status, model, base, tuned_name, training_file, validation_file, suffix, seed, n_epochs, batch_size, \
     learning_rate_multiplier, metadata, integrations, created_at, started_at, finished_at, estimated_finish, trained_tokens, final_step, \
     result_file, error";

/// Which jobs a list shows by what the user noted with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataFilter {
    /// Those without a note.
    Without,
    /// Those with all of these keys and values.
    With(Vec<(String, String)>),
}

impl MetadataFilter {
    /// As the query reads it: a JSON object, or `null`.
    fn json(&self) -> String {
        match self {
            Self::Without => "null".into(),
            Self::With(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
                Value::Object(pairs.collect()).to_string()
            }
        }
    }
}

impl Store {
    /// Adds a job with its first events.
    pub async fn add_job(&self, job: &JobRow, events: &[NewEvent]) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        let sql = "INSERT INTO jobs (id, status, model, base, tuned_name, training_file, validation_file, suffix, seed, n_epochs, \
                   batch_size, learning_rate_multiplier, metadata, integrations, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, \
                   $8, $9, $10, $11, $12, $13, $14, $15)";
        let query = sqlx::query(sql).bind(&job.id).bind(job.status.word()).bind(&job.model).bind(&job.base);
        let query = query.bind(&job.tuned_name);
        let query = query.bind(&job.training_file).bind(&job.validation_file).bind(&job.suffix).bind(job.seed);
        let Hyperparameters { n_epochs, batch_size, learning_rate_multiplier } = job.hyperparameters;
        let query = query.bind(n_epochs).bind(batch_size).bind(learning_rate_multiplier);
        query.bind(&job.metadata).bind(&job.integrations).bind(job.created_at).execute(&mut *transaction).await?;
        for event in events {
            event.insert(&job.id, &mut transaction).await?;
        }
        transaction.commit().await
    }

    /// The job of this id.
    pub async fn job(&self, id: &str) -> Result<Option<JobRow>, sqlx::Error> {
        sqlx::query_as(AssertSqlSafe(one_job())).bind(id).fetch_optional(&self.pool).await
    }

    /// A page of the jobs; `None` if there is none with the id behind which it should begin.
    pub async fn jobs(&self, filter: &MetadataFilter, page: &Page) -> Result<Option<(Vec<JobRow>, bool)>, sqlx::Error> {
        let Some(place) = self.place("jobs", page).await? else { return Ok(None) };
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE CASE $2 WHEN 'null' THEN metadata IS NULL ELSE NOT EXISTS (
                 SELECT 1 FROM {} AS wanted WHERE NOT EXISTS (
                     SELECT 1 FROM {} AS noted WHERE noted.key = wanted.key AND noted.value = wanted.value
                 )) END AND {}",
            self.dialect.pairs("$2"),
            self.dialect.pairs("metadata"),
            page.sql("place")
        );
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(place.0).bind(filter.json());
        Ok(Some(page.cut(query.fetch_all(&self.pool).await?)))
    }

    /// Moves a job on, with the event that says so, if it is in one of the states `from`. Gives the job as it was moved, not as
    /// what a worker made of it a moment later; nothing where it was in another state.
    pub async fn move_job(
        &self,
        id: &str,
        from: &[Status],
        to: Status,
        event: &NewEvent,
    ) -> Result<Option<JobRow>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        if !self.change_status(&mut transaction, id, from, to).await? {
            return Ok(None);
        }
        event.insert(id, &mut transaction).await?;
        let moved = sqlx::query_as(AssertSqlSafe(one_job())).bind(id).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some(moved))
    }

    /// In one query: whoever moves a job at the same time moves it before or after.
    async fn change_status(
        &self,
        connection: &mut AnyConnection,
        id: &str,
        from: &[Status],
        to: Status,
    ) -> Result<bool, sqlx::Error> {
        let from: Vec<String> = from.iter().map(|status| format!("'{}'", status.word())).collect();
        let sql = format!(
            "UPDATE jobs SET status = $1, estimated_finish = NULL, finished_at = $2 WHERE id = $3 AND status IN ({})",
            from.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(to.word()).bind(to.is_final().then(now)).bind(id);
        Ok(query.execute(connection).await?.rows_affected() == 1)
    }

    /// Ends a claimed job that is at work, with `{code, message, param}`.
    pub async fn fail_job(&self, claim: &Claim, error: &Value) -> Result<(), sqlx::Error> {
        let Some(mut transaction) = self.holding(claim).await? else { return Ok(()) };
        let at_work = [Status::ValidatingFiles, Status::Running];
        if self.change_status(&mut transaction, &claim.job, &at_work, Status::Failed).await? {
            let query = sqlx::query("UPDATE jobs SET error = $1 WHERE id = $2").bind(error.to_string());
            query.bind(&claim.job).execute(&mut *transaction).await?;
            let message = error["message"].as_str().unwrap_or_default();
            NewEvent::new(Level::Error, message).insert(&claim.job, &mut transaction).await?;
        }
        transaction.commit().await
    }

    /// Lets a claimed job whose files are fine wait for its turn, with what the files decided, unless it was moved meanwhile.
    pub async fn queue_job(&self, claim: &Claim, used: &Hyperparameters, event: &NewEvent) -> Result<(), sqlx::Error> {
        let Some(mut transaction) = self.holding(claim).await? else { return Ok(()) };
        if self.change_status(&mut transaction, &claim.job, &[Status::ValidatingFiles], Status::Queued).await? {
            let sql = "UPDATE jobs SET n_epochs = $1, batch_size = $2, learning_rate_multiplier = $3 WHERE id = $4";
            let query = sqlx::query(sql).bind(used.n_epochs).bind(used.batch_size).bind(used.learning_rate_multiplier);
            query.bind(&claim.job).execute(&mut *transaction).await?;
            event.insert(&claim.job, &mut transaction).await?;
        }
        transaction.commit().await
    }

    /// Keeps how far a claimed job is.
    pub async fn keep_progress(&self, claim: &Claim, tokens: u64, estimated_finish: i64) -> Result<bool, sqlx::Error> {
        let Some(mut transaction) = self.holding(claim).await? else { return Ok(false) };
        let query = sqlx::query("UPDATE jobs SET trained_tokens = $1, estimated_finish = $2 WHERE id = $3");
        let query = query.bind(tokens as i64).bind(estimated_finish).bind(&claim.job);
        query.execute(&mut *transaction).await?;
        transaction.commit().await.map(|()| true)
    }

    /// Keeps which step's weights are the model.
    pub async fn keep_final_step(&self, claim: &Claim, step: u64) -> Result<bool, sqlx::Error> {
        let Some(mut transaction) = self.holding(claim).await? else { return Ok(false) };
        let query = sqlx::query("UPDATE jobs SET final_step = $1 WHERE id = $2").bind(step as i64).bind(&claim.job);
        query.execute(&mut *transaction).await?;
        transaction.commit().await.map(|()| true)
    }

    /// The job that is not over and begins with a model.
    pub async fn job_that_begins_with(&self, model: &str) -> Result<Option<String>, sqlx::Error> {
        let sql = format!("SELECT id FROM jobs WHERE model = $1 AND status IN {}", super::ACTIVE);
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(model).fetch_optional(&self.pool).await
    }
}

/// The query for the job of an id.
fn one_job() -> String {
    format!("SELECT {COLUMNS} FROM jobs WHERE id = $1")
}
