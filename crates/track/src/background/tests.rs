//! What training may count on: nothing waits, nothing is lost silently, order is kept.

use std::sync::Mutex;

use super::*;

/// Writes down what it is told, after as many failures as it is given.
#[derive(Clone, Default)]
struct Book {
    lines: Arc<Mutex<Vec<String>>>,
    failures: Arc<Mutex<Vec<TrackError>>>,
}

impl Book {
    fn with(failures: Vec<TrackError>) -> Self {
        Self { failures: Arc::new(Mutex::new(failures)), ..Self::default() }
    }

    fn write(&self, line: String) -> Result<(), TrackError> {
        match self.failures.lock().unwrap().pop() {
            Some(error) => Err(error),
            None => {
                self.lines.lock().unwrap().push(line);
                Ok(())
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Sink for Book {
    fn begin(&mut self, run: &Run) -> Result<(), TrackError> {
        self.write(format!("begin {}", run.name))
    }

    fn log(&mut self, numbers: &[Arc<Numbers>]) -> Result<(), TrackError> {
        self.write(numbers.iter().map(|numbers| numbers.step.to_string()).collect::<Vec<_>>().join(" "))
    }

    fn end(&mut self, end: End, _time: SystemTime) -> Result<(), TrackError> {
        self.write(format!("{end:?}"))
    }

    fn place(&self) -> Option<String> {
        Some("here".into())
    }
}

fn unreachable() -> TrackError {
    TrackError::Unreachable { address: "a".into(), problem: "b".into() }
}

fn begin() -> Message {
    let (folder, name, settings) = (std::path::PathBuf::new(), "one".to_owned(), Value::Null);
    let began = SystemTime::UNIX_EPOCH;
    Message::Begin(Arc::new(Run { folder, name, group: None, resumed_from: 0, began, settings }))
}

fn log(step: u64) -> Message {
    Message::Log(Arc::new(Numbers { step, time: SystemTime::UNIX_EPOCH, values: Vec::new() }))
}

fn steps(lines: &[String]) -> Vec<u64> {
    let words = lines.iter().flat_map(|line| line.split(' '));
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn everything_gets_through_in_its_order_in_spite_of_passing_failures() {
    let book = Book::with(vec![unreachable(), unreachable()]);
    let mut background = Background::start("book", book.clone());
    background.send(begin());
    (1..=500).for_each(|step| background.send(log(step)));
    background.send(Message::End(End::Finished, SystemTime::UNIX_EPOCH));
    assert_eq!(background.close(Duration::from_secs(60)).as_deref(), Some("here"));
    let lines = book.lines();
    assert_eq!((lines[0].as_str(), lines.last().unwrap().as_str()), ("begin one", "Finished"));
    assert_eq!(steps(&lines), (1..=500).collect::<Vec<_>>());
    assert!(lines.len() < 100, "numbers are handed over together");
}

#[test]
fn a_refusal_ends_the_tracker_and_nobody_waits_for_it() {
    let refused = TrackError::Refused { address: "a".into(), answer: "no".into() };
    let book = Book::with(vec![refused]);
    let mut background = Background::start("book", book.clone());
    background.send(begin());
    (1..=5).for_each(|step| background.send(log(step)));
    assert_eq!(background.close(Duration::from_secs(60)), None);
    assert!(book.lines().is_empty());
}

#[test]
fn a_full_queue_neither_waits_nor_mixes_runs() {
    let book = Book::with((0..1_000).map(|_| unreachable()).collect());
    let mut background = Background::start("book", book.clone());
    background.send(begin());
    (0..2 * QUEUE as u64).for_each(|step| background.send(log(step)));
    assert!(background.lost);
    background.send(begin());
    assert!(background.missed, "the beginning of the second run has no place");
    // Its numbers are not taken for those of the first, even when there is room again.
    book.failures.lock().unwrap().clear();
    while book.lines().len() < 2 {
        thread::sleep(TICK);
    }
    background.send(log(1_000_000));
    background.close(Duration::from_secs(60));
    let steps = steps(&book.lines());
    // The beginning may have a place in the queue, until the thread has it.
    assert!(steps.len() >= QUEUE - 1 && !steps.contains(&1_000_000), "{}", steps.len());
}

#[test]
fn the_end_does_not_wait_for_a_server_that_is_gone() {
    let book = Book::with((0..1_000).map(|_| unreachable()).collect());
    let mut background = Background::start("book", book.clone());
    background.send(begin());
    background.close(Duration::from_millis(100));
    assert!(book.lines().is_empty());
}
