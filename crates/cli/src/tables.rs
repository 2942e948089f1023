//! Evaluations as tables of plain text.

use comfy_table::{CellAlignment, Table, presets};
use finetone_classify::Neighbour;
use finetone_evaluate::{
    Average, ClassMetric, Disagreement, Estimate, Evaluation, Ladder, Metric, NamedComparison, NamedEvaluation,
    Repeats, Report, Standing, Study, WorstError, verdict,
};
use finetone_train::{BehaviourResult, TrainError};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// How much of a text is shown, in columns of a terminal.
const SHOWN: usize = 160;

/// The metrics of all classes together, the usual ones first.
const OVERALL: [Metric; 6] = [
    Metric::Accuracy,
    Metric::F1(Average::Macro),
    Metric::F1(Average::Weighted),
    Metric::RocAuc,
    Metric::LogLoss,
    Metric::Ece,
];

/// A table without lines; the first column is left-aligned, the others right-aligned.
pub fn plain(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    table.add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        column.set_cell_alignment(if index == 0 { CellAlignment::Left } else { CellAlignment::Right });
    }
    lines(&table)
}

/// Names and values below each other.
pub fn facts<N: Into<String>>(facts: impl IntoIterator<Item = (N, String)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.add_rows(facts.into_iter().map(|(name, value)| [name.into(), value]));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    lines(&table)
}

fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The overall metrics, each with its interval.
pub fn metrics(named: &NamedEvaluation) -> String {
    let evaluation = &named.evaluation;
    let baseline = |metric: &Metric| match (metric, &named.baseline) {
        (Metric::Accuracy, Some(baseline)) => number(baseline.accuracy),
        (Metric::F1(Average::Macro), Some(baseline)) => number(baseline.f1_macro),
        _ => String::new(),
    };
    let rows = OVERALL.iter().filter_map(|metric| {
        let estimate = evaluation.get(metric)?;
        Some(vec![metric.title(), number(estimate.value), interval(estimate), baseline(metric)])
    });
    let confidence = format!("{:.0} % interval", 100.0 * evaluation.confidence());
    plain(&["", "value", &confidence, "baseline"], rows)
}

/// Precision, recall and F1 of each class.
pub fn classes(evaluation: &Evaluation) -> String {
    let rows = evaluation.labels().iter().zip(evaluation.support()).enumerate().map(|(class, (label, support))| {
        let value = |metric| evaluation.of_class(metric, class);
        let shown = |metric| value(metric).map_or_else(String::new, |estimate| number(estimate.value));
        vec![
            label.clone(),
            support.to_string(),
            shown(ClassMetric::Precision),
            shown(ClassMetric::Recall),
            shown(ClassMetric::F1),
            value(ClassMetric::F1).map_or_else(String::new, interval),
        ]
    });
    plain(&["class", "texts", "precision", "recall", "F1", "interval of F1"], rows)
}

/// The verdict, the metrics and the classes, as train and eval show them.
pub fn evaluation(named: &NamedEvaluation) -> String {
    let verdict = verdict(named);
    let remarks: String = verdict.remarks.iter().map(|remark| format!("{remark}\n")).collect();
    let answered = named.answered.as_ref().map(|answered| format!("\nthe model {}\n", answered.told()));
    let (metrics, classes) = (metrics(named), classes(&named.evaluation));
    format!("{}\n{remarks}\n{metrics}{}\n{classes}", verdict.headline, answered.unwrap_or_default())
}

/// The overall metrics of two models and how far they are apart, each with its interval.
pub fn comparison(named: &NamedComparison, evaluations: &[NamedEvaluation]) -> String {
    let shown = [
        ("accuracy", Metric::Accuracy),
        ("macro F1", Metric::F1(Average::Macro)),
        ("weighted F1", Metric::F1(Average::Weighted)),
    ];
    let rows = shown.iter().filter_map(|(name, metric)| {
        let of_both = evaluations.iter().filter_map(|named| named.evaluation.get(metric));
        let Estimate { value, low, high } = named.comparison.of(metric)?.difference;
        let mut row = vec![(*name).to_owned()];
        row.extend(of_both.flat_map(|estimate| [number(estimate.value), interval(estimate)]));
        row.extend([format!("{value:+.4}"), format!("{low:+.4} to {high:+.4}")]);
        Some(row)
    });
    let confidence = format!("{:.0} % interval", 100.0 * named.comparison.confidence);
    plain(&["", "A", "interval", "B", "interval", "B - A", &confidence], rows)
}

