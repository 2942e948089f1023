//! A model folder behind a queue: prompts are read by many threads and continued by one, some of them in turns.

use std::path::Path;
use std::sync::Arc;

use finetone_backend::Backend;
use finetone_data::chat::template::ChatTemplate;
use finetone_data::tokenizer::Tokenizer;
use finetone_model::Model;
use finetone_model::checkpoint::{HeadImport, ModelFolder};

use crate::choices::Choices;
use crate::error::{FolderError, GenerateError};
use crate::generator::Generator;
use crate::reader::PromptReader;
use crate::write::{Event, Progress, Request};

/// A language model that continues prompts.
pub trait Language: Send + Sync {
    /// Begins with a request; nothing is computed before the first step.
    ///
    /// # Errors
    /// Settings out of range, or answers for which there is no room.
    fn begin(&self, request: Request) -> Result<Box<dyn Writing + '_>, GenerateError>;

    /// The probability of each answer after a prompt, among the answers; see [`Generator::weigh`].
    ///
    /// # Errors
    /// A prompt that cannot be read, or answers for which there is no room.
    fn weigh(&self, prompt: &[u32], choices: &Choices) -> Result<Vec<f64>, GenerateError>;
}

/// Texts that are being written.
pub trait Writing: Send {
    /// Computes what comes next: the number of the text, and a token of it or its end. Nothing behind the last text.
    ///
    /// # Errors
    /// A prompt that cannot be read.
    fn step(&mut self) -> Result<Option<(usize, Event)>, GenerateError>;

    /// Ends the text that is being written.
    fn halt(&mut self);
}

/// An open model: a part that is shared and a part that computes.
pub struct Served {
    /// How it reads prompts.
    pub reader: Arc<PromptReader>,
    /// Bytes of its weights in full precision.
    pub bytes: usize,
    /// What computes.
    pub model: Box<dyn Language>,
}

/// Whether a folder holds a language model.
///
/// # Errors
/// A `config.json` that cannot be read or is not supported.
pub fn is_language_model(folder: &Path) -> Result<bool, FolderError> {
    Ok(ModelFolder::open(folder)?.config().is_language_model())
}

impl Served {
    /// Opens the folder of a language model.
    ///
    /// # Errors
    /// A folder that lacks files or a head, or whose parts do not fit together.
    pub fn open<B: Backend>(backend: B, folder: &Path) -> Result<Self, FolderError> {
        let source = ModelFolder::open(folder)?;
        let mut config = source.config().clone();
        config.set_language_head()?;
        let (tokenizer, template) = (Tokenizer::from_folder(folder)?, ChatTemplate::from_folder(folder)?);
        let reader = PromptReader::new(&config, folder, tokenizer, template)?;
        let (model, _) = source.load(&backend, config, HeadImport::Required)?;
        let bytes = model.table.numbers() * size_of::<f32>();
        Ok(Self { reader: Arc::new(reader), bytes, model: Box::new(Loaded { backend, model }) })
    }
}

struct Loaded<B: Backend> {
    backend: B,
    model: Model<B>,
}

impl<B: Backend> Loaded<B> {
    /// Memory for a prompt and what follows it.
    fn generator(&self, tokens: usize) -> Result<Generator<'_, B>, GenerateError> {
        Generator::new(&self.backend, &self.model, tokens)
    }
}

impl<B: Backend> Language for Loaded<B> {
    fn begin(&self, request: Request) -> Result<Box<dyn Writing + '_>, GenerateError> {
        let generator = self.generator(request.prompt.len().saturating_add(request.most))?;
        let progress = Progress::new(&generator, &request)?;
        Ok(Box::new(InProgress { generator, request, progress }))
    }

    fn weigh(&self, prompt: &[u32], choices: &Choices) -> Result<Vec<f64>, GenerateError> {
        let longest = choices.answers().iter().map(Vec::len).max().unwrap_or(0);
        self.generator(prompt.len() + longest)?.weigh(prompt, choices)
    }
}

/// A request that is worked on, with memory of its own.
struct InProgress<'m, B: Backend> {
    generator: Generator<'m, B>,
    request: Request,
    progress: Progress<B>,
}

impl<B: Backend> Writing for InProgress<'_, B> {
    fn step(&mut self) -> Result<Option<(usize, Event)>, GenerateError> {
        self.progress.next(&mut self.generator, &self.request)
    }

    fn halt(&mut self) {
        self.progress.halt();
    }
}
