//! Fine-tuned models and their checkpoints.

use sqlx::FromRow;

use super::Store;

/// A model that a job made.
#[derive(Debug, Clone, FromRow)]
pub struct TunedModel {
    /// Its name, such as `ft:minilm:personal:mood:8PjmcwDH`.
    pub id: String,
    /// Seconds since 1970.
    pub created_at: i64,
    /// The job that made it.
    pub job: String,
    /// Where it lies, below the data folder.
    pub folder: String,
}

impl Store {
    /// The model of this name.
    pub async fn model(&self, id: &str) -> Result<Option<TunedModel>, sqlx::Error> {
        sqlx::query_as("SELECT id, created_at, job, folder FROM models WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
    }

    /// All models, the oldest first.
    pub async fn models(&self) -> Result<Vec<TunedModel>, sqlx::Error> {
        sqlx::query_as("SELECT id, created_at, job, folder FROM models ORDER BY place").fetch_all(&self.pool).await
    }

    /// Forgets a model and what it answered.
    pub async fn delete_model(&self, id: &str) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM models WHERE id = $1").bind(id).execute(&mut *transaction).await?;
        sqlx::query("DELETE FROM answers WHERE model = $1").bind(id).execute(&mut *transaction).await?;
        transaction.commit().await
    }
}
