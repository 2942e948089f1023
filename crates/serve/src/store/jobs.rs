//! Fine-tuning jobs: what was asked for, how far it is, how it ended.

use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow};

use super::events::{Level, NewEvent};
use super::page::Page;
use super::{Store, now};

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
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

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
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
    pub status: Status,
    /// The model that it begins with, by its own name.
    pub model: String,
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

const COLUMNS: &str = "id, status, model, tuned_name, training_file, validation_file, suffix, seed, n_epochs, batch_size, \
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
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let sql = "INSERT INTO jobs (id, status, model, tuned_name, training_file, validation_file, suffix, seed, n_epochs, \
                   batch_size, learning_rate_multiplier, metadata, integrations, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let query = sqlx::query(sql).bind(&job.id).bind(job.status).bind(&job.model).bind(&job.tuned_name);
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
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await
    }

    /// A page of the jobs; `None` if there is none with the id behind which it should begin.
    pub async fn jobs(&self, filter: &MetadataFilter, page: &Page) -> Result<Option<(Vec<JobRow>, bool)>, sqlx::Error> {
        let Some(place) = self.place("jobs", page).await? else { return Ok(None) };
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE CASE ?2 WHEN 'null' THEN metadata IS NULL ELSE NOT EXISTS (
                 SELECT 1 FROM json_each(?2) AS wanted WHERE NOT EXISTS (
                     SELECT 1 FROM json_each(metadata) AS noted WHERE noted.key = wanted.key AND noted.value = wanted.value
                 )) END AND {}",
            page.sql("place")
        );
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(place.0).bind(filter.json());
        Ok(Some(page.cut(query.fetch_all(&self.pool).await?)))
    }

    /// Moves a job on, with the event that says so, if it is in one of the states `from`; says whether it was.
    pub async fn move_job(&self, id: &str, from: &[Status], to: Status, event: &NewEvent) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let query = sqlx::query_scalar("SELECT status FROM jobs WHERE id = ?").bind(id);
        let status: Option<Status> = query.fetch_optional(&mut *transaction).await?;
        if !status.is_some_and(|status| from.contains(&status)) {
            return Ok(false);
        }
        let query = sqlx::query(
            "UPDATE jobs SET status = ?, estimated_finish = NULL, finished_at = CASE WHEN ? THEN ? END WHERE id = ?",
        );
        query.bind(to).bind(to.is_final()).bind(now()).bind(id).execute(&mut *transaction).await?;
        event.insert(id, &mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends a job that is at work, with `{code, message, param}`.
    pub async fn fail_job(&self, id: &str, error: &Value) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let query = sqlx::query(
            "UPDATE jobs SET status = 'failed', estimated_finish = NULL, finished_at = ?, error = ?
             WHERE id = ? AND status IN ('validating_files', 'running')",
        );
        let query = query.bind(now()).bind(error.to_string()).bind(id);
        if query.execute(&mut *transaction).await?.rows_affected() == 1 {
            let message = error["message"].as_str().unwrap_or_default();
            NewEvent::new(Level::Error, message).insert(id, &mut transaction).await?;
        }
        transaction.commit().await
    }

    /// A job whose files have not been looked at.
    pub async fn next_to_validate(&self) -> Result<Option<JobRow>, sqlx::Error> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE status = 'validating_files' ORDER BY place LIMIT 1");
        sqlx::query_as(AssertSqlSafe(sql)).fetch_optional(&self.pool).await
    }

    /// Keeps what the files decided.
    pub async fn settle(&self, id: &str, used: &Hyperparameters) -> Result<(), sqlx::Error> {
        let query =
            sqlx::query("UPDATE jobs SET n_epochs = ?, batch_size = ?, learning_rate_multiplier = ? WHERE id = ?");
        let query = query.bind(used.n_epochs).bind(used.batch_size).bind(used.learning_rate_multiplier).bind(id);
        query.execute(&self.pool).await.map(drop)
    }

    /// Takes the job that has waited longest, if any waits: it is running from now on, and nobody else gets it.
    pub async fn claim_job(&self) -> Result<Option<JobRow>, sqlx::Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let sql = format!(
            "UPDATE jobs SET status = 'running' WHERE id = (SELECT id FROM jobs WHERE status = 'queued' ORDER BY place LIMIT 1)
             RETURNING {COLUMNS}"
        );
        let job: Option<JobRow> = sqlx::query_as(AssertSqlSafe(sql)).fetch_optional(&mut *transaction).await?;
        if let Some(job) = &job
            && job.started_at.is_none()
        {
            let query = sqlx::query("UPDATE jobs SET started_at = ? WHERE id = ?").bind(now()).bind(&job.id);
            query.execute(&mut *transaction).await?;
            NewEvent::info("Fine-tuning job started").insert(&job.id, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(job)
    }

    /// Lets jobs wait for their turn again that nobody is working on any more.
    pub async fn requeue_jobs(&self) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE jobs SET status = 'queued' WHERE status = 'running'").execute(&self.pool).await.map(drop)
    }

    /// Keeps how far a job is.
    pub async fn keep_progress(&self, id: &str, tokens: u64, estimated_finish: i64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE jobs SET trained_tokens = ?, estimated_finish = ? WHERE id = ?");
        query.bind(tokens as i64).bind(estimated_finish).bind(id).execute(&self.pool).await.map(drop)
    }

    /// Keeps which step's weights are the model.
    pub async fn keep_final_step(&self, id: &str, step: u64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE jobs SET final_step = ? WHERE id = ?").bind(step as i64).bind(id);
        query.execute(&self.pool).await.map(drop)
    }

    /// The job that is not over and begins with a model.
    pub async fn job_that_begins_with(&self, model: &str) -> Result<Option<String>, sqlx::Error> {
        let sql = format!("SELECT id FROM jobs WHERE model = ? AND status IN {}", super::ACTIVE);
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(model).fetch_optional(&self.pool).await
    }
}
