//! Two classifiers on one labelled file.

use std::path::Path;

use finetone_classify::Classifier;
use finetone_data::{LabelSet, ReadOptions};
use finetone_evaluate::{
    Comparison, Disagreement, EvaluateError, EvaluationOptions, NamedComparison, Predictions, Report, Truth,
};

use crate::error::TrainError;
use crate::measure::{MeasuredFile, evaluate, file_name, share};

/// How many of the texts that only one has right a report shows.
const DISAGREEMENTS: usize = 20;

/// One of two models that are compared.
pub struct Contestant<'a> {
    /// What the report calls it.
    pub name: String,
    /// The model.
    pub classifier: &'a mut dyn Classifier,
    /// How it reads the file.
    pub options: ReadOptions,
}

/// Measures two classifiers on the same labelled file and compares them. Each reads the file as its own options say; classes
/// that differ in case or order alone are the same. The report has both evaluations, the first model's first.
///
/// # Errors
/// Models of other classes or another task, and what stops an evaluation: a file that cannot be read, a label that the
/// classifiers do not know, a device that failed.
pub fn compare_on_file(first: Contestant<'_>, second: Contestant<'_>, file: &Path) -> Result<Report, TrainError> {
    if first.classifier.is_multi_label() != second.classifier.is_multi_label() {
        return Err(EvaluateError::DifferentTasks.into());
    }
    let columns = columns_of(first.classifier.labels(), second.classifier.labels())?;
    let names = [first.name, second.name];
    let one = MeasuredFile::new(first.classifier, file, &first.options)?;
    let other = MeasuredFile::new(second.classifier, file, &second.options)?;
    let lines =
        |measured: &MeasuredFile| measured.dataset.examples.iter().map(|example| example.line).collect::<Vec<_>>();
    if lines(&one) != lines(&other) {
        let [first, second] = [&one, &other].map(|measured| measured.predictions.rows());
        return Err(EvaluateError::DifferentRows { first, second }.into());
    }
    let predictions = [&one.predictions, &renamed(&other.predictions, one.predictions.labels(), &columns)?];
    let comparison = Comparison::new(predictions[0], predictions[1], &EvaluationOptions::default())?;
    let source = |row: usize| (one.dataset.examples[row].line, one.dataset.examples[row].text.clone());
    let disagreements = Disagreement::list(&comparison, predictions, DISAGREEMENTS, source);
    let rows = one.dataset.examples.len();
    let cut = |name: &String| format!("texts cut for {name}");
    let data = one.section().fact(cut(&names[0]), share(one.truncated, rows));
    let evaluations = vec![evaluate(&names[0], predictions[0])?, evaluate(&names[1], predictions[1])?];
    let data = vec![data.fact(cut(&names[1]), share(other.truncated, rows))];
    let [first, second] = names;
    Ok(Report {
        title: format!("Comparison on {}", file_name(file)),
        evaluations,
        comparison: Some(NamedComparison { first, second, comparison, disagreements }),
        notices: one.dataset.notices.iter().map(ToString::to_string).collect(),
        data,
        ..Report::default()
    })
}

/// For each of the first model's classes, its place among the second's.
fn columns_of(first: &[String], second: &[String]) -> Result<Vec<usize>, EvaluateError> {
    let known = LabelSet::from_names(second.iter().cloned());
    let mut columns: Vec<usize> = first.iter().filter_map(|label| known.class(label)).collect();
    let found = columns.clone();
    columns.sort_unstable();
    columns.dedup();
    if columns.len() == first.len() && first.len() == second.len() {
        return Ok(found);
    }
    Err(EvaluateError::DifferentClasses { first: first.to_vec(), second: second.to_vec() })
}

/// Predictions with the classes of another model; class `columns[c]` becomes class `c`.
fn renamed(predictions: &Predictions, labels: &[String], columns: &[usize]) -> Result<Predictions, EvaluateError> {
    let probabilities = (0..predictions.rows()).flat_map(|row| columns.iter().map(move |&c| predictions.row(row)[c]));
    let mut place = vec![0; columns.len()];
    columns.iter().enumerate().for_each(|(class, &column)| place[column] = class);
    let truth = match predictions.truth() {
        Truth::Single(rows) => Truth::Single(rows.iter().map(|&class| place[class]).collect()),
        Truth::Multi(rows) => {
            Truth::Multi(rows.iter().map(|classes| classes.iter().map(|&class| place[class]).collect()).collect())
        }
    };
    Predictions::new(labels.to_vec(), truth, probabilities.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|label| (*label).to_owned()).collect()
    }

    #[test]
    fn classes_in_another_order_and_case_are_the_same() {
        let (first, second) = (names(&["bad", "fair", "good"]), names(&["Good", "bad", "FAIR"]));
        let columns = columns_of(&first, &second).expect("the same classes");
        assert_eq!(columns, [1, 2, 0]);
        let said =
            Predictions::new(second, Truth::Single(vec![0, 2]), vec![0.7, 0.2, 0.1, 0.0, 0.4, 0.6]).expect("valid");
        let renamed = renamed(&said, &first, &columns).expect("valid");
        assert_eq!((renamed.row(0), renamed.row(1)), (&[0.2, 0.1, 0.7][..], &[0.4, 0.6, 0.0][..]));
        assert_eq!(renamed.truth(), &Truth::Single(vec![2, 1]));
    }

    #[test]
    fn other_classes_are_refused() {
        let two = names(&["bad", "good"]);
        for other in [&["bad", "fair", "good"][..], &["bad"], &["bad", "fair"]] {
            assert!(columns_of(&two, &names(other)).is_err(), "{other:?}");
            assert!(columns_of(&names(other), &two).is_err(), "{other:?}");
        }
    }
}
