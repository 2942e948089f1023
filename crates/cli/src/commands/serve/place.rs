//! Where a server keeps everything, for all commands that work with one.

use std::path::PathBuf;

use finetone_serve::{Database, KeyPlace};

use super::USUAL_FOLDER;
use crate::failure::Failure;

/// The environment variable with the URL of the database: other users of a machine can see what was typed.
pub const VARIABLE: &str = "FINETONE_DATABASE_URL";

/// Data folder and database.
#[derive(clap::Args)]
pub struct Place {
    /// The folder of files, jobs and models; several processes need the same one
    #[arg(long, value_name = "DIR", default_value = USUAL_FOLDER)]
    pub data: PathBuf,
    /// The URL of a PostgreSQL database, which several processes can work with, as `postgres://user:password@host/name`; better
    /// in FINETONE_DATABASE_URL, where other users do not see it [default: SQLite in the data folder]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Place {
    /// The database that was typed, or that the environment names.
    pub fn database(&self) -> Result<Database, Failure> {
        let named = || std::env::var(VARIABLE).ok().filter(|url| !url.is_empty());
        Ok(self.database.clone().or_else(named).map_or(Ok(Database::InFolder), |url| url.parse())?)
    }

    /// Where its keys are.
    pub fn keys(&self) -> Result<KeyPlace, Failure> {
        Ok(KeyPlace { data: self.data.clone(), database: self.database()? })
    }
}
