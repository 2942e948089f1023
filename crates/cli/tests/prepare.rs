//! Files and streams of raw rows, made ready for a model, as a user does it.

mod workbench;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use workbench::{BINARY, done, failed, finetone, names, run, stderr, stdout};

const RAW: &str = "id,text,label\n\
    1,<b>Lovely</b> kettle &amp; lid,good\n\
    2,lovely  KETTLE & lid,bad\n\
    3,late,bad\n\
    4,<p></p>,bad\n\
    5,too,many,fields\n";

#[test]
fn a_file_is_made_ready_and_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("raw.csv"), RAW).unwrap();
    let output = run(folder.path(), "prepare raw.csv --out clean.csv --rejected rejected.csv --json");
    let clean = "id,text,label\n1,Lovely kettle & lid,good\n3,late,bad\n";
    assert_eq!(fs::read_to_string(folder.path().join("clean.csv")).unwrap(), clean);
    let told = stderr(&output);
    for part in [
        "5 rows read, 2 written to clean.csv\n",
        "texts in `text`: cleaned: html, unicode, control, space; 1 changed\n",
        "copies        1                   1\n",
        "good      1     1\n",
        "bad       3     1\n",
        "note: copies with another label than the row they repeat: 1",
        "note: the first malformed row: raw.csv:6: ",
    ] {
        assert!(told.contains(part), "{part} is missing:\n{told}");
    }
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&json["read"], &json["copies"]["named"][0]["of_line"]), (&5.into(), &2.into()));
    assert_eq!(names(folder.path()), ["clean.csv", "raw.csv", "rejected.csv"]);
    // Twice is once, through pipes too.
    let twice = finetone(folder.path()).args(["prepare", "-", "-q"]).write_stdin(clean).output().unwrap();
    assert_eq!((stdout(&twice).as_str(), stderr(&twice).as_str()), (clean, ""));
    let lines = "{\"text\": \"a <i>b</i>\"}\n{\"text\": \"A B\"}\n";
    let args = ["prepare", "-", "--format", "jsonl", "--set", "clean=[]"];
    let as_they_are = finetone(folder.path()).args(args).write_stdin(lines).output().unwrap();
    assert_eq!(stdout(&as_they_are), lines);
    assert!(stderr(&as_they_are).contains("texts in `text`: as they are; 0 changed"), "{}", stderr(&as_they_are));
    for (line, told) in [
        ("prepare nowhere.csv --out a.csv", "no such file"),
        ("prepare --follow nowhere.csv --out a.csv", "no such file"),
        ("prepare raw.csv --text-column txt", "did you mean `text`?"),
        ("prepare raw.csv --out a.csv --balance oversample --label-column tag", "there is no column `tag`"),
        ("prepare --follow raw.csv --out clean.csv", "no following has left it"),
    ] {
        assert!(failed(folder.path(), line).contains(told), "{line}");
    }
    assert_eq!(names(folder.path()).len(), 3, "nothing is left behind");
}

/// Conversations with markup, another name for the agent, and words that the customer alone says.
fn calls() -> String {
    let row = |i: usize| {
        let (word, label) = [("awful", "bad"), ("lovely", "good")][i % 2];
        let tier = ["gold", "silver"][i / 2 % 2];
        format!(
            "\"Senior Agent: Was <b>call</b> {i} fine?<br>(He waits.)\n\nCustomer: It was {word} {i} times,  see www.a.org/{i}!\n\n\
             (sighs)\n\nAgent: Oh.\",{tier},{label}\n"
        )
    };
    "conversation,tier,sentiment\n".to_owned() + &(0..60).map(row).collect::<String>()
}

const SETTINGS: &str = "conversation = \"customer\"\nclean = [\"html\", \"space\", \"urls\"]\nfeatures = [\"tier\"]\n";

