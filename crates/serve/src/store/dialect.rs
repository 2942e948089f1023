//! What SQLite and PostgreSQL say differently. Every query is written once; these are the words in it that differ.

use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

/// The words of a database.
#[derive(Debug)]
pub struct Dialect {
    /// What a new connection is told.
    pub set_up: &'static str,
    /// What begins a transaction that writes.
    pub begin: &'static str,
    /// Seconds since 1970 by the clock of the database, which all workers share.
    pub now: &'static str,
    /// The end of a query for a row that nobody else shall get at the same time.
    pub alone: &'static str,
    /// The `key`s and `value`s of the JSON object `#`, as texts.
    pairs: &'static str,
    /// Words of the schema, and what they are called here.
    schema: &'static [(&'static str, &'static str)],
}

/// One writer at a time, from the beginning of its transaction on. With a write-ahead log several connections are served, and
/// the database survives any end of the process, and a power cut without damage.
pub static SQLITE: Dialect = Dialect {
    set_up: "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
    begin: "BEGIN IMMEDIATE",
    now: "unixepoch()",
    alone: "",
    pairs: "json_each(#)",
    schema: &[],
};

/// Rows are locked, not the database. A transaction here takes milliseconds; one that stays open belongs to a process that
/// sleeps, and what it has locked is for others to go on with.
pub static POSTGRES: Dialect = Dialect {
    set_up: "SET idle_in_transaction_session_timeout = '5s'",
    begin: "BEGIN",
    now: "CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)",
    alone: "FOR UPDATE SKIP LOCKED",
    pairs: "json_each_text(#::json)",
    schema: &[
        ("INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
        ("INTEGER", "BIGINT"),
        ("REAL", "DOUBLE PRECISION"),
        ("BLOB", "BYTEA"),
    ],
};

impl Dialect {
    /// The keys and values of a JSON object as the rows of a table.
    pub fn pairs(&self, object: &str) -> String {
        self.pairs.replace('#', object)
    }

    /// The steps from an empty or older database to today's.
    pub fn migrations(&self) -> Migrator {
        let said = |migration: &Migration| {
            let sql = migration.sql.as_str().to_owned();
            let sql = self.schema.iter().fold(sql, |sql, (word, ours)| sql.replace(word, ours));
            let sql = AssertSqlSafe(sql).into_sql_str();
            let Migration { version, migration_type, no_tx, .. } = *migration;
            Migration::new(version, migration.description.clone(), migration_type, sql, no_tx)
        };
        Migrator::with_migrations(sqlx::migrate!().iter().map(said).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_sqlite_is_that_of_the_files_and_theirs_has_none_of_its_words() {
        let (files, ours) = (sqlx::migrate!(), SQLITE.migrations());
        // A checksum that changed would refuse every database that exists.
        assert!(files.iter().zip(ours.iter()).all(|(file, our)| file.checksum == our.checksum));
        for migration in POSTGRES.migrations().iter() {
            let sql = migration.sql.as_str();
            assert!(!["AUTOINCREMENT", "INTEGER", "REAL", "BLOB"].iter().any(|word| sql.contains(word)), "{sql}");
        }
    }
}
