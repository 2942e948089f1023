//! Answers of a model that writes: freely, or one of a few words with its true probability.

use finetone_generate::{FolderError, GenerateError, PromptReader, Request, Sampling, Stops};

use super::{Answers, Distribution, Format, Judgement, Options, Question};
use crate::engine::OpenWriter;
use crate::error::ApiError;

/// The most tokens of an answer where nothing is said.
const USUAL_TOKENS: usize = 2048;

/// The words that the answer is held to: those of the form that is asked for, or those that the model was taught.
///
/// # Errors
/// A form for an answer of which the words are not known.
pub fn held_to(open: &OpenWriter, format: &Format) -> Result<Option<Vec<String>>, ApiError> {
    match (format.allowed(), open.reader().answers()) {
        (_, Some(answers)) => Ok(Some(answers.to_vec())),
        (Some(allowed), None) => Ok(Some(allowed.to_vec())),
        (None, None) if format.is_free() => Ok(None),
        (None, None) => {
            let problem = "The model writes freely and can be held to JSON only where 'response_format' describes the answers \
                           by `enum`";
            Err(ApiError::bad_request(problem).param("response_format").code("invalid_value"))
        }
    }
}

/// How probable each of the words is in answer to each question.
///
/// # Errors
/// A question that the model cannot read, and everything that the engine may fail by.
pub async fn judge(open: &OpenWriter, questions: &[Question], words: &[String]) -> Result<Vec<Judgement>, ApiError> {
    let mut judgements = Vec::with_capacity(questions.len());
    for question in questions {
        judgements.push(weigh(open, question, words.to_vec()).await?);
    }
    Ok(judgements)
}

async fn weigh(open: &OpenWriter, question: &Question, words: Vec<String>) -> Result<Judgement, ApiError> {
    let field = question.field();
    let messages = match question {
        Question::Text(text) => open.reader().messages(text),
        other => other.messages()?,
    };
    let (prompt, choices, words) = open
        .read(move |reader| {
            let (prompt, choices) = reader.closed(&messages, &words)?;
            reader.check(&prompt)?;
            Ok::<_, FolderError>((prompt, choices, words))
        })
        .await?
        .map_err(|error| refused(error, field))?;
    let tokens = prompt.len();
    let weights = open.weigh(prompt, choices).await?;
    Ok(Judgement { distribution: Distribution::new(&words, &weights), tokens, abstained: None, judged: None })
}

/// Begins to write answers to each question, all by draws of their own.
///
/// # Errors
/// A question that the model cannot read; an engine that has no room.
pub async fn all(
    open: &OpenWriter,
    questions: Vec<Question>,
    options: &Options,
    (alternatives, seed): (usize, u64),
) -> Result<Vec<Answers>, ApiError> {
    let mut answers = Vec::with_capacity(questions.len());
    for (place, question) in questions.into_iter().enumerate() {
        let seed = seed.wrapping_add(place as u64);
        answers.push(write(open, question, options, (alternatives, seed)).await?);
    }
    Ok(answers)
}

async fn write(
    open: &OpenWriter,
    question: Question,
    options: &Options,
    (alternatives, seed): (usize, u64),
) -> Result<Answers, ApiError> {
    let field = question.field();
    let read = move |reader: &PromptReader| {
        let prompt = match question {
            Question::Chat(messages) => reader.chat(&messages)?,
            Question::Text(text) => reader.text(&text),
            Question::Tokens(ids, _) => ids,
        };
        reader.check(&prompt)?;
        Ok::<_, FolderError>(prompt)
    };
    let prompt = open.read(read).await?.map_err(|error| refused(error, field))?;
    let tokens = prompt.len();
    // Behind the last token that there is room for one more can be written.
    let room = open.reader().context() + 1 - tokens;
    let line = open.reader().ends_with_the_line().then(|| "\n".to_owned());
    let request = Request {
        prompt,
        most: options.max_tokens.unwrap_or(USUAL_TOKENS).min(room),
        sampling: Sampling {
            temperature: options.temperature,
            // No share at all is the most probable token alone.
            top_p: options.top_p.max(f64::MIN_POSITIVE),
            seed,
        },
        penalties: options.penalties.clone(),
        texts: options.n,
        ends: open.reader().ends().to_vec(),
        choices: None,
        alternatives,
    };
    let written = open.write(request, Stops::new(options.stop.iter().cloned().chain(line)))?;
    Ok(Answers::written(tokens, options.n, written))
}

/// A question that a model cannot read.
fn refused(error: FolderError, field: &str) -> ApiError {
    let message = match &error {
        FolderError::Generate(GenerateError::TooLong { tokens, context }) => {
            format!(
                "This model's maximum context length is {context} tokens. However, your {field} has {tokens} tokens"
            )
        }
        FolderError::Generate(_) | FolderError::Template(_) => error.to_string(),
        _ => return ApiError::internal(&error),
    };
    let code = match &error {
        FolderError::Generate(GenerateError::TooLong { .. }) => "context_length_exceeded",
        _ => "invalid_value",
    };
    ApiError::bad_request(message).param(field).code(code)
}
