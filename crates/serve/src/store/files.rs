//! Uploaded files and results.

use std::collections::HashSet;

use sqlx::{AnyConnection, AssertSqlSafe, FromRow};

use super::page::Page;
use super::{ACTIVE, Store, now};

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct FileRow {
    /// `file-` and 24 letters and digits.
    pub id: String,
    /// What it is for, such as `fine-tune`.
    pub purpose: String,
    /// What the client calls it; never the name of a file of ours.
    pub filename: String,
    /// Its length.
    pub bytes: i64,
    /// Seconds since 1970.
    pub created_at: i64,
    /// When it goes.
    pub expires_at: Option<i64>,
    /// `processed` or `error`.
    pub status: String,
    /// What is wrong with it.
    pub status_details: Option<String>,
}

const COLUMNS: &str = "id, purpose, filename, bytes, created_at, expires_at, status, status_details";

impl Store {
    /// Adds a file.
    pub async fn add_file(&self, file: &FileRow) -> Result<(), sqlx::Error> {
        insert(file, &mut *self.pool.acquire().await?).await
    }

    /// The file of this id, unless its time is over.
    pub async fn file(&self, id: &str) -> Result<Option<FileRow>, sqlx::Error> {
        let sql = format!("SELECT {COLUMNS} FROM files WHERE id = $1 AND (expires_at IS NULL OR expires_at > $2)");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id).bind(now()).fetch_optional(&self.pool).await
    }

    /// A page of the files of a purpose, or of all; `None` if there is no file with the id behind which it should begin.
    pub async fn files(&self, purpose: Option<&str>, page: &Page) -> Result<Option<(Vec<FileRow>, bool)>, sqlx::Error> {
        let Some(place) = self.place("files", page).await? else { return Ok(None) };
        let sql = format!(
            "SELECT {COLUMNS} FROM files WHERE (purpose = $2 OR $2 IS NULL) AND (expires_at IS NULL OR expires_at > $3) AND {}",
            page.sql("place")
        );
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(place.0).bind(purpose).bind(now());
        Ok(Some(page.cut(query.fetch_all(&self.pool).await?)))
    }

    /// Forgets a file.
    pub async fn delete_file(&self, id: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM files WHERE id = $1").bind(id).execute(&self.pool).await.map(drop)
    }

    /// The job that still needs a file.
    pub async fn job_that_needs(&self, file: &str) -> Result<Option<String>, sqlx::Error> {
        let sql =
            format!("SELECT id FROM jobs WHERE (training_file = $1 OR validation_file = $1) AND status IN {ACTIVE}");
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(file).fetch_optional(&self.pool).await
    }

    /// Forgets files whose time is over and that no job needs, and gives the ids of all that are left.
    pub async fn remaining_files(&self) -> Result<HashSet<String>, sqlx::Error> {
        let sql = format!(
            "DELETE FROM files WHERE expires_at <= $1 AND id NOT IN (
                 SELECT training_file FROM jobs WHERE status IN {ACTIVE}
                 UNION SELECT validation_file FROM jobs WHERE status IN {ACTIVE} AND validation_file IS NOT NULL)"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(now()).execute(&self.pool).await?;
        let left: Vec<String> = sqlx::query_scalar("SELECT id FROM files").fetch_all(&self.pool).await?;
        Ok(left.into_iter().collect())
    }
}

/// Adds a file within a transaction.
pub(super) async fn insert(file: &FileRow, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let sql = format!("INSERT INTO files ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    let query =
        sqlx::query(AssertSqlSafe(sql)).bind(&file.id).bind(&file.purpose).bind(&file.filename).bind(file.bytes);
    let query = query.bind(file.created_at).bind(file.expires_at).bind(&file.status).bind(&file.status_details);
    query.execute(connection).await.map(drop)
}
