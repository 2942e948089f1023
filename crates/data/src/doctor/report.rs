//! From counts to faults in words.

use super::scan::Scan;
use super::{Checkup, ClassCount, DoctorOptions, Fault, FaultKind, Severity, SmallClass};
use crate::dataset::{NAMED_LINES, Tally, counted};
use crate::error::{DataError, unknown_label_hint};
use crate::labels::{self, LabelSet};

/// Puts together what both scans found.
pub(super) fn checkup(train: &Scan, test: Option<&Scan>, options: &DoctorOptions<'_>) -> Checkup {
    let labels = match &options.read.known {
        Some(known) => known.clone(),
        None => labels::build(train.labels.keys().map(String::as_str)).set,
    };
    let classes = class_counts(train, test, &labels);
    let mut faults = file_faults(train, options);
    faults.extend(class_faults(train, &labels, &classes, options));
    if let Some(test) = test {
        faults.extend(file_faults(test, options));
        if train.not_labels.is_none() {
            faults.extend(unknown_labels(test, &labels));
        }
        faults.extend(shared_rows(test));
    }
    faults.sort_by_key(|fault| fault.severity);
    Checkup {
        file: train.file.clone(),
        test_file: test.map(|test| test.file.clone()),
        text_column: train.text_column.clone(),
        label_column: train.label_column.clone(),
        rows: train.rows,
        test_rows: test.map(|test| test.rows),
        classes,
        faults,
    }
}

fn class_counts(train: &Scan, test: Option<&Scan>, labels: &LabelSet) -> Vec<ClassCount> {
    let count = |scan: &Scan| {
        let mut counts = vec![0; labels.len()];
        for (label, tally) in &scan.labels {
            if let Some(class) = labels.class(label) {
                counts[class] += tally.rows;
            }
        }
        counts
    };
    let (train, test) = (count(train), test.map(count));
    let class = |(class, label): (usize, &String)| ClassCount {
        label: label.clone(),
        rows: train[class],
        test_rows: test.as_ref().map(|counts| counts[class]),
    };
    labels.names().iter().enumerate().map(class).collect()
}

/// The faults that a file has by itself.
fn file_faults(scan: &Scan, options: &DoctorOptions<'_>) -> Vec<Fault> {
    let mut faults: Vec<Fault> =
        scan.fatal.iter().chain(&scan.not_labels).map(|error| from_error(scan, error)).collect();
    faults.extend(row_faults(scan));
    faults.extend(text_faults(scan, options));
    faults
}

/// Rows that cannot be read or have no label.
fn row_faults(scan: &Scan) -> Vec<Fault> {
    let column = scan.label_column.as_deref().unwrap_or("label");
    let kinds = [
        (&scan.undecodable, Severity::Error, FaultKind::Undecodable { rows: scan.undecodable.rows }),
        (&scan.ragged, Severity::Error, FaultKind::Ragged { rows: scan.ragged.rows }),
        (&scan.bad_json, Severity::Error, FaultKind::BadJson { rows: scan.bad_json.rows }),
        (&scan.bad_chats, Severity::Error, FaultKind::BadChats { rows: scan.bad_chats.rows }),
        (&scan.label_lists, Severity::Error, FaultKind::LabelLists { rows: scan.label_lists.rows }),
        (&scan.missing, Severity::Error, FaultKind::MissingLabels { rows: scan.missing.rows }),
        (&scan.empty, Severity::Warning, FaultKind::EmptyTexts { rows: scan.empty.rows }),
        (&scan.contradictions, Severity::Warning, FaultKind::Contradictions { rows: scan.contradictions.rows }),
        (&scan.left_out, Severity::Notice, FaultKind::LeftOut { rows: scan.left_out.rows }),
        (&scan.duplicates, Severity::Notice, FaultKind::Duplicates { rows: scan.duplicates.rows }),
    ];
    let found = kinds.into_iter().filter(|(tally, _, _)| tally.rows > 0);
    found.map(|(tally, severity, kind)| row_fault(scan, tally, severity, kind, column)).collect()
}

