//! What was found in a file, on the terminal.

use finetone_data::explore::{ClassPortrait, ColumnPortrait, ColumnValues, Copies, Exploration, Lengths};

use crate::tables;

/// Terms of a class that are printed; the page has more.
const PRINTED_TERMS: usize = 8;
/// Copies that are printed.
const PRINTED_COPIES: usize = 5;

/// The summary of everything.
pub fn told(found: &Exploration) -> String {
    let mut page = format!("{}: {} rows, texts in `{}`", found.file.display(), found.rows, found.text_column);
    if found.conversations > 0 {
        page += &format!(", {} of them conversations", found.conversations);
    }
    page += &format!("\n\n{}", classes(found));
    page += &format!("\n{}", manner(found));
    page += "\nwords that mark a class (standard deviations):\n";
    found.classes.iter().for_each(|class| page += &terms(class));
    page += &format!("\n{}", copies(&found.copies));
    if !found.columns.is_empty() {
        page += "\ncolumns and how much they go with the class, from 0 to 1:\n";
        page += &columns(found);
    }
    found.notices.iter().for_each(|notice| page += &format!("\nnote: {notice}\n"));
    page
}

fn classes(found: &Exploration) -> String {
    let mut header = vec!["class", "rows", "share", "words", "10 to 90 of 100", "longest"];
    header.extend(found.token_limit.map(|_| "tokens"));
    header.extend(found.token_limit.map(|_| "cut"));
    let rows = found.classes.iter().map(|class| {
        let mut row = vec![class.label.clone(), class.rows.to_string(), percent(class.rows, found.rows)];
        row.extend(lengths(&class.words));
        row.extend(class.tokens.as_ref().map(|tokens| tokens.quantiles[3].to_string()));
        row.extend(class.tokens.as_ref().map(|_| percent(class.truncated, class.rows)));
        row
    });
    let mut page = tables::plain(&header, rows);
    if let Some(limit) = found.token_limit {
        page += &format!("words and tokens of the median text; cut are texts above {limit} tokens\n");
    }
    page
}

/// Median, the middle four fifths and the greatest.
fn lengths(lengths: &Lengths) -> [String; 3] {
    let [_, tenth, _, median, _, nine_tenths, greatest] = lengths.quantiles;
    [median.to_string(), format!("{tenth} to {nine_tenths}"), greatest.to_string()]
}

fn manner(found: &Exploration) -> String {
    let names = measured(found);
    let header: Vec<&str> =
        ["mean of a text"].into_iter().chain(found.classes.iter().map(|class| class.label.as_str())).collect();
    let row = |name: &&str| {
        let value = |class: &ClassPortrait| {
            let found = class.measured.iter().find(|(known, _)| known == name);
            found.map_or_else(|| "-".to_owned(), |(_, mean)| mean_of(name, *mean))
        };
        let values = found.classes.iter().map(value);
        std::iter::once(name.replace('_', " ")).chain(values).collect::<Vec<_>>()
    };
    tables::plain(&header, names.iter().map(row))
}

/// The names of what was measured on the texts of any class, but for words, which the lengths tell.
pub fn measured(found: &Exploration) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (name, _) in found.classes.iter().flat_map(|class| &class.measured) {
        if *name != "words" && !names.contains(name) {
            names.push(*name);
        }
    }
    names
}

/// A mean as it is read: shares in percent.
pub fn mean_of(name: &str, mean: f64) -> String {
    if name.ends_with("capitals") { format!("{:.1} %", 100.0 * mean) } else { format!("{mean:.2}") }
}

fn terms(class: &ClassPortrait) -> String {
    let named: Vec<String> =
        class.terms.iter().take(PRINTED_TERMS).map(|term| format!("{} ({:.1})", term.text, term.score)).collect();
    let named = if named.is_empty() { "none".to_owned() } else { named.join(", ") };
    format!("  {}: {named}\n", class.label)
}

fn copies(copies: &Copies) -> String {
    let mut page = format!("{}\n", sentence(copies));
    for copy in copies.named.iter().take(PRINTED_COPIES) {
        let label = if copy.contradicts { "another label" } else { "the same label" };
        page += &format!("  line {} is line {} ({:.0} %) with {label}\n", copy.line, copy.of_line, 100.0 * copy.common);
    }
    page
}

/// How many rows repeat others.
pub fn sentence(copies: &Copies) -> String {
    format!(
        "copies: {} (with another label: {}); near copies: {} (with another label: {})",
        copies.exact, copies.exact_contradicting, copies.near, copies.near_contradicting
    )
}

fn columns(found: &Exploration) -> String {
    let rows = found.columns.iter().map(|column| {
        let holds = match &column.values {
            ColumnValues::Numbers(_) => "numbers".to_owned(),
            ColumnValues::Categories(_) => "words".to_owned(),
            ColumnValues::TooMany => "too many different words".to_owned(),
        };
        vec![column.name.clone(), strength(column), holds, column.missing.to_string()]
    });
    let table = tables::plain(&["column", "strength", "holds", "empty"], rows);
    match telling(found) {
        Some(warning) => format!("{table}{warning}\n"),
        None => table,
    }
}

/// A warning about the columns that give the label away, where there are any.
pub fn telling(found: &Exploration) -> Option<String> {
    let telling = found.columns.iter().filter(|column| column.gives_label_away);
    let names: Vec<String> = telling.map(|column| format!("`{}`", column.name)).collect();
    let of = match names.len() {
        0 => return None,
        1 => "each of its values stands",
        _ => "each of their values stands",
    };
    Some(format!(
        "{}: {of} beside one label alone. Whoever filled this in may have known the label; a model that reads it learns \
         nothing about texts.",
        names.join(", ")
    ))
}

/// How much a column goes with the class, where that is measured.
pub fn strength(column: &ColumnPortrait) -> String {
    column.strength.map_or_else(|| "–".to_owned(), |strength| format!("{strength:.2}"))
}

/// A share in percent.
pub fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}
