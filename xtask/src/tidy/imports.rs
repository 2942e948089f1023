//! Who may import whom, read from each crate's `Cargo.toml`.

use toml::{Table, Value};

use super::Violation;

const RULE: &str = "import";

/// What a crate may import of ours, and what it must not import at all.
struct Row {
    /// The folder under `crates/`.
    folder: &'static str,
    /// Folders of the crates it may import.
    allowed: &'static [&'static str],
    /// Packages of others that would break one of its absences.
    forbidden: &'static [&'static str],
    /// Whether the crate builds a binary or an extension module: only these have features and use `anyhow`.
    binary: bool,
}

const ALL: &[&str] = &[
    "backend",
    "backend-cpu",
    "backend-cuda",
    "classify",
    "data",
    "evaluate",
    "generate",
    "model",
    "search",
    "serve",
    "track",
    "train",
];

/// Readers of text and datasets, and threads, none of which `model` knows.
const TEXT_AND_THREADS: &[&str] = &["arrow-array", "csv", "parquet", "rayon", "tokenizers"];
/// Holders of tensors, none of which `data` knows.
const TENSORS: &[&str] = &["half", "safetensors"];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    library("backend",      &[],                                                                        &[]),
    library("backend-cpu",  &["backend"],                                                               &[]),
    library("backend-cuda", &["backend"],                                                               &[]),
    library("model",        &["backend"],                                                               TEXT_AND_THREADS),
    library("data",         &[],                                                                        TENSORS),
    library("evaluate",     &[],                                                                        &[]),
    library("classify",     &["backend", "data", "evaluate", "generate", "model"],                      &[]),
    library("generate",     &["backend", "data", "model"],                                              &[]),
    library("train",        &["backend", "classify", "data", "evaluate", "generate", "model"],          &[]),
    library("track",        &["train"],                                                                 &[]),
    library("search",       &["backend", "classify", "data", "evaluate", "train"],                      &[]),
    library("serve",        &["classify", "data", "evaluate", "generate", "track", "train"],            &[]),
    binary("cli"),
    binary("python"),
];