fn row_fault(scan: &Scan, tally: &Tally, severity: Severity, kind: FaultKind, column: &str) -> Fault {
    let (what, fix) = match kind {
        FaultKind::Undecodable { .. } => (
            "with bytes that are not text in the file's encoding",
            scan.decoding.as_deref().unwrap_or("save the file as UTF-8"),
        ),
        FaultKind::Ragged { .. } => (
            "with another number of fields than the header",
            "put quotes around fields that contain the delimiter or a line break",
        ),
        FaultKind::BadJson { .. } => ("that is not a JSON object", "write one JSON object on each line"),
        FaultKind::BadChats { .. } => ("that is no chat", "give every message a known role and a content that is text"),
        FaultKind::LeftOut { .. } => {
            ("left out, as the weight 0 of the answer asks", "give the answer the weight 1 to train on it")
        }
        FaultKind::LabelLists { .. } => {
            ("with a list where one label is expected", "ask for multi-label classification with `--multi-label`")
        }
        FaultKind::MissingLabels { .. } => ("without label", "fill in the labels or remove the rows"),
        FaultKind::EmptyTexts { .. } => ("without text, skipped in training", "fill in the texts or remove the rows"),
        FaultKind::Contradictions { .. } => {
            ("with the text of an earlier row and another label", "decide on one label for each text")
        }
        _ => ("with the text and label of an earlier row", "remove the copies, or keep them knowingly"),
    };
    let what = if tally.rows > 1 {
        what.replace("that is not a JSON object", "that are not JSON objects")
            .replace("that is no chat", "that are no chats")
    } else {
        what.to_owned()
    };
    let of =
        if matches!(kind, FaultKind::MissingLabels { .. }) { format!(" (column `{column}`)") } else { String::new() };
    let message = format!("{} {what}{of}", counted(tally.rows, "row"));
    Fault { severity, kind, file: scan.file.clone(), lines: tally.lines.clone(), message, fix: fix.to_owned() }
}

/// Texts that are too long.
fn text_faults(scan: &Scan, options: &DoctorOptions<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    if scan.long.rows > 0 {
        let rows = scan.long.rows;
        faults.push(Fault {
            severity: Severity::Warning,
            kind: FaultKind::LongTexts { rows, longest: scan.longest },
            file: scan.file.clone(),
            lines: scan.long.lines.clone(),
            message: format!(
                "{} longer than {} bytes (the longest: {})",
                counted(rows, "text"),
                options.long_text,
                scan.longest
            ),
            fix: "check that no quote is left open and that each row is one text".to_owned(),
        });
    }
    if let (Some(tokens), 1..) = (options.tokens, scan.truncated.rows) {
        let rows = scan.truncated.rows;
        let share = rows as f64 / scan.texts as f64;
        faults.push(Fault {
            severity: if share > 0.1 { Severity::Warning } else { Severity::Notice },
            kind: FaultKind::Truncated { rows, share, limit: tokens.limit },
            file: scan.file.clone(),
            lines: scan.truncated.lines.clone(),
            message: format!(
                "{} ({:.1} %) longer than {} tokens, to be truncated",
                counted(rows, "text"),
                share * 100.0,
                tokens.limit
            ),
            fix: "raise the limit if the model allows it, or choose which end of the text is kept".to_owned(),
        });
    }
    faults
}

/// Faults of the classes of the training file.
fn class_faults(scan: &Scan, labels: &LabelSet, classes: &[ClassCount], options: &DoctorOptions<'_>) -> Vec<Fault> {
    if scan.label_column.is_none() || scan.not_labels.is_some() {
        return Vec::new();
    }
    let mut faults = unknown_labels(scan, labels);
    faults.extend(spellings(scan, labels));
    let present: Vec<&ClassCount> = classes.iter().filter(|class| class.rows > 0).collect();
    // Where the classes are known already, such as from an earlier run, a file may have rows of one of them.
    if let ([only], None) = (present.as_slice(), &options.read.known) {
        faults.push(Fault {
            severity: Severity::Error,
            kind: FaultKind::OneClass { label: only.label.clone() },
            file: scan.file.clone(),
            lines: Vec::new(),
            message: format!("all rows have the label `{}`", only.label),
            fix: "add rows with another label, or name the label column with `--label-column`".to_owned(),
        });
    }
    faults.extend(small_classes(scan, &present, options.small_class));
    faults
}

