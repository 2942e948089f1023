//! `cargo xtask tidy`: the rules of the house that a program can check.
//!
//! Every rule is a pure function from the text of a file to violations, so each is tested with small sources that never
//! touch the disk; this file only gathers the files and prints what was found.

mod absences;
mod dependencies;
mod files;
mod imports;
mod sizes;
mod source;
mod texts;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use files::ProjectFile;
use source::RustSource;

/// One broken rule: where, which, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, relative to the workspace root.
    pub path: String,
    /// The line, counted from one; one where the rule concerns the whole file.
    pub line: usize,
    /// The rule that is broken.
    pub rule: &'static str,
    /// What was found and what to do.
    pub advice: String,
}

impl Violation {
    fn new(path: &str, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, advice: advice.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}: {}", self.path, self.line, self.rule, self.advice)
    }
}

/// Checks the project under `root` and prints one line a violation; exit code 1 when there is any.
pub fn run(root: &Path) -> Result<ExitCode> {
    let files = files::gather(root)?;
    let (mut violations, functions) = examine(&files);
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    println!(
        "{} files, {} functions ({:.1} % within {} lines): {}",
        files.len(),
        functions.len(),
        100.0 * sizes::share_of_short(&functions),
        sizes::SHORT_FUNCTION,
        match violations.len() {
            0 => "tidy".to_owned(),
            1 => "1 violation".to_owned(),
            count => format!("{count} violations"),
        }
    );
    Ok(ExitCode::from(u8::from(!violations.is_empty())))
}

/// Applies every rule to every file; the functions are handed back for the summary.
fn examine(files: &[ProjectFile]) -> (Vec<Violation>, Vec<sizes::Function>) {
    let mut violations = Vec::new();
    let mut functions = Vec::new();
    for file in files {
        violations.extend(texts::check_size(&file.path, file.bytes));
        let Some(text) = &file.text else { continue };
        violations.extend(texts::check(&file.path, text));
        if file.path.ends_with(".rs") {
            match RustSource::parse(&file.path, text) {
                Ok(source) => {
                    functions.extend(sizes::functions(&source));
                    violations.extend(sizes::check_file(&source));
                    violations.extend(absences::check(&source));
                }
                Err(violation) => violations.push(violation),
            }
        }
        if imports::is_member_manifest(&file.path) {
            violations.extend(imports::check(&file.path, text));
        }
    }
    violations.extend(sizes::check_functions(&functions));
    violations.extend(dependencies::check(text_of(files, "Cargo.toml"), text_of(files, "ARCHITECTURE.md")));
    (violations, functions)
}

fn text_of<'a>(files: &'a [ProjectFile], path: &str) -> Option<&'a str> {
    files.iter().find(|file| file.path == path)?.text.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_reads_like_a_compiler_line() {
        let violation = Violation::new("crates/data/src/reader.rs", 7, "absence", "remove `dbg!`");
        assert_eq!(violation.to_string(), "crates/data/src/reader.rs:7: absence: remove `dbg!`");
    }

    #[test]
    fn rules_of_all_kinds_are_applied() {
        let file = |path: &str, text: &str| ProjectFile {
            path: path.to_owned(),
            bytes: text.len() as u64,
            text: Some(text.to_owned()),
        };
        let files = [
            file("Cargo.toml", "[workspace.dependencies]\ncsv = \"1\"\n"),
            file("ARCHITECTURE.md", "no table\n"),
            file("crates/unheard-of/Cargo.toml", "[lints]\nworkspace = true\n"),
            file("crates/data/src/a.rs", "fn f() { todo!() }\n"),
            file("crates/data/src/b.rs", "fn f( {\n"),
        ];
        let (violations, functions) = examine(&files);
        let mut rules: Vec<_> = violations.iter().map(|violation| violation.rule).collect();
        rules.sort_unstable();
        assert_eq!(rules, ["absence", "dependency", "import", "syntax"]);
        assert_eq!(functions.len(), 1);
    }
}
