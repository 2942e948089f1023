//! A PostgreSQL of the tests' own, for the test crates that include this file: a cluster in a temporary folder, at a socket.
//!
//! A test without PostgreSQL's programs says so on standard error and passes; where `FINETONE_REQUIRE_POSTGRES` is 1, as in
//! CI, it fails instead.

// Every test crate compiles this file and uses a part of it.
#![allow(dead_code)]

use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest that a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server; it is stopped when it is dropped.
pub struct Cluster {
    programs: PathBuf,
    folder: TempDir,
    /// Whose server it is: PostgreSQL refuses to be run by root.
    user: Option<(u32, u32)>,
    server: Option<Child>,
}

impl Cluster {
    /// Starts a server, unless the test is to be skipped.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let name = std::thread::current().name().unwrap_or("a test").to_owned();
            let is_required = std::env::var("FINETONE_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(
                !is_required,
                "there is no PostgreSQL, and `FINETONE_REQUIRE_POSTGRES` asks that nothing is skipped"
            );
            // Unlike `eprintln!`, this is not captured.
            let _ = writeln!(std::io::stderr(), "skipped: {name}: there is no PostgreSQL (`initdb` and `postgres`)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let user = (id("-u", None) == Some(0)).then(|| {
            let user = (id("-u", Some("postgres")), id("-g", Some("postgres")));
            (user.0.expect("a user `postgres`"), user.1.expect("a group `postgres`"))
        });
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let mut cluster = Self { programs, folder, user, server: None };
        let data = cluster.folder.path().join("data");
        cluster
            .run(cluster.command("initdb").args(["--no-sync", "--auth=trust", "--username=tester", "-D"]).arg(&data));
        let mut server = cluster.command("postgres");
        // Nobody needs these data after a power cut.
        server.arg("-D").arg(&data).arg("-k").arg(cluster.folder.path()).args(["-h", "", "-F", "-N", "200"]);
        cluster.server = Some(server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let start = Instant::now();
        while !cluster.client("pg_isready").stdout(Stdio::null()).status().unwrap().success() {
            assert!(start.elapsed() < PATIENCE, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(cluster)
    }

    /// The URL of an empty database.
    pub fn create(&self, name: &str) -> String {
        self.run(self.client("createdb").arg(name));
        self.url(name)
    }

    /// The URL of a database.
    pub fn url(&self, name: &str) -> String {
        url(self.folder.path(), name)
    }

    /// What the server may be reached by: the folder of its socket, and of its programs.
    pub fn places(&self) -> (&Path, &Path) {
        (self.folder.path(), &self.programs)
    }

    /// What a query gives, one row in a line.
    pub fn query(&self, database: &str, sql: &str) -> String {
        self.run(self.client("psql").args(["-At", "-d", database, "-c", sql]))
    }

    fn client(&self, program: &str) -> Command {
        client(self.folder.path(), &self.programs, program)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn run(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(server) = &mut self.server else { return };
        // A quick end, at which it takes its shared memory with it.
        let _ = Command::new("kill").args(["-QUIT", &server.id().to_string()]).status();
        let _ = server.wait();
    }
}

/// A program that talks to the server with its socket in `folder`.
pub fn client(folder: &Path, programs: &Path, program: &str) -> Command {
    let mut command = Command::new(programs.join(program));
    command.current_dir("/").arg("-h").arg(folder).args(["-U", "tester"]);
    command
}

/// The URL of a database of the server with its socket in `folder`.
pub fn url(folder: &Path, name: &str) -> String {
    format!("postgres:///{name}?host={}&user=tester&password=s3cret", folder.display())
}

/// Where PostgreSQL's programs are: Debian has those of a server beside the path.
fn programs() -> Option<PathBuf> {
    let versions = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = ["initdb", "postgres", "createdb", "psql", "pg_isready"];
    debian.chain(std::env::split_paths(&path)).find(|folder| all.iter().all(|program| folder.join(program).is_file()))
}

fn id(what: &str, of: Option<&str>) -> Option<u32> {
    let output = Command::new("id").arg(what).args(of).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