#[test]
fn a_model_reads_and_learns_the_same_from_prepared_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("raw.csv"), calls()).unwrap();
    fs::write(path.join("customer.toml"), SETTINGS).unwrap();
    done(path, "prepare raw.csv --recipe customer.toml --keep-copies --out by-recipe.csv");
    let prepared = fs::read_to_string(path.join("by-recipe.csv")).unwrap();
    assert!(prepared.contains("\n\"Customer: It was awful 0 times, see [URL]!\n\n(sighs)\",gold,bad\n"), "{prepared}");
    for (file, run) in [("raw.csv", "raw"), ("by-recipe.csv", "prepared")] {
        let line = format!("train {file} --recipe customer.toml --out {run} --set max_steps=3 --threads 1 -q");
        done(path, &line);
    }
    let weights = |run: &str| fs::read(path.join(run).join("model/model.safetensors")).unwrap();
    assert!(weights("raw") == weights("prepared"), "the same settings over prepared rows make the same model");
    done(path, "prepare raw.csv --model raw --keep-copies --out by-model.csv");
    assert_eq!(fs::read_to_string(path.join("by-model.csv")).unwrap(), prepared);
    let said = |file: &str| {
        done(path, &format!("predict raw {file} -o said.csv -q"));
        let file = fs::read_to_string(path.join("said.csv")).unwrap();
        let rows = csv::Reader::from_reader(file.as_bytes()).into_records().map(|row| row.unwrap());
        rows.map(|row| row.iter().skip(3).map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    assert_eq!(said("raw.csv"), said("by-model.csv"));
}

/// A following that is ended when the test is.
struct Following(Child);

impl Following {
    fn start(folder: &Path) -> Following {
        let mut command = Command::new(BINARY);
        command.current_dir(folder).args(["prepare", "--follow", "log.csv", "--out", "clean.csv"]);
        Following(command.stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Stops it by a signal, and gives what it said, where it ended well.
    fn stop(mut self, signal: &str) -> Option<String> {
        let asked = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let status = self.0.wait().unwrap();
        let mut told = String::new();
        std::io::Read::read_to_string(self.0.stderr.as_mut().unwrap(), &mut told).unwrap();
        status.success().then_some(told)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until a file says this, as long as a busy machine may take.
fn wait_for(path: &Path, text: &str) {
    let begun = Instant::now();
    while fs::read_to_string(path).unwrap_or_default() != text {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", fs::read_to_string(path));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(unix)]
#[test]
fn a_log_is_followed_stopped_killed_and_followed_again() {
    let folder = tempfile::tempdir().unwrap();
    let (log, clean) = (folder.path().join("log.csv"), folder.path().join("clean.csv"));
    let append = |text: &str| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append("text,label\n<b>one</b>,a\n");
    let following = Following::start(folder.path());
    wait_for(&clean, "text,label\none,a\n");
    append("two,b\nONE,a\nthr");
    wait_for(&clean, "text,label\none,a\ntwo,b\n");
    let told = following.stop("-TERM").expect("SIGTERM is the end of a following, not a failure");
    assert!(told.contains("3 rows read, 2 written to clean.csv"), "{told}");
    append("ee,c\n");
    let following = Following::start(folder.path());
    wait_for(&clean, "text,label\none,a\ntwo,b\nthree,c\n");
    assert_eq!(following.stop("-KILL"), None);
    append("four,d\n");
    let following = Following::start(folder.path());
    wait_for(&clean, "text,label\none,a\ntwo,b\nthree,c\nfour,d\n");
    following.stop("-INT").expect("Ctrl-C ends it well");
    fs::rename(&log, folder.path().join("log.csv.1")).unwrap();
    append("text,label\nfive,e\ntwo,b\n");
    let following = Following::start(folder.path());
    wait_for(&clean, "text,label\none,a\ntwo,b\nthree,c\nfour,d\nfive,e\n");
    let told = following.stop("-TERM").expect("it ends well");
    assert!(told.contains("replaced while nobody followed") && told.contains("\ncopies       1 "), "{told}");
}
