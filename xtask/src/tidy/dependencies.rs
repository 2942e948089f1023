//! Every dependency of the workspace has a line of reason in `ARCHITECTURE.md`.

use toml::{Table, Value};

use super::Violation;

const RULE: &str = "dependency";

/// Compares `[workspace.dependencies]` of the root manifest with the table rows of `ARCHITECTURE.md`.
pub fn check(manifest: Option<&str>, architecture: Option<&str>) -> Vec<Violation> {
    let Some(manifest) = manifest else {
        return vec![Violation::new("Cargo.toml", 1, RULE, "the root manifest is missing")];
    };
    let Some(architecture) = architecture else {
        return vec![Violation::new(
            "ARCHITECTURE.md",
            1,
            RULE,
            "the file is missing; write it, with a table of dependencies and why each is there",
        )];
    };
    let names = match dependencies(manifest) {
        Ok(names) => names,
        Err(message) => return vec![Violation::new("Cargo.toml", 1, RULE, message)],
    };
    names
        .iter()
        .filter(|name| !has_row(architecture, name))
        .map(|name| {
            let advice = format!("add a table row ``| `{name}` | why it is there |`` to `ARCHITECTURE.md`");
            Violation::new("Cargo.toml", line_of(manifest, name), RULE, advice)
        })
        .collect()
}

/// The names of the dependencies that are not crates of this workspace.
fn dependencies(manifest: &str) -> Result<Vec<String>, String> {
    let manifest: Table =
        manifest.parse().map_err(|error: toml::de::Error| format!("could not be parsed: {}", error.message()))?;
    let declared =
        manifest.get("workspace").and_then(|workspace| workspace.get("dependencies")).and_then(Value::as_table);
    Ok(declared
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.get("path").is_none())
        .map(|(name, _)| name.clone())
        .collect())
}

/// Whether a row begins with the name and has something to say after it.
fn has_row(architecture: &str, name: &str) -> bool {
    let start = format!("| `{name}`");
    architecture.lines().filter_map(|line| line.strip_prefix(&start)).any(|rest| rest.contains(char::is_alphabetic))
}

fn line_of(manifest: &str, name: &str) -> usize {
    let starts = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '=', '.']));
    manifest.lines().position(starts).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        "[workspace.dependencies]\nours = { path = \"crates/ours\" }\ncsv = \"1\"\ncsv-core = { version = \"1\" }\n";

    #[test]
    fn a_dependency_without_a_reason_is_reported_at_its_line() {
        let found = check(Some(MANIFEST), Some("| `csv-core` | reads bytes |\n"));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.as_str(), found[0].line), ("Cargo.toml", 3));
    }

    #[test]
    fn a_row_with_a_reason_is_enough() {
        let rows = "| `csv` 1.4 | reads files |\n| `csv-core` | reads bytes |\n";
        assert!(check(Some(MANIFEST), Some(rows)).is_empty());
        let empty = "| `csv` | |\n| `csv-core` | reads bytes |\n";
        assert_eq!(check(Some(MANIFEST), Some(empty)).len(), 1);
    }

    #[test]
    fn missing_and_broken_files_are_reported() {
        assert_eq!(check(Some(MANIFEST), None)[0].path, "ARCHITECTURE.md");
        assert_eq!(check(None, Some(""))[0].path, "Cargo.toml");
        assert_eq!(check(Some("[workspace"), Some("")).len(), 1);
    }
}
