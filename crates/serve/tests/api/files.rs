//! Files: upload, list, get, delete, content.

use serde_json::{Value, json};

use super::client::{Part, Server, chat};

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[test]
fn an_upload_is_the_same_in_any_order_of_its_parts() {
    let server = Server::start();
    let content = chat(12);
    let (file, purpose) = (Part::File("mood.jsonl", content.as_bytes()), Part::Text("purpose", "fine-tune"));
    for parts in [[file, purpose], [Part::Text("purpose", "fine-tune"), Part::File("mood.jsonl", content.as_bytes())]] {
        let file = server.upload(&parts).json(200);
        let id = file["id"].as_str().unwrap().to_owned();
        assert!(id.len() == 29 && id.starts_with("file-"));
        let expected = json!({
            "object": "file", "id": id, "purpose": "fine-tune", "filename": "mood.jsonl", "bytes": content.len(),
            "created_at": file["created_at"], "expires_at": null, "status": "processed", "status_details": null,
        });
        assert_eq!(file, expected);
        assert_eq!(server.get(&format!("/files/{id}")).json(200), expected);
        let answer = server.get(&format!("/files/{id}/content"));
        assert_eq!(answer.bytes, content.as_bytes());
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        assert!(answer.header("content-disposition").unwrap().contains("filename=\"mood.jsonl\""));
    }
}

#[test]
fn a_body_in_chunks_is_read_as_well() {
    let server = Server::start();
    let body = super::client::form(&[Part::File("a.jsonl", chat(10).as_bytes()), Part::Text("purpose", "fine-tune")]);
    let mut request =
        b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
        Content-Type: multipart/form-data; boundary=line\r\n\r\n"
            .to_vec();
    for piece in body.chunks(37) {
        request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = server.raw(&request);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"status\":\"processed\""), "{answer}");
}

#[test]
fn pages_end_where_the_next_begins_although_all_files_are_of_one_second() {
    let server = Server::start();
    let mut uploaded: Vec<String> = (0..5).map(|_| server.uploaded(&chat(10))).collect();
    let other = server.upload(&[Part::Text("purpose", "assistants"), Part::File("a.txt", b"x")]).json(200);
    let ascending = server.get("/files?order=asc&purpose=fine-tune").json(200);
    assert_eq!(ids(&ascending), uploaded);
    assert_eq!((&ascending["first_id"], &ascending["has_more"]), (&json!(uploaded[0]), &json!(false)));
    uploaded.reverse();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/files?purpose=fine-tune&limit=2{after}")).json(200);
        if ids(&page).is_empty() {
            assert_eq!(
                (&page["first_id"], &page["last_id"], &page["has_more"]),
                (&Value::Null, &Value::Null, &json!(false))
            );
            break;
        }
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        assert_eq!(page["has_more"], json!(seen.len() < 5));
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(seen, uploaded);
    assert_eq!(ids(&server.get("/files").json(200))[0], other["id"]);
    assert_eq!(server.get("/files?after=file-x").error(400).1, "after");
    assert_eq!(server.get("/files?limit=0").error(400).2, "integer_below_min_value");
    assert_eq!(server.get("/files?limit=ten").error(400).2, "invalid_type");
}

#[test]
fn a_deleted_file_is_gone() {
    let server = Server::start();
    let id = server.uploaded(&chat(10));
    let path = format!("/files/{id}");
    assert_eq!(server.delete(&path).json(200), json!({"id": id, "object": "file", "deleted": true}));
    for answer in [server.get(&path), server.delete(&path), server.get(&format!("{path}/content"))] {
        assert_eq!(answer.error(404), (format!("No such File object: {id}"), json!("id"), Value::Null));
    }
    assert_eq!(std::fs::read_dir(server.folder.path().join("data/files")).unwrap().count(), 0);
}

#[test]
fn a_file_that_a_job_needs_stays() {
    let server = Server::start();
    server.bench.waits.store(true, std::sync::atomic::Ordering::SeqCst);
    let file = server.uploaded(&chat(12));
    let job = server.job(&json!({"model": "small", "training_file": file}));
    let (message, ..) = server.delete(&format!("/files/{file}")).error(400);
    assert!(message.contains(&job), "{message}");
    server.post_nothing(&format!("/fine_tuning/jobs/{job}/cancel")).json(200);
    server.delete(&format!("/files/{file}")).json(200);
}

#[test]
fn what_no_job_can_read_is_refused_or_marked() {
    let server = Server::start();
    let purpose = || Part::Text("purpose", "fine-tune");
    let file = |name, content: &'static str| Part::File(name, content.as_bytes());
    let refused: [(&[Part<'_>], &str, &str); 8] = [
        (&[purpose()], "file", "Missing required parameter: 'file'."),
        (&[file("a.jsonl", "{}")], "purpose", "Missing required parameter: 'purpose'."),
        (&[file("a.jsonl", "{}"), Part::Text("purpose", "training")], "purpose", "'training' is not one of"),
        (&[file("a.txt", "{}"), purpose()], "file", "Must be .jsonl"),
        (&[file("a.json", "{}"), purpose()], "file", "Must be .jsonl"),
        (&[file("a.jsonl", ""), purpose()], "file", "The file is empty"),
        (
            &[
                file("a.jsonl", "{}"),
                purpose(),
                Part::Text("expires_after[anchor]", "created_at"),
                Part::Text("expires_after[seconds]", "1"),
            ],
            "expires_after[seconds]",
            "from 3600 to 2592000",
        ),
        (
            &[file("a.jsonl", "{}"), purpose(), Part::Text("expires_after[anchor]", "now")],
            "expires_after[seconds]",
            "given",
        ),
    ];
    for (parts, param, says) in refused {
        let (message, of, _) = server.upload(parts).error(400);
        assert!(message.contains(says) && of == param, "{message} ({of})");
    }
    let broken = server.upload(&[file("a.jsonl", "{\"a\": 1}\r\n\n{\"a\": }\n"), purpose()]).json(200);
    assert_eq!(broken["status"], "error");
    assert!(broken["status_details"].as_str().unwrap().contains("line 3"), "{broken}");
    for name in ["file", "upload", "unknown_file", "A.JSONL"] {
        let fine = server.upload(&[file(name, "\u{feff}{\"a\": 1}\r\n\r\n{}\n\n"), purpose()]).json(200);
        assert_eq!((&fine["status"], &fine["filename"]), (&json!("processed"), &json!(name)));
    }
    assert_eq!(std::fs::read_dir(server.folder.path().join("data/uploads")).unwrap().count(), 0);
}

#[test]
fn a_file_can_be_given_a_time() {
    let server = Server::start();
    let parts = [
        Part::File("a.jsonl", b"{}"),
        Part::Text("purpose", "fine-tune"),
        Part::Text("expires_after[anchor]", "created_at"),
        Part::Text("expires_after[seconds]", "3600"),
    ];
    let file = server.upload(&parts).json(200);
    assert_eq!(file["expires_at"].as_i64().unwrap() - file["created_at"].as_i64().unwrap(), 3600);
}
