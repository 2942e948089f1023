//! The engine with a model that counts tokens and can be held up.

#[macro_use]
#[path = "../../tests/stand_in/mod.rs"]
mod stand_in;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use finetone_classify::{Compute, Reading, Rows, Served, TextLimit, TextReader, Use};
use finetone_data::tokenizer::{Tokenizer, TokenizerError, TrainKind, TrainOptions};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use stand_in::*;

use super::{Answer, Engine, EngineError, EngineLimits, Open, OpenModel};
use crate::metrics::Metrics;
use crate::workshop::{OpenError, Opened, Workshop};

/// Long enough for anything here, unless it hangs.
const LONG: Duration = Duration::from_secs(20);

/// A workshop whose models answer with the number of tokens, one batch for each `go`.
struct Bench {
    opened: AtomicUsize,
    /// How many batches were taken from the queue.
    taken: Arc<AtomicUsize>,
    /// Tokens of each text, batch by batch.
    batches: Arc<Mutex<Vec<Vec<usize>>>>,
    go: Mutex<Option<Receiver<()>>>,
}

/// The token numbers of a text, counted.
struct Counter {
    taken: Arc<AtomicUsize>,
    batches: Arc<Mutex<Vec<Vec<usize>>>>,
    go: Option<Receiver<()>>,
}

impl Compute for Counter {
    fn compute(&mut self, readings: &[Reading]) -> Result<Vec<Vec<f64>>, ClassifyError> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        if let Some(go) = &self.go {
            go.recv_timeout(LONG).expect("the test lets the model go on");
        }
        let lengths: Vec<usize> = readings.iter().map(|reading| reading.ids.len()).collect();
        assert!(!lengths.contains(&13), "a text of thirteen tokens is bad luck");
        self.batches.lock().unwrap().push(lengths.clone());
        let row = |length: usize| if length == 17 { f64::NAN } else { length as f64 };
        Ok(lengths.into_iter().map(|length| vec![row(length)]).collect())
    }
}

impl Workshop for Bench {
    never!(train);
    never!(explain);
    never!(reference);

    fn writes_answers(&self, _: &Path) -> Result<bool, TrainError> {
        Ok(false)
    }

    /// The name of a source is the bytes that the model has.
    fn open(&self, source: &Path, _: Use) -> Result<Opened, OpenError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let missing = || ClassifyError::from(TokenizerError::Missing { folder: source.to_owned() });
        let bytes = source.to_string_lossy().parse().map_err(|_| missing())?;
        let (taken, batches) = (self.taken.clone(), self.batches.clone());
        let compute = Counter { taken, batches, go: self.go.lock().unwrap().take() };
        let reader = Arc::new(TextReader::plain(tokenizer(), TextLimit::head(100)));
        Ok(Served { reader, rows: Rows::Vectors(1), bytes, compute: Box::new(compute) }.into())
    }
}

/// A letter is a token, and every text has one more at each end.
fn tokenizer() -> Tokenizer {
    let options = TrainOptions::new(TrainKind::WordPiece, 100);
    Tokenizer::train(std::iter::once("a b c d e f g"), &options).unwrap()
}

fn bench(limits: EngineLimits) -> (Arc<Bench>, Arc<Engine>) {
    let opened = AtomicUsize::new(0);
    let bench = Arc::new(Bench { opened, taken: Arc::default(), batches: Arc::default(), go: Mutex::default() });
    let engine = Engine::new(bench.clone(), limits, Arc::new(Metrics::default()));
    (bench, Arc::new(engine))
}

/// The same with a model that waits for a word before each batch.
fn held_up(limits: EngineLimits) -> (Arc<Bench>, Arc<Engine>, Sender<()>) {
    let (bench, engine) = bench(limits);
    let (go, receiver) = channel();
    *bench.go.lock().unwrap() = Some(receiver);
    (bench, engine, go)
}

const SMALL: EngineLimits = EngineLimits { model_bytes: 100, waiting_texts: 8, batch_tokens: 20 };

