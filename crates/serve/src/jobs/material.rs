//! What a job learns from and is measured on: files of chats, checked before they are.

use std::path::PathBuf;

use finetone_data::chat::{FEWEST_EXAMPLES, TokenRule, Validation, validate};
use finetone_data::{DataError, Dataset, LabelSet, OpenOptions, ReadOptions};

use super::fault::JobFault;
use crate::store::JobRow;
use crate::workplace::Workplace;

/// Faults that the error of a job names; the rest is counted.
const NAMED_FAULTS: usize = 5;

/// A file of a job: where it lies in the job's folder, and what the client knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// A link to the uploaded file, so that deleting that takes nothing away.
    pub path: PathBuf,
    /// The id of the uploaded file.
    pub id: String,
    /// The field of the request that names it.
    pub param: &'static str,
}

impl Material {
    /// The file that a job learns from.
    pub fn training(place: &Workplace, job: &JobRow) -> Self {
        let path = place.folder.job(&job.id).join("train.jsonl");
        Self { path, id: job.training_file.clone(), param: "training_file" }
    }

    /// The file that it is measured on, if there is one.
    pub fn validation(place: &Workplace, job: &JobRow) -> Option<Self> {
        let path = place.folder.job(&job.id).join("validation.jsonl");
        job.validation_file.clone().map(|id| Self { path, id, param: "validation_file" })
    }

    /// Puts the file into the job's folder, unless it is there.
    ///
    /// # Errors
    /// The disk, or an upload that is gone.
    pub fn put(&self, place: &Workplace) -> std::io::Result<()> {
        let upload = place.folder.file(&self.id);
        if self.path.exists() {
            return Ok(());
        }
        match std::fs::hard_link(&upload, &self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                // Where the file system knows no links, a copy does as well, once it is whole.
                let unfinished = self.path.with_extension("part");
                std::fs::copy(&upload, &unfinished).and_then(|_| std::fs::rename(&unfinished, &self.path))
            }
            // Another process may have put it there.
            _ => Ok(()),
        }
    }

    /// How many examples there are, none of which has a fault.
    ///
    /// # Errors
    /// The faults, with the numbers of example and message.
    pub fn check(&self) -> Result<usize, JobFault> {
        let found =
            validate(&self.path, &OpenOptions::default(), &TokenRule::default()).map_err(|error| self.fault(&error))?;
        if found.has_errors() {
            return Err(JobFault::of_file("invalid_file_format", self.param, self.format_error(&found)));
        }
        Ok(found.examples)
    }

    /// In the words of the API, with more than the first fault.
    fn format_error(&self, found: &Validation) -> String {
        let all: Vec<String> = found.errors().map(|fault| format!("{fault}.")).collect();
        let more = match all.len().saturating_sub(NAMED_FAULTS) {
            0 => String::new(),
            more => format!(" And {more} more."),
        };
        let named = all[..all.len().min(NAMED_FAULTS)].join(" ");
        format!("The job failed due to a file format error in the {}. Invalid file format. {named}{more}", self.noun())
    }

    /// The answers, which must be a closed set; those of `known`, where that is given.
    ///
    /// # Errors
    /// An open set, an answer that is not known.
    pub fn answers(&self, known: Option<LabelSet>) -> Result<LabelSet, JobFault> {
        let options = ReadOptions { labels_required: true, known, ..ReadOptions::default() };
        Ok(Dataset::read(&self.path, &options).map_err(|error| self.fault(&error))?.labels)
    }

    /// Refuses a training file with too few examples.
    ///
    /// # Errors
    /// Fewer than ten.
    pub fn check_number(&self, examples: usize) -> Result<(), JobFault> {
        if examples >= FEWEST_EXAMPLES {
            return Ok(());
        }
        let message =
            format!("Training file has {examples} example(s), but must have at least {FEWEST_EXAMPLES} examples");
        Err(JobFault::of_file("invalid_n_examples", self.param, message))
    }

    fn fault(&self, error: &DataError) -> JobFault {
        let hint = error.hint().map_or_else(String::new, |hint| format!(". Hint: {hint}"));
        let message = format!("The job failed due to an invalid {}. {error}{hint}", self.noun());
        JobFault::of_file("invalid_training_file", self.param, self.without_path(&message))
    }

    fn noun(&self) -> String {
        self.param.replace('_', " ")
    }

    /// A sentence for clients, who know the file by its id.
    pub fn without_path(&self, message: &str) -> String {
        message.replace(&self.path.display().to_string(), &self.id)
    }
}
