//! The record of a model as people and programs look at it.

use finetone_train::{Live, LiveAnswer, LiveReference, LiveWindows, Record};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::Traffic;
use crate::error::ApiError;
use crate::models::Resolved;
use crate::store::{AnswerRow, KeptAnswers};
use crate::workplace::Workplace;

/// The latest answers that are looked at; more are kept.
const LOOKED_AT: i64 = 20_000;
/// The latest texts whose words are held against those of the reference.
const WORDS_OF: i64 = 300;
/// Windows are minutes up to a record of so many seconds.
const MINUTES_UP_TO: i64 = 2 * 3600;
/// They are hours up to one of so many, and days beyond.
const HOURS_UP_TO: i64 = 3 * 86_400;

/// Answers put together as a request asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// Minutes, hours or days, by the length of the record.
    Fitting,
    /// As it says.
    Of(LiveWindows),
}

/// A minute.
pub const MINUTE: LiveWindows = LiveWindows::Seconds(60);
/// An hour.
pub const HOUR: LiveWindows = LiveWindows::Seconds(3600);
/// A day, by universal time.
pub const DAY: LiveWindows = LiveWindows::Seconds(86_400);

/// What is kept of a model, held against its run.
///
/// # Errors
/// The database.
pub async fn look(place: &Workplace, traffic: &Traffic, model: &Resolved, windows: Windows) -> Result<Value, ApiError> {
    traffic.settle().await;
    let kept = place.store.kept_answers().await?.into_iter().find(|kept| kept.model == model.name);
    let rows = place.store.answers(&model.name, LOOKED_AT).await?;
    let texts = place.store.answered_texts(&model.name, WORDS_OF).await?;
    let of_run = traffic.references.of(&place.workshop, &model.source).await;
    let by = match windows {
        Windows::Of(by) => by,
        Windows::Fitting => fitting(&rows),
    };
    let left_to_people = left_to_people(&rows);
    let held = move || {
        let answers: Vec<LiveAnswer> = rows.into_iter().map(answer).collect();
        let own = LiveReference::of_first(&answers);
        let reference = of_run.reference.as_deref().unwrap_or(&own);
        let live = reference.watch(&answers, &texts, by)?;
        Ok::<_, finetone_train::TrainError>((live, shown_reference(reference)))
    };
    let held = spawn_blocking(held).await.map_err(|error| ApiError::internal(&error))?;
    let (live, reference) = held.map_err(|error| ApiError::internal(&error))?;
    let mut notices: Vec<String> = of_run.notice.into_iter().collect();
    notices.extend(too_many(kept.as_ref()));
    Ok(shown(
        model,
        kept,
        &live,
        json!({"reference": reference, "left_to_people": left_to_people, "window": name(by), "notices": notices}),
    ))
}

fn fitting(rows: &[AnswerRow]) -> LiveWindows {
    let ends = rows.first().zip(rows.last());
    let length = ends.map_or(0, |(first, last)| last.created_at - first.created_at);
    let fits = [(MINUTES_UP_TO, MINUTE), (HOURS_UP_TO, HOUR)].into_iter().find(|(most, _)| length <= *most);
    fits.map_or(DAY, |(_, window)| window)
}

/// A window as a request names it.
fn name(by: LiveWindows) -> String {
    match by {
        MINUTE => "minute".into(),
        HOUR => "hour".into(),
        DAY => "day".into(),
        LiveWindows::Seconds(seconds) => format!("{seconds} s"),
        LiveWindows::Answers(answers) => answers.to_string(),
    }
}

fn answer(row: AnswerRow) -> LiveAnswer {
    let AnswerRow { created_at, length, predicted, confidence, label, .. } = row;
    LiveAnswer {
        at: created_at,
        length: u32::try_from(length).unwrap_or(u32::MAX),
        predicted,
        confidence: confidence as f32,
        label,
    }
}

/// The share of the texts that were left to a person, where the model leaves any.
fn left_to_people(rows: &[AnswerRow]) -> Option<f64> {
    let decided: Vec<i64> = rows.iter().filter_map(|row| row.abstained).collect();
    (!decided.is_empty()).then(|| decided.iter().sum::<i64>() as f64 / decided.len() as f64)
}

fn too_many(kept: Option<&KeptAnswers>) -> Option<String> {
    let answers = kept.filter(|kept| kept.answers > LOOKED_AT)?.answers;
    Some(format!("Of {answers} answers in the record the latest {LOOKED_AT} are shown."))
}

fn shown_reference(reference: &LiveReference) -> Value {
    let facts = reference.facts();
    json!({
        "source": facts.source, "answers": facts.rows, "accuracy": facts.accuracy, "confidence": facts.confidence,
        "shares": reference.shares(),
    })
}

/// The numbers of some answers.
fn numbers(record: &Record) -> Value {
    json!({
        "answers": record.rows, "labelled": record.labelled, "accuracy": record.accuracy,
        "expected_accuracy": record.expected_accuracy, "confidence": record.confidence, "shares": record.shares,
        "drift": record.drift, "drift_size": record.drift.size(),
    })
}

/// The record of a model; a record without answers says so.
pub fn kept_of(model: &str, kept: Option<KeptAnswers>) -> Value {
    let nothing = KeptAnswers { model: model.to_owned(), answers: 0, labelled: 0, texts: 0, since: 0, until: 0 };
    let KeptAnswers { answers, labelled, texts, since, until, .. } = kept.unwrap_or(nothing);
    let time = |seconds: i64| if answers > 0 { json!(seconds) } else { Value::Null };
    json!({
        "object": "traffic", "model": model, "answers": answers, "labelled": labelled, "texts": texts,
        "since": time(since), "until": time(until),
    })
}

fn shown(model: &Resolved, kept: Option<KeptAnswers>, live: &Live, more: Value) -> Value {
    let mut shown = kept_of(&model.name, kept);
    let window = |(from, record): &(i64, Record)| {
        let mut window = numbers(record);
        window["from"] = (*from).into();
        window
    };
    let latest = live.latest.as_ref();
    shown["verdict"] = live.headline.as_str().into();
    shown["remarks"] = json!(latest.map(Record::remarks).unwrap_or_default());
    shown["fall"] = json!(latest.and_then(|record| record.stream.as_ref()?.alarm()));
    shown["latest"] = latest.map_or(Value::Null, numbers);
    shown["windows"] = live.windows.iter().map(window).collect();
    if let Value::Object(more) = more {
        more.into_iter().for_each(|(key, value)| shown[key] = value);
    }
    shown
}
