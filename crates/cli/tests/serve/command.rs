//! What is typed, with its mistakes.

use super::process::Server;
use super::workbench::{done, failed, run, stderr};

#[test]
fn keys_are_made_listed_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let key = done(folder.path(), "serve key create laptop --data d");
    let key = key.trim();
    assert!(key.starts_with("sk-finetone-") && key.len() == 64, "{key}");
    let id = &key["sk-finetone-".len()..][..8];
    assert_eq!(done(folder.path(), "serve key list --data d"), format!("{id}  valid    laptop\n"));
    done(folder.path(), &format!("serve key revoke {id} --data d"));
    assert_eq!(done(folder.path(), "serve key list --data d"), format!("{id}  revoked  laptop\n"));
    let said = failed(folder.path(), &format!("serve key revoke {id} --data d"));
    assert!(said.contains("could be revoked"), "{said}");
}

#[test]
fn what_cannot_be_served_is_told_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let port = server.base.trim_end_matches("/v1").rsplit(':').next().unwrap().to_owned();
    let said = failed(folder.path(), "serve --port 0 --data data --model a=tiny");
    assert!(said.contains("another server works in this data folder"), "{said}");
    let said = failed(folder.path(), &format!("serve --port {port} --data other --model a=tiny"));
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
    let said = failed(folder.path(), "serve --host 0.0.0.0 --port 0 --data other --model a=tiny");
    assert!(said.contains("finetone serve key create"), "{said}");
    let said = failed(folder.path(), "serve --port 0 --data other --model a/b=tiny");
    assert!(said.contains("`a/b` cannot be the name of a model"), "{said}");
    for line in ["serve --model tiny", "serve --alias gpt", "serve --port 70000", "serve --host here", "serve key"] {
        let output = run(folder.path(), line);
        assert_eq!(output.status.code(), Some(2), "`{line}`: {}", stderr(&output));
    }
}