fn small_classes(scan: &Scan, present: &[&ClassCount], limit: usize) -> Option<Fault> {
    let small = present.iter().filter(|class| class.rows < limit);
    let mut small: Vec<SmallClass> =
        small.map(|class| SmallClass { label: class.label.clone(), rows: class.rows }).collect();
    small.sort_by_key(|class| class.rows);
    if small.is_empty() {
        return None;
    }
    let shown: Vec<String> =
        small.iter().take(NAMED_LINES).map(|class| format!("`{}` ({})", class.label, class.rows)).collect();
    let rest = small.len() - shown.len();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let count = if small.len() == 1 { "1 class has".to_owned() } else { format!("{} classes have", small.len()) };
    Some(Fault {
        severity: Severity::Warning,
        message: format!("{count} fewer than {limit} rows: {}{more}", shown.join(", ")),
        kind: FaultKind::SmallClasses { classes: small },
        file: scan.file.clone(),
        lines: Vec::new(),
        fix: "add rows, merge classes, or weight the classes".to_owned(),
    })
}

/// Labels outside the set, the first ones each by name.
fn unknown_labels(scan: &Scan, labels: &LabelSet) -> Vec<Fault> {
    let mut unknown: Vec<(&String, &Tally)> =
        scan.labels.iter().filter(|(label, _)| labels.class(label).is_none()).collect();
    unknown.sort_by_key(|(_, tally)| tally.lines[0]);
    let fault = |(label, tally): (&String, &Tally)| Fault {
        severity: Severity::Error,
        kind: FaultKind::UnknownLabel {
            label: label.clone(),
            nearest: labels.nearest(label).map(str::to_owned),
            rows: tally.rows,
        },
        file: scan.file.clone(),
        lines: tally.lines.clone(),
        message: format!("label `{label}` is not in the label set"),
        fix: unknown_label_hint(label, labels.names()),
    };
    unknown.into_iter().map(fault).collect()
}

fn spellings(scan: &Scan, labels: &LabelSet) -> Option<Fault> {
    let changed = |label: &str| labels.class(label).filter(|class| labels.name(*class) != label);
    let (mut rows, mut lines, mut changes) = (0, Vec::new(), Vec::new());
    for (label, tally) in &scan.labels {
        if let Some(class) = changed(label) {
            rows += tally.rows;
            lines.extend(&tally.lines);
            changes.push(format!("`{label}` → `{}`", labels.name(class)));
        }
    }
    lines.sort_unstable();
    lines.truncate(NAMED_LINES);
    changes.truncate(NAMED_LINES);
    (rows > 0).then(|| Fault {
        severity: Severity::Notice,
        kind: FaultKind::LabelSpellings { rows },
        file: scan.file.clone(),
        lines,
        message: format!("{} with another spelling of a label: {}", counted(rows, "row"), changes.join(", ")),
        fix: "nothing to do: they are read as the label after the arrow".to_owned(),
    })
}

fn shared_rows(test: &Scan) -> Option<Fault> {
    let rows = test.shared.rows;
    (rows > 0).then(|| Fault {
        severity: Severity::Warning,
        kind: FaultKind::SharedRows { rows },
        file: test.file.clone(),
        lines: test.shared.lines.clone(),
        message: format!("{} whose text is in the training file too", counted(rows, "row")),
        fix: "remove them from one of the two files: the test flatters the model otherwise".to_owned(),
    })
}

/// A fault that stopped the reading, or a label column that is none.
fn from_error(scan: &Scan, error: &DataError) -> Fault {
    let kind = match error {
        DataError::NoRows { .. } => FaultKind::NoRows,
        DataError::FloatLabels { value, .. } => FaultKind::FloatLabels { value: value.clone() },
        DataError::OpenAnswers { answers, .. } => FaultKind::OpenAnswers { answers: *answers },
        DataError::TooManyLabels { labels, .. } => FaultKind::TooManyLabels { labels: *labels },
        _ => FaultKind::Unreadable,
    };
    let lines: Vec<u64> = error.line().into_iter().collect();
    let text = error.to_string();
    let place = match lines.first() {
        Some(line) => format!("{}:{line}: ", scan.file.display()),
        None => format!("{}: ", scan.file.display()),
    };
    let message = text.strip_prefix(&place).unwrap_or(&text).to_owned();
    let fix = error.hint().unwrap_or_else(|| "check the file".to_owned());
    Fault { severity: Severity::Error, kind, file: scan.file.clone(), lines, message, fix }
}