/// The first texts that only one of two models has right.
pub fn disagreements(disagreements: &[Disagreement], most: usize) -> String {
    let one = |found: &Disagreement| {
        let Disagreement { line, truth, first, second, text } = found;
        format!("line {line}: {truth}; A says {first}, B says {second}\n  {}\n", shortened(text))
    };
    disagreements.iter().take(most).map(one).collect()
}

/// What folds and seeds say together, a table for each; nothing where there are none.
pub fn repeats(report: &Report) -> String {
    let folds = report.cross_validation.as_ref().map(|found| (format!("{} folds", found.folds), &found.repeats));
    let seeds = report.seeds.as_ref().map(|repeats| (format!("{} seeds", repeats.runs().len()), repeats));
    folds.into_iter().chain(seeds).map(|(name, repeats)| together(&name, repeats) + "\n").collect()
}

fn together(name: &str, repeats: &Repeats) -> String {
    let shown = OVERALL.iter().take(3).filter_map(|metric| {
        let found = repeats.get(metric)?;
        let deviation = found.spread.standard_deviation.map_or_else(String::new, number);
        Some(vec![metric.title(), number(found.spread.mean), deviation, interval(found.estimate())])
    });
    plain(&[name, "mean", "deviation", "95 % interval"], shown)
}

/// The model beside simpler ways to answer the same texts, and what that says.
pub fn ladder(ladder: &Ladder) -> String {
    let rows = ladder.rungs.iter().map(|rung| match &rung.result {
        Ok(Standing { evaluation, seconds, .. }) => {
            let scores = OVERALL
                .iter()
                .take(3)
                .map(|metric| evaluation.get(metric).map_or_else(String::new, |e| number(e.value)));
            std::iter::once(rung.title.clone()).chain(scores).chain([format!("{seconds:.1}")]).collect()
        }
        Err(_) => vec![rung.title.clone(), "not applicable".into()],
    });
    let table = plain(
        &[&format!("on the {} texts", ladder.measured_on), "accuracy", "macro F1", "weighted F1", "seconds"],
        rows,
    );
    let sentences: String = ladder.verdict().iter().map(|sentence| format!("{sentence}\n")).collect();
    format!("{table}{sentences}")
}

/// The wrong answers that cost most.
pub fn worst_errors(errors: &[WorstError], most: usize) -> String {
    let one = |error: &WorstError| {
        let WorstError { line, truth, predicted, confidence, .. } = error;
        format!("line {line}: {truth}, predicted {predicted} ({})\n  {}\n", number(*confidence), shortened(&error.text))
    };
    errors.iter().take(most).map(one).collect()
}

/// How the tests of behaviour went, and some of their failures.
pub fn behaviour(results: &[BehaviourResult]) -> String {
    let rows = results.iter().map(|result| {
        let share = 100.0 * result.failures as f64 / result.cases.max(1) as f64;
        let kind = result.kind.title().to_owned();
        vec![result.name.clone(), kind, result.cases.to_string(), result.failures.to_string(), format!("{share:.1} %")]
    });
    let mut page = plain(&["test", "kind", "cases", "failures", "share"], rows);
    for result in results.iter().filter(|result| result.failures > 0) {
        page += &format!("\n{}, for example:\n", result.name);
        result.examples.iter().for_each(|example| page += &format!("  {}\n", shortened(example)));
    }
    page
}

