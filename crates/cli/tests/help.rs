//! What the command says about itself.

mod workbench;

use std::path::Path;

use workbench::{BINARY, done, names};

const COMMANDS: [&str; 25] = [
    "",
    "doctor",
    "explore",
    "prepare",
    "train",
    "search",
    "eval",
    "compare",
    "monitor",
    "predict",
    "explain",
    "study",
    "study conversations",
    "serve",
    "serve key",
    "worker",
    "jobs",
    "jobs create",
    "chat",
    "model",
    "model list",
    "model pull",
    "model show",
    "model export",
    "completions",
];

#[test]
fn every_command_explains_itself() {
    for command in COMMANDS.into_iter().chain(["man"]) {
        let help = done(Path::new("."), &format!("{command} --help"));
        assert!(help.contains("Examples:\n  "), "`finetone {command} --help` has no examples");
        let name = format!("help {command}").trim_end().replace(' ', "-");
        insta::assert_snapshot!(name, help);
    }
}

#[test]
fn completions_know_the_commands_of_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = done(Path::new("."), &format!("completions {shell}"));
        assert!(script.contains("doctor") && script.contains("learning-rate"), "{shell}");
    }
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    assert!(done(folder.path(), "man").contains(".TH finetone"));
    done(folder.path(), "man pages");
    let pages = names(&folder.path().join("pages"));
    for command in COMMANDS.into_iter().skip(1) {
        let page = format!("finetone-{}.1", command.replace(' ', "-"));
        assert!(pages.contains(&page), "{page} is missing in {pages:?}");
    }
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), workbench::reviews(30)).unwrap();
    let wrong = [
        ("", "Usage:"),
        ("trian a.csv", "a similar subcommand exists: 'train'"),
        ("train", "<FILE>"),
        ("train a.csv --epochs many", "--epochs"),
        ("train a.csv --precision int8", "hint: train with `auto`, then `finetone predict --precision int8`"),
        ("train a.csv --precision f33", "known precisions"),
        ("predict run a.csv -o b.csv --precision f33", "bf16"),
        ("train a.csv --set learning_rat=1", "hint: did you mean `learning_rate`?"),
        ("train a.csv --set epochs", "hint: for example"),
        ("train a.csv --epochs 0", "hint: `epochs` must be more than 0"),
        ("train a.csv --threads 0", "--threads"),
        ("predict run a.csv", "--out"),
        ("predict run", "FILE"),
        ("predict run a.csv -o b.csv --text hello", "cannot be used with"),
        ("eval run", "<FILE>"),
        ("eval run a.csv --report report.pdf", "`.html`, `.md` or `.json`"),
        ("doctor", "<FILE>"),
        ("prepare", "<FILE>"),
        ("prepare - --follow", "hint: leave `--follow` out"),
        ("prepare - --balance oversample", "hint: write it to a file first"),
        ("prepare a.csv --follow --balance oversample", "hint: balance what was written"),
        ("prepare a.csv --out a.csv", "hint: name another file to write"),
        ("prepare a.csv --out b.csv --rejected b.csv", "hint: name another file to write"),
        ("prepare a.csv --out b.csv --rejected -", "hint: name a file for the others"),
        ("prepare a.csv --near 0.5", "from 0.8 to 1"),
        ("prepare a.csv --window 0", "at least 1"),
        ("prepare a.csv --format xlsx", "known formats"),
        ("prepare a.csv --json", "--out"),
        ("prepare a.csv --set claen=[]", "hint: did you mean `clean`?"),
        ("prepare a.csv --set clean=[\"url\"]", "urls"),
        ("prepare a.csv --model run --set seed=1", "cannot be used with"),
        ("monitor run", "<FRESH>"),
        ("monitor run a.csv --min-f1 85", "a number from 0 to 1"),
        ("train a.csv --from run --model tiny", "cannot be used with"),
        ("doctor a.csv --model tiny", "hint: name a run"),
        ("model export run", "--out"),
        ("completions tcsh", "bash"),
        ("search", "<FILE>"),
        ("search a.csv --time soon", "such as `20m`"),
        ("search a.csv --folds 1", "--folds"),
        ("search a.csv --set epochs=0", "hint: `epochs` must be more than 0"),
        ("study conversations a.csv --model tiny --out b", "--test"),
        ("study conversations a.csv --test a.csv --model tiny --out b --folds 1", "--folds"),
    ];
    for (line, says) in wrong {
        let output = workbench::run(folder.path(), line);
        let said = workbench::stderr(&output);
        assert_eq!(output.status.code(), Some(2), "`{line}`: {said}");
        assert!(said.contains(says), "`{line}` said:\n{said}");
    }
    assert_eq!(names(folder.path()), ["a.csv"], "wrong usage leaves nothing behind");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = std::process::Command::new(BINARY)
        .args(["completions", "zsh"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
