//! Keys of clients. A key itself is nowhere: only its hash is kept.

use sqlx::FromRow;

use super::{Store, now};

/// A key.
#[derive(Debug, Clone, FromRow)]
pub struct KeyRow {
    /// The part of the key that may be shown.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the whole key.
    pub hash: Vec<u8>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

impl Store {
    /// Adds a key.
    pub async fn add_key(&self, key: &KeyRow) -> Result<(), sqlx::Error> {
        let query = sqlx::query("INSERT INTO keys (id, name, hash, created_at) VALUES ($1, $2, $3, $4)");
        query.bind(&key.id).bind(&key.name).bind(&key.hash).bind(key.created_at).execute(&self.pool).await.map(drop)
    }

    /// All keys that were ever made, the oldest first.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, sqlx::Error> {
        let sql = "SELECT id, name, hash, created_at, revoked_at FROM keys ORDER BY created_at, id";
        sqlx::query_as(sql).fetch_all(&self.pool).await
    }

    /// The key with this id, unless it is revoked.
    pub async fn key(&self, id: &str) -> Result<Option<KeyRow>, sqlx::Error> {
        let sql = "SELECT id, name, hash, created_at, revoked_at FROM keys WHERE id = $1 AND revoked_at IS NULL";
        sqlx::query_as(sql).bind(id).fetch_optional(&self.pool).await
    }

    /// Whether a key was ever made. Once one was, requests need one, also when the last is revoked.
    pub async fn has_keys(&self) -> Result<bool, sqlx::Error> {
        let any: Option<i64> = sqlx::query_scalar("SELECT 1 FROM keys LIMIT 1").fetch_optional(&self.pool).await?;
        Ok(any.is_some())
    }

    /// Makes a key worthless; says whether it was worth something.
    pub async fn revoke_key(&self, id: &str) -> Result<bool, sqlx::Error> {
        let query = sqlx::query("UPDATE keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL");
        Ok(query.bind(now()).bind(id).execute(&self.pool).await?.rows_affected() == 1)
    }
}
