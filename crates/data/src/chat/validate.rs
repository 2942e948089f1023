//! Every fault of a chat file, and what a training on it comes to.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::fault::{Fault, FaultKind, Located};
use super::message::{Chat, Message, Role};
use super::{check, plan};
use crate::doctor::{Severity, TokenCount};
use crate::error::DataError;
use crate::reader::{OpenOptions, Reader, Row};

/// Faults that are kept with their places. Further ones are counted only, so that a file of nothing but faults does not fill the
/// memory.
const KEPT_FAULTS: usize = 10_000;

/// The limit on the tokens of an example where no model says another: that of the models which the validator was written for.
pub const TOKEN_LIMIT: TokenCount = 16_385;

/// How the tokens of a text are counted, and how many an example may have.
#[derive(Clone, Copy)]
pub struct TokenRule<'a> {
    /// The number of tokens of a text by itself, without special tokens.
    pub count: &'a dyn Fn(&str) -> TokenCount,
    /// The number above which an example is cut.
    pub limit: TokenCount,
}

/// Without a tokenizer: four letters are a token, as a rule of thumb for English has it.
impl Default for TokenRule<'_> {
    fn default() -> Self {
        TokenRule { count: &|text| text.chars().count().div_ceil(4), limit: TOKEN_LIMIT }
    }
}

impl TokenRule<'_> {
    /// The tokens of an example by the cookbook's rule: three around each message and around the whole, one for a role, and one
    /// more where there is a name.
    fn example(&self, messages: &[Message]) -> TokenCount {
        let message = |message: &Message| {
            let name = message.name.as_ref().map_or(0, |name| 1 + (self.count)(name));
            4 + (self.count)(&message.content) + name
        };
        3 + messages.iter().map(message).sum::<TokenCount>()
    }

    /// The tokens of what the assistant says and is learnt.
    fn trained(&self, messages: &[Message]) -> TokenCount {
        messages.iter().filter(|message| message.trained).map(|message| (self.count)(&message.content)).sum()
    }
}

/// How numbers are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Distribution {
    /// The least.
    pub least: usize,
    /// A twentieth is below.
    pub p5: usize,
    /// Half is below.
    pub median: usize,
    /// A twentieth is above.
    pub p95: usize,
    /// The greatest.
    pub greatest: usize,
    /// The mean.
    pub mean: f64,
}

impl Distribution {
    /// Of these numbers; all zero where there are none. Quantiles are numbers that occur.
    fn of(mut numbers: Vec<usize>) -> Distribution {
        numbers.sort_unstable();
        let Some(&greatest) = numbers.last() else { return Distribution::default() };
        let at = |percent: usize| numbers[(numbers.len() - 1) * percent / 100];
        let mean = numbers.iter().sum::<usize>() as f64 / numbers.len() as f64;
        Distribution { least: numbers[0], p5: at(5), median: at(50), p95: at(95), greatest, mean }
    }
}

/// What the checks found, and what the file holds.
#[derive(Debug, Clone, Serialize)]
pub struct Validation {
    /// The file.
    pub file: PathBuf,
    /// Examples, faulty ones included: lines that are not blank.
    pub examples: usize,
    /// How many faults of each kind there are.
    pub counts: BTreeMap<FaultKind, usize>,
    /// The faults in the order of the file, at most the first 10,000.
    pub faults: Vec<Located>,
    /// How many messages each role has.
    pub roles: BTreeMap<Role, usize>,
    /// Messages of an example. This and what follows is of the examples without errors.
    pub messages: Distribution,
    /// Tokens of an example, by the rule that was given.
    pub tokens: Distribution,
    /// Tokens of an example that are learnt.
    pub trained_tokens: Distribution,
    /// The limit on the tokens of an example.
    pub token_limit: TokenCount,
    /// Tokens of all examples, of each no more than the limit: what an epoch is billed as where tokens have a price.
    pub tokens_in_epoch: TokenCount,
    /// The epochs of a job that does not say.
    pub default_epochs: usize,
    /// The examples of a step in a job that does not say.
    pub default_batch_size: usize,
}

impl Validation {
    /// Whether anything would stop a training.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many faults have a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.counts.iter().filter(|(kind, _)| kind.severity() == severity).map(|(_, count)| count).sum()
    }

    /// The errors with their places, the first ones first.
    pub fn errors(&self) -> impl Iterator<Item = &Located> {
        self.faults.iter().filter(|located| located.fault.kind.severity() == Severity::Error)
    }

    /// Whether the API would refuse the file for having too few examples.
    pub fn has_too_few(&self) -> bool {
        self.examples < plan::FEWEST_EXAMPLES
    }

    /// The steps of a job that leaves everything to the API.
    pub fn default_steps(&self) -> usize {
        self.default_epochs * self.examples.div_ceil(self.default_batch_size)
    }

    /// The tokens that such a job is billed for.
    pub fn default_trained_tokens(&self) -> TokenCount {
        self.default_epochs * self.tokens_in_epoch
    }
}

/// Checks a file of chats line by line. Memory grows by a few words for each line.
///
/// # Errors
/// Only where nothing can be checked: a file that cannot be opened or read, or that is no text. Everything else is a fault, and
/// an empty file has no examples.
pub fn validate(path: &Path, options: &OpenOptions, rule: &TokenRule<'_>) -> Result<Validation, DataError> {
    examine(path, Reader::lines(path, options), rule)
}

