//! Keys: made once, shown once, kept as a hash.

use std::path::PathBuf;

use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::ServeConfig;
use crate::data_folder::make;
use crate::error::{ApiError, ServeError};
use crate::ids;
use crate::server::runtime;
use crate::store::{Database, KeyRow, Store, now};

/// What every key begins with.
const PREFIX: &str = "sk-finetone-";
/// Letters and digits of the part that may be shown.
const ID_LENGTH: usize = 8;
/// Letters and digits of the secret: 62⁴³ are more than 2²⁵⁶.
const SECRET_LENGTH: usize = 43;
/// The longest name of a key.
const LONGEST_NAME: usize = 64;

/// Where the keys of a server are.
#[derive(Debug, Clone)]
pub struct KeyPlace {
    /// Its data folder.
    pub data: PathBuf,
    /// Its database.
    pub database: Database,
}

/// Makes a key for a server and gives it; nobody can read it again. Blocks.
///
/// # Errors
/// A data folder that cannot be written to, a name that is too long.
pub fn create_key(place: &KeyPlace, name: &str) -> Result<String, ServeError> {
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        let hint = format!("up to {LONGEST_NAME} characters, so that you know it again in `finetone serve key list`");
        return Err(ServeError::Setting { problem: format!("{name:?} cannot be the name of a key"), hint });
    }
    let id = ids::random(ID_LENGTH);
    let key = format!("{PREFIX}{id}-{}", ids::random(SECRET_LENGTH));
    let row = KeyRow { id, name: name.to_owned(), hash: hash(&key), created_at: now(), revoked_at: None };
    with_store(place, async |store| Ok(store.add_key(&row).await?))?;
    Ok(key)
}

/// All keys that were ever made for a server. Blocks.
///
/// # Errors
/// A data folder that cannot be read.
pub fn list_keys(place: &KeyPlace) -> Result<Vec<KeyRow>, ServeError> {
    with_store(place, async |store| Ok(store.keys().await?))
}

/// Makes a key worthless, from the next request on; `id` is what [`list_keys`] shows. Blocks.
///
/// # Errors
/// A data folder that cannot be written to, a key that is not there or revoked already.
pub fn revoke_key(place: &KeyPlace, id: &str) -> Result<(), ServeError> {
    let revoked = with_store(place, async |store| Ok(store.revoke_key(id).await?))?;
    if revoked {
        return Ok(());
    }
    let hint = "`finetone serve key list` shows the keys and their ids".to_owned();
    Err(ServeError::Setting { problem: format!("there is no key `{id}` that could be revoked"), hint })
}

fn with_store<T>(place: &KeyPlace, work: impl AsyncFnOnce(&Store) -> Result<T, ServeError>) -> Result<T, ServeError> {
    make(&place.data)?;
    runtime(&place.data)?.block_on(async {
        let store = Store::open(&place.database, &place.data).await?;
        let done = work(&store).await;
        store.close().await;
        done
    })
}

fn hash(key: &str) -> Vec<u8> {
    Sha256::digest(key.as_bytes()).to_vec()
}

/// Whether requests need a key: where others can reach the address, and wherever a key was ever made.
///
/// # Errors
/// The database.
pub async fn are_needed(config: &ServeConfig, store: &Store) -> Result<bool, sqlx::Error> {
    Ok(!config.without_keys && (!config.address.ip().is_loopback() || store.has_keys().await?))
}

/// Who asks: the id of the key, or nothing where none is needed.
///
/// # Errors
/// 401.
pub async fn caller(config: &ServeConfig, store: &Store, headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    if !are_needed(config, store).await? {
        return Ok(None);
    }
    let refused = |message: &str| ApiError::new(StatusCode::UNAUTHORIZED, message);
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(key) = header.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim).filter(|key| !key.is_empty())
    else {
        return Err(refused("This server needs a key: send it as `Authorization: Bearer KEY`"));
    };
    let id = key.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()).unwrap_or_default();
    match store.key(id).await? {
        Some(known) if bool::from(known.hash.ct_eq(&hash(key))) => Ok(Some(known.id)),
        _ => Err(refused("Incorrect API key provided").code("invalid_api_key")),
    }
}
