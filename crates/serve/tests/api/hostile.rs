//! Requests that nobody honest sends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use finetone_serve::{Database, ServeError, serve};
use serde_json::{Value, json};

use super::bench::Bench;
use super::client::{Part, Server, chat, eventually, form, settings};

#[test]
fn every_error_has_the_same_form() {
    let server = Server::start();
    let (message, ..) = server.get("/nothing").error(404);
    assert_eq!(message, "Invalid URL (GET /v1/nothing)");
    let (message, ..) = server.delete("/fine_tuning/jobs").error(405);
    assert_eq!(message, "Invalid method for URL (DELETE /v1/fine_tuning/jobs)");
    server.post_bytes("/files", "application/json", b"{}").error(400);
    server.post_bytes("/files", "multipart/form-data", b"x").error(400);
    server.post_bytes("/fine_tuning/jobs", "application/json", b"{").error(400);
    server.post_bytes("/fine_tuning/jobs", "application/json", b"[]").error(400);
    server.post_bytes("/fine_tuning/jobs", "application/json", &b"[".repeat(100_000)).error(400);
    server.post_bytes("/fine_tuning/jobs", "application/json", b"\xff\xfe").error(400);
    server.post_bytes("/fine_tuning/jobs", "application/json", &vec![b' '; 5 << 20]).error(413);
    server.get("/files/%ff").error(400);
    assert!(server.get("/models").header("openai-version").is_some());
}

#[test]
fn the_routes_are_at_the_root_as_well() {
    let server = Server::start();
    let answer = server.raw(b"GET /models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_file_that_is_too_large_is_refused_and_leaves_nothing() {
    let server = Server::start();
    let large = vec![b'x'; 3 << 20];
    let answer = server.upload(&[Part::File("a.jsonl", &large), Part::Text("purpose", "fine-tune")]);
    assert_eq!(answer.error(413).1, "file");
    let data = server.folder.path().join("data");
    for folder in ["uploads", "files"] {
        assert_eq!(std::fs::read_dir(data.join(folder)).unwrap().count(), 0);
    }
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    let server = Server::start();
    let body = form(&[Part::File("a.jsonl", &vec![b'x'; 100_000]), Part::Text("purpose", "fine-tune")]);
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nContent-Type: multipart/form-data; boundary=line\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body[..50_000]).unwrap();
    let uploads = server.folder.path().join("data/uploads");
    let count = || std::fs::read_dir(&uploads).unwrap().count();
    eventually("the upload to begin", || (count() == 1).then_some(()));
    drop(stream);
    eventually("the upload to be dropped", || (count() == 0).then_some(()));
    assert_eq!(server.get("/files").json(200)["data"], json!([]));
}