const fn library(folder: &'static str, allowed: &'static [&'static str], forbidden: &'static [&'static str]) -> Row {
    Row { folder, allowed, forbidden, binary: false }
}

const fn binary(folder: &'static str) -> Row {
    Row { folder, allowed: ALL, forbidden: &[], binary: true }
}

/// Whether `path` is the manifest of a crate under `crates/`.
pub fn is_member_manifest(path: &str) -> bool {
    folder_of(path).is_some()
}

fn folder_of(path: &str) -> Option<&str> {
    let folder = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
    (!folder.contains('/')).then_some(folder)
}

/// Checks the manifest `text` of the crate that `path` names.
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let at = |needle: &str, advice: String| Violation::new(path, line_of(text, needle), RULE, advice);
    let manifest = match text.parse::<Table>() {
        Ok(manifest) => manifest,
        Err(error) => return vec![at("", format!("could not be parsed: {}", error.message()))],
    };
    let folder = folder_of(path).unwrap_or_default();
    let Some(row) = TABLE.iter().find(|row| row.folder == folder) else {
        return vec![at("", format!("`{folder}` has no row in the table of `xtask/src/tidy/imports.rs`; add one"))];
    };
    let mut violations = Vec::new();
    if !has_lints(folder, &manifest) {
        violations.push(at("", "add `[lints] workspace = true`".to_owned()));
    }
    if manifest.contains_key("features") && !row.binary {
        violations.push(at(
            "[features]",
            "only the binaries have features; make the choice a crate or an argument".to_owned(),
        ));
    }
    for (kind, name, value) in declared(&manifest) {
        violations.extend(row.refuses(kind, name).map(|advice| at(name, advice)));
        if value.get("workspace") != Some(&Value::Boolean(true)) {
            violations.push(at(
                name,
                format!("declare `{name}` in the root `Cargo.toml` and write `{name}.workspace = true` here"),
            ));
        }
    }
    violations
}

/// Whether the lints of the workspace apply; a backend, which needs `unsafe`, may write out its own.
fn has_lints(folder: &str, manifest: &Table) -> bool {
    let Some(lints) = manifest.get("lints") else { return false };
    let own = folder.starts_with("backend-") && lints.get("rust").is_some() && lints.get("clippy").is_some();
    own || lints.get("workspace") == Some(&Value::Boolean(true))
}

impl Row {
    /// The advice when this crate must not depend on `name` in this way.
    fn refuses(&self, kind: Kind, name: &str) -> Option<String> {
        if let Some(other) = name.strip_prefix("finetone-") {
            return (!self.may_import(kind, other))
                .then(|| format!("`{}` must not import `{other}`; it may import {}", self.folder, list(self.allowed)));
        }
        if kind == Kind::Test {
            return None;
        }
        if self.forbidden.contains(&name) {
            return Some(format!("`{}` must do without `{name}`; move what needs it to another crate", self.folder));
        }
        (name == "anyhow" && !self.binary)
            .then(|| "a library has its own `thiserror` enum; `anyhow` is for the binaries".to_owned())
    }

    /// Tests may run on the CPU backend wherever the code itself is generic over backends, or is handed something that is.
    fn may_import(&self, kind: Kind, other: &str) -> bool {
        let on_backends = self.allowed.contains(&"backend") || ["backend", "serve"].contains(&self.folder);
        self.allowed.contains(&other) || (kind == Kind::Test && on_backends && other == "backend-cpu")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Test,
}

/// Every declared dependency, those of single targets included.
fn declared(manifest: &Table) -> Vec<(Kind, &str, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let mut tables = vec![manifest];
    tables.extend(targets.into_iter().flatten().filter_map(|(_, table)| table.as_table()));
    let kinds = [("dependencies", Kind::Code), ("build-dependencies", Kind::Code), ("dev-dependencies", Kind::Test)];
    let mut found = Vec::new();
    for table in tables {
        for (key, kind) in kinds {
            let entries = table.get(key).and_then(Value::as_table).into_iter().flatten();
            found.extend(entries.map(|(name, value)| (kind, name.as_str(), value)));
        }
    }
    found
}

fn list(folders: &[&str]) -> String {
    if folders.is_empty() {
        return "none of ours".to_owned();
    }
    let quoted: Vec<_> = folders.iter().map(|folder| format!("`{folder}`")).collect();
    quoted.join(", ")
}

/// The first line that begins with `needle` as a whole word, or the first line of the file.
fn line_of(text: &str, needle: &str) -> usize {
    let begins = |line: &str| {
        line.strip_prefix(needle)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-' || next == '_'))
    };
    text.lines().position(begins).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(folder: &str, rest: &str) -> Vec<String> {
        let text = format!("[lints]\nworkspace = true\n{rest}");
        check(&format!("crates/{folder}/Cargo.toml"), &text)
            .into_iter()
            .map(|violation| format!("{}: {}", violation.line, violation.advice))
            .collect()
    }

    #[test]
    fn an_import_against_the_table_is_refused_with_its_line() {
        let found = advice("evaluate", "[dependencies]\nserde.workspace = true\nfinetone-model.workspace = true\n");
        assert_eq!(found, ["5: `evaluate` must not import `model`; it may import none of ours"]);
    }

    #[test]
    fn allowed_imports_pass() {
        let dependencies = "[dependencies]\nfinetone-backend.workspace = true\nfinetone-model.workspace = true\n";
        assert!(advice("classify", dependencies).is_empty());
        assert!(advice("cli", dependencies).is_empty());
    }

    #[test]
    fn tests_may_run_on_the_cpu_backend_where_the_code_is_generic() {
        let tests = "[dev-dependencies]\nfinetone-backend-cpu.workspace = true\n";
        assert!(advice("train", tests).is_empty() && advice("serve", tests).is_empty());
        assert_eq!(advice("data", tests).len(), 1);
        let code = "[dependencies]\nfinetone-backend-cpu.workspace = true\n";
        assert_eq!(advice("train", code).len(), 1);
    }

    #[test]
    fn dependencies_of_one_target_and_of_build_scripts_count() {
        let target = "[target.'cfg(unix)'.dependencies]\nfinetone-train.workspace = true\n";
        assert_eq!(advice("data", target).len(), 1);
        assert_eq!(advice("data", "[build-dependencies]\nfinetone-train.workspace = true\n").len(), 1);
    }

    #[test]
    fn absences_are_kept_out_of_the_manifest() {
        assert_eq!(advice("model", "[dependencies]\ntokenizers.workspace = true\n").len(), 1);
        assert!(advice("model", "[dev-dependencies]\ncsv.workspace = true\n").is_empty());
        assert_eq!(advice("train", "[dependencies]\nanyhow.workspace = true\n").len(), 1);
        assert_eq!(advice("train", "[features]\nfast = []\n").len(), 1);
    }

    #[test]
    fn versions_live_in_the_root() {
        assert_eq!(advice("data", "[dependencies]\ncsv = \"1\"\n").len(), 1);
    }

    #[test]
    fn a_crate_needs_a_row_and_the_lints_of_the_workspace() {
        assert_eq!(check("crates/data/Cargo.toml", "[package]\n").len(), 1);
        let own = "[lints.rust]\nunsafe_code = \"allow\"\n[lints.clippy]\nall = \"warn\"\n";
        assert_eq!(check("crates/data/Cargo.toml", own).len(), 1);
        assert!(check("crates/backend-cpu/Cargo.toml", own).is_empty());
        assert!(advice("unheard-of", "")[0].contains("no row"));
    }
}
