//! The base and the tuned model are asked a few messages of the job, ten times each, as people compare them in a playground.
//!
//! The messages are those of the validation file, which the model has not learnt from, or else of the training file. Answers are
//! drawn at temperature 1. Of a model that judges, or was taught a few answers, that costs one look at each message.

use std::collections::HashSet;
use std::path::Path;

use finetone_data::chat::{Chat, Role};
use finetone_data::{OpenOptions, Reader};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::material::Material;
use crate::error::ApiError;
use crate::models::Resolved;
use crate::reply::{self, Format, Options, Question};
use crate::store::{JobRow, NewEvent};
use crate::workplace::Workplace;

/// Answers to each message.
const DRAWS: usize = 10;
/// The most tokens of an answer: a base that writes freely may go on without end.
const MOST_TOKENS: usize = 32;
/// The most messages.
const MESSAGES: usize = 5;
/// Where a tally lies in the folder of a job.
const FILE: &str = "tally.json";

/// How often each answer was given.
type Counts = Vec<(String, usize)>;

/// What both models answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// The field that names the file with the messages.
    pub file: String,
    /// Answers to each message.
    pub draws: usize,
    /// Why the base model gave no answers, if it gave none.
    pub base_fault: Option<String>,
    /// The messages.
    pub messages: Vec<Asked>,
}

/// A message and the answers to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// What the user says last.
    pub text: String,
    /// The answer that the file has.
    pub expected: String,
    /// The answers of the base model, the most frequent first; nothing where it gave none.
    pub base: Counts,
    /// Those of the tuned model.
    pub tuned: Counts,
}

impl Asked {
    /// What the base and the tuned model answered.
    pub fn answers(&self) -> [&[(String, usize)]; 2] {
        [&self.base, &self.tuned]
    }
}

impl Tally {
    /// Asks both models, and keeps the tally in the job's folder.
    ///
    /// # Errors
    /// A file that is gone; a tuned model that does not answer.
    pub async fn take(place: &Workplace, job: &JobRow, tuned: &Path) -> Result<Self, ApiError> {
        let material = Material::validation(place, job).unwrap_or_else(|| Material::training(place, job));
        let chats = chats(&material.path).map_err(|error| ApiError::internal(&error))?;
        let base = match place.models.of_job(job, &place.store, &place.folder).await {
            Ok(base) => answers(place, &base, &chats, job.seed).await,
            Err(gone) => Err(gone),
        };
        let tuned = Resolved { name: job.tuned_name.clone(), source: tuned.to_owned(), is_base: false };
        let tuned = answers(place, &tuned, &chats, job.seed).await?;
        let base_fault = base.as_ref().err().map(|error| error.message().to_owned());
        let base = base.unwrap_or_else(|_| vec![Counts::new(); chats.len()]);
        let asked = |((chat, base), tuned): ((&Chat, Counts), Counts)| Asked {
            text: said(chat),
            expected: expected(chat).to_owned(),
            base,
            tuned,
        };
        let messages = chats.iter().zip(base).zip(tuned).map(asked).collect();
        let tally = Self { file: material.param.to_owned(), draws: DRAWS, base_fault, messages };
        let (path, text) = (place.folder.job(&job.id).join(FILE), json!(tally).to_string());
        tokio::fs::write(path, text).await.map_err(|error| ApiError::internal(&error))?;
        Ok(tally)
    }

