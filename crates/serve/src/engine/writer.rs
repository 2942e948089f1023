//! A model that writes: its queue and its thread.
//!
//! A few requests are written at a time, a token of each in turn, so that a long answer keeps nobody waiting for its end. What
//! the client need not wait for any more is not computed: its channel is closed, and the next turn sees that.

use std::sync::Arc;

use finetone_generate::{Choices, Event, Finish, Language, PromptReader, Request, Stops, Writing};
use tokio::sync::{mpsc, oneshot};

use super::EngineError;
use super::telling::Telling;
use crate::reply::Part;

/// The most requests that are written in turns; each has memory for its tokens' keys and values. More wait.
const MOST_TURNS: usize = 8;

/// Parts of texts as they are written.
pub type Written = mpsc::UnboundedReceiver<Result<Part, EngineError>>;

/// A model that writes. It closes when nobody holds it any more, which is not before all answers are given.
pub struct OpenWriter {
    reader: Arc<PromptReader>,
    pub(super) bytes: usize,
    pub(super) queue: mpsc::Sender<Task>,
}

/// What waits for the model.
pub(super) enum Task {
    Write { request: Request, stops: Stops, reply: mpsc::UnboundedSender<Result<Part, EngineError>> },
    Weigh { prompt: Vec<u32>, choices: Choices, reply: oneshot::Sender<Result<Vec<f64>, EngineError>> },
}

impl OpenWriter {
    pub(super) fn new(reader: Arc<PromptReader>, bytes: usize, queue: mpsc::Sender<Task>) -> Self {
        Self { reader, bytes, queue }
    }

    /// How it reads prompts.
    pub fn reader(&self) -> &PromptReader {
        &self.reader
    }

    /// Reads something as the model does, on a thread that may take its time.
    ///
    /// # Errors
    /// None but that of a bug.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&PromptReader) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || read(&reader)).await.map_err(|_| EngineError::Stopped)
    }

    /// Begins to write; whoever lets go of the channel is not written for any more.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`] where there is no room in the queue.
    pub fn write(&self, request: Request, stops: Stops) -> Result<Written, EngineError> {
        // A text has no more tokens than the model can read, so the channel needs no bound of its own.
        let (reply, written) = mpsc::unbounded_channel();
        self.queue_up(Task::Write { request, stops, reply })?;
        Ok(written)
    }

    /// How probable each of these answers is, among them.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`], and whatever the computation may fail by.
    pub async fn weigh(&self, prompt: Vec<u32>, choices: Choices) -> Result<Vec<f64>, EngineError> {
        let (reply, weights) = oneshot::channel();
        self.queue_up(Task::Weigh { prompt, choices, reply })?;
        weights.await.map_err(|_| EngineError::Stopped)?
    }

    fn queue_up(&self, task: Task) -> Result<(), EngineError> {
        self.queue.try_send(task).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => EngineError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => EngineError::Stopped,
        })
    }
}

/// Writes until nobody can ask any more and everything is answered.
pub(super) fn run(model: &dyn Language, reader: &PromptReader, mut queue: mpsc::Receiver<Task>) {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    loop {
        while turns.len() < MOST_TURNS {
            let task = if turns.is_empty() { queue.blocking_recv() } else { queue.try_recv().ok() };
            match task {
                Some(task) => turns.extend(begin(model, task)),
                None if turns.is_empty() => return,
                None => break,
            }
        }
        turns.retain_mut(|turn| turn.step(reader));
    }
}

/// Begins a task; one that takes a single step is done at once.
fn begin(model: &dyn Language, task: Task) -> Option<Turn<'_>> {
    match task {
        Task::Weigh { reply, .. } if reply.is_closed() => None,
        Task::Weigh { prompt, choices, reply } => {
            let weights = model.weigh(&prompt, &choices).map_err(EngineError::from);
            // Whoever has stopped waiting in the meantime misses nothing.
            drop(reply.send(weights.and_then(finite)));
            None
        }
        Task::Write { reply, .. } if reply.is_closed() => None,
        Task::Write { request, stops, reply } => match model.begin(request) {
            Ok(writing) => Some(Turn { writing, telling: Telling::new(stops), reply }),
            Err(error) => {
                drop(reply.send(Err(error.into())));
                None
            }
        },
    }
}

fn finite(weights: Vec<f64>) -> Result<Vec<f64>, EngineError> {
    if weights.iter().all(|weight| weight.is_finite()) { Ok(weights) } else { Err(EngineError::no_numbers()) }
}

/// A request that is written.
struct Turn<'m> {
    writing: Box<dyn Writing + 'm>,
    telling: Telling,
    reply: mpsc::UnboundedSender<Result<Part, EngineError>>,
}

