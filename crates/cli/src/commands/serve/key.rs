//! `finetone serve key`.

use std::io::Write;

use clap::Subcommand;
use finetone_serve::{create_key, list_keys, revoke_key};

use super::Place;
use crate::failure::Failure;

/// The end of the help.
pub const EXAMPLES: &str = "\
From the first key on, every request needs one: `Authorization: Bearer KEY`, which clients take from `OPENAI_API_KEY`. Only a hash \
of a key is kept.

Examples:
  finetone serve key create laptop --data /srv/finetone
  finetone serve key list --data /srv/finetone
  finetone serve key revoke 8PjmcwDH --data /srv/finetone";

/// What can be done with keys.
#[derive(Subcommand)]
pub enum Command {
    /// Make a key and print it, this once
    Create {
        /// What you call it
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// List the keys, without their secrets
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Make a key worthless, from the next request on
    Revoke {
        /// Its id, as `list` shows it
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

impl Command {
    /// Does what was asked for.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Create { name, place } => Ok(writeln!(anstream::stdout(), "{}", create_key(&place.keys()?, name)?)?),
            Self::List { place } => list(place),
            Self::Revoke { id, place } => Ok(revoke_key(&place.keys()?, id)?),
        }
    }
}

fn list(place: &Place) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    for key in list_keys(&place.keys()?)? {
        let state = if key.revoked_at.is_some() { "revoked" } else { "valid" };
        writeln!(out, "{}  {state:7}  {}", key.id, key.name)?;
    }
    Ok(())
}
