//! From a model's probabilities to the words of an answer.
//!
//! A classifier answers with a label, which is one token: its log-probability is that of the class, and the classes' sum to
//! one. A model without a trained head compares the text with words that the request names ([`zero_shot`]). A language model
//! writes ([`mod@write`]), or is held to a few words, which then are one token each as a label is.

mod answers;
mod distribution;
pub mod events;
mod format;
mod judged;
mod messages;
mod options;
mod pieces;
mod question;
mod usage;
mod words;
mod write;
mod zero_shot;

use std::time::{Duration, Instant};

use finetone_classify::{Rows, Use};
use finetone_data::split::random::Random;
use sha2::{Digest, Sha256};

use crate::engine::{Answer, Open, OpenModel};
use crate::error::ApiError;
use crate::models::Resolved;
use crate::workplace::Workplace;

pub use answers::Answers;
pub use distribution::{Distribution, at_least};
pub use format::{Format, Frame};
pub use judged::Judged;
pub use messages::messages;
pub use options::{Options, array_of_texts};
pub use pieces::{Finish, Part, Piece, Reply};
pub use question::Question;
pub use usage::Usage;

/// What a model says to a question, before a word is drawn.
struct Judgement {
    /// The words that the answer may be, and how probable each is.
    pub distribution: Distribution,
    /// Tokens that were read.
    pub tokens: usize,
    /// Whether the question should be left to a person, where the model leaves any.
    pub abstained: Option<bool>,
    /// What a classifier judged, where the request is to be recorded.
    pub judged: Option<Judged>,
}

/// How long the parts of a computation took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Computed {
    /// To make tokens of the texts.
    pub tokenization: Duration,
    /// In the queue, of the text that waited longest.
    pub queue: Duration,
    /// On the model, of the text whose batch took longest.
    pub inference: Duration,
}

impl Computed {
    /// Of these answers to texts that were read in this time.
    pub fn of(answers: &[Answer], tokenization: Duration) -> Self {
        let longest = |of: fn(&Answer) -> Duration| answers.iter().map(of).max().unwrap_or_default();
        Self { tokenization, queue: longest(|answer| answer.queued), inference: longest(|answer| answer.computed) }
    }
}

/// What is to be answered, and how.
pub struct Asked {
    /// One or more questions.
    pub questions: Vec<Question>,
    /// How answers are drawn.
    pub options: Options,
    /// The form of the answers.
    pub format: Format,
    /// How many alternatives of each token are looked at.
    pub alternatives: usize,
    /// Whether the answers of a classifier shall say what was judged.
    pub recorded: bool,
}

/// Asks a model; the answers are in the order of the questions.
///
/// # Errors
/// A model that cannot answer such questions, and everything that the engine may fail by.
pub async fn answers(place: &Workplace, model: &Resolved, asked: Asked) -> Result<Vec<Answers>, ApiError> {
    let Asked { questions, options, format, alternatives, recorded } = asked;
    let seed = options.seed();
    let mut judgements = match place.engine.open(&model.source, Use::Answers).await? {
        Open::Judge(open) => judge(place, &open, model, (&questions, &format, recorded)).await?,
        Open::Writer(open) => match write::held_to(&open, &format)? {
            Some(words) => write::judge(&open, &questions, &words).await?,
            None => return write::all(&open, questions, &options, (alternatives, seed)).await,
        },
    };
    for judgement in &mut judgements {
        judgement.distribution = format.restrict(&judgement.distribution)?;
    }
    let drawn = judgements.into_iter().enumerate().map(|(place, judgement)| {
        let replies = draw(&judgement.distribution, &options, format.frame(), (seed, place));
        Answers::known(judgement, replies)
    });
    Ok(drawn.collect())
}

/// What a model that judges says; the judgements are in the order of the questions.
async fn judge(
    place: &Workplace,
    open: &OpenModel,
    model: &Resolved,
    (questions, format, recorded): (&[Question], &Format, bool),
) -> Result<Vec<Judgement>, ApiError> {
    let texts = questions.iter().map(|question| question.text(open)).collect::<Result<Vec<_>, ApiError>>()?;
    match open.rows() {
        Rows::Logits(classes) if classes.is_multi_label() => {
            let problem = "gives any number of labels to a text, which is not one answer: ask it at /predict";
            Err(ApiError::bad_request(format!("The model '{}' {problem}", model.name)).param("model"))
        }
        Rows::Logits(classes) => {
            let mut kept = if recorded { texts.clone() } else { Vec::new() }.into_iter();
            let answers = ask(place, open, texts).await?;
            let judged = answers.iter().map(|(answer, tokens)| {
                let probabilities = classes.probabilities(&answer.row);
                Judgement {
                    distribution: Distribution::new(classes.labels(), &probabilities),
                    tokens: *tokens,
                    abstained: classes.abstention().map(|rule| rule.abstains(&probabilities, false)),
                    judged: kept.next().map(|text| Judged::new(classes, text, &probabilities)),
                }
            });
            Ok(judged.collect())
        }
        Rows::Vectors(_) => {
            let offered = questions.iter().map(|question| zero_shot::offered(question, model, format));
            let offered = offered.collect::<Result<Vec<_>, ApiError>>()?;
            zero_shot::judge(place, open, texts, &offered).await
        }
    }
}

/// Reads and computes texts: the answer to each, and its tokens.
///
/// # Errors
/// A model that reads more than a text, and everything that the engine may fail by.
pub async fn ask(place: &Workplace, open: &OpenModel, texts: Vec<String>) -> Result<Vec<(Answer, usize)>, ApiError> {
    if let [column, ..] = open.reader().columns() {
        let problem = format!("The model reads the column '{column}' beside the text, which a request cannot give");
        return Err(ApiError::bad_request(problem).param("model"));
    }
    let start = Instant::now();
    let characters = texts.iter().map(|text| text.chars().count()).sum();
    let readings = open.read(texts, None).await?;
    let tokens: Vec<usize> = readings.iter().map(|reading| reading.ids.len()).collect();
    let tokenization = start.elapsed();
    let answers = open.answer(readings).await?;
    place.metrics.computed(characters, &Computed::of(&answers, tokenization));
    Ok(answers.into_iter().zip(tokens).collect())
}

/// Draws the answers to a question: as many as are wanted, each by a stream of its own.
fn draw(distribution: &Distribution, options: &Options, frame: &Frame, (seed, question): (u64, usize)) -> Vec<Reply> {
    let answer = |choice: usize| {
        let mut random = Random::of(&[seed, question as u64, choice as u64]);
        let drawn = distribution.draw(options.temperature, options.top_p, &mut random);
        Reply::new(distribution, drawn, frame).cut(options)
    };
    (0..options.n).map(answer).collect()
}

/// What tells answers of one model and version from those of another: the same seed gives the same answers while it stays.
pub fn fingerprint(model: &str) -> String {
    let digest = Sha256::digest(format!("{} {model}", env!("CARGO_PKG_VERSION")));
    let digits: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("fp_{digits}")
}
