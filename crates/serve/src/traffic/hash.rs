//! What tells equal texts from others without being one.
//!
//! A plain hash of a short text can be undone by trying texts; this one needs a key as well (HMAC with SHA-256, RFC 2104). The key
//! lies in the data folder, not in the database, and is the same for all servers of the folder.

use std::fs;
use std::io::Write;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::ServeError;
use crate::ids;

/// Where the key lies.
const FILE: &str = "record.key";
/// Letters and digits of the key: 62⁴³ are more than 2²⁵⁶.
const KEY_LENGTH: usize = 43;
/// Bytes of a hash that are kept: two of a billion texts have the same by a chance of less than 10⁻²⁰.
const BYTES: usize = 16;

/// Hashes texts by the key of a data folder.
pub struct Hasher(Hmac<Sha256>);

impl Hasher {
    /// Reads the key, or makes one.
    ///
    /// # Errors
    /// The file system; a file that holds no key.
    pub fn open(folder: &Path) -> Result<Self, ServeError> {
        let path = folder.join(FILE);
        if !path.exists() {
            // Only its owner may read a temporary file; another server may have made a key meanwhile.
            tempfile::NamedTempFile::new_in(folder)
                .and_then(|mut file| file.write_all(ids::random(KEY_LENGTH).as_bytes()).map(|()| file))
                .and_then(|file| file.persist_noclobber(&path).map(drop).or_else(|_| path.metadata().map(drop)))
                .map_err(ServeError::io(&path))?;
        }
        let key = fs::read(&path).map_err(ServeError::io(&path))?;
        if key.len() < KEY_LENGTH {
            return Err(ServeError::Setting {
                problem: format!("{}: this is not the key that hashes of texts are made by", path.display()),
                hint: "restore it from a copy; without it, remove it, and equal texts of before and after are not known as such"
                    .into(),
            });
        }
        Ok(Self(Hmac::new_from_slice(&key).expect("HMAC takes keys of any length")))
    }

    /// The hash of a text, as 32 hexadecimal digits.
    pub fn hash(&self, text: &str) -> String {
        let mut hmac = self.0.clone();
        hmac.update(text.as_bytes());
        hmac.finalize().into_bytes().iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_hash_in_one_folder_and_another_elsewhere() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let hash = |folder: usize, text: &str| Hasher::open(folders[folder].path()).unwrap().hash(text);
        assert_eq!(hash(0, "late again"), hash(0, "late again"));
        assert_ne!(hash(0, "late again"), hash(0, "late again "));
        assert_ne!(hash(0, "late again"), hash(1, "late again"));
        assert_eq!(hash(0, "").len(), 32);
        fs::write(folders[0].path().join(FILE), "short").unwrap();
        assert!(Hasher::open(folders[0].path()).err().unwrap().to_string().contains("not the key"));
    }

    #[test]
    fn the_hash_is_that_of_the_standard() {
        // RFC 4231, test case 2, cut to 16 bytes.
        let hasher = Hasher(Hmac::new_from_slice(b"Jefe").unwrap());
        assert_eq!(hasher.hash("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c7");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_the_key() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Hasher::open(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
}
