//! The database: SQLite in the data folder or PostgreSQL, one file of queries for each kind of row.
//!
//! A query is written once, for both. Where they differ, `dialect` has the word.

mod answers;
mod claims;
mod database;
mod dialect;
mod events;
mod files;
mod jobs;
mod keys;
mod models;
mod page;
mod results;
#[cfg(all(test, unix))]
mod tests;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyPool, AssertSqlSafe, ConnectOptions, Connection, Executor, Transaction};

pub use answers::{AnswerRow, KeptAnswers, NewAnswer};
pub use claims::Claim;
pub use database::Database;
pub use events::{EventRow, NewEvent};
pub use files::FileRow;
pub use jobs::{Hyperparameters, JobRow, MetadataFilter, Status};
pub use keys::KeyRow;
pub use models::TunedModel;
pub use page::Page;
pub use results::{CheckpointRow, Results};

use crate::error::ServeError;
use dialect::Dialect;

/// The jobs that are not over, as a query has them.
const ACTIVE: &str = "('validating_files', 'queued', 'running', 'paused')";
/// How long a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The connections to the database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    dialect: &'static Dialect,
}

impl Store {
    /// Opens the database of the data folder `folder`, makes what is missing in it, and brings an older one up to date.
    ///
    /// # Errors
    /// A file that cannot be opened or is no database, a server that cannot be reached.
    pub async fn open(database: &Database, folder: &Path) -> Result<Self, ServeError> {
        let unreachable = |source| ServeError::Unreachable { database: database.clone(), source };
        install_default_drivers();
        let options = database.options(folder).map_err(unreachable)?;
        // A pool waits for a server that is not there; this says why it is not.
        let connected = tokio::time::timeout(PATIENCE, options.connect()).await;
        let first = connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(unreachable)?;
        first.close().await.map_err(unreachable)?;
        let dialect = database.dialect();
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(PATIENCE)
            // Files of this machine: to ask before each use whether they still work would double its time.
            .test_before_acquire(database.is_shared())
            .after_connect(|connection, _| Box::pin(async { connection.execute(dialect.set_up).await.map(drop) }));
        let pool = pool.connect_with(options).await.map_err(unreachable)?;
        dialect.migrations().run(&pool).await.map_err(|error| unreachable(error.into()))?;
        Ok(Self { pool, dialect })
    }

    /// The name of the data folder that has the files of this database: `name`, if there was none before.
    pub async fn folder(&self, name: &str) -> Result<String, sqlx::Error> {
        let query = sqlx::query("INSERT INTO folder (place, name) VALUES (1, $1) ON CONFLICT DO NOTHING").bind(name);
        query.execute(&self.pool).await?;
        sqlx::query_scalar("SELECT name FROM folder").fetch_one(&self.pool).await
    }

    /// Ends the connections, so that everything is in the one file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that writes.
    async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        self.pool.begin_with(self.dialect.begin).await
    }

    /// Where in a table the row lies behind which a page begins: `None` if it should begin behind a row that is not there.
    async fn place(&self, table: &str, page: &Page) -> Result<Option<(Option<i64>,)>, sqlx::Error> {
        let Some(after) = &page.after else { return Ok(Some((None,))) };
        let query = sqlx::query_scalar(AssertSqlSafe(format!("SELECT place FROM {table} WHERE id = $1"))).bind(after);
        let place: Option<i64> = query.fetch_optional(&self.pool).await?;
        Ok(place.map(|place| (Some(place),)))
    }
}

/// Seconds since 1970, as every row has them.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs() as i64)
}
