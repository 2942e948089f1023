//! Keys, and how often one may ask.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use finetone_serve::{ServeError, create_key, list_keys, revoke_key, serve};
use serde_json::Value;

use super::bench::Bench;
use super::client::{Part, Server, form, keys, settings};

#[test]
fn from_the_first_key_on_every_request_needs_one() {
    let server = Server::start();
    let place = keys(server.folder.path());
    server.get("/files").json(200);
    let key = create_key(&place, "laptop").unwrap();
    let (_, _, code) = server.get("/files").error(401);
    assert_eq!(code, Value::Null);
    let server = server.with_key("sk-finetone-12345678-wrong");
    let (message, _, code) = server.get("/files").error(401);
    assert_eq!(code, "invalid_api_key");
    assert!(!message.contains("wrong"), "{message}");
    let server = server.with_key(&key);
    server.get("/files").json(200);
    let listed = list_keys(&place).unwrap();
    assert!(listed.len() == 1 && listed[0].name == "laptop" && key.contains(&listed[0].id));
    revoke_key(&place, &listed[0].id).unwrap();
    server.get("/files").error(401);
    // A server whose last key is revoked is not open again.
    server.with_key("").get("/files").error(401);
    assert!(revoke_key(&place, &listed[0].id).is_err());
}

#[test]
fn nothing_of_a_key_is_kept_but_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let place = keys(folder.path());
    let key = create_key(&place, "laptop").unwrap();
    let secret = key.rsplit('-').next().unwrap();
    assert_eq!(secret.len(), 43);
    for entry in place.data.read_dir().unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    assert!(create_key(&place, "").is_err() && create_key(&place, "a\nb").is_err());
}

#[test]
fn a_wrong_key_is_told_after_the_whole_upload_is_read() {
    let server = Server::start();
    create_key(&keys(server.folder.path()), "laptop").unwrap();
    let large = vec![b'x'; 30 << 20];
    let body = form(&[Part::File("a.jsonl", &large), Part::Text("purpose", "fine-tune")]);
    let answer = server.post_bytes("/files", "multipart/form-data; boundary=line", &body);
    answer.error(401);
}

#[test]
fn an_address_for_others_needs_a_key_or_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let start = |without_keys: bool| {
        let mut config = settings(folder.path());
        config.address = "0.0.0.0:0".parse().unwrap();
        config.without_keys = without_keys;
        // It is told to stop before it starts.
        serve(config, Arc::new(Bench::default()), Arc::new(AtomicBool::new(true)), |_| {})
    };
    let error = start(false).unwrap_err();
    assert!(matches!(error, ServeError::NoKeys { .. }) && error.hint().unwrap().contains("key create"));
    start(true).unwrap();
    create_key(&keys(folder.path()), "laptop").unwrap();
    start(false).unwrap();
}

#[test]
fn too_many_requests_are_told_to_wait() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::with(folder, |config| config.limits.requests_per_minute = NonZeroU32::new(3));
    (0..3).for_each(|_| drop(server.get("/models").json(200)));
    let answer = server.get("/models");
    assert_eq!(answer.error(429).2, "rate_limit_exceeded");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds));
}
