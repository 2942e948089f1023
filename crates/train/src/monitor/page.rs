//! The history of a run as a page.

use std::path::Path;

use finetone_evaluate::{Cell, Chart, DriftFinding, DriftKind, Estimate, Page, PageSection, PageTable, p_in_words};

use super::Record;
use super::history::History;
use crate::measure::file_name;

/// Calls that the table shows, the latest first.
const SHOWN: usize = 100;
/// Points from which on a line has no marks.
const MARKED: usize = 40;

/// The page of all calls; the sentences are about the last.
pub fn page(run: &Path, history: &History, notices: &[String]) -> Page {
    let last = history.records.last();
    Page {
        title: format!("Watching {}", file_name(run)),
        headline: last.map(Record::headline).unwrap_or_default(),
        remarks: last.map(Record::remarks).unwrap_or_default(),
        notices: notices.to_vec(),
        sections: last.map(|last| vec![latest(last), over_time(history), calls(history)]).unwrap_or_default(),
    }
}

fn table(header: &[&str], rows: Vec<Vec<Cell>>) -> PageTable {
    let header = header.iter().map(|name| (*name).to_owned()).collect();
    PageTable { title: String::new(), header, rows }
}

fn latest(record: &Record) -> PageSection {
    let row = |found: &DriftFinding| {
        let clear = if found.is_clear() { "yes" } else { "no" };
        vec![
            Cell::text(found.kind.name()),
            Cell::number(format!("{:.3}", found.effect)),
            Cell::bar(found.effect),
            Cell::number(p_in_words(found.p_adjusted)),
            Cell::text(clear),
        ]
    };
    let header = ["", "Effect", "", "Chance", "More than chance"];
    PageSection {
        title: format!("The last call: {}", record.file),
        meaning: "An effect goes from 0, the same, to 1, nothing in common. The chance is that of an effect as large if nothing \
                  had changed, with all five questions taken into account."
            .into(),
        tables: vec![table(&header, record.drift.findings().iter().map(row).collect())],
        ..PageSection::default()
    }
}

/// The calls as points, each at its number.
fn points(history: &History, value: impl Fn(&Record) -> Option<f64>) -> Vec<(f64, f64)> {
    let numbered = history.records.iter().zip(1_u32..);
    numbered.filter_map(|(record, number)| Some((f64::from(number), value(record)?))).collect()
}

fn over_time(history: &History) -> PageSection {
    let chart = |title: &str, value: &dyn Fn(&Record) -> Option<f64>| Chart {
        title: title.to_owned(),
        x: "call".into(),
        y: title.to_owned(),
        points: points(history, value),
        marked: history.records.len() < MARKED,
        shares: true,
        ..Chart::default()
    };
    let before = points(history, |record| record.reference.accuracy);
    let share = |value: &dyn Fn(&Record) -> Option<Estimate>, title: &str| Chart {
        dashed: before.clone(),
        meaning: "Dashed: the accuracy on the reference.".into(),
        ..chart(title, &|record| value(record).map(|estimate| estimate.value))
    };
    let mut charts = vec![
        share(&|record| record.accuracy, "accuracy"),
        share(&|record| record.expected_accuracy, "expected accuracy"),
        chart("macro F1", &|record| record.f1_macro.map(|estimate| estimate.value)),
        Chart {
            dashed: points(history, |record| Some(record.reference.confidence)),
            meaning: "Dashed: on the reference.".into(),
            ..chart("mean confidence", &|record| Some(record.confidence))
        },
    ];
    use DriftKind::{Confidence, Length, Meaning, Predictions, Vocabulary};
    charts.extend([Length, Vocabulary, Meaning, Predictions, Confidence].map(|kind| {
        let effect = move |record: &Record| {
            let mut found = record.drift.findings().iter();
            found.find(|found| found.kind == kind).map(|found| found.effect)
        };
        chart(&format!("drift of {}", kind.name()), &effect)
    }));
    PageSection { title: "Over time".into(), charts, ..PageSection::default() }
}

fn calls(history: &History) -> PageSection {
    let number = |estimate: Option<Estimate>| match estimate {
        Some(share) => Cell::number(format!("{:.3}", share.value)),
        None => Cell::text(""),
    };
    let row = |(number_of_call, record): (usize, &Record)| {
        let changed: Vec<&str> = record.drift.clear().map(|found| found.kind.name()).collect();
        let fallen = record.stream.as_ref().and_then(|stream| stream.alarm());
        vec![
            Cell::text(number_of_call.to_string()),
            Cell::text(record.at.replace(['T', 'Z'], " ")),
            Cell::text(file_name(Path::new(&record.file))),
            Cell::number(record.rows),
            Cell::number(record.labelled),
            number(record.accuracy),
            number(record.f1_macro),
            number(record.expected_accuracy),
            Cell::text(if changed.is_empty() { "none found".to_owned() } else { changed.join(", ") }),
            Cell::text(fallen.map_or_else(String::new, |fall| format!("since row {}", fall.since))),
        ]
    };
    let rows = (1..).zip(&history.records).map(row);
    let mut rows: Vec<Vec<Cell>> = rows.collect();
    rows.reverse();
    rows.truncate(SHOWN);
    let header =
        ["Call", "When (UTC)", "File", "Texts", "Labelled", "Accuracy", "Macro F1", "Expected", "Drift", "Fallen"];
    PageSection {
        title: "Calls".into(),
        meaning:
            "Accuracy and macro F1 are those of the labelled texts; the expected accuracy is by the confidence of \
                  the model, without labels. The intervals stand in `history.jsonl`."
                .into(),
        tables: vec![table(&header, rows)],
        ..PageSection::default()
    }
}
