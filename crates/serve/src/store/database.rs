//! Which database the server remembers things in.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use sqlx::any::AnyConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::dialect::{Dialect, POSTGRES, SQLITE};
use crate::data_folder;
use crate::error::ServeError;

/// What [`Database::from_str`] wants.
const FORM: &str = "for example `postgres://user:password@host:5432/name`";

/// Where the server remembers things. Shown without a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Database {
    /// In SQLite, in the data folder, for one process.
    #[default]
    InFolder,
    /// In PostgreSQL, for several processes.
    Postgres {
        /// With the password.
        url: String,
        /// Without it.
        shown: String,
    },
}

impl Database {
    /// Whether several processes may work with it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    pub(super) fn dialect(&self) -> &'static Dialect {
        match self {
            Self::InFolder => &SQLITE,
            Self::Postgres { .. } => &POSTGRES,
        }
    }

    /// How to connect to it, where `folder` is the data folder.
    pub(super) fn options(&self, folder: &Path) -> Result<AnyConnectOptions, sqlx::Error> {
        match self {
            Self::InFolder => {
                // Whatever the path is made of, nothing in it is taken for a part of the URL.
                let path = data_folder::database(folder);
                let bytes = path.as_os_str().as_encoded_bytes().iter();
                let path: String = bytes.map(|byte| format!("%{byte:02X}")).collect();
                format!("sqlite:{path}?mode=rwc").parse()
            }
            Self::Postgres { url, .. } => url.parse(),
        }
    }
}

impl FromStr for Database {
    type Err = ServeError;

    fn from_str(url: &str) -> Result<Self, ServeError> {
        let wrong = |problem: String| ServeError::Setting { problem, hint: FORM.into() };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(wrong("the URL of a database begins with `postgres://`".into()));
        }
        let options = PgConnectOptions::from_str(url);
        let options = options.map_err(|_| wrong("the URL of the database cannot be understood".into()))?;
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let name = options.get_database().unwrap_or(options.get_username());
        Ok(Self::Postgres { url: url.to_owned(), shown: format!("PostgreSQL `{name}` at {place}") })
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InFolder => "SQLite in the data folder",
            Self::Postgres { shown, .. } => shown,
        })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url = "postgres://me:s3cret@db.example:5433/tuning?sslmode=require";
        let database: Database = url.parse().unwrap();
        assert_eq!(database.to_string(), "PostgreSQL `tuning` at db.example:5433");
        assert!(!format!("{database:?}").contains("s3cret"));
        let socket: Database = "postgres:///tuning?host=/run/pg&user=me&password=s3cret".parse().unwrap();
        assert_eq!(socket.to_string(), "PostgreSQL `tuning` at /run/pg");
        for wrong in
            ["mysql://me:s3cret@host/a", "s3cret", "postgres://me:s3cret@host:port/a", "postgres://me:s3cret@[/a"]
        {
            let error = wrong.parse::<Database>().unwrap_err();
            assert!(!format!("{error} {error:?} {}", error.hint().unwrap()).contains("s3cret"), "{error:?}");
        }
    }
}
