//! Why a finished model was wrong where that cost most: words and turns, for the report of its run.

use std::path::Path;

use finetone_backend::Backend;
use finetone_classify::{Classifier, ClassifyError, TOKEN_BUDGET, TransformerClassifier};
use finetone_data::Example;
use finetone_evaluate::Report;

/// Explains the first `most` of the worst errors of a report, whose texts are among `examples`, by the model in `folder`. What
/// cannot be explained is no reason to lose a report: it says so and goes without.
pub fn add<B: Backend>(backend: &B, folder: &Path, examples: &[Example], most: usize, report: &mut Report) {
    if most == 0 || report.worst_errors.is_empty() {
        return;
    }
    if let Err(error) = explain(backend, folder, examples, most, report) {
        report.notices.push(format!("the worst errors are not explained: {error}"));
    }
}

fn explain<B: Backend>(
    backend: &B,
    folder: &Path,
    examples: &[Example],
    most: usize,
    report: &mut Report,
) -> Result<(), ClassifyError> {
    let mut classifier = TransformerClassifier::open(backend.clone(), folder, TOKEN_BUDGET)?;
    for error in report.worst_errors.iter_mut().take(most) {
        if let Some(example) = examples.iter().find(|example| example.line == error.line) {
            let found = classifier.explain(example)?;
            error.why = Some(found.why(classifier.labels()));
        }
    }
    Ok(())
}