/// Checks a stream of chats in UTF-8; `name` stands for the path in messages.
///
/// # Errors
/// As [`validate`].
pub fn validate_stream(
    name: &Path,
    stream: Box<dyn Read + Send>,
    rule: &TokenRule<'_>,
) -> Result<Validation, DataError> {
    examine(name, Reader::lines_of(name, stream, &OpenOptions::default()), rule)
}

fn examine(path: &Path, reader: Result<Reader, DataError>, rule: &TokenRule<'_>) -> Result<Validation, DataError> {
    let mut found = Examination::new(rule);
    match reader {
        Err(DataError::Empty { .. }) => {}
        Err(fault) => return Err(fault),
        Ok(mut reader) => {
            while let Some(row) = reader.next_row() {
                found.line(row)?;
            }
        }
    }
    Ok(found.finish(path))
}

/// What has been found so far.
struct Examination<'a> {
    rule: &'a TokenRule<'a>,
    examples: usize,
    counts: BTreeMap<FaultKind, usize>,
    faults: Vec<Located>,
    roles: BTreeMap<Role, usize>,
    messages: Vec<usize>,
    tokens: Vec<TokenCount>,
    trained_tokens: Vec<TokenCount>,
}

impl<'a> Examination<'a> {
    fn new(rule: &'a TokenRule<'a>) -> Self {
        Examination {
            rule,
            examples: 0,
            counts: BTreeMap::new(),
            faults: Vec::new(),
            roles: BTreeMap::new(),
            messages: Vec::new(),
            tokens: Vec::new(),
            trained_tokens: Vec::new(),
        }
    }

    /// One line, or the fault in its place. Only what is no fault of the file's content is an error.
    fn line(&mut self, row: Result<Row, DataError>) -> Result<(), DataError> {
        let line = match &row {
            Ok(row) => row.line,
            Err(DataError::NoRows { .. }) => return Ok(()),
            Err(fault) => fault.line().unwrap_or_default(),
        };
        self.examples += usize::from(line > 0);
        match row {
            Ok(row) => match row.object() {
                Some(object) => self.object(line, object),
                None => self.add(line, check::not_an_object()),
            },
            Err(DataError::NotAnObject { .. }) => self.add(line, check::not_an_object()),
            Err(fault) => self.add(line, unparsed(line, fault)?),
        }
        Ok(())
    }

    fn object(&mut self, line: u64, object: &Map<String, Json>) {
        match check::chat(object) {
            Ok(chat) => self.chat(line, &chat),
            Err(faults) => faults.into_iter().for_each(|fault| self.add(line, fault)),
        }
        if let Some(fault) = check::unread_keys(object) {
            self.add(line, fault);
        }
        if check::has_messages(object) {
            let missing = [
                (FaultKind::ExampleMissingAssistantMessage, &[Role::Assistant][..], "the assistant"),
                (FaultKind::MissingSystemMessage, &[Role::System, Role::Developer], "the system"),
                (FaultKind::MissingUserMessage, &[Role::User], "the user"),
            ];
            for (kind, roles, name) in missing {
                if !check::has_role(object, roles) {
                    self.add(line, Fault::of_example(kind, format!("has no message of {name}")));
                }
            }
        }
    }

    fn chat(&mut self, line: u64, chat: &Chat) {
        for message in &chat.messages {
            *self.roles.entry(message.role).or_default() += 1;
        }
        self.messages.push(chat.messages.len());
        let tokens = self.rule.example(&chat.messages);
        if tokens > self.rule.limit {
            let detail = format!("has {tokens} tokens, more than the limit of {}", self.rule.limit);
            self.add(line, Fault::of_example(FaultKind::OverTokenLimit, detail));
        }
        self.tokens.push(tokens);
        self.trained_tokens.push(self.rule.trained(&chat.messages));
    }

    fn add(&mut self, line: u64, fault: Fault) {
        *self.counts.entry(fault.kind).or_default() += 1;
        if self.faults.len() < KEPT_FAULTS {
            self.faults.push(Located { line, example: self.examples, fault });
        }
    }

    fn finish(self, path: &Path) -> Validation {
        let limit = self.rule.limit;
        Validation {
            file: path.to_path_buf(),
            examples: self.examples,
            counts: self.counts,
            faults: self.faults,
            roles: self.roles,
            messages: Distribution::of(self.messages),
            tokens_in_epoch: self.tokens.iter().map(|&tokens| tokens.min(limit)).sum(),
            tokens: Distribution::of(self.tokens),
            trained_tokens: Distribution::of(self.trained_tokens),
            token_limit: limit,
            default_epochs: plan::default_epochs(self.examples),
            default_batch_size: plan::default_batch_size(self.examples),
        }
    }
}

/// The fault of a line that could not be read as JSON; an error where it is not the line's fault.
fn unparsed(line: u64, error: DataError) -> Result<Fault, DataError> {
    let why = match &error {
        DataError::BadJson { message, .. } => format!("line contains invalid json: {message}"),
        DataError::Undecodable { encoding, .. } => format!("line is not {encoding} text"),
        DataError::RecordTooLong { limit, .. } => {
            format!("line is longer than {limit} bytes; what follows is not read")
        }
        _ => return Err(error),
    };
    let detail = format!("cannot be parsed. Error: {why} (line {line})");
    Ok(Fault::of_example(FaultKind::InvalidJson, detail))
}
