//! A model folder as a classifier.

use std::path::Path;

use finetone_backend::Backend;
use finetone_data::tokenizer::{Keep, Limit, Tokenizer};
use finetone_evaluate::DecisionRule;
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use finetone_model::{Model, ModelConfig, Output};
use serde_json::{Value, json};

use crate::{Classified, Classifier, ClassifyError, Encoded, Forward, probabilities};

/// How many tokens of a text the model was trained on, and which; kept in the model's `config.json`.
pub type TextLimit = Limit;

/// The entry of `config.json` that holds what Hugging Face has no word for.
const OURS: &str = "finetone";

/// Its entry for the rule that decisions are made by.
const DECISION: &str = "decision";

fn ours(config: &mut ModelConfig) -> &mut Value {
    let ours = config.raw.entry(OURS).or_insert(Value::Null);
    if !ours.is_object() {
        *ours = json!({});
    }
    ours
}

/// Notes the limit in a configuration, so that prediction cuts texts as training did.
pub fn with_text_limit(config: &mut ModelConfig, limit: TextLimit) {
    let keep = match limit.keep {
        Keep::Head => "head",
        Keep::Tail => "tail",
        Keep::HeadTail => "head+tail",
        Keep::Windows { .. } => "windows",
    };
    let ours = ours(config);
    ours["max_tokens"] = json!(limit.max_tokens);
    ours["keep"] = json!(keep);
    if let Keep::Windows { overlap } = limit.keep {
        ours["window_overlap"] = json!(overlap);
    }
}

/// Notes the rule that decisions are made by in a configuration, or that there is none.
pub fn with_decision(config: &mut ModelConfig, rule: Option<&DecisionRule>) {
    let ours = ours(config);
    match (rule, ours.as_object_mut()) {
        (None, Some(ours)) => drop(ours.remove(DECISION)),
        (rule, _) => ours[DECISION] = json!(rule),
    }
}

/// The rule that a configuration notes, which must be about its classes.
fn decision(config: &ModelConfig) -> Result<Option<DecisionRule>, String> {
    let noted = config.raw.get(OURS).and_then(|ours| ours.get(DECISION)).cloned().unwrap_or_default();
    let rule: Option<DecisionRule> = serde_json::from_value(noted).map_err(|error| error.to_string())?;
    let classes = config.head.labels.len();
    match rule.as_ref().map(|rule| rule.offsets().len()) {
        Some(offsets) if offsets != classes => Err(format!("{offsets} offsets for {classes} classes")),
        _ => Ok(rule),
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
    decision: Option<DecisionRule>,
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
        let features = model.config.head.features;
        if features > 0 {
            return Err(ClassifyError::NeedsFeatures { folder: folder.to_owned(), features });
        }
        let decision = decision(&model.config)
            .map_err(|problem| ClassifyError::DecisionRule { folder: folder.to_owned(), problem })?;
        Ok(Self { decision, ..Self::new(backend, model, tokenizer, token_budget) })
    }

    /// Puts a model and its tokenizer together; it answers with the model's own probabilities.
    pub fn new(backend: B, model: Model<B>, tokenizer: Tokenizer, token_budget: usize) -> Self {
        let limit = text_limit(&model.config, &tokenizer);
        let forward = Forward::new(&backend, &model, token_budget, limit.max_tokens);
        Self { backend, model, tokenizer, limit, decision: None, forward }
    }

    /// How texts are cut.
    pub fn limit(&self) -> TextLimit {
        self.limit
    }

    /// The rule that moves the model's probabilities, if it has one.
    pub fn decision(&self) -> Option<&DecisionRule> {
        self.decision.as_ref()
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
        let texts = Encoded { ids: &ids, limit: self.limit, features: &[], states: None };
        let mut probabilities = probabilities(&self.backend, &self.model, &mut self.forward, &texts);
        self.backend.synchronize()?;
        if let Some(rule) = &self.decision {
            rule.apply(&mut probabilities, self.is_multi_label());
        }
        Ok(Classified { probabilities, truncated })
    }
}
