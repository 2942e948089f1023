//! The database: SQLite in the data folder, one file of queries for each kind of row.

mod events;
mod files;
mod jobs;
mod keys;
mod models;
mod page;
mod results;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, SqlitePool};

pub use events::{EventRow, NewEvent};
pub use files::FileRow;
pub use jobs::{Hyperparameters, JobRow, MetadataFilter, Status};
pub use keys::KeyRow;
pub use models::TunedModel;
pub use page::Page;
pub use results::{CheckpointRow, Results};

/// The jobs that are not over, as a query has them.
const ACTIVE: &str = "('validating_files', 'queued', 'running', 'paused')";

/// The connections to the database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the database at `path`, makes it where it is missing, and brings an older one up to date.
    ///
    /// # Errors
    /// A file that cannot be opened or is no database.
    pub async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // With a write-ahead log the database survives any end of the process, and a power cut without damage.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10));
        // The connections are files of this machine: to ask before each use whether they still work would double its time.
        let pool = SqlitePoolOptions::new().max_connections(8).test_before_acquire(false).connect_with(options).await?;
        sqlx::migrate!().run(&pool).await?;
        Ok(Self { pool })
    }

    /// Ends the connections, so that everything is in the one file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Where in a table the row lies behind which a page begins: `None` if it should begin behind a row that is not there.
    async fn place(&self, table: &str, page: &Page) -> Result<Option<(Option<i64>,)>, sqlx::Error> {
        let Some(after) = &page.after else { return Ok(Some((None,))) };
        let query = sqlx::query_scalar(AssertSqlSafe(format!("SELECT place FROM {table} WHERE id = ?"))).bind(after);
        let place: Option<i64> = query.fetch_optional(&self.pool).await?;
        Ok(place.map(|place| (Some(place),)))
    }
}

/// Seconds since 1970, as every row has them.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs() as i64)
}
