//! The report as Markdown: the same content without charts.

use std::fmt::Write;

use super::{
    Disagreement, NamedComparison, NamedEvaluation, Report, Section, WorstError, comparison, confusion, ladder,
    repeats, training, words,
};
use crate::{ClassMetric, History};

/// Longer texts are cut.
const TEXT_CHARACTERS: usize = 300;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut page = format!("# {}\n", escaped(&report.title));
    if let Some(verdict) = report.verdict() {
        let remarks: Vec<String> = verdict.remarks.iter().map(|remark| escaped(remark)).collect();
        add(&mut page, &format!("**{}**\n\n{}", escaped(&verdict.headline), remarks.join(" ")));
    }
    for notice in &report.notices {
        add(&mut page, &format!("> Note: {}", escaped(notice)));
    }
    if let Some(named) = &report.comparison {
        comparison(&mut page, named);
    }
    for named in &report.evaluations {
        evaluation(&mut page, named);
    }
    if let Some(found) = &report.ladder {
        climbed(&mut page, &ladder::view(found));
    }
    for section in repeats::sections(report) {
        repeated(&mut page, &section);
    }
    worst_errors(&mut page, &report.worst_errors);
    if let Some(history) = &report.history {
        trained(&mut page, history);
    }
    for section in report.data.iter().chain(&report.run) {
        facts(&mut page, section);
    }
    page
}

fn trained(page: &mut String, history: &History) {
    add(page, "## Training");
    for finding in &history.findings {
        add(page, &format!("**{}** {}", finding.title(), escaped(&finding.sentence())));
    }
    let row = |number: training::Number| vec![escaped(&number.name), escaped(&number.value), escaped(&number.key)];
    let rows: Vec<Vec<String>> = training::numbers(history).into_iter().map(row).collect();
    table(page, &["Number", "Value", "Logged as"], &rows);
}

fn comparison(page: &mut String, named: &NamedComparison) {
    let (first, second) = (escaped(&named.first), escaped(&named.second));
    add(page, &format!("## {first} against {second}"));
    let row = |row: comparison::Row| {
        let better = row.better.map_or_else(|| "–".into(), |name| escaped(&name));
        vec![row.name.to_owned(), row.first, row.second, row.difference, row.interval, better]
    };
    let rows: Vec<Vec<String>> = comparison::rows(named).into_iter().map(row).collect();
    table(page, &["Metric", &first, &second, "Difference", "Interval", "Clearly better"], &rows);
    add(page, &comparison::method(&named.comparison));
    if named.disagreements.is_empty() {
        return;
    }
    add(page, "## Where only one is right");
    let row = |row: &Disagreement| {
        let text = escaped(&words::beginning(&row.text, TEXT_CHARACTERS).0);
        vec![row.line.to_string(), escaped(&row.truth), escaped(&row.first), escaped(&row.second), text]
    };
    let rows: Vec<Vec<String>> = named.disagreements.iter().map(row).collect();
    table(page, &["Line", "Truth", &first, &second, "Text"], &rows);
}

fn evaluation(page: &mut String, named: &NamedEvaluation) {
    let evaluation = &named.evaluation;
    add(page, &format!("## {} ({} texts)", escaped(&named.name), evaluation.n()));
    let mut rows = Vec::new();
    for entry in words::table() {
        if let Some(estimate) = evaluation.get(&entry.metric) {
            rows.push(vec![
                entry.name.to_owned(),
                words::number(estimate.value),
                words::interval(&estimate),
                entry.meaning.to_owned(),
            ]);
        }
    }
    table(page, &["Metric", "Value", "Interval", "Meaning"], &rows);
    if let Some(baseline) = &named.baseline {
        let sentence = format!(
            "Always answering {}: accuracy {}, macro F1 {}.",
            escaped(&baseline.answer),
            words::number(baseline.accuracy),
            words::number(baseline.f1_macro)
        );
        add(page, &sentence);
    }
    if let Some(answered) = &named.answered {
        add(page, &format!("The model {}.", answered.told()));
    }
    for (metric, reason) in evaluation.undefined() {
        add(page, &format!("No {}: {}.", escaped(&metric.to_string()), escaped(reason)));
    }
    add(page, &words::intervals(evaluation));
    classes(page, named);
    let matrix = confusion::table(evaluation);
    let rows: Vec<Vec<String>> = matrix
        .rows
        .iter()
        .map(|row| {
            let counts = row.cells.iter().map(|cell| cell.count.to_string());
            std::iter::once(escaped(&row.label)).chain(counts).collect()
        })
        .collect();
    let columns: Vec<String> = matrix.columns.iter().map(|column| escaped(column)).collect();
    let header: Vec<&str> = std::iter::once(matrix.corner).chain(columns.iter().map(String::as_str)).collect();
    table(page, &header, &rows);
}

