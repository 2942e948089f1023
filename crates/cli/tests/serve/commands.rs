//! `finetone jobs` and `finetone chat`, with their mistakes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::letters;
use super::process::{Server, chat};
use super::workbench::{done, failed, finetone, run, stderr, stdout, trained};

/// The address of a server, as `--url` takes it.
fn url(server: &Server) -> &str {
    server.base.trim_end_matches("/v1")
}

/// Asks in the terminal, with lines on standard input.
fn ask(folder: &Path, line: &str, questions: &str) -> String {
    let output = finetone(folder).args(line.split_whitespace()).write_stdin(questions.to_owned()).output().unwrap();
    assert!(output.status.success(), "`{line}`: {}", stderr(&output));
    stdout(&output)
}

#[test]
fn a_job_is_created_watched_and_its_model_asked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("chats.jsonl"), chat(30)).unwrap();
    let server = Server::start(folder.path());
    let at = url(&server);
    assert_eq!(done(folder.path(), &format!("jobs list --url {at}")), "no jobs\n");
    let created = done(folder.path(), &format!("jobs create chats.jsonl --epochs 2 --suffix mood --seed 1 --url {at}"));
    let job = created.trim();
    assert!(job.starts_with("ftjob-"), "{created}");
    let model = done(folder.path(), &format!("jobs wait {job} --url {at}"));
    let model = model.trim();
    assert!(model.starts_with("ft:micro:personal:mood:"), "{model}");
    let events = done(folder.path(), &format!("jobs events {job} --follow --url {at}"));
    let lines: Vec<&str> = events.lines().collect();
    assert_eq!(lines[0], format!("Created fine-tuning job: {job}"));
    assert_eq!(lines[lines.len() - 1], "The job has successfully completed");
    assert_eq!(lines.iter().filter(|line| line.starts_with("Step ")).count(), 60);
    let shown = done(folder.path(), &format!("jobs show {job} --url {at}"));
    assert!(shown.contains(model) && shown.contains("Step 60/60") && shown.contains("succeeded"), "{shown}");
    let json: Value =
        serde_json::from_str(&done(folder.path(), &format!("jobs show {job} --json --url {at}"))).unwrap();
    assert_eq!(json["fine_tuned_model"], model);
    assert!(done(folder.path(), &format!("jobs list --url {at}")).contains(job));

    let questions = "the parcel was lovely\n\nthe parcel was dreadful\n";
    let said = ask(folder.path(), &format!("chat {model} --url {at} --repeat 5 --against {model}"), questions);
    assert!(said.contains(" × ") && said.contains('█'), "{said}");
    let json = ask(folder.path(), &format!("chat {model} --url {at} --json --temperature 0"), questions);
    let answers: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 2);
    let likely = answers[1]["models"][0]["answers"][0]["probabilities"].as_array().unwrap();
    let sum: f64 = likely.iter().map(|word| word[1].as_f64().unwrap()).sum();
    assert!(likely.len() == 3 && (sum - 1.0).abs() < 1e-6, "{likely:?}");
    let said = failed(folder.path(), &format!("jobs cancel {job} --url {at}"));
    assert!(said.contains("cannot be cancelled: its status is 'succeeded'"), "{said}");
}

#[test]
fn jobs_are_paused_resumed_and_cancelled_and_a_failed_one_fails_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("chats.jsonl"), chat(30)).unwrap();
    fs::write(folder.path().join("few.jsonl"), chat(3)).unwrap();
    let server = Server::start(folder.path());
    let at = url(&server);
    let at = |line: &str| format!("jobs {line} --url {at}");
    let job = done(folder.path(), &at("create chats.jsonl --epochs 50 --batch-size 1"));
    let job = job.trim();
    while server.job(job)["status"] == "validating_files" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(done(folder.path(), &at(&format!("pause {job}"))), format!("{job}  paused\n"));
    let resumed = done(folder.path(), &at(&format!("resume {job}")));
    assert!(["queued", "running"].iter().any(|status| resumed == format!("{job}  {status}\n")), "{resumed}");
    assert_eq!(done(folder.path(), &at(&format!("cancel {job}"))), format!("{job}  cancelled\n"));
    let said = failed(folder.path(), &at(&format!("wait {job}")));
    assert!(said.contains("cancelled"), "{said}");
    let few = done(folder.path(), &at("create few.jsonl"));
    let said = failed(folder.path(), &at(&format!("wait {}", few.trim())));
    assert!(said.contains("at least 10 examples"), "{said}");
}

