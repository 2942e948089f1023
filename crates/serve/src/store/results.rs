//! What a finished job leaves: its models, its checkpoints and the file with its numbers.

use sqlx::{AnyConnection, AssertSqlSafe, FromRow};

use super::claims::Claim;
use super::events::NewEvent;
use super::files::{self, FileRow};
use super::models::TunedModel;
use super::page::Page;
use super::{Store, now};

/// A model on the way.
#[derive(Debug, Clone, FromRow)]
pub struct CheckpointRow {
    /// `ftckpt_` and 24 letters and digits.
    pub id: String,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Its name as a model.
    pub model: String,
    /// The optimiser step.
    pub step: i64,
    /// JSON.
    pub metrics: String,
}

/// Everything that a job has to show for itself.
#[derive(Debug, Clone)]
pub struct Results {
    /// The numbers of its steps.
    pub file: FileRow,
    /// The model and those on the way, the earliest first.
    pub models: Vec<TunedModel>,
    /// The same as checkpoints.
    pub checkpoints: Vec<CheckpointRow>,
    /// What to tell, in its order.
    pub events: Vec<NewEvent>,
}

impl Store {
    /// Ends a running job with its results: all of them are there from one moment to the next. Says whether the job was
    /// still running, and whoever claims it.
    pub async fn succeed(&self, claim: &Claim, results: &Results) -> Result<bool, sqlx::Error> {
        let Some(mut transaction) = self.holding(claim).await? else { return Ok(false) };
        let query = sqlx::query(
            "UPDATE jobs SET status = 'succeeded', finished_at = $1, estimated_finish = NULL, result_file = $2
             WHERE id = $3 AND status = 'running'",
        );
        let query = query.bind(now()).bind(&results.file.id).bind(&claim.job);
        if query.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        files::insert(&results.file, &mut transaction).await?;
        for model in &results.models {
            insert_model(model, &mut transaction).await?;
        }
        for checkpoint in &results.checkpoints {
            insert_checkpoint(&claim.job, checkpoint, &mut transaction).await?;
        }
        for event in &results.events {
            event.insert(&claim.job, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// A page of the checkpoints of a job, the highest step first; `None` if there is none with the id behind which it should
    /// begin.
    pub async fn checkpoints(&self, job: &str, page: &Page) -> Result<Option<(Vec<CheckpointRow>, bool)>, sqlx::Error> {
        let Some(place) = self.place("checkpoints", page).await? else { return Ok(None) };
        let sql = format!(
            "SELECT id, created_at, model, step, metrics FROM checkpoints WHERE job = $2 AND {}",
            page.sql("place")
        );
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(place.0).bind(job);
        Ok(Some(page.cut(query.fetch_all(&self.pool).await?)))
    }
}

async fn insert_model(model: &TunedModel, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let query = sqlx::query("INSERT INTO models (id, created_at, job, folder) VALUES ($1, $2, $3, $4)");
    let query = query.bind(&model.id).bind(model.created_at).bind(&model.job).bind(&model.folder);
    query.execute(connection).await.map(drop)
}

async fn insert_checkpoint(
    job: &str,
    checkpoint: &CheckpointRow,
    connection: &mut AnyConnection,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "INSERT INTO checkpoints (id, job, created_at, model, step, metrics) VALUES ($1, $2, $3, $4, $5, $6)",
    );
    let query = query.bind(&checkpoint.id).bind(job).bind(checkpoint.created_at).bind(&checkpoint.model);
    query.bind(checkpoint.step).bind(&checkpoint.metrics).execute(connection).await.map(drop)
}