    /// The tally of a job, if it has one.
    pub async fn of(place: &Workplace, job: &str) -> Option<Self> {
        let text = tokio::fs::read(place.folder.job(job).join(FILE)).await.ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// As the job tells it.
    pub fn event(&self) -> NewEvent {
        let right = |of: fn(&Asked) -> &Counts| -> usize {
            let count = |asked: &Asked| {
                of(asked).iter().find(|(answer, _)| *answer == asked.expected).map_or(0, |(_, count)| *count)
            };
            self.messages.iter().map(count).sum()
        };
        let (asked, all) = (self.messages.len(), self.messages.len() * self.draws);
        let base = match &self.base_fault {
            Some(_) => "the base model gave none".to_owned(),
            None => format!("{} of the base model were right", right(|asked| &asked.base)),
        };
        let tuned = right(|asked| &asked.tuned);
        let message = format!(
            "Asked {asked} messages {} times each: of {all} answers {tuned} of the tuned model were right, {base}",
            self.draws
        );
        NewEvent::info(message).data(json!({"tally": self}))
    }
}

/// The first chats of a file with an answer that none before has, then further ones, as many as are asked.
fn chats(path: &Path) -> Result<Vec<Chat>, finetone_data::DataError> {
    let (mut first, mut others, mut answers) = (Vec::new(), Vec::new(), HashSet::new());
    for row in Reader::open(path, &OpenOptions::default())? {
        let chat = Chat::from_row(&row?)?;
        if said(&chat).is_empty() || chat.answer().is_none() {
            continue;
        }
        if answers.insert(expected(&chat).to_owned()) {
            first.push(chat);
        } else if others.len() < MESSAGES {
            others.push(chat);
        }
        if first.len() == MESSAGES {
            break;
        }
    }
    first.extend(others);
    first.truncate(MESSAGES);
    Ok(first)
}

/// What the user says last.
fn said(chat: &Chat) -> String {
    let last = chat.prompt().iter().rev().find(|message| message.role == Role::User);
    last.map_or_else(String::new, |message| message.content.trim().to_owned())
}

fn expected(chat: &Chat) -> &str {
    chat.answer().map_or("", |answer| answer.content.trim())
}

async fn answers(place: &Workplace, model: &Resolved, chats: &[Chat], seed: i64) -> Result<Vec<Counts>, ApiError> {
    let questions = chats.iter().map(|chat| Question::Chat(chat.prompt().to_vec())).collect();
    let options = Options { n: DRAWS, seed: Some(seed), max_tokens: Some(MOST_TOKENS), ..Options::default() };
    let asked = reply::Asked { questions, options, format: Format::default(), alternatives: 0, recorded: false };
    let mut all = Vec::with_capacity(chats.len());
    for answers in reply::answers(place, model, asked).await? {
        let (replies, _) = answers.whole().await?;
        all.push(counted(replies.iter().map(|reply| reply.text().trim().to_owned())));
    }
    Ok(all)
}

/// How often each answer was given, the most frequent first, and of equals the first one.
fn counted(answers: impl Iterator<Item = String>) -> Counts {
    let mut counts = Counts::new();
    for answer in answers {
        match counts.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, count)) => *count += 1,
            None => counts.push((answer, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, answer: &str) -> String {
        let messages = json!([{"role": "user", "content": text}, {"role": "assistant", "content": answer}]);
        json!({"messages": messages}).to_string() + "\n"
    }

    #[test]
    fn each_answer_is_asked_for_before_any_is_again() {
        let file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
        let text = [line("a", "x"), line("b", "x"), line("c", "y"), line("d", "x"), line("e", "z")].concat();
        std::fs::write(file.path(), text).unwrap();
        let asked: Vec<String> = chats(file.path()).unwrap().iter().map(said).collect();
        assert_eq!(asked, ["a", "c", "e", "b", "d"]);
    }

    #[test]
    fn all_answers_are_counted_and_the_most_frequent_one_comes_first() {
        let counts = counted(["b", "a", "c", "a"].map(str::to_owned).into_iter());
        assert_eq!(counts, [("a".to_owned(), 2), ("b".to_owned(), 1), ("c".to_owned(), 1)]);
    }

    #[test]
    fn the_event_counts_what_was_right() {
        let asked = |expected: &str, base: &[(&str, usize)], tuned: &[(&str, usize)]| {
            let own =
                |counts: &[(&str, usize)]| counts.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
            Asked { text: "t".into(), expected: expected.into(), base: own(base), tuned: own(tuned) }
        };
        let messages =
            vec![asked("x", &[("y", 6), ("x", 4)], &[("x", 10)]), asked("y", &[("x", 10)], &[("y", 9), ("x", 1)])];
        let mut tally = Tally { file: "training_file".into(), draws: DRAWS, base_fault: None, messages };
        let says = |tally: &Tally| format!("{:?}", tally.event());
        assert!(
            says(&tally).contains("of 20 answers 19 of the tuned model were right, 4 of the base model were right")
        );
        tally.base_fault = Some("it knows nothing".into());
        assert!(says(&tally).contains("the base model gave none"));
        assert_eq!(serde_json::from_value::<Tally>(json!(tally)).unwrap(), tally);
    }
}