async fn open(engine: &Engine, bytes: &str) -> Arc<OpenModel> {
    match engine.open(Path::new(bytes), Use::Answers).await.unwrap() {
        Open::Judge(model) => model,
        Open::Writer(_) => unreachable!("the workshop opens no model that writes"),
    }
}

/// A text that is so many tokens with those at its ends.
fn text(tokens: usize) -> String {
    vec!["a"; tokens - 2].join(" ")
}

/// Asks for texts of these lengths, on a task of its own.
fn ask(model: &Arc<OpenModel>, lengths: &[usize]) -> JoinHandle<Result<Vec<Answer>, EngineError>> {
    let (model, texts) = (model.clone(), lengths.iter().map(|&length| text(length)).collect());
    tokio::spawn(async move {
        let readings = model.read(texts, None).await?;
        model.answer(readings).await
    })
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let reached = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, reached).await.unwrap_or_else(|_| panic!("{what}: never"));
}

async fn until_waiting(engine: &Engine, texts: usize) {
    until("texts wait", || engine.waiting() == texts).await;
}

/// Asks for one text and waits until the model has taken it, and is held up by it.
async fn hold_up(bench: &Bench, model: &Arc<OpenModel>) -> JoinHandle<Result<Vec<Answer>, EngineError>> {
    let first = ask(model, &[3]);
    until("the first is taken", || bench.taken.load(Ordering::SeqCst) == 1).await;
    first
}

fn rows(answers: Result<Vec<Answer>, EngineError>) -> Vec<f64> {
    answers.unwrap().into_iter().flat_map(|answer| answer.row).collect()
}

#[tokio::test]
async fn what_waits_is_computed_together_up_to_the_token_budget() {
    let (bench, engine, go) = held_up(SMALL);
    let model = open(&engine, "1").await;
    let first = hold_up(&bench, &model).await;
    let second = ask(&model, &[4, 5, 6]);
    until_waiting(&engine, 3).await;
    let third = ask(&model, &[7, 30]);
    until_waiting(&engine, 5).await;
    (0..8).for_each(|_| go.send(()).unwrap());
    assert_eq!(rows(first.await.unwrap()), [3.0]);
    assert_eq!(rows(second.await.unwrap()), [4.0, 5.0, 6.0]);
    assert_eq!(rows(third.await.unwrap()), [7.0, 30.0]);
    // 4 + 5 + 6 is 15 of 20 tokens, so 7 waits for the next batch, and 30 is computed alone.
    assert_eq!(*bench.batches.lock().unwrap(), [vec![3], vec![4, 5, 6], vec![7], vec![30]]);
}

#[tokio::test]
async fn a_full_queue_refuses_and_what_was_accepted_is_answered() {
    let (bench, engine, go) = held_up(SMALL);
    let model = open(&engine, "1").await;
    let first = hold_up(&bench, &model).await;
    let six = ask(&model, &[4; 6]);
    until_waiting(&engine, 6).await;
    // Three texts find room for two: none of them is accepted.
    assert!(matches!(ask(&model, &[5; 3]).await.unwrap(), Err(EngineError::Overloaded)));
    assert!(matches!(ask(&model, &[5; 9]).await.unwrap(), Err(EngineError::TooMany { given: 9, most: 8 })));
    assert_eq!(engine.waiting(), 6);
    let two = ask(&model, &[6; 2]);
    until_waiting(&engine, 8).await;
    (0..8).for_each(|_| go.send(()).unwrap());
    assert_eq!(rows(first.await.unwrap()).len() + rows(six.await.unwrap()).len() + rows(two.await.unwrap()).len(), 9);
    assert!(!bench.batches.lock().unwrap().concat().contains(&5));
}

#[tokio::test]
async fn nothing_is_computed_for_a_client_that_left() {
    let (bench, engine, go) = held_up(SMALL);
    let model = open(&engine, "1").await;
    let first = hold_up(&bench, &model).await;
    let (gone, stays) = (ask(&model, &[9, 9]), ask(&model, &[4]));
    until_waiting(&engine, 3).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    (0..8).for_each(|_| go.send(()).unwrap());
    assert_eq!((rows(first.await.unwrap()), rows(stays.await.unwrap())), (vec![3.0], vec![4.0]));
    assert_eq!(*bench.batches.lock().unwrap(), [[3], [4]]);
}

