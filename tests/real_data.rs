//! Files that are measured with and not shipped, for the test crates that include this file.
//!
//! They lie beside the project where they are present. A test without them says so on standard error and passes; where
//! `FINETONE_REQUIRE_DATA` is 1, as in CI, it fails instead.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A file of the data beside the project, unless the test is to be skipped.
pub fn present(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    let must = std::env::var("FINETONE_REQUIRE_DATA").is_ok_and(|value| value == "1");
    assert!(!must, "{} is not there, and `FINETONE_REQUIRE_DATA` asks that nothing is skipped", path.display());
    // Unlike `eprintln!`, this is seen even though the test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {} is not there", path.display());
    None
}
