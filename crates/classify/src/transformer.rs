//! A model folder as a classifier.

use std::path::Path;

use finetone_backend::Backend;
use finetone_data::tokenizer::{Keep, Limit, Tokenizer};
use finetone_data::{Example, Preparation};
use finetone_evaluate::DecisionRule;
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use finetone_model::{Model, ModelConfig, Output};
use serde_json::{Value, json};

use crate::{Classified, Classifier, ClassifyError, Encoded, Forward, probabilities};

/// How many tokens of a text the model was trained on, and which; kept in the model's `config.json`.
pub type TextLimit = Limit;

/// The entry of `config.json` that holds what Hugging Face has no word for.
const OURS: &str = "finetone";
/// Its entry for what is done to rows.
const PREPARATION: &str = "preparation";

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

/// Notes the preparation in a configuration, so that prediction prepares rows as training did.
pub fn with_preparation(config: &mut ModelConfig, preparation: &Preparation) {
    let ours = ours(config);
    if !preparation.is_identity() {
        ours[PREPARATION] = json!(preparation);
    } else if let Some(ours) = ours.as_object_mut() {
        ours.remove(PREPARATION);
    }
}

/// The preparation that a configuration notes; none where it notes none.
///
/// # Errors
/// [`ClassifyError::Preparation`].
pub fn preparation(config: &ModelConfig) -> Result<Preparation, ClassifyError> {
    match config.raw.get(OURS).and_then(|ours| ours.get(PREPARATION)) {
        None => Ok(Preparation::default()),
        Some(noted) => serde_json::from_value(noted.clone())
            .map_err(|error| ClassifyError::Preparation { problem: error.to_string() }),
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
    preparation: Preparation,
    columns: Vec<String>,
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
        let decision = decision(&model.config)
            .map_err(|problem| ClassifyError::DecisionRule { folder: folder.to_owned(), problem })?;
        Ok(Self { decision, ..Self::new(backend, model, tokenizer, token_budget)? })
    }

    /// Puts a model and its tokenizer together; it answers with the model's own probabilities.
    ///
    /// # Errors
    /// A preparation in the model's configuration that is not understood, or gives other numbers than the model reads.
    pub fn new(backend: B, model: Model<B>, tokenizer: Tokenizer, token_budget: usize) -> Result<Self, ClassifyError> {
        let limit = text_limit(&model.config, &tokenizer);
        let preparation = preparation(&model.config)?;
        let columns = preparation.columns();
        let forward = Forward::new(&backend, &model, token_budget, limit.max_tokens);
        let (reads, gives) = (model.config.head.features, preparation.width());
        if reads != gives {
            let problem = format!("it gives {gives} numbers beside each text, and the model reads {reads}");
            return Err(ClassifyError::Preparation { problem });
        }
        Ok(Self { backend, model, tokenizer, limit, decision: None, preparation, columns, forward })
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

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn classify(&mut self, examples: &[Example]) -> Result<Classified, ClassifyError> {
        let prepared = self.preparation.prepare_all(examples);
        let texts: Vec<&str> = prepared.iter().map(|row| &*row.text).collect();
        let features: Vec<f32> = prepared.iter().flat_map(|row| row.features.iter().copied()).collect();
        let encodings = self.tokenizer.encode_batch(&texts, &self.limit);
        let truncated = encodings.iter().filter(|encoding| encoding.truncated).count();
        let ids: Vec<&[u32]> = encodings.iter().map(|encoding| encoding.ids.as_slice()).collect();
        let texts = Encoded { ids: &ids, limit: self.limit, features: &features, states: None };
        let mut probabilities = probabilities(&self.backend, &self.model, &mut self.forward, &texts);
        self.backend.synchronize()?;
        if let Some(rule) = &self.decision {
            rule.apply(&mut probabilities, self.is_multi_label());
        }
        Ok(Classified { probabilities, truncated })
    }
}
