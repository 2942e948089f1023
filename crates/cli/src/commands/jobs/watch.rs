//! `finetone jobs show`, `events` and `wait`.

use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::{One, text};
use crate::api::Client;
use crate::failure::Failure;
use crate::tables;

/// How often the server is asked.
const GLANCE: Duration = Duration::from_secs(1);
/// Events of a page.
const PAGE: usize = 1000;

/// Prints what there is to know of a job.
pub fn show(one: &One) -> Result<(), Failure> {
    let client = one.place.client();
    let job = client.get(&one.path("")?)?;
    let events = if one.place.json { Vec::new() } else { events_after(&client, one, "")? };
    one.place.print(&job, |job| tables::facts(facts(job, &events)))
}

/// Names and values; `events` are the oldest first.
fn facts(job: &Value, events: &[Value]) -> Vec<(String, String)> {
    let hyperparameters = &job["hyperparameters"];
    let known = [
        ("job", text(job, "id")),
        ("status", text(job, "status")),
        ("base", text(job, "model")),
        ("model", text(job, "fine_tuned_model")),
        ("error", text(&job["error"], "message")),
        ("training file", text(job, "training_file")),
        ("validation file", text(job, "validation_file")),
        ("epochs", text(hyperparameters, "n_epochs")),
        ("batch size", text(hyperparameters, "batch_size")),
        ("learning rate multiplier", text(hyperparameters, "learning_rate_multiplier")),
        ("seed", text(job, "seed")),
        ("trained tokens", text(job, "trained_tokens")),
    ];
    let step =
        events.iter().rfind(|event| event["type"] == "metrics").map(|event| ("last step", text(event, "message")));
    let measured = events.iter().rfind(|event| text(event, "message").starts_with("Measured on"));
    let numbers = measured.and_then(|event| event["data"].as_object()).into_iter().flatten();
    let numbers = numbers.filter_map(|(name, value)| Some((name.clone(), tables::number(value.as_f64()?))));
    let known = known.into_iter().chain(step).filter(|(_, value)| !value.is_empty());
    known.map(|(name, value)| (name.to_owned(), value)).chain(numbers).collect()
}

/// Prints the events of a job, and what follows if `follow`.
pub fn events(one: &One, follow: bool) -> Result<(), Failure> {
    let client = one.place.client();
    let mut last = String::new();
    loop {
        // Asked before the events: whatever happened until the job was over is among them.
        let is_over = !follow || is_over(&client.get(&one.path("")?)?);
        let events = events_after(&client, one, &last)?;
        if let Some(event) = events.last() {
            last = text(event, "id");
        }
        for event in &events {
            one.place.print(event, |event| {
                let level = text(event, "level");
                let level = if level == "info" { String::new() } else { format!("{level}: ") };
                format!("{level}{}\n", text(event, "message"))
            })?;
        }
        anstream::stdout().flush()?;
        if is_over {
            return Ok(());
        }
        sleep(GLANCE);
    }
}

/// The events behind one of them, the oldest first; all of them where `last` is empty.
fn events_after(client: &Client, one: &One, last: &str) -> Result<Vec<Value>, Failure> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&one.path(&format!("/events?limit={PAGE}{after}"))?)?;
        let events = page["data"].as_array().cloned().unwrap_or_default();
        let seen = events.iter().position(|event| event["id"] == last);
        found.extend(events.iter().take(seen.unwrap_or(events.len())).cloned());
        match events.last() {
            Some(event) if seen.is_none() && page["has_more"] == true => {
                after = format!("&after={}", text(event, "id"))
            }
            _ => break,
        }
    }
    found.reverse();
    Ok(found)
}

fn is_over(job: &Value) -> bool {
    ["succeeded", "failed", "cancelled"].iter().any(|end| job["status"] == *end)
}

/// Waits for the end of a job and prints its model.
pub fn wait(one: &One) -> Result<(), Failure> {
    let client = one.place.client();
    let job = loop {
        let job = client.get(&one.path("")?)?;
        if is_over(&job) {
            break job;
        }
        sleep(GLANCE);
    };
    if job["status"] == "succeeded" {
        return one.place.print(&job, |job| text(job, "fine_tuned_model") + "\n");
    }
    let (status, said) = (text(&job, "status"), text(&job["error"], "message"));
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Err(Failure::new(
        format!("the job {} {status}{said}", one.job),
        format!("`finetone jobs events {}` tells more", one.job),
    ))
}
