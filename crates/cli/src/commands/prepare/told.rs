//! What became of the rows, on standard error.

use finetone_data::sieve::Sifted;
use finetone_track::grouped;

use super::Args;
use super::plan::Plan;
use crate::tables;

/// Classes that are shown.
const SHOWN: usize = 20;

/// The summary.
pub fn told(args: &Args, plan: &Plan, sifted: &Sifted) -> String {
    let to = args.out.as_ref().map_or_else(String::new, |out| format!(" to {}", out.display()));
    let (read, written) = (grouped(sifted.read as u64), grouped(sifted.written as u64));
    let mut page = format!("{read} rows read, {written} written{to}\n");
    if sifted.read > 0 {
        let changed = grouped(sifted.changed as u64);
        page += &format!("texts in `{}`: {}; {changed} changed\n", sifted.text_column, sifted.preparation);
    }
    let rejected = rejected(sifted);
    if !rejected.is_empty() {
        page += &format!("\n{}", tables::plain(&["not kept", "rows", "with another label"], rejected));
    }
    page += &classes(sifted, plan.balance.is_some());
    for note in notes(args, sifted) {
        page += &format!("note: {note}\n");
    }
    page
}

fn rejected(sifted: &Sifted) -> Vec<Vec<String>> {
    let copies = &sifted.copies;
    let kinds = [
        ("copies", copies.exact, Some(copies.exact_contradicting)),
        ("near copies", copies.near, Some(copies.near_contradicting)),
        ("empty", sifted.empty, None),
        ("malformed", sifted.malformed, None),
        ("weight 0", sifted.left_out, None),
    ];
    let row = |(kind, rows, contradicting): (&str, usize, Option<usize>)| {
        let contradicting = contradicting.map_or_else(String::new, |rows| grouped(rows as u64));
        (rows > 0).then(|| vec![kind.to_owned(), grouped(rows as u64), contradicting])
    };
    kinds.into_iter().filter_map(row).collect()
}

fn classes(sifted: &Sifted, balanced: bool) -> String {
    if sifted.classes.is_empty() {
        return String::new();
    }
    let mut header = vec!["class", "read", "kept"];
    header.extend(balanced.then_some("balanced"));
    let rows = sifted.classes.iter().take(SHOWN).map(|class| {
        let mut row = vec![class.label.clone(), grouped(class.read as u64), grouped(class.kept as u64)];
        row.extend(balanced.then(|| grouped(class.written as u64)));
        row
    });
    let more = sifted.classes.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!("and {more} more classes\n") } else { String::new() };
    format!("\n{}{rest}", tables::plain(&header, rows))
}

fn notes(args: &Args, sifted: &Sifted) -> Vec<String> {
    let mut notes = sifted.notices.clone();
    let contradicting = sifted.copies.exact_contradicting + sifted.copies.near_contradicting;
    if contradicting > 0 && args.contradictions.is_none() {
        notes.push(format!(
            "copies with another label than the row they repeat: {contradicting}; `--contradictions OUT` writes them"
        ));
    }
    if sifted.unlabelled > 0 {
        notes.push(format!("kept rows without label: {}", grouped(sifted.unlabelled as u64)));
    }
    notes.extend(sifted.first_malformed.as_ref().map(|fault| format!("the first malformed row: {fault}")));
    notes
}