#[test]
fn a_client_that_dawdles_is_left() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::with(folder, |config| config.limits.patience = Duration::from_millis(200));
    // Reading ends because the server closes the connection: the client itself would wait for a minute.
    assert!(!server.raw(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n").contains("200"));
    let head = "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\
                Content-Type: multipart/form-data; boundary=line\r\n\r\n--line\r\n";
    let answer = server.raw(head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("could not read the form"), "{answer}");
}

#[test]
fn a_body_that_comes_drop_by_drop_is_not_waited_for() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::with(folder, |config| config.limits.patience = Duration::from_millis(500));
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = "POST /v1/fine_tuning/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answer = std::thread::spawn(move || {
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    // No pause is as long as the server's patience.
    eventually("the server to give up", || (stream.write_all(b" ").is_err() || answer.is_finished()).then_some(()));
    let answer = answer.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn a_body_that_the_route_does_not_need_may_come_late() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    // The connection is still open, for this body and for another request.
    stream.write_all(b"{}GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
}

#[test]
fn compressed_bodies_are_not_unpacked() {
    let server = Server::start();
    for (path, kind) in [
        ("/v1/fine_tuning/jobs", "application/json"),
        ("/v1/chat/completions", "application/json"),
        ("/predict", "application/json"),
        ("/v1/files", "multipart/form-data; boundary=line"),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Encoding: gzip\r\n\
             Content-Type: {kind}\r\nContent-Length: 4\r\n\r\nabcd"
        );
        let answer = server.raw(head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 415") && answer.contains("compressed bodies are not read"), "{answer}");
    }
}

#[test]
fn no_body_is_too_deep_to_be_refused() {
    let server = Server::start();
    let nested = |open: &str, close: &str| open.repeat(50_000) + &close.repeat(50_000);
    for body in [nested("[", "]"), nested("{\"a\":", "}"), format!("{{\"inputs\": {}}}", nested("[", "]"))] {
        for path in ["/chat/completions", "/completions", "/embeddings", "/fine_tuning/jobs"] {
            server.post_bytes(path, "application/json", body.as_bytes()).error(400);
        }
        let length = body.len();
        let head = format!(
            "POST /predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        let answer = server.raw((head + &body).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    server.get("/models").json(200);
}

#[test]
fn no_name_or_id_reaches_the_file_system() {
    let server = Server::start();
    std::fs::write(server.folder.path().join("secret"), "nobody may read this").unwrap();
    for name in ["../../../secret.jsonl", "/etc/passwd.jsonl", "..\\a.jsonl", "a\u{202e}ü😀.jsonl", "con.jsonl"] {
        let file =
            server.upload(&[Part::File(name, chat(10).as_bytes()), Part::Text("purpose", "fine-tune")]).json(200);
        assert_eq!(file["filename"], name);
        let path = format!("/files/{}/content", file["id"].as_str().unwrap());
        let header = server.get(&path);
        let header = header.header("content-disposition").unwrap();
        assert!(header.is_ascii() && !header.contains('\n'), "{header}");
    }
    for id in ["..%2F..%2Fsecret", "%2e%2e%2fsecret", "..", "file-%00", "lock"] {
        for path in [format!("/files/{id}"), format!("/files/{id}/content"), format!("/models/{id}")] {
            let answer = server
                .raw(format!("GET /v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes());
            let is_refused = answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400");
            assert!(is_refused && !answer.contains("nobody may"), "{path}: {answer}");
        }
    }
    let escaped = std::fs::read_dir(server.folder.path()).unwrap().count();
    assert_eq!(escaped, 2, "only the data folder and the secret are there");
}

#[test]
fn lines_in_a_name_do_not_become_headers() {
    let server = Server::start();
    let mut body =
        b"--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%0D%0AX-Evil: 1\"\r\n\r\n".to_vec();
    body.extend_from_slice(chat(10).as_bytes());
    body.extend_from_slice(
        b"\r\n--line\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--line--\r\n",
    );
    let file = server.post_bytes("/files", "multipart/form-data; boundary=line", &body).json(200);
    let answer = server.get(&format!("/files/{}/content", file["id"].as_str().unwrap()));
    assert_eq!(answer.header("x-evil"), None);
}

#[test]
fn what_is_no_http_is_no_harm() {
    let server = Server::start();
    for bytes in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/files HTTP/1.1\r\nX: \x00\r\n\r\n",
        b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ] {
        let answer = server.raw(bytes);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let many = "X: x\r\n".repeat(5_000);
    for head in [many, format!("X: {}\r\n", "x".repeat(1 << 20))] {
        let answer = server.raw(format!("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n{head}\r\n").as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    server.get("/models").json(200);
}

#[test]
fn a_second_server_does_not_work_in_the_same_folder() {
    let server = Server::start();
    let stop = Arc::new(AtomicBool::new(true));
    let mut config = settings(server.folder.path());
    // Beside a server with a database that can be shared, this one is the one who cannot share.
    config.workplace.database = Database::InFolder;
    let error = serve(config, Arc::new(Bench::default()), stop, |_| {}).unwrap_err();
    assert!(matches!(error, ServeError::Taken { .. }), "{error}");
}

#[test]
fn settings_that_cannot_be_are_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let start = |change: &dyn Fn(&mut finetone_serve::ServeConfig)| {
        let mut config = settings(folder.path());
        change(&mut config);
        serve(config, Arc::new(Bench::default()), Arc::new(AtomicBool::new(true)), |_| {}).unwrap_err()
    };
    let errors = [
        start(&|config| config.workplace.models[0].name = "a/b".into()),
        start(&|config| config.workplace.models[0].name = "other".into()),
        start(&|config| config.workplace.models.clear()),
        start(&|config| config.workplace.aliases[0].1 = "nothing".into()),
        start(&|config| config.address = "192.0.2.1:1".parse().unwrap()),
    ];
    assert!(errors.iter().all(|error| error.hint().is_some_and(|hint| !hint.is_empty())));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only the last one got as far as the data folder");
}

#[test]
fn uploads_of_an_earlier_process_go() {
    let server = Server::start();
    let id = server.uploaded(&chat(10));
    let data = server.folder.path().join("data");
    std::fs::write(data.join("uploads/half"), "half").unwrap();
    std::fs::write(data.join("files/file-unknown"), "orphan").unwrap();
    let server = server.again();
    let left: Vec<_> = std::fs::read_dir(data.join("files")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [id.as_str()]);
    assert_eq!(std::fs::read_dir(data.join("uploads")).unwrap().count(), 0);
    let files: Value = server.get("/files").json(200);
    assert_eq!(files["data"][0]["id"], id.as_str());
}

/// The first line of the answer to a request that calls the server by a name.
fn called(server: &Server, name: &str) -> String {
    let head = format!("GET /v1/models HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    server.raw(head.as_bytes()).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_name_that_was_made_to_lead_here_gets_no_answer() {
    let server = Server::start();
    let port = server.address.port();
    for name in ["localhost", "127.0.0.1", "[::1]", "mood.example"] {
        assert!(called(&server, &format!("{name}:{port}")).contains(" 200 "), "{name}");
    }
    for name in ["evil.example", "localhost.evil.example", "192.0.2.1", "evil@127.0.0.1@x", "", "a b"] {
        let line = called(&server, &format!("{name}:{port}"));
        assert!(line.contains(" 421 ") || line.contains(" 400 "), "{name}: {line}");
    }
    // The pages themselves and what needs no key are not read either.
    let head = "GET /ui/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(server.raw(head.as_bytes()).starts_with("HTTP/1.1 421"));
}

#[test]
fn so_many_connections_are_open_and_no_more() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::with(folder, |config| config.limits.connections = 3);
    let open = |_| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).map(|()| (stream, first)).ok()
    };
    let held: Vec<_> = (0..3).filter_map(open).collect();
    assert!(held.len() == 3 && held.iter().all(|(_, said)| said == b"HTTP/1.1 200"));
    assert!(open(4).is_none(), "a fourth connection is closed");
    drop(held);
    eventually("room for another", || open(5));
}

#[test]
fn what_is_announced_as_too_large_is_not_written_at_all() {
    let server = Server::start();
    // Ten bytes more than a file may have, and what a form has beside it; not one of them comes.
    let head = "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 629145600\r\n\
                Content-Type: multipart/form-data; boundary=line\r\n\r\n";
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let body = vec![b'x'; 1 << 20];
    (0..600).for_each(|_| stream.write_all(&body).unwrap());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("larger than the server takes"), "{answer}");
    let uploads = server.folder.path().join("data/uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
}