fn classes(page: &mut String, named: &NamedEvaluation) {
    let evaluation = &named.evaluation;
    let mut rows = Vec::new();
    for (class, label) in evaluation.labels().iter().enumerate() {
        let score = |metric| match evaluation.of_class(metric, class) {
            Some(estimate) => words::number(estimate.value),
            None => "–".into(),
        };
        let f1 = evaluation.of_class(ClassMetric::F1, class);
        rows.push(vec![
            escaped(label),
            score(ClassMetric::Precision),
            score(ClassMetric::Recall),
            score(ClassMetric::F1),
            f1.map_or_else(String::new, |estimate| words::interval(&estimate)),
            evaluation.support()[class].to_string(),
        ]);
    }
    table(page, &["Class", "Precision", "Recall", "F1", "Interval of F1", "Texts"], &rows);
}

fn climbed(page: &mut String, ladder: &ladder::View<'_>) {
    add(page, &format!("## What it bought ({} texts)", escaped(ladder.measured_on)));
    add(page, &format!("**{}** {}", escaped(&ladder.headline), escaped(&ladder.remarks)));
    let f1 = ladder.classes.iter().map(|class| format!("F1 {}", escaped(class)));
    let columns =
        ["Way to answer", "What it is", "Accuracy", "Interval", "Macro F1", "Interval", "Weighted F1", "Seconds"];
    let header: Vec<String> = columns.into_iter().map(str::to_owned).chain(f1).collect();
    let rows = ladder.rows.iter().map(|row| {
        let mut cells = vec![escaped(row.title), escaped(row.detail)];
        if let Some(scores) = &row.scores {
            cells.extend(scores.main.iter().flat_map(|score| [score.value.clone(), score.interval.clone()]));
            cells.extend([scores.f1_weighted.clone(), scores.seconds.clone()]);
            cells.extend(scores.by_class.iter().cloned());
        }
        cells.resize(header.len(), "–".into());
        cells
    });
    table(page, &header.iter().map(String::as_str).collect::<Vec<_>>(), &rows.collect::<Vec<_>>());
}

fn repeated(page: &mut String, section: &repeats::Section) {
    add(page, &format!("## {}\n\n{}", section.title, section.sentence));
    let row = |row: &repeats::Row| std::iter::once(&row.name).chain(&row.cells).map(|cell| escaped(cell)).collect();
    let rows: Vec<Vec<String>> = section.table.rows.iter().map(row).collect();
    let columns: Vec<String> = section.table.columns.iter().map(|column| escaped(column)).collect();
    let header: Vec<&str> = std::iter::once("").chain(columns.iter().map(String::as_str)).collect();
    table(page, &header, &rows);
}

fn worst_errors(page: &mut String, errors: &[WorstError]) {
    if errors.is_empty() {
        return;
    }
    add(page, "## Worst errors, costliest first");
    let rows: Vec<Vec<String>> = errors
        .iter()
        .map(|error| {
            vec![
                error.line.to_string(),
                escaped(&error.truth),
                escaped(&error.predicted),
                words::percent(error.confidence),
                format!("{:.2}", error.loss),
                escaped(&words::beginning(&error.text, TEXT_CHARACTERS).0),
            ]
        })
        .collect();
    table(page, &["Line", "Truth", "Predicted", "Confidence", "Loss", "Text"], &rows);
    let explained: Vec<String> = errors
        .iter()
        .filter_map(|error| Some(format!("* Line {}, why {}", error.line, escaped(&error.why.as_ref()?.sentence()))))
        .collect();
    if !explained.is_empty() {
        add(page, &explained.join("\n"));
    }
}

fn facts(page: &mut String, section: &Section) {
    add(page, &format!("## {}", escaped(&section.title)));
    let row = |(name, value): &(String, String)| vec![escaped(name), escaped(value)];
    let rows: Vec<Vec<String>> = section.facts.iter().map(row).collect();
    table(page, &["", ""], &rows);
}

fn add(page: &mut String, block: &str) {
    page.push('\n');
    page.push_str(block);
    page.push('\n');
}

fn table(page: &mut String, header: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let mut block = format!("| {} |\n|{}", header.join(" | "), "---|".repeat(header.len()));
    for row in rows {
        write!(block, "\n| {} |", row.join(" | ")).expect("writing to a string does not fail");
    }
    add(page, &block);
}

/// Text that Markdown and the HTML within it show as it is, on one line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\n' | '\r' => out.push(' '),
            '|' | '`' | '*' | '_' | '[' | ']' | '#' | '\\' => out.extend(['\\', character]),
            other => out.push(other),
        }
    }
    out
}