/// A text in one line of bounded width, cut between what a reader takes for characters. Chinese signs are twice as wide as
/// letters.
pub fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut width = 0;
    let end = line.grapheme_indices(true).find_map(|(place, character)| {
        width += character.width();
        (width > SHOWN).then_some(place)
    });
    match end {
        Some(end) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Names of classes, joined as the cells of files with several labels are.
pub fn joined(classes: &[usize], labels: &[String]) -> String {
    classes.iter().map(|&class| labels[class].as_str()).collect::<Vec<_>>().join("|")
}

/// The labelled texts nearest to another one, with their words where the model keeps these.
pub fn neighbours(near: &[Neighbour], labels: &[String]) -> String {
    let rows = near.iter().map(|Neighbour { kept, similarity }| {
        let text = kept.text.as_deref().map(|text| printable(&shortened(text)));
        let known = [joined(&kept.classes, labels), number(f64::from(*similarity)), kept.line.to_string()];
        text.into_iter().chain(known).collect()
    });
    let text = near.first().and_then(|one| one.kept.text.as_ref()).map(|_| "text");
    let header: Vec<&str> = text.into_iter().chain(["label", "similarity", "line"]).collect();
    plain(&header, rows)
}

/// A text of a stranger may hold signs that a terminal obeys.
pub fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn interval(estimate: Estimate) -> String {
    format!("{} to {}", number(estimate.low), number(estimate.high))
}

/// Four digits are more than any interval allows, and what tables of results usually have.
pub fn number(value: f64) -> String {
    format!("{value:.4}")
}

/// Scores of a run's `report.json`: the evaluation that its verdict is about, by name and number.
pub fn headline(report: &serde_json::Value) -> Option<(&str, &serde_json::Value)> {
    let all = report["evaluations"].as_array()?;
    let chosen = all.iter().find(|named| named["name"] == "test").or(all.last())?;
    Some((chosen["name"].as_str()?, &chosen["evaluation"]))
}

/// The evaluation to show of a report.
pub fn headline_of(report: &finetone_evaluate::Report) -> Result<&NamedEvaluation, TrainError> {
    report.headline().ok_or_else(|| TrainError::TooFew {
        problem: "there is nothing to measure on".into(),
        hint: "give a file with `--test`, or hold rows out by `test_fraction`".into(),
    })
}

/// The variants and the baselines of a study, a line for each.
pub fn study(study: &Study) -> String {
    let labels = study.finetuned.repeats.labels();
    let classes = labels.iter().map(|label| (format!("F1 {label}"), Metric::Class(ClassMetric::F1, label.clone())));
    let overall = OVERALL.iter().take(3).map(|metric| (metric.title(), metric.clone()));
    let shown: Vec<(String, Metric)> = overall.chain(classes).collect();
    let line = |name: &str, value: &dyn Fn(&Metric) -> Option<f64>| {
        let values = shown.iter().map(|(_, metric)| value(metric).map_or_else(String::new, number));
        [name.to_owned()].into_iter().chain(values).collect::<Vec<String>>()
    };
    let baselines = study.ladder.iter().filter_map(|rung| {
        let evaluation = &rung.result.as_ref().ok()?.evaluation;
        Some(line(&rung.title, &|metric| evaluation.get(metric).map(|estimate| estimate.value)))
    });
    let variants = [&study.scratch, &study.finetuned].into_iter().map(|variant| {
        let name = format!("{} (mean of {})", variant.name, variant.training.len());
        line(&name, &|metric| variant.get(metric).map(|found| found.spread.mean))
    });
    let header: Vec<&str> = [""].into_iter().chain(shown.iter().map(|(name, _)| name.as_str())).collect();
    plain(&header, baselines.chain(variants).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_text_fits_and_has_whole_characters() {
        assert_eq!(shortened(" two\n words "), "two words");
        assert_eq!(shortened(&"x".repeat(161)), "x".repeat(160) + "…");
        assert_eq!(shortened(&"好".repeat(81)), "好".repeat(80) + "…");
        let family = "👨‍👩‍👧‍👦".repeat(81);
        assert_eq!(shortened(&family), "👨‍👩‍👧‍👦".repeat(80) + "…");
        let accents = "e\u{301}".repeat(160);
        assert_eq!(shortened(&accents), accents);
    }
}
