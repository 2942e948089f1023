//! `finetone doctor` on a file of chats.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use finetone_data::chat::{ChatText, Distribution, FaultKind, Located, TokenRule, Validation, validate};
use finetone_data::doctor::{self, examine};
use finetone_data::{Checkup, DoctorOptions, Severity};
use finetone_track::{duration, grouped};
use finetone_train::{RunConfig, memory_needed};
use serde_json::json;

use super::pilot::{STEPS, seconds_of_a_step};
use super::{contents, group, plural};
use crate::failure::Failure;
use crate::tables;
use crate::tokens::Counter;

/// How many faults of a kind are printed; `--json` has more.
const PRINTED: usize = 10;

/// What was found in a file of chats, and in a test file beside it.
pub struct Chats {
    validations: Vec<Validation>,
    /// The chats as texts with labels; its faults of single lines are those of the validations in other words, and left out.
    checkup: Checkup,
    /// How they become texts.
    rule: ChatText,
    counted: String,
    /// Bytes of a training, where a model is known.
    memory: Option<usize>,
    /// Seconds of a training, where its steps could be tried.
    seconds: Option<f64>,
}

impl Chats {
    /// Examines `file`, and a test file beside it.
    pub fn new(
        file: &Path,
        test: Option<&Path>,
        options: &DoctorOptions<'_>,
        counter: Option<&Counter>,
    ) -> Result<Self, Failure> {
        let count = |text: &str| counter.map_or(0, |counter| counter.own(text));
        let rule = counter.map_or_else(TokenRule::default, |counter| TokenRule { count: &count, limit: counter.limit });
        let validations =
            [Some(file), test].into_iter().flatten().map(|path| validate(path, &options.read.open, &rule));
        let validations = validations.collect::<Result<Vec<Validation>, _>>()?;
        let mut checkup = examine(file, test, options)?;
        checkup.faults.retain(|fault| {
            use doctor::FaultKind::{BadChats, BadJson, Undecodable};
            !matches!(fault.kind, BadChats { .. } | BadJson { .. } | Undecodable { .. })
        });
        let counted = match counter {
            None => "an estimate of four letters each; `--model` counts those of a model".to_owned(),
            Some(counter) => format!("those of {}", counter.model),
        };
        let longest = validations[0].tokens.greatest.min(rule.limit);
        let memory = counter.map(|counter| memory_needed(&counter.config, longest, &RunConfig::default()));
        let mut chats = Self { validations, checkup, rule: options.read.open.chat, counted, memory, seconds: None };
        if let Some(counter) = counter.filter(|_| !chats.have_errors() && file != Path::new("-")) {
            let plan = &chats.validations[0];
            let step = seconds_of_a_step((file, &options.read.open), &counter.model, plan.default_batch_size)?;
            chats.seconds = step.map(|seconds| seconds * plan.default_steps() as f64);
        }
        Ok(chats)
    }

    /// Whether the answers are no labels, so that only a model that writes can learn them.
    fn are_open(&self) -> Option<&doctor::Fault> {
        self.checkup.faults.iter().find(|fault| matches!(fault.kind, doctor::FaultKind::OpenAnswers { .. }))
    }

    /// Whether anything stops a training. What stops that of a classifier alone counts where one could be trained at all.
    pub fn have_errors(&self) -> bool {
        self.validations.iter().any(Validation::has_errors) || (self.are_open().is_none() && self.checkup.has_errors())
    }

    /// Everything as one JSON object: that of other files, and beside it what is known of chats.
    pub fn json(&self) -> Result<String, Failure> {
        let failure = |error: serde_json::Error| Failure::new(error.to_string(), None);
        let mut object = serde_json::to_value(&self.checkup).map_err(failure)?;
        object["chats"] = json!(self.validations);
        object["chat_text"] = json!(self.rule);
        object["memory_bytes"] = json!(self.memory);
        object["training_seconds"] = json!(self.seconds);
        Ok(format!("{object}\n"))
    }

    /// Everything for people.
    pub fn page(&self) -> String {
        let mut page: String = self.validations.iter().map(|validation| self.file(validation)).collect();
        page += &format!("tokens are {}\n", self.counted);
        page += &self.plan();
        for validation in &self.validations {
            for severity in [Severity::Error, Severity::Warning] {
                page += &faults(validation, severity);
            }
        }
        page + &self.as_labels() + "\n" + &self.total() + "\n"
    }