#[tokio::test]
async fn a_model_is_opened_once_for_all_who_ask() {
    let (bench, engine) = bench(SMALL);
    let asked = |engine: Arc<Engine>| tokio::spawn(async move { open(&engine, "50").await });
    let asks: Vec<_> = (0..10).map(|_| asked(engine.clone())).collect();
    let mut models = Vec::new();
    for ask in asks {
        models.push(ask.await.unwrap());
    }
    assert!(models.iter().all(|model| Arc::ptr_eq(model, &models[0])));
    assert_eq!(bench.opened.load(Ordering::SeqCst), 1);
    // What a model is opened for makes another model of it.
    engine.open(Path::new("50"), Use::Vectors).await.unwrap();
    assert_eq!(bench.opened.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_model_that_was_not_asked_for_longest_is_closed_for_another() {
    let (bench, engine) = bench(SMALL);
    let open_now = || engine.state().models().map(|((source, _), _)| source.clone()).collect::<Vec<PathBuf>>();
    for bytes in ["30", "40", "30", "50"] {
        open(&engine, bytes).await;
    }
    // 30 + 40 + 50 is too much, and 40 was asked for before 30 was for the second time.
    assert_eq!(open_now(), [Path::new("30"), Path::new("50")]);
    // A model beyond the budget is open alone.
    let large = open(&engine, "500").await;
    assert_eq!(open_now(), [Path::new("500")]);
    assert_eq!(rows(ask(&large, &[5]).await.unwrap()), [5.0]);
    open(&engine, "30").await;
    assert_eq!((open_now(), bench.opened.load(Ordering::SeqCst)), (vec![PathBuf::from("30")], 5));
    // Whoever holds a closed model still has its answers.
    assert_eq!(rows(ask(&large, &[6]).await.unwrap()), [6.0]);
}

#[tokio::test]
async fn a_failure_ends_a_request_and_no_more() {
    let (bench, engine) = bench(SMALL);
    for _ in 0..2 {
        let error = engine.open(Path::new("no number"), Use::Answers).await;
        assert!(matches!(error, Err(EngineError::Open(_))));
    }
    assert_eq!(bench.opened.load(Ordering::SeqCst), 2);
    let model = open(&engine, "1").await;
    let (numbers, none) = (ask(&model, &[5]), ask(&model, &[17]));
    assert_eq!(rows(numbers.await.unwrap()), [5.0]);
    assert!(matches!(none.await.unwrap(), Err(EngineError::Failed(_))));
    // A bug in a model stops its thread; whoever asks next has it opened anew.
    assert!(matches!(ask(&model, &[13]).await.unwrap(), Err(EngineError::Stopped)));
    until("the queue is closed", || model.queue.is_closed()).await;
    let again = open(&engine, "1").await;
    assert_eq!(rows(ask(&again, &[5]).await.unwrap()), [5.0]);
}

#[tokio::test]
async fn the_end_comes_after_what_was_accepted() {
    let (bench, engine, go) = held_up(SMALL);
    let model = open(&engine, "1").await;
    let first = hold_up(&bench, &model).await;
    let more = ask(&model, &[4, 5, 6, 7]);
    until_waiting(&engine, 4).await;
    drop(model);
    let end = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shut_down().await }
    });
    until("the engine is closed", || engine.state().closed).await;
    assert!(matches!(engine.open(Path::new("1"), Use::Answers).await, Err(EngineError::ShuttingDown)));
    assert!(!end.is_finished());
    (0..8).for_each(|_| go.send(()).unwrap());
    timeout(LONG, end).await.unwrap().unwrap();
    assert_eq!((rows(first.await.unwrap()), rows(more.await.unwrap())), (vec![3.0], vec![4.0, 5.0, 6.0, 7.0]));
}
