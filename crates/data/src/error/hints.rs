//! What to do about an error, in words.

use std::io;
use std::path::Path;

use super::Role;

/// The `count` strings nearest in spelling, best first, if any is near at all.
pub(crate) fn nearest<'a>(wanted: &str, known: &'a [String]) -> Option<&'a str> {
    let folded = wanted.to_lowercase();
    known
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&folded, &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= 0.5)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name.as_str())
}

/// Names in backticks, separated by commas; a long list is cut.
pub(crate) fn backticked(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let rest = names.len().saturating_sub(SHOWN);
    let tail = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{tail}", shown.join(", "))
}

/// The hint for a label outside the set: the nearest label first, then all of them.
pub(crate) fn unknown_label_hint(label: &str, known: &[String]) -> String {
    let near = nearest(label, known).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    format!("{near}known labels: {}", backticked(known))
}

pub(super) fn column_hint(role: Role, wanted: Option<&str>, columns: &[String]) -> String {
    let near = wanted
        .and_then(|name| nearest(name, columns))
        .map(|name| format!("did you mean `{name}`? "))
        .unwrap_or_default();
    let naming = match role {
        Role::Text | Role::Label => format!("`--{}-column`", role.word()),
        Role::Group | Role::Time => format!("`--set {}_column=NAME`", role.word()),
    };
    format!("{near}name it with {naming}; columns: {}", backticked(columns))
}

pub(super) fn feature_hint(column: &str, columns: &[String]) -> String {
    let known: Vec<String> = columns.iter().cloned().chain(crate::features::MEASURED.map(str::to_owned)).collect();
    let near = nearest(column, &known).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    format!("{near}columns: {}; measured on the text: {}", backticked(columns), backticked(&known[columns.len()..]))
}

pub(super) fn speakers_hint(side: &str, candidates: &[String]) -> String {
    if candidates.is_empty() {
        return "a speaker's name stands at the start of a line or after a sentence with a colon behind it, such as `Agent:` and \
                `Customer:`; for texts that are no conversations leave `conversation` off"
            .to_owned();
    }
    format!(
        "say who is who by `speakers`, such as `--set 'speakers={{ {side} = [\"{}\"] }}'`; names that look like speakers: {}",
        candidates[0],
        backticked(candidates)
    )
}

pub(super) fn other_columns(others: &[String]) -> String {
    if others.is_empty() { String::new() } else { format!("; other columns: {}", backticked(others)) }
}

pub(super) fn float_labels_hint(value: &str, others: &[String]) -> String {
    let list = if value.contains(',') { "; several labels in one cell are read with `--multi-label=,`" } else { "" };
    format!(
        "this looks like a regression target: turn it into classes first, or name the label column with `--label-column`{}{list}",
        other_columns(others)
    )
}

pub(super) fn undecodable_hint(likely: Option<&str>) -> String {
    match likely {
        None => "most of the file is UTF-8, so this row is damaged: write it anew, or remove it".to_owned(),
        Some(encoding) => format!(
            "the file looks like {encoding}: give `--encoding {encoding}` and look at some rows, or save it as UTF-8 (a spreadsheet \
             calls that `CSV UTF-8`)"
        ),
    }
}

pub(super) fn not_found_hint(path: &Path) -> String {
    let folder = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("."),
    };
    let wanted = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return format!("the folder `{}` does not exist either", folder.display());
    };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    match nearest(&wanted, &names) {
        Some(name) => format!("did you mean `{}`?", path.with_file_name(name).display()),
        None => "check the path".to_owned(),
    }
}

pub(super) fn io_hint(source: &io::Error) -> Option<String> {
    let advice = match source.kind() {
        io::ErrorKind::PermissionDenied => "check the permissions of the file and its folder",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: choose another folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full: free some space and run again",
        io::ErrorKind::NotFound => "the folder does not exist: create it first",
        io::ErrorKind::IsADirectory => "this is a directory: name a file inside it",
        _ => return None,
    };
    Some(advice.to_owned())
}
