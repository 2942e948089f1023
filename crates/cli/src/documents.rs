//! Every command line that a document shows is one that finetone understands.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use finetone_classify::source::BUILT_IN;

use crate::Cli;

/// Names without an owner that the Hugging Face Hub knows, from its first years.
const OF_THE_HUB: [&str; 6] =
    ["bert-base-uncased", "distilbert-base-uncased", "distilgpt2", "gpt2", "roberta-base", "xlm-roberta-base"];

/// Where the shell takes over.
const SHELL: [&str; 5] = ["|", "<", ">", ">>", "&&"];

/// A line of a document and where it stands.
struct Shown {
    place: String,
    line: String,
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The command lines of a text: those that begin with the name, with what a backslash carries over to the next.
fn command_lines(place: &str, text: &str) -> Vec<Shown> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(|line| line.trim_start_matches(['#', '$', ' '])) {
        match lines.last_mut().filter(|begun| begun.ends_with('\\')) {
            Some(begun) => *begun = begun.trim_end_matches('\\').to_owned() + line,
            None => lines.push(line.to_owned()),
        }
    }
    lines.retain(|line| line.starts_with("finetone ") && !line.ends_with(':'));
    // What a line does stands behind it, at some distance.
    let alone = lines.iter().map(|line| line.split("  ").next().unwrap_or(line));
    alone.map(|line| Shown { place: place.to_owned(), line: line.to_owned() }).collect()
}

/// What stands between fences in a page of Markdown.
fn fenced(text: &str) -> String {
    text.split("```").skip(1).step_by(2).collect()
}

fn of_helps(command: &clap::Command, all: &mut Vec<Shown>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    all.extend(command_lines(&format!("the help of `{}`", command.get_name()), &help));
    command.get_subcommands().for_each(|command| of_helps(command, all));
}

fn shown() -> Vec<Shown> {
    let mut all = Vec::new();
    for page in ["README.md", "BENCHMARKS.md", "CONTRIBUTING.md", "recipes/README.md"] {
        all.extend(command_lines(page, &fenced(&fs::read_to_string(project().join(page)).unwrap())));
    }
    for folder in ["recipes", "recipes/search", "recipes/candidates"] {
        let files = fs::read_dir(project().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        for path in files.filter(|path| path.extension().is_some_and(|end| end == "toml")) {
            all.extend(command_lines(&path.display().to_string(), &fs::read_to_string(&path).unwrap()));
        }
    }
    of_helps(&Cli::command(), &mut all);
    all
}

#[test]
fn every_command_line_that_is_shown_is_understood() {
    let all = shown();
    assert!(all.len() > 60, "only {} lines were found", all.len());
    for Shown { place, line } in &all {
        let words = shlex::split(line).unwrap_or_else(|| panic!("{place}: `{line}` has an open quote"));
        let own = words.into_iter().take_while(|word| !SHELL.contains(&word.as_str()));
        // A letter stands for any number.
        let words: Vec<_> = own.map(|word| if word == "N" { "1".to_owned() } else { word }).collect();
        if let Err(error) = Cli::try_parse_from(&words) {
            panic!("{place}: `{line}` is not understood: {error}");
        }
        let of_the_project = words.iter().filter(|word| word.starts_with("examples/") || word.starts_with("recipes/"));
        for file in of_the_project {
            assert!(project().join(file).exists(), "{place}: there is no `{file}`");
        }
    }
}

#[test]
fn every_model_that_is_shown_by_a_mere_name_is_known() {
    // Jobs name a model as its server does.
    for Shown { place, line } in shown().into_iter().filter(|shown| !shown.line.starts_with("finetone jobs")) {
        let words = shlex::split(&line).unwrap();
        let models = words.windows(2).filter(|pair| pair[0] == "--model").map(|pair| pair[1].as_str());
        for model in models.filter(|model| !model.contains(['/', '=']) && model.to_uppercase() != **model) {
            let is_known = BUILT_IN.iter().any(|built_in| built_in.name == model) || OF_THE_HUB.contains(&model);
            assert!(is_known, "{place}: nobody knows `{model}`, in `{line}`");
        }
    }
}
