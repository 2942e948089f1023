//! Files that grow.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use finetone_data::DataError;
use finetone_data::sieve::{Outputs, Sifted, follow};
use proptest::prelude::*;

use crate::{Scratch, only, prepare, usual};

/// What somebody does to the file while it is followed.
enum Deed {
    Append(Vec<u8>),
    Rename(&'static str),
    Create(Vec<u8>),
    Truncate,
}

fn append(text: impl AsRef<[u8]>) -> Deed {
    Deed::Append(text.as_ref().to_vec())
}

fn create(text: impl AsRef<[u8]>) -> Deed {
    Deed::Create(text.as_ref().to_vec())
}

impl Deed {
    fn done(&self, path: &Path) {
        match self {
            Deed::Append(bytes) => {
                let mut file = OpenOptions::new().append(true).create(true).open(path).expect("opened");
                file.write_all(bytes).expect("appended");
            }
            Deed::Rename(name) => std::fs::rename(path, path.with_file_name(name)).expect("renamed"),
            Deed::Create(bytes) => std::fs::write(path, bytes).expect("created"),
            Deed::Truncate => drop(File::create(path).expect("truncated")),
        }
    }
}

/// Follows a file to which these things are done, each when all before it is read.
fn followed(path: &Path, outputs: Outputs<'_>, deeds: Vec<Deed>) -> Result<Sifted, DataError> {
    let stop = AtomicBool::new(false);
    let mut deeds = deeds.into_iter();
    let mut wait = || match deeds.next() {
        Some(deed) => deed.done(path),
        None => stop.store(true, Ordering::SeqCst),
    };
    follow(path, usual(), outputs, &stop, &mut wait)
}

#[test]
fn rows_come_when_they_are_whole() {
    let scratch = Scratch::new();
    let (log, out) = (scratch.file("log.csv", "text,la"), scratch.path("clean.csv"));
    let deeds = vec![
        append("bel\none"),
        append(",a\n\"two"),
        append("\nlines\",b\n"),
        append("three,c"),
        append("\nfour,half"),
    ];
    let sifted = followed(&log, only(&out), deeds).expect("followed");
    assert_eq!(scratch.text("clean.csv"), "text,label\none,a\n\"two\nlines\",b\nthree,c\n");
    assert_eq!((sifted.read, sifted.written), (3, 3));
    // The half row comes with the next call, with the line that it has.
    let (rejected, deeds) = (scratch.path("rejected.csv"), vec![append(" row\nONE,a\nfive,e,\n")]);
    let outputs = Outputs { rejected: Some(&rejected), ..only(&out) };
    let sifted = followed(&log, outputs, deeds).expect("followed");
    assert_eq!(scratch.text("clean.csv"), "text,label\none,a\n\"two\nlines\",b\nthree,c\nfour,half row\n");
    assert_eq!((sifted.read, sifted.copies.exact, sifted.malformed), (3, 1, 1));
    let rejected = scratch.text("rejected.csv");
    assert!(rejected.contains("\nONE,a,7,copy,,a,1\n,,8,malformed: "), "{rejected}");
}

#[test]
fn rotation_and_truncation_lose_nothing_that_was_written() {
    let scratch = Scratch::new();
    let (log, out) = (scratch.file("log.csv", "text,label\none,a\n"), scratch.path("clean.csv"));
    let deeds = vec![
        append("two,b\nthree,"),
        Deed::Rename("log.csv.1"),
        create("text,label\n"),
        append("four,d\n"),
        Deed::Truncate,
        append("text,label\nfive,e\n"),
    ];
    followed(&log, only(&out), deeds).expect("followed");
    // The last row of the file that was renamed has no line end and is whole all the same.
    assert_eq!(scratch.text("clean.csv"), "text,label\none,a\ntwo,b\nthree,\nfour,d\nfive,e\n");
    // Rotated while nobody looks: the new file is read from its start, and copies are known.
    Deed::Rename("log.csv.2").done(&log);
    create("text,label\nsix,f\nfive,e\n").done(&log);
    let sifted = followed(&log, only(&out), vec![]).expect("followed");
    assert!(sifted.notices[0].contains("replaced while nobody followed"), "{:?}", sifted.notices);
    assert!(scratch.text("clean.csv").ends_with("five,e\nsix,f\n"));
    let other = followed(&log, only(&out), vec![Deed::Truncate, append("label,text\na,b\n")]).expect_err("columns");
    assert!(matches!(&other, DataError::CannotFollow { .. }) && other.hint().is_some(), "{other}");
}

#[test]
fn what_was_written_and_not_noted_is_not_written_twice() {
    let scratch = Scratch::new();
    let (log, out) = (scratch.file("log.jsonl", "{\"text\":\"one\"}\n"), scratch.path("clean.jsonl"));
    followed(&log, only(&out), vec![]).expect("followed");
    assert_eq!(followed(&log, only(&out), vec![]).expect("followed").notices, [""; 0]);
    // As if the process had ended between the row and the note of its place.
    append("{\"text\":\"two\"}\n").done(&log);
    append("{\"text\":\"tw").done(&out);
    let place = scratch.text("clean.jsonl.place");
    scratch.file("clean.jsonl.place", place.replace("\"stopped\":true", "\"stopped\":false"));
    followed(&log, only(&out), vec![]).expect("followed");
    assert_eq!(scratch.text("clean.jsonl"), "{\"text\":\"one\"}\n{\"text\":\"two\"}\n");
    // After a clean stop, what is behind is somebody's work.
    append("{\"text\":\"mine\"}\n").done(&out);
    let refused = followed(&log, only(&out), vec![]).expect_err("changed");
    assert!(refused.to_string().contains("has changed since"), "{refused}");
    assert!(scratch.text("clean.jsonl").ends_with("mine\"}\n"));
}

#[test]
fn what_cannot_be_followed_is_told() {
    let scratch = Scratch::new();
    let log = scratch.file("log.csv", "text\none\n");
    let told = |path: &Path, out: &Path| {
        let error = followed(path, only(out), vec![]).expect_err("refused");
        assert!(error.hint().is_some(), "{error}");
        error.to_string()
    };
    let out = scratch.path("out.csv");
    assert!(told(&scratch.file("a.parquet", "PAR1...."), &out).contains("does not grow"));
    assert!(told(&scratch.file("b.csv", b"\xFF\xFEt\0\n\0"), &out).contains("only UTF-8"));
    assert!(told(&log, &scratch.path("out.parquet")).contains("cannot grow"));
    assert!(told(&log, &scratch.file("mine.csv", "text\nmine\n")).contains("no following has left it"));
    assert!(!out.exists() && !scratch.path("out.parquet").exists());
    followed(&log, only(&out), vec![]).expect("followed");
    assert!(told(&scratch.file("other.csv", "text\ntwo\n"), &out).contains("another file"));
    std::fs::remove_file(&out).expect("removed");
    assert!(told(&log, &out).contains("has changed since"));
    scratch.file("out.csv.place", "{}");
    assert!(told(&log, &out).contains("no place"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Cut anywhere, with stops in between, a file that is followed gives what it gives at once.
    #[test]
    fn in_pieces_as_at_once(
        rows in proptest::collection::vec((0_usize..12, proptest::sample::select(vec!["a", "b"])), 1..20),
        ends in proptest::sample::select(vec!["\n", "\r\n"]),
        cuts in proptest::collection::vec((0_usize..400, any::<bool>()), 0..8),
        mark: bool,
    ) {
        let scratch = Scratch::new();
        let row = |(number, label): &(usize, &str)| format!("\"te\"\"xt\n<i>{number}</i>, é\",{label}{ends}");
        let mark = if mark { "\u{FEFF}" } else { "" };
        let whole = format!("{mark}text,label{ends}{}", rows.iter().map(row).collect::<String>()).into_bytes();
        let at_once = scratch.path("at-once.csv");
        prepare(&scratch.file("whole.csv", &whole), only(&at_once), &usual(), None).expect("readable");

        let mut cuts: Vec<(usize, bool)> = cuts.into_iter().map(|(at, stop)| (at.min(whole.len()), stop)).collect();
        cuts.sort_unstable();
        cuts.push((whole.len(), true));
        // Every format detail is known from the start: the header and one row.
        let first = mark.len() + "text,label".len() + ends.len() + row(&rows[0]).len();
        let (log, out) = (scratch.file("log.csv", &whole[..first]), scratch.path("clean.csv"));
        let (mut done, mut deeds) = (first, Vec::new());
        for (at, stop) in cuts {
            deeds.push(append(&whole[done..at.max(done)]));
            done = at.max(done);
            if stop {
                followed(&log, only(&out), std::mem::take(&mut deeds)).expect("followed");
            }
        }
        prop_assert_eq!(scratch.text("clean.csv"), scratch.text("at-once.csv"));
    }
}
