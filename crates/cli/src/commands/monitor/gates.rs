//! What has to hold for the command to end well.

use finetone_train::Record;

use crate::failure::Failure;

/// Gates; a command line without any always passes.
#[derive(clap::Args)]
pub struct GateArgs {
    /// Gate: macro F1 of the labelled rows is at least this
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_f1: Option<f64>,
    /// Gate: the accuracy of the labelled rows is at least this
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_accuracy: Option<f64>,
    /// Gate: no effect of drift that is more than chance is larger than this
    #[arg(long, value_name = "EFFECT", value_parser = share)]
    max_drift: Option<f64>,
    /// Gate: the accuracy has not fallen in the labelled rows of all calls
    #[arg(long)]
    no_fall: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 1".to_owned()),
    }
}

impl GateArgs {
    /// The gates that are not passed, each in a sentence.
    pub fn failed(&self, record: &Record) -> Result<Vec<String>, Failure> {
        let mut failed = Vec::new();
        let measured = [
            ("--min-f1", self.min_f1, record.f1_macro, "macro F1"),
            ("--min-accuracy", self.min_accuracy, record.accuracy, "the accuracy"),
        ];
        for (flag, least, estimate, name) in measured {
            let Some(least) = least else { continue };
            let value = estimate.ok_or_else(|| no_labels(flag, record))?.value;
            if value < least {
                failed.push(format!("`{flag} {least}` is not passed: {name} is {value:.4}"));
            }
        }
        let beyond = self.max_drift.map(|most| (most, record.drift.clear().filter(move |found| found.effect > most)));
        if let Some((most, beyond)) = beyond {
            let found: Vec<String> = beyond.map(|one| format!("{} {:.4}", one.kind.name(), one.effect)).collect();
            if !found.is_empty() {
                failed.push(format!("`--max-drift {most}` is not passed: {}", found.join(", ")));
            }
        }
        match (self.no_fall, &record.stream) {
            (true, None) => return Err(no_labels("--no-fall", record)),
            (true, Some(stream)) => failed.extend(stream.alarm().map(|fall| {
                format!("`--no-fall` is not passed: the accuracy has fallen since about labelled row {}", fall.since)
            })),
            (false, _) => {}
        }
        Ok(failed)
    }
}

fn no_labels(flag: &str, record: &Record) -> Failure {
    let message = format!("{}: `{flag}` needs labels, and there are none to judge by", record.file);
    Failure::new(message, "label some rows (`--to-label`), or watch `--max-drift` alone".to_owned())
}
