//! A model folder as a classifier.

use std::path::Path;

use finetone_backend::Backend;
use finetone_data::tokenizer::{Keep, Limit, Tokenizer};
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use finetone_model::{Model, ModelConfig, Output};
use serde_json::{Value, json};

use crate::{Classified, Classifier, ClassifyError, Encoded, Forward, probabilities};

/// How many tokens of a text the model was trained on, and which; kept in the model's `config.json`.
pub type TextLimit = Limit;

/// The entry of `config.json` that holds what Hugging Face has no word for.
const OURS: &str = "finetone";

/// Notes the limit in a configuration, so that prediction cuts texts as training did.
pub fn with_text_limit(config: &mut ModelConfig, limit: TextLimit) {
    let keep = match limit.keep {
        Keep::Head => "head",
        Keep::Tail => "tail",
        Keep::HeadTail => "head+tail",
        Keep::Windows { .. } => "windows",
    };
    let ours = config.raw.entry(OURS).or_insert_with(|| json!({}));
    ours["max_tokens"] = json!(limit.max_tokens);
    ours["keep"] = json!(keep);
    if let Keep::Windows { overlap } = limit.keep {
        ours["window_overlap"] = json!(overlap);
    }
}

fn text_limit(config: &ModelConfig, tokenizer: &Tokenizer) -> TextLimit {
    let ours = config.raw.get(OURS);
    let number = |name: &str| ours.and_then(|o| o.get(name)).and_then(Value::as_u64).map(|n| n as usize);
    let noted = number("max_tokens");
    let keep = match ours.and_then(|o| o.get("keep")).and_then(Value::as_str) {
        Some("tail") => Keep::Tail,
        Some("head+tail") => Keep::HeadTail,
        Some("windows") => Keep::Windows { overlap: number("window_overlap").unwrap_or(0) },
        _ => Keep::Head,
    };
    let most = config.max_tokens();
    let max_tokens = noted.or_else(|| tokenizer.max_tokens_hint()).unwrap_or(most).min(most);
    Limit { max_tokens, keep }
}

/// A transformer with its tokenizer on a backend.
pub struct TransformerClassifier<B: Backend> {
    backend: B,
    model: Model<B>,
    tokenizer: Tokenizer,
    limit: TextLimit,
    forward: Forward<B>,
}

impl<B: Backend> TransformerClassifier<B> {
    /// Opens a folder that holds a finished classifier; batches have about `token_budget` tokens.
    ///
    /// # Errors
    /// A folder that lacks files or a head, or whose parts do not fit together.
    pub fn open(backend: B, folder: &Path, token_budget: usize) -> Result<Self, ClassifyError> {
        let source = ModelFolder::open(folder)?;
        // Both take about as long, and neither needs the other.
        let (tokenizer, loaded) = std::thread::scope(|scope| {
            let tokenizer = scope.spawn(|| Tokenizer::from_folder(folder));
            let loaded = source.load(&backend, source.config().clone(), HeadImport::Required);
            (tokenizer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), loaded)
        });
        let ((model, _), tokenizer) = (loaded?, tokenizer?);
        check_vocabulary(folder, &tokenizer, &model.config)?;
        Ok(Self::new(backend, model, tokenizer, token_budget))
    }

    /// Puts a model and its tokenizer together.
    pub fn new(backend: B, model: Model<B>, tokenizer: Tokenizer, token_budget: usize) -> Self {
        let limit = text_limit(&model.config, &tokenizer);
        let forward = Forward::new(&backend, &model, token_budget, limit.max_tokens);
        Self { backend, model, tokenizer, limit, forward }
    }

    /// How texts are cut.
    pub fn limit(&self) -> TextLimit {
        self.limit
    }

    /// The model.
    pub fn model(&self) -> &Model<B> {
        &self.model
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }
}

/// Refuses a tokenizer whose ids reach beyond the model's embedding.
///
/// # Errors
/// [`ClassifyError::VocabularyMismatch`].
pub fn check_vocabulary(folder: &Path, tokenizer: &Tokenizer, config: &ModelConfig) -> Result<(), ClassifyError> {
    let (tokens, rows) = (tokenizer.vocab_size(), config.vocab_size);
    if tokens > rows {
        return Err(ClassifyError::VocabularyMismatch { folder: folder.to_owned(), tokens, rows });
    }
    Ok(())
}

impl<B: Backend> Classifier for TransformerClassifier<B> {
    fn labels(&self) -> &[String] {
        &self.model.config.head.labels
    }

    fn is_multi_label(&self) -> bool {
        self.model.config.head.output == Output::MultiLabel
    }

    fn classify(&mut self, texts: &[&str]) -> Result<Classified, ClassifyError> {
        let encodings = self.tokenizer.encode_batch(texts, &self.limit);
        let truncated = encodings.iter().filter(|encoding| encoding.truncated).count();
        let ids: Vec<&[u32]> = encodings.iter().map(|encoding| encoding.ids.as_slice()).collect();
        let texts = Encoded { ids: &ids, limit: self.limit, states: None };
        let probabilities = probabilities(&self.backend, &self.model, &mut self.forward, &texts);
        self.backend.synchronize()?;
        Ok(Classified { probabilities, truncated })
    }
}