    fn file(&self, found: &Validation) -> String {
        let mut page = format!("{}: chats, {}\n\n", found.file.display(), examples(found.examples));
        let roles = found.roles.iter().map(|(role, count)| vec![role.word().to_owned(), grouped(*count as u64)]);
        page += &tables::plain(&["role", "messages"], roles);
        let row = |name: &str, of: &Distribution| {
            let numbers = [of.least, of.p5, of.median, of.p95, of.greatest].map(|number| grouped(number as u64));
            [name.to_owned()].into_iter().chain(numbers).chain([format!("{:.1}", of.mean)]).collect::<Vec<String>>()
        };
        let rows = [
            row("messages", &found.messages),
            row("tokens", &found.tokens),
            row("tokens learnt", &found.trained_tokens),
        ];
        let header = ["in an example", "least", "5 %", "median", "95 %", "greatest", "mean"];
        page + "\n" + &tables::plain(&header, rows) + "\n"
    }

    /// What the API would make of the file, and how much memory and time a training takes here.
    fn plan(&self) -> String {
        let found = &self.validations[0];
        let mut facts = vec![
            ("epochs by default", found.default_epochs.to_string()),
            ("batch size by default", found.default_batch_size.to_string()),
            ("steps", grouped(found.default_steps() as u64)),
            ("trained tokens", grouped(found.default_trained_tokens() as u64)),
        ];
        if let Some(bytes) = self.memory {
            facts.push(("memory of a training", format!("about {} MiB", grouped(bytes.div_ceil(1 << 20) as u64))));
        }
        if let Some(seconds) = self.seconds {
            let time = duration(Duration::from_secs_f64(seconds));
            facts.push(("time of a training", format!("about {time} here, by {STEPS} steps that were tried")));
        }
        if found.has_too_few() {
            facts.push(("note", "the API asks for 10 examples at least".to_owned()));
        }
        format!("\n{}", tables::facts(facts))
    }

    /// The chats as texts with labels, for a classifier.
    fn as_labels(&self) -> String {
        if let Some(open) = self.are_open() {
            return format!("\nno classifier can be trained on it: {}\n  {}\n", open.message, open.fix);
        }
        let mut page = format!("\na classifier reads {}\n{}", self.rule, contents(&self.checkup));
        for severity in [Severity::Error, Severity::Warning, Severity::Notice] {
            page += &group(&self.checkup, severity);
        }
        page
    }

    fn total(&self) -> String {
        let labels = self.are_open().is_none();
        let count = |severity: Severity| {
            let of_chats: usize = self.validations.iter().map(|validation| validation.count(severity)).sum();
            of_chats + if labels { self.checkup.count(severity) } else { 0 }
        };
        let counts = [Severity::Error, Severity::Warning].map(|severity| plural(severity, count(severity)));
        let verdict =
            if self.have_errors() { "the errors must be mended before training" } else { "ready for training" };
        format!("{}: {verdict}", counts.join(", "))
    }
}

fn examples(count: usize) -> String {
    format!("{} example{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// The faults of one severity by their checks, each with its first places; nothing if there are none.
fn faults(found: &Validation, severity: Severity) -> String {
    let mut kinds: BTreeMap<FaultKind, Vec<&Located>> = BTreeMap::new();
    for located in found.faults.iter().filter(|located| located.fault.kind.severity() == severity) {
        kinds.entry(located.fault.kind).or_default().push(located);
    }
    let kinds = kinds.into_iter().map(|(kind, located)| {
        let shown = located.iter().take(PRINTED);
        let lines = shown.map(|one| format!("  {}:{}: {}\n", found.file.display(), one.line, one.fault));
        let rest = found.counts[&kind].saturating_sub(PRINTED);
        let rest = if rest > 0 { format!("  and {} more\n", grouped(rest as u64)) } else { String::new() };
        let head = format!("\n{} {}: {}\n", severity.word(), kind.name(), found.counts[&kind]);
        format!("{head}{}{rest}    fix: {}\n", lines.collect::<String>(), kind.hint())
    });
    kinds.collect()
}
