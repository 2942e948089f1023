//! Folds and seeds as tables, for HTML and Markdown alike.

use super::{Report, words};
use crate::{Average, ClassMetric, CrossValidation, Metric, RepeatedMetric, Repeats};

/// What several runs say together.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) sentence: String,
    pub(super) table: Table,
}

/// A row for each run, and what they say together below.
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) name: String,
    pub(super) cells: Vec<String>,
    /// Whether it is about all runs.
    pub(super) together: bool,
}

/// The sections of a report.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    let folds = report.cross_validation.as_ref().map(cross_validation);
    folds.into_iter().chain(report.seeds.as_ref().map(seeds)).collect()
}

/// What the folds say.
pub(super) fn cross_validation(found: &CrossValidation) -> Section {
    let accuracy = found.evaluation.accuracy();
    let times = match found.divisions {
        1 => String::new(),
        divisions => format!(", {divisions} times over"),
    };
    let sentence = format!(
        "Each of {} texts was judged by a model that had not seen it{times}: right on {} of them ({}). Intervals of the means \
         allow for what the folds have in common (Nadeau and Bengio 2003).",
        found.evaluation.n(),
        words::percent(accuracy.value),
        words::interval(&accuracy)
    );
    Section { title: format!("Cross-validation, {} folds", found.folds), sentence, table: table(&found.repeats) }
}

fn seeds(repeats: &Repeats) -> Section {
    let sentence =
        "The same settings and texts with other seeds. The model of this report is the one that did best on the \
                    validation texts; expect the mean of another run."
            .to_owned();
    Section { title: format!("{} seeds", repeats.runs().len()), sentence, table: table(repeats) }
}

/// The metrics that are shown, those of classes last.
pub(super) fn shown(repeats: &Repeats) -> Vec<(String, &RepeatedMetric)> {
    let overall = [
        ("Accuracy", Metric::Accuracy),
        ("F1, macro", Metric::F1(Average::Macro)),
        ("F1, weighted", Metric::F1(Average::Weighted)),
    ];
    let overall = overall.into_iter().map(|(name, metric)| (name.to_owned(), metric));
    let classes =
        repeats.labels().iter().map(|label| (format!("F1 {label}"), Metric::Class(ClassMetric::F1, label.clone())));
    overall.chain(classes).filter_map(|(name, metric)| Some((name, repeats.get(&metric)?))).collect()
}

/// The table of several runs.
pub(super) fn table(repeats: &Repeats) -> Table {
    let shown = shown(repeats);
    let alike = repeats.runs().windows(2).all(|pair| pair[0].1 == pair[1].1);
    let runs = repeats.runs().iter().enumerate().map(|(run, (name, texts))| {
        let name = if alike { name.clone() } else { format!("{name}: {texts} texts") };
        let cells = shown.iter().map(|(_, metric)| words::number(metric.values[run])).collect();
        Row { name, cells, together: false }
    });
    let together = |name: &str, say: fn(&RepeatedMetric) -> String| Row {
        name: name.into(),
        cells: shown.iter().map(|(_, metric)| say(metric)).collect(),
        together: true,
    };
    let mut rows: Vec<Row> = runs.collect();
    rows.push(together("mean", |metric| words::number(metric.spread.mean)));
    if rows.len() > 2 {
        rows.push(together("deviation", |metric| {
            metric.spread.standard_deviation.map_or_else(String::new, words::number)
        }));
        rows.push(together("95 % interval", |metric| words::interval(&metric.estimate())));
    }
    Table { columns: shown.iter().map(|(name, _)| name.clone()).collect(), rows }
}