/// A server that answers so many questions, each with its number; gives its address, and then the messages of each.
fn numbering(questions: usize) -> (String, JoinHandle<Vec<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |number: usize| {
        let (mut connection, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(connection.try_clone().unwrap());
        // The request comes in chunks, of which the first holds all: its size in a line behind the head, then it.
        let mut lines = reader.by_ref().lines().map(Result::unwrap).skip_while(|line| !line.is_empty());
        let size = lines.nth(1).unwrap();
        let mut body = vec![0; usize::from_str_radix(&size, 16).unwrap()];
        reader.read_exact(&mut body).unwrap();
        reader.read_exact(&mut [0; b"\r\n0\r\n\r\n".len()]).unwrap();
        let text = json!({"choices": [{"message": {"content": format!("answer {number}")}}]}).to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
        write!(connection, "{head}\r\ncontent-length: {}\r\n\r\n{text}", text.len()).unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()["messages"].take()
    };
    (address, std::thread::spawn(move || (0..questions).map(answer).collect()))
}

#[test]
fn a_chat_has_a_history_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let system = message("system", "Brief.");
    let first = message("user", "one");
    for (flag, before) in [("", vec![]), (" --history", vec![first.clone(), message("assistant", "answer 0")])] {
        let (address, asked) = numbering(2);
        ask(folder.path(), &format!("chat any --url {address} --json --system Brief.{flag}"), "one\ntwo\n");
        let asked = asked.join().unwrap();
        assert_eq!(asked[0], json!([system, first]));
        let whole = [vec![system.clone()], before, vec![message("user", "two")]].concat();
        assert_eq!(asked[1], json!(whole), "`{flag}`");
    }
    assert_eq!(run(folder.path(), "chat any --history --repeat 2").status.code(), Some(2));
}

#[test]
fn mistakes_are_told_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let at = url(&server);
    let said = failed(folder.path(), "jobs list --url http://127.0.0.1:1");
    assert!(said.contains("no server answers at http://127.0.0.1:1/v1") && said.contains("finetone serve"), "{said}");
    let said = failed(folder.path(), &format!("jobs show ftjob-nothing --url {at}"));
    assert!(said.contains("Could not find fine tune: ftjob-nothing"), "{said}");
    let said = failed(folder.path(), &format!("jobs create nothing.jsonl --url {at}"));
    assert!(said.contains("nothing.jsonl"), "{said}");
    fs::write(folder.path().join("bad.jsonl"), "{\"messages\": 7}\nno JSON\n").unwrap();
    let said = failed(folder.path(), &format!("jobs create bad.jsonl --url {at}"));
    assert!(said.contains("line 2") || said.contains("Line 2"), "{said}");
    let said = failed(folder.path(), "chat tiny");
    assert!(said.contains("starts untrained"), "{said}");
    let nobody = finetone(folder.path()).args(["chat", "nobody", "--url", at]).write_stdin("hello\n").output().unwrap();
    assert!(nobody.status.code() == Some(1) && stderr(&nobody).contains("'nobody' does not exist"));
    for line in ["jobs show ../files", "chat x --temperature 3", "chat x --repeat 0", "jobs", "chat"] {
        let output = run(folder.path(), line);
        assert_eq!(output.status.code(), Some(2), "`{line}`: {}", stderr(&output));
    }
    let key = done(folder.path(), "serve key create laptop --data data");
    let said = failed(folder.path(), &format!("jobs list --url {at}"));
    assert!(said.contains("--key-env"), "{said}");
    let mut with_key = finetone(folder.path());
    let output = with_key.args(["jobs", "list", "--key-env", "MINE", "--url", at]).env("MINE", key.trim()).output();
    assert_eq!(stdout(&output.unwrap()), "no jobs\n");
}

#[test]
fn models_of_this_machine_are_asked_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let story = letters::model(&folder.path().join("story"), "llama-language", |_| {});
    let line = format!("chat {} --seed 4 --max-tokens 8 --threads 1", story.display());
    let streamed = ask(folder.path(), &line, "is it good?\n");
    let json: Value = serde_json::from_str(&ask(folder.path(), &format!("{line} --json"), "is it good?\n")).unwrap();
    let text = json["models"][0]["answers"][0]["text"].as_str().unwrap();
    assert_eq!(
        (streamed.trim_end_matches('\n'), json["question"].as_str()),
        (text.trim_end_matches('\n'), Some("is it good?"))
    );
    let run = trained().join("runs/reviews-1");
    let both = format!("chat {} --against {} --repeat 3 --threads 1", run.display(), story.display());
    let said = ask(folder.path(), &both, "the kettle was lovely\n");
    assert!(said.contains("positive") && said.contains('█') && said.contains("story"), "{said}");
    let bars = ask(folder.path(), &format!("chat {} --temperature 0 --threads 1", run.display()), "a real joy");
    assert_eq!(bars.lines().count(), 4, "{bars}");
}
