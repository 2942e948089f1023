//! The thread of a model: takes what waits, computes it together, answers.

use std::time::{Duration, Instant};

use finetone_classify::{Compute, Reading};
use tokio::sync::{mpsc, oneshot};

use super::EngineError;
use crate::metrics::Metrics;

/// A text that waits to be computed.
pub(super) struct Waiting {
    pub reading: Reading,
    pub since: Instant,
    pub reply: oneshot::Sender<Result<Answer, EngineError>>,
}

/// What a model said about a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The numbers that the model's [`Rows`](finetone_classify::Rows) describes.
    pub row: Vec<f64>,
    /// How long the text waited.
    pub queued: Duration,
    /// How long the batch that it was in was computed.
    pub computed: Duration,
}

/// Computes until nobody can ask any more and everything is answered.
pub(super) fn run(
    mut compute: Box<dyn Compute>,
    mut queue: mpsc::Receiver<Waiting>,
    batch_tokens: usize,
    metrics: &Metrics,
) {
    let mut held = None;
    while let Some(first) = held.take().or_else(|| queue.blocking_recv()) {
        let (batch, rest) = gather(first, &mut queue, batch_tokens);
        held = rest;
        if !batch.is_empty() {
            metrics.batch(batch.len(), batch.iter().map(|waiting| waiting.reading.ids.len()).sum());
            answer(compute.as_mut(), batch);
        }
    }
}

/// What is computed next: what waits now, up to the number of tokens, without those that nobody waits for any more. The second
/// is the text that was one too many.
fn gather(first: Waiting, queue: &mut mpsc::Receiver<Waiting>, batch_tokens: usize) -> (Vec<Waiting>, Option<Waiting>) {
    let (mut batch, mut tokens, mut next) = (Vec::new(), 0, Some(first));
    while let Some(waiting) = next {
        if !waiting.reply.is_closed() {
            tokens += waiting.reading.ids.len();
            if tokens > batch_tokens && !batch.is_empty() {
                return (batch, Some(waiting));
            }
            batch.push(waiting);
        }
        next = queue.try_recv().ok();
    }
    (batch, None)
}

fn answer(compute: &mut dyn Compute, batch: Vec<Waiting>) {
    let start = Instant::now();
    let (readings, replies): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|Waiting { reading, since, reply }| (reading, (since, reply))).unzip();
    let rows = compute.compute(&readings);
    let computed = start.elapsed();
    // Whoever has stopped waiting in the meantime misses nothing.
    match rows {
        Ok(rows) => {
            for (row, (since, reply)) in rows.into_iter().zip(replies) {
                let answer = Answer { row, queued: start.duration_since(since), computed };
                drop(reply.send(finite(answer)));
            }
        }
        Err(error) => {
            for (_, reply) in replies {
                drop(reply.send(Err(EngineError::Failed(error.to_string()))));
            }
        }
    }
}

fn finite(answer: Answer) -> Result<Answer, EngineError> {
    let all = answer.row.iter().all(|number| number.is_finite());
    if all { Ok(answer) } else { Err(EngineError::no_numbers()) }
}
