//! All tests of this crate once more, with PostgreSQL.

#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;

use finetone_serve::Database;

#[path = "../../../../tests/postgres.rs"]
mod cluster;

/// What tells the tests which server to use: the folder of its socket, and of its programs.
const SOCKET: &str = "FINETONE_TEST_POSTGRES_SOCKET";
const PROGRAMS: &str = "FINETONE_TEST_POSTGRES_PROGRAMS";

/// The database of the server in `folder`: a new one for each folder.
pub fn database(folder: &Path) -> Database {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let (Some(socket), Some(programs)) = (variable(SOCKET), variable(PROGRAMS)) else { return Database::InFolder };
    let name = folder.file_name().unwrap().to_str().unwrap();
    // A server that is started again has one already.
    let created = cluster::client(&socket, &programs, "createdb").arg(name).output().unwrap();
    let said = String::from_utf8_lossy(&created.stderr);
    assert!(created.status.success() || said.contains("already exists"), "{said}");
    cluster::url(&socket, name).parse().unwrap()
}

#[test]
fn everything_is_the_same_on_postgres() {
    let Some(cluster) = cluster::Cluster::start() else { return };
    let (socket, programs) = cluster.places();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--skip", "everything_is_the_same_on_postgres", "--test-threads", "4"]);
    let output = again.env(SOCKET, socket).env(PROGRAMS, programs).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let databases = cluster.query("postgres", "SELECT count(*) FROM pg_database").trim().parse::<usize>().unwrap();
    assert!(databases > 20, "the tests used only {databases} databases: {said}");
}
