//! Answers on the terminal.

use std::collections::BTreeMap;

use comfy_table::{ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr;

use super::ask::Answer;

/// Letters of the longest bar.
const BAR: usize = 24;
/// Letters of a line where the terminal does not say.
const WIDTH: u16 = 100;

/// What stands behind an answer that was told already: the end of the line, and the probabilities.
pub fn behind(answer: &Answer) -> String {
    let end = if answer.text.ends_with('\n') { "" } else { "\n" };
    format!("{end}{}", bars(&answer.probabilities))
}

/// The answers of each model in a column of its own.
pub fn beside(models: &[String], answers: &[Vec<Answer>]) -> String {
    let columns = answers.iter().map(|answers| column(answers));
    if models.len() == 1 {
        return columns.collect();
    }
    let width = std::env::var("COLUMNS").ok().and_then(|width| width.parse().ok()).unwrap_or(WIDTH);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(models).add_row(columns);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// One answer as it is, several by how often each came; and the probabilities, which are the same for all.
fn column(answers: &[Answer]) -> String {
    let [first, rest @ ..] = answers else { return String::new() };
    if rest.is_empty() {
        return first.text.clone() + &behind(first);
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    answers.iter().for_each(|answer| *counts.entry(answer.text.trim()).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let tally: String = counts.iter().map(|(text, count)| format!("{count:3} × {text}\n")).collect();
    tally + &bars(&first.probabilities)
}

/// A bar for each word.
fn bars(probabilities: &[(String, f64)]) -> String {
    let width = probabilities.iter().map(|(word, _)| word.width()).max().unwrap_or(0);
    let bar = |(word, p): &(String, f64)| {
        let filled = (p * BAR as f64).round() as usize;
        let space = " ".repeat(width - word.width());
        format!("  {word}{space}  {:BAR$}  {:5.1} %\n", "█".repeat(filled), 100.0 * p)
    };
    probabilities.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, probabilities: &[(&str, f64)]) -> Answer {
        Answer {
            text: text.into(),
            probabilities: probabilities.iter().map(|(word, p)| ((*word).to_owned(), *p)).collect(),
        }
    }

    #[test]
    fn probabilities_are_bars_and_repeated_answers_are_counted() {
        let likely = [("good", 0.75), ("bad", 0.25)];
        let bars = "  good  ██████████████████         75.0 %\n  bad   ██████                     25.0 %\n";
        assert_eq!(behind(&said("good", &likely)), format!("\n{bars}"));
        let several = [said("good", &likely), said("bad", &likely), said("good\n", &likely)];
        assert_eq!(column(&several), format!("  2 × good\n  1 × bad\n{bars}"));
        assert_eq!(behind(&said("a line\n", &[])), "");
    }

    #[test]
    fn bars_begin_in_one_column_however_wide_the_words_are() {
        let text = bars(&[("很好".to_owned(), 0.5), ("ok".to_owned(), 0.5)]);
        let before = text.lines().map(|line| line[..line.find('█').unwrap()].width()).collect::<Vec<_>>();
        assert_eq!(before, [8, 8], "{text}");
    }

    #[test]
    fn two_models_stand_beside_each_other() {
        let page = beside(&["tuned".into(), "base".into()], &[vec![said("good", &[])], vec![said("Well, maybe", &[])]]);
        let lines: Vec<&str> = page.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 2, "{page}");
        assert!(lines[0].starts_with("tuned") && lines[0].ends_with("base"), "{page}");
        assert!(lines[1].starts_with("good") && lines[1].ends_with("Well, maybe"), "{page}");
    }
}