impl Turn<'_> {
    /// Writes a token. Whether there is more to write, and somebody to write it for.
    fn step(&mut self, reader: &PromptReader) -> bool {
        if self.reply.is_closed() {
            return false;
        }
        let part = match self.writing.step() {
            Ok(None) => return false,
            Ok(Some((text, Event::Token(token)))) if token.log_probability.is_finite() => {
                let part = self.telling.token(reader.tokenizer(), text, &token);
                if part.finish.is_some() {
                    self.writing.halt();
                }
                Ok(part)
            }
            Ok(Some((_, Event::Token(_)))) => Err(EngineError::no_numbers()),
            // The stop that was found has told the end already.
            Ok(Some((_, Event::End(Finish::Halted)))) => return true,
            Ok(Some((text, Event::End(finish)))) => Ok(self.telling.end(text, finish)),
            Err(error) => Err(error.into()),
        };
        let goes_on = part.is_ok();
        let is_something = part.as_ref().map_or(true, Part::is_something);
        if is_something { self.reply.send(part).is_ok() && goes_on } else { true }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;
    use std::time::Duration;

    use finetone_data::tokenizer::{Tokenizer, TrainKind, TrainOptions};
    use finetone_generate::{GenerateError, Penalties, Sampling, Token};

    use super::*;

    /// Writes the first token of each prompt again and again, once for each `go`.
    struct Parrot {
        go: Mutex<Receiver<()>>,
        said: Arc<Mutex<Vec<u32>>>,
    }

    struct Saying<'m>(&'m Parrot, u32);

    impl Language for Parrot {
        fn begin(&self, request: Request) -> Result<Box<dyn Writing + '_>, GenerateError> {
            Ok(Box::new(Saying(self, request.prompt[0])))
        }

        fn weigh(&self, _: &[u32], _: &Choices) -> Result<Vec<f64>, GenerateError> {
            Ok(vec![f64::NAN])
        }
    }

    impl Writing for Saying<'_> {
        fn step(&mut self) -> Result<Option<(usize, Event)>, GenerateError> {
            let going = self.0.go.lock().unwrap().recv_timeout(Duration::from_secs(20));
            going.expect("the test lets the model go on");
            self.0.said.lock().unwrap().push(self.1);
            Ok(Some((0, Event::Token(Token { id: self.1, log_probability: -1.0, alternatives: Vec::new() }))))
        }

        fn halt(&mut self) {}
    }

    fn request(prompt: u32) -> Request {
        let (sampling, penalties) = (Sampling::GREEDY, Penalties::default());
        let (ends, choices) = (Vec::new(), None);
        Request { prompt: vec![prompt], most: 9, sampling, penalties, texts: 1, ends, choices, alternatives: 0 }
    }

    #[test]
    fn requests_take_turns_and_nothing_is_written_for_a_client_that_left() {
        let tokenizer = Tokenizer::train(std::iter::once("a b"), &TrainOptions::new(TrainKind::Gpt2Bpe, 300)).unwrap();
        let reader = Arc::new(PromptReader::plain(tokenizer, 100).unwrap());
        let ((go, going), said) = (channel(), Arc::<Mutex<Vec<u32>>>::default());
        let parrot = Parrot { go: Mutex::new(going), said: said.clone() };
        let (queue, waiting) = mpsc::channel(8);
        let model = OpenWriter::new(reader.clone(), 1, queue);
        let (one, mut two) =
            (model.write(request(1), Stops::default()), model.write(request(2), Stops::default()).unwrap());
        let thread = thread::spawn(move || run(&parrot, &reader, waiting));
        let say = |times: usize| {
            let before = said.lock().unwrap().len();
            (0..times).for_each(|_| go.send(()).unwrap());
            while said.lock().unwrap().len() < before + times {
                thread::sleep(Duration::from_millis(1));
            }
            said.lock().unwrap()[before..].to_vec()
        };
        assert_eq!(say(6), [1, 2, 1, 2, 1, 2]);
        drop(one);
        // A step may have begun before the client left.
        let after = say(5);
        assert!(after[1..].iter().all(|&id| id == 2), "{after:?}");
        assert!(two.blocking_recv().is_some_and(|part| part.is_ok()));
        // The last one leaves, and the model is held by nobody: its thread comes to its end.
        drop((two, model));
        go.send(()).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn weights_that_are_no_numbers_are_an_error_and_a_full_queue_refuses() {
        let (queue, mut waiting) = mpsc::channel(1);
        let tokenizer = Tokenizer::train(std::iter::once("a b"), &TrainOptions::new(TrainKind::Gpt2Bpe, 300)).unwrap();
        let model = OpenWriter::new(Arc::new(PromptReader::plain(tokenizer, 100).unwrap()), 1, queue);
        let first = model.write(request(1), Stops::default());
        assert!(first.is_ok() && matches!(model.write(request(2), Stops::default()), Err(EngineError::Overloaded)));
        drop(waiting.try_recv());
        let parrot = Parrot { go: Mutex::new(channel().1), said: Arc::default() };
        let (reply, mut weights) = oneshot::channel();
        let choices = Choices::new(vec![vec![1]]).unwrap();
        assert!(begin(&parrot, Task::Weigh { prompt: vec![1], choices, reply }).is_none());
        assert!(matches!(weights.try_recv().unwrap(), Err(EngineError::Failed(_))));
    }
}
