//! The page of tables: Markdown whose columns are aligned, so that it reads well on a terminal too.

use super::machine::Machine;
use super::quiet::Load;
use super::results::{Metric, Results, Row};
use super::sections::{Goal, Section};

/// What the numbers were measured on.
pub fn heading(machine: &Machine, load: &Load, quick: bool) -> String {
    let Machine { processor, instructions, commit, date } = machine;
    let mut text = format!("{processor} ({instructions}); commit {commit}; {date}.\n");
    text += &format!(
        "Before the first run other processes took {:.0} % of the processor's time; load average {:.1}.\n",
        100.0 * load.busy,
        load.average
    );
    if quick {
        text += "A quick run with few steps and rows: it shows that everything runs, its numbers say little.\n";
    }
    text
}

/// A table with its goals and failures.
pub fn section(section: &Section, results: &Results) -> String {
    let mut text = format!("\n## {}\n\n", section.title);
    if !results.rows.is_empty() {
        text += &aligned(&cells(section, results));
    }
    for goal in &section.goals {
        text += &format!("\n{}\n", verdict(*goal, results));
    }
    for failure in &results.failures {
        text += &format!("\nnot measured: {}\n", failure.replace('\n', " / "));
    }
    text
}

/// The rows of the table, the head first. A metric that is a race is followed by how many times better than the best
/// peer each row is.
fn cells(section: &Section, results: &Results) -> Vec<Vec<String>> {
    let shown = |metric: &Metric| results.rows.iter().any(|row| row.median(*metric).is_some());
    let metrics: Vec<Metric> = section.metrics.iter().copied().filter(shown).collect();
    let slowdowns = results.rows.iter().any(|row| results.slowdown(row).is_some());
    let peers = |metric: Metric| results.best_peer(metric).is_some() && metric.times_better(1.0, 1.0).is_some();
    let mut head = vec![String::new()];
    for &metric in &metrics {
        head.push(metric.title().to_owned());
        head.extend(peers(metric).then(|| "of best peer".to_owned()));
    }
    head.extend(slowdowns.then(|| "of its quiet time".to_owned()));
    let mut rows = vec![head];
    for row in &results.rows {
        let mut line = vec![row.name.clone()];
        for (place, &metric) in metrics.iter().enumerate() {
            line.push(row.median(metric).map_or_else(String::new, |_| cell(row, metric, place == 0)));
            line.extend(peers(metric).then(|| times(results.factor(row, metric))));
        }
        line.extend(slowdowns.then(|| times(results.slowdown(row))));
        rows.push(line);
    }
    rows
}

/// The median, and for the first metric of a table the range of the samples.
fn cell(row: &Row, metric: Metric, with_range: bool) -> String {
    let values = row.values(metric);
    let median = row.median(metric).map(|value| metric.format(value)).unwrap_or_default();
    let (least, most) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
    if with_range && values.len() > 1 {
        format!("{median} ({} to {})", metric.format(least), metric.format(most))
    } else {
        median
    }
}

fn times(factor: Option<f64>) -> String {
    factor.map_or_else(String::new, |factor| format!("{factor:.2}x"))
}

/// Whether a goal is reached, in a sentence.
fn verdict(goal: Goal, results: &Results) -> String {
    let (goal, reached) = match goal {
        Goal::TimesBestPeer(metric, least) => (
            format!("at least {least}x the best peer in {}", metric.title()),
            results.our_factor(metric).map(|factor| (times(Some(factor)), factor >= least)),
        ),
        Goal::Below(metric, most) => {
            let ours = results.rows.iter().find(|row| row.side == super::contender::Side::Ours);
            let value = ours.and_then(|row| row.median(metric));
            (
                format!("{} below {}", metric.title(), metric.format(most)),
                value.map(|value| (metric.format(value), value < most)),
            )
        }
        Goal::Slowdown(most) => {
            let ours = results.rows.iter().filter(|row| row.side == super::contender::Side::Ours);
            let worst = ours.filter_map(|row| results.slowdown(row)).max_by(f64::total_cmp);
            (format!("ours at most {most}x its quiet time"), worst.map(|factor| (times(Some(factor)), factor <= most)))
        }
    };
    match reached {
        Some((value, true)) => format!("goal: {goal}: {value}, reached"),
        Some((value, false)) => format!("goal: {goal}: {value}, **missed**"),
        None => format!("goal: {goal}: not measured"),
    }
}

/// A Markdown table whose columns have one width each.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows[0].len();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(text, &width)| format!("{text:<width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: String = widths.iter().map(|&width| format!("|{}", "-".repeat(width + 2))).collect();
    let body: String = rows[1..].iter().map(line).collect();
    line(&rows[0]) + &rule + "|\n" + &body
}

#[cfg(test)]
mod tests {
    use super::super::contender::{Sample, Side};
    use super::*;

    fn results() -> Results {
        let mut results = Results::default();
        let samples = [
            ("finetone", Side::Ours, 0.5),
            ("torch", Side::Peer, 1.5),
            ("finetone", Side::Ours, 0.4),
            ("torch", Side::Peer, 1.5),
            ("finetone", Side::Ours, 0.75),
        ];
        for (name, side, seconds) in samples {
            results.add(side, Sample { name: name.to_owned(), values: vec![(Metric::StepSeconds, seconds)] });
        }
        results.failures.push("torch compiled: no compiler\nat all".to_owned());
        results
    }

    #[test]
    fn a_table_says_medians_factors_goals_and_failures() {
        let table = Section {
            title: "A step".to_owned(),
            contenders: Vec::new(),
            metrics: vec![Metric::StepSeconds, Metric::PeakMemory],
            goals: vec![Goal::TimesBestPeer(Metric::StepSeconds, 3.5), Goal::TimesBestPeer(Metric::PeakMemory, 2.0)],
            rounds: 1,
        };
        let expected = "
## A step

|          | s a step               | of best peer |
|----------|------------------------|--------------|
| finetone | 0.500 (0.400 to 0.750) | 3.00x        |
| torch    | 1.500 (1.500 to 1.500) | 1.00x        |

goal: at least 3.5x the best peer in s a step: 3.00x, **missed**

goal: at least 2x the best peer in peak memory, MB: not measured

not measured: torch compiled: no compiler / at all
";
        assert_eq!(section(&table, &results()), expected);
    }

    #[test]
    fn goals_can_be_absolute() {
        assert!(verdict(Goal::Below(Metric::StepSeconds, 0.6), &results()).ends_with("0.500, reached"));
        assert!(verdict(Goal::Below(Metric::StepSeconds, 0.5), &results()).ends_with("**missed**"));
    }
}
