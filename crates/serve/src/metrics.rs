//! What the server counts, under the names of text-embeddings-inference.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::reply::Computed;

/// Bounds of durations in seconds: from a tenth of a millisecond to a minute.
const SECONDS: [f64; 17] =
    [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0];
/// Bounds of numbers of texts, of tokens and of characters.
const SIZES: [f64; 14] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16_384.0, 65_536.0];

/// The counters of a server.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    successes: IntCounterVec,
    failures: IntCounterVec,
    characters: Histogram,
    request: Stages,
    predictions: IntCounter,
    predicted: IntCounter,
    predict: Stages,
    queue: IntGauge,
    batch_texts: Histogram,
    batch_tokens: Histogram,
}

/// Histograms of how long an answer took, and its parts.
struct Stages {
    total: Histogram,
    tokenization: Histogram,
    queue: Histogram,
    inference: Histogram,
}

impl Stages {
    fn new(registry: &Registry, prefix: &str) -> Self {
        let stage = |name: &str, says: &str| histogram(registry, &format!("{prefix}_{name}"), says, &SECONDS);
        Self {
            total: stage("duration", "Seconds from the request to the answer"),
            tokenization: stage("tokenization_duration", "Seconds to make tokens of the texts"),
            queue: stage("queue_duration", "Seconds in the queue"),
            inference: stage("inference_duration", "Seconds on the model"),
        }
    }

    fn observe(&self, took: &Computed) {
        self.tokenization.observe(took.tokenization.as_secs_f64());
        self.queue.observe(took.queue.as_secs_f64());
        self.inference.observe(took.inference.as_secs_f64());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let all = &registry;
        let sizes = |name: &str, says: &str| histogram(all, name, says, &SIZES);
        Self {
            requests: family(all, "te_request_count", "Requests", "method"),
            successes: family(all, "te_request_success", "Requests that were answered", "method"),
            failures: family(all, "te_request_failure", "Requests that were refused", "err"),
            characters: sizes("te_request_input_length", "Characters of a request"),
            request: Stages::new(all, "te_request"),
            predictions: register(all, IntCounter::new("te_predict_count", "Texts to classify")),
            predicted: register(all, IntCounter::new("te_predict_success", "Texts that were classified")),
            predict: Stages::new(all, "te_predict"),
            queue: register(all, IntGauge::new("te_queue_size", "Texts that wait")),
            batch_texts: sizes("te_batch_next_size", "Texts of a batch"),
            batch_tokens: sizes("te_batch_next_tokens", "Tokens of a batch"),
            registry,
        }
    }
}

impl Metrics {
    /// A request came in.
    pub fn requested(&self, method: &str) {
        self.requests.with_label_values(&[method]).inc();
    }

    /// A request was answered.
    pub fn answered(&self, method: &str, total: Duration) {
        self.successes.with_label_values(&[method]).inc();
        self.request.total.observe(total.as_secs_f64());
    }

    /// The texts of a request, of so many characters together, were computed.
    pub fn computed(&self, characters: usize, took: &Computed) {
        self.characters.observe(characters as f64);
        self.request.observe(took);
    }

    /// A request was refused.
    pub fn refused(&self, error: &str) {
        self.failures.with_label_values(&[error]).inc();
    }

    /// So many texts came in to be classified.
    pub fn predicting(&self, texts: usize) {
        self.predictions.inc_by(texts as u64);
    }

    /// So many texts were classified.
    pub fn predicted(&self, texts: usize, total: Duration, took: &Computed) {
        self.predicted.inc_by(texts as u64);
        self.predict.total.observe(total.as_secs_f64());
        self.predict.observe(took);
    }

    /// A model takes a batch.
    pub fn batch(&self, texts: usize, tokens: usize) {
        self.batch_texts.observe(texts as f64);
        self.batch_tokens.observe(tokens as f64);
    }

    /// Everything as text that Prometheus reads, with the number of texts that wait now.
    pub fn render(&self, waiting: usize) -> String {
        self.queue.set(waiting as i64);
        let text = TextEncoder::new().encode_to_string(&self.registry.gather());
        text.expect("names and values of counters can be written")
    }
}

/// A counter or histogram by its name, which is written in this file, so that it is a good one and there once.
fn register<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let made = made.expect("the name is a good one");
    registry.register(Box::new(made.clone())).expect("the name is there once");
    made
}

fn family(registry: &Registry, name: &str, says: &str, label: &str) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(name, says), &[label]))
}

fn histogram(registry: &Registry, name: &str, says: &str, bounds: &[f64]) -> Histogram {
    register(registry, Histogram::with_opts(HistogramOpts::new(name, says).buckets(bounds.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_under_its_name() {
        let metrics = Metrics::default();
        metrics.requested("single");
        metrics.requested("batch");
        metrics.answered("batch", Duration::from_millis(3));
        metrics.computed(7, &Computed { queue: Duration::from_millis(30), ..Computed::default() });
        metrics.refused("Validation");
        metrics.predicting(3);
        metrics.batch(3, 40);
        let text = metrics.render(5);
        for line in [
            "te_request_count{method=\"single\"} 1",
            "te_request_success{method=\"batch\"} 1",
            "te_request_failure{err=\"Validation\"} 1",
            "te_request_duration_bucket{le=\"0.002\"} 0",
            "te_request_duration_bucket{le=\"0.005\"} 1",
            "te_request_queue_duration_bucket{le=\"0.05\"} 1",
            "te_request_input_length_sum 7",
            "te_predict_count 3",
            "te_predict_success 0",
            "te_queue_size 5",
            "te_batch_next_size_sum 3",
            "te_batch_next_tokens_sum 40",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
