//! Clients that ask without a pause.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::json;

/// What all clients heard.
#[derive(Debug, Default)]
pub struct Heard {
    /// From the first request to the last answer.
    pub time: Duration,
    /// How many answers had each status.
    pub statuses: BTreeMap<u16, usize>,
    /// How long each answer took, in seconds, the quickest first.
    waits: Vec<f64>,
}

impl Heard {
    /// Answers that were no refusals.
    pub fn answered(&self) -> usize {
        self.statuses.get(&200).copied().unwrap_or_default()
    }

    /// The wait that this share of the answers did not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        let place = (share * self.waits.len() as f64).ceil() as usize;
        self.waits.get(place.max(1) - 1).copied().unwrap_or(f64::NAN)
    }

    fn join(&mut self, other: Self) {
        self.waits.extend(other.waits);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }
}

/// Lets so many clients ask for the texts in turn, until the time is over.
///
/// # Errors
/// A server that cannot be reached, or closes a connection.
pub fn ask(url: &str, texts: &[String], clients: usize, time: Duration) -> Result<Heard> {
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let client = || one(url, texts, &next, start + time);
    let all = thread::scope(|scope| -> Result<Heard> {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let mut all = Heard::default();
        for thread in threads {
            all.join(thread.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        Ok(all)
    })?;
    let mut waits = all.waits;
    waits.sort_by(f64::total_cmp);
    Ok(Heard { time: start.elapsed(), waits, ..all })
}

/// Asks one text after the other over one connection.
fn one(url: &str, texts: &[String], next: &AtomicUsize, end: Instant) -> Result<Heard> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut heard = Heard::default();
    loop {
        let text = &texts[next.fetch_add(1, Ordering::Relaxed) % texts.len()];
        let start = Instant::now();
        let request = agent.post(format!("{url}/predict")).header("content-type", "application/json");
        let mut answer = request.send(json!({"inputs": text}).to_string()).context("a request failed")?;
        answer.body_mut().read_to_vec().context("an answer broke off")?;
        heard.waits.push(start.elapsed().as_secs_f64());
        *heard.statuses.entry(answer.status().as_u16()).or_default() += 1;
        if Instant::now() >= end {
            return Ok(heard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_clients() {
        let heard = |status: u16, waits: &[f64]| Heard {
            statuses: BTreeMap::from([(status, waits.len())]),
            waits: waits.to_vec(),
            ..Heard::default()
        };
        let mut all = heard(200, &[1.0, 3.0]);
        all.join(heard(429, &[4.0, 5.0]));
        assert_eq!((all.answered(), all.statuses[&429]), (2, 2));
        assert_eq!([0.0, 0.25, 0.5, 0.51, 1.0].map(|share| all.quantile(share)), [1.0, 1.0, 3.0, 4.0, 5.0]);
        assert!(Heard::default().quantile(0.5).is_nan());
    }
}
