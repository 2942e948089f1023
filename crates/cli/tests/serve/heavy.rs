//! An upload that never ends takes neither the memory nor the disk.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use super::process::Server;
use super::workbench::names;

/// Megabytes that are sent.
const SENT: usize = 600;
/// Megabytes that a file may have.
const MOST: usize = 16;

/// The most memory that a process ever had, in megabytes.
fn peak_memory(id: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() >> 10
}

#[test]
fn six_hundred_megabytes_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(folder.path(), &["--model", "tiny=tiny", "--upload-size", &MOST.to_string()]);
    let before = peak_memory(server.id());
    let address = server.base.trim_start_matches("http://").trim_end_matches("/v1");
    let mut stream = TcpStream::connect(address).unwrap();
    // In pieces, so that nobody knows beforehand how much there will be.
    let head = "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
                Content-Type: multipart/form-data; boundary=line\r\n\r\n";
    let part = "--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"large.jsonl\"\r\n\r\n";
    stream.write_all(format!("{head}{:x}\r\n{part}\r\n", part.len()).as_bytes()).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answer = thread::spawn(move || {
        let mut answer = String::new();
        reader.read_to_string(&mut answer).unwrap();
        answer
    });
    let mut piece = format!("{:x}\r\n", 1 << 20).into_bytes();
    piece.resize(piece.len() + (1 << 20), b'x');
    piece.extend_from_slice(b"\r\n");
    for _ in 0..SENT {
        stream.write_all(&piece).unwrap();
        let uploads = fs::read_dir(folder.path().join("data/uploads")).unwrap();
        let written: u64 = uploads.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum();
        assert!(written <= (MOST as u64) << 20, "{written} bytes are on the disk");
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let answer = answer.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("larger than the server takes"), "{answer}");
    assert!(
        names(&folder.path().join("data/uploads")).is_empty() && names(&folder.path().join("data/files")).is_empty()
    );
    let more = peak_memory(server.id()) - before;
    assert!(more < 64, "the upload took {more} MB of memory");
}
