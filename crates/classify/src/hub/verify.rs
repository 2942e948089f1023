//! Whether a file that arrived is the file that was sent.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Compares a downloaded file with its announced size and, for large files, its checksum: their entity tag on the Hub, which names
/// the file in the cache, is the SHA-256 of their content. Returns how they differ.
pub(super) fn difference(pointer: &Path, announced: u64) -> io::Result<Option<String>> {
    let blob = pointer.canonicalize()?;
    let size = blob.metadata()?.len();
    if size != announced {
        return Ok(Some(format!("{size} bytes instead of {announced}")));
    }
    let tag = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_checksum = tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_checksum {
        return Ok(None);
    }
    let found = sha256(&blob)?;
    Ok((!found.eq_ignore_ascii_case(tag)).then(|| format!("its SHA-256 is {found} instead of {tag}")))
}

/// The SHA-256 of a file as lower-case hexadecimal digits.
fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
