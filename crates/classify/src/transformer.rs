//! A model folder as a classifier.

use std::path::Path;
use std::sync::Arc;

use finetone_backend::Backend;
use finetone_data::tokenizer::{Keep, Limit, Tokenizer};
use finetone_data::{Example, Preparation};
use finetone_evaluate::{Abstention, DecisionRule};
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use finetone_model::{Model, ModelConfig};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::probabilities::{logits, logits_and_vectors};
use crate::{
    Classes, Classified, Classifier, ClassifyError, Encoded, Forward, Near, Neighbour, Neighbourhood, Reading,
    TextReader,
};

/// How many tokens of a text the model was trained on, and which; kept in the model's `config.json`.
pub type TextLimit = Limit;

/// The entry of `config.json` for what is done to rows.
const PREPARATION: &str = "preparation";

/// Its entry for the rule that decisions are made by.
const DECISION: &str = "decision";

/// Its entry for when a text is left to a person.
const ABSTENTION: &str = "abstention";

/// Its entry for the temperature that the weights of the last layer are divided by already.
const TEMPERATURE: &str = "temperature";

/// Notes the limit in a configuration, so that prediction cuts texts as training did.
pub fn with_text_limit(config: &mut ModelConfig, limit: TextLimit) {
    let keep = match limit.keep {
        Keep::Head => "head",
        Keep::Tail => "tail",
        Keep::HeadTail => "head+tail",
        Keep::Windows { .. } => "windows",
    };
    config.note("max_tokens", Some(json!(limit.max_tokens)));
    config.note("keep", Some(json!(keep)));
    if let Keep::Windows { overlap } = limit.keep {
        config.note("window_overlap", Some(json!(overlap)));
    }
}

/// Notes the rule that decisions are made by in a configuration, or that there is none.
pub fn with_decision(config: &mut ModelConfig, rule: Option<&DecisionRule>) {
    config.note(DECISION, rule.map(|rule| json!(rule)));
}

/// Notes when a text is left to a person in a configuration, or that none is.
pub fn with_abstention(config: &mut ModelConfig, abstention: Option<&Abstention>) {
    config.note(ABSTENTION, abstention.map(|abstention| json!(abstention)));
}

/// Notes the temperature that a model's logits were divided by in a configuration, or that they were not. The weights have
/// it in them; the note is for whoever wants the logits of before.
pub fn with_temperature(config: &mut ModelConfig, temperature: Option<f64>) {
    config.note(TEMPERATURE, temperature.map(|temperature| json!(temperature)));
}

/// What a configuration notes under an entry.
fn noted<T: DeserializeOwned>(config: &ModelConfig, entry: &str) -> Result<Option<T>, String> {
    config.noted(entry).map(T::deserialize).transpose().map_err(|error| error.to_string())
}

/// The rule that a configuration notes, which must be about its classes.
fn decision(config: &ModelConfig) -> Result<Option<DecisionRule>, String> {
    let rule: Option<DecisionRule> = noted(config, DECISION)?;
    let classes = config.head.labels.len();
    match rule.as_ref().map(|rule| rule.offsets().len()) {
        Some(offsets) if offsets != classes => Err(format!("{offsets} offsets for {classes} classes")),
        _ => Ok(rule),
    }
}

/// Notes the preparation in a configuration, so that prediction prepares rows as training did.
pub fn with_preparation(config: &mut ModelConfig, preparation: &Preparation) {
    config.note(PREPARATION, (!preparation.is_identity()).then(|| json!(preparation)));
}

/// The preparation that a configuration notes; none where it notes none.
///
/// # Errors
/// [`ClassifyError::Preparation`].
pub fn preparation(config: &ModelConfig) -> Result<Preparation, ClassifyError> {
    let noted = noted(config, PREPARATION).map_err(|problem| ClassifyError::Preparation { problem })?;
    Ok(noted.unwrap_or_default())
}

pub(crate) fn text_limit(config: &ModelConfig, tokenizer: &Tokenizer) -> TextLimit {
    let number = |name: &str| config.noted(name).and_then(Value::as_u64).map(|n| n as usize);
    let noted = number("max_tokens");
    let keep = match config.noted("keep").and_then(Value::as_str) {
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
    reader: Arc<TextReader>,
    classes: Classes,
    forward: Forward<B>,
    neighbourhood: Option<Neighbourhood>,
    /// Neighbours that go with each answer.
    shown: usize,
}

/// What a model and its neighbours say about some texts.
pub(crate) struct Judged {
    /// A row for each text, as [`Classes`] reads it.
    pub rows: Vec<Vec<f64>>,
    /// The nearest kept texts of each, as many as vote or are shown; empty where no one asks for them.
    pub nearest: Vec<Vec<Near>>,
}

impl<B: Backend> TransformerClassifier<B> {
    /// Opens a folder that holds a finished classifier; batches have about `token_budget` tokens.
    ///
    /// # Errors
    /// A folder that lacks files or a head, or whose parts do not fit together.
    pub fn open(backend: B, folder: &Path, token_budget: usize) -> Result<Self, ClassifyError> {
        let loaded = Loaded::open(&backend, folder, HeadImport::Required)?;
        Self::from_folder(backend, folder, loaded, token_budget)
    }

    /// Puts together what was loaded from a folder; it answers by the rules that the folder notes.
    pub(crate) fn from_folder(
        backend: B,
        folder: &Path,
        loaded: Loaded<B>,
        token_budget: usize,
    ) -> Result<Self, ClassifyError> {
        let config = &loaded.model.config;
        let wrong = |entry| move |problem| ClassifyError::Entry { folder: folder.to_owned(), entry, problem };
        let decision = decision(config).map_err(wrong(DECISION))?;
        let abstention = noted(config, ABSTENTION).map_err(wrong(ABSTENTION))?;
        let classes = Classes::new(&config.head, decision, abstention);
        let neighbourhood = Neighbourhood::open(folder, &config.head.labels, config.hidden_size)?;
        let classes = match &neighbourhood {
            Some(kept) if kept.interpolation.share() > 0.0 => classes.with_votes(kept.interpolation),
            _ => classes,
        };
        Ok(Self { classes, neighbourhood, ..Self::new(backend, loaded.model, loaded.tokenizer, token_budget)? })
    }

    /// Puts a model and its tokenizer together; it answers with the model's own probabilities.
    ///
    /// # Errors
    /// A preparation in the model's configuration that is not understood, or gives other numbers than the model reads.
    pub fn new(backend: B, model: Model<B>, tokenizer: Tokenizer, token_budget: usize) -> Result<Self, ClassifyError> {
        let reader = Arc::new(TextReader::of(&model.config, tokenizer)?);
        let forward = Forward::new(&backend, &model, token_budget, reader.limit().max_tokens);
        let classes = Classes::new(&model.config.head, None, None);
        Ok(Self { backend, classes, model, reader, forward, neighbourhood: None, shown: 0 })
    }

    /// How texts are cut.
    pub fn limit(&self) -> TextLimit {
        self.reader.limit()
    }

    /// The rule that moves the model's probabilities, if it has one.
    pub fn decision(&self) -> Option<&DecisionRule> {
        self.classes.decision()
    }

    /// The machine.
    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    /// The model.
    pub fn model(&self) -> &Model<B> {
        &self.model
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.reader.tokenizer()
    }

    /// How it reads rows.
    pub fn reader(&self) -> &Arc<TextReader> {
        &self.reader
    }

    /// What its logits say.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// The labelled texts that it keeps, if it keeps any.
    pub fn neighbourhood(&self) -> Option<&Neighbourhood> {
        self.neighbourhood.as_ref()
    }

    /// What it computes of texts.
    pub(crate) fn judge(&mut self, readings: &[Reading]) -> Result<Judged, ClassifyError> {
        let features: Vec<f32> = readings.iter().flat_map(|reading| reading.features.iter().copied()).collect();
        let texts = Encoded { ids: readings, limit: self.reader.limit(), features: &features, states: None };
        let voting = self.classes.interpolation();
        let count = voting.map_or(0, |voting| voting.neighbours()).max(self.shown);
        let (backend, model, forward) = (&self.backend, &self.model, &mut self.forward);
        let (logits, nearest) = match &self.neighbourhood {
            Some(kept) if count > 0 => {
                let (logits, vectors) = logits_and_vectors(backend, model, forward, &texts);
                (logits, kept.nearest(&vectors, count))
            }
            _ => (logits(backend, model, forward, &texts), Vec::new()),
        };
        self.backend.synchronize()?;
        let head = &self.model.config.head;
        let mut rows: Vec<Vec<f64>> = logits.chunks_exact(head.logits()).map(<[f64]>::to_vec).collect();
        if let (Some(voting), Some(kept)) = (voting, &self.neighbourhood) {
            for (row, near) in rows.iter_mut().zip(&nearest) {
                row.extend(voting.votes(&kept.votes_of(near), head.labels.len()).into_iter().map(f64::from));
            }
        }
        Ok(Judged { rows, nearest })
    }

    /// The neighbours that go with the answers.
    pub(crate) fn shown(&self, nearest: &[Vec<Near>]) -> Vec<Vec<Neighbour>> {
        match &self.neighbourhood {
            Some(kept) if self.shown > 0 => {
                nearest.iter().map(|near| kept.shown(&near[..near.len().min(self.shown)])).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What a folder holds: a model and its tokenizer.
pub(crate) struct Loaded<B: Backend> {
    pub model: Model<B>,
    pub tokenizer: Tokenizer,
    /// Whether the head came from the folder, all of it.
    pub has_head: bool,
}

impl<B: Backend> Loaded<B> {
    /// Reads the folder.
    pub(crate) fn open(backend: &B, folder: &Path, head: HeadImport) -> Result<Self, ClassifyError> {
        let source = ModelFolder::open(folder)?;
        // Both take about as long, and neither needs the other.
        let (tokenizer, loaded) = std::thread::scope(|scope| {
            let tokenizer = scope.spawn(|| Tokenizer::from_folder(folder));
            let loaded = source.load(backend, source.config().clone(), head);
            (tokenizer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), loaded)
        });
        let ((model, report), tokenizer) = (loaded?, tokenizer?);
        model.config.check_vocabulary(folder, tokenizer.vocab_size())?;
        Ok(Self { model, tokenizer, has_head: report.fresh.is_empty() })
    }
}

impl<B: Backend> Classifier for TransformerClassifier<B> {
    fn labels(&self) -> &[String] {
        self.classes.labels()
    }

    fn is_multi_label(&self) -> bool {
        self.classes.is_multi_label()
    }

    fn abstention(&self) -> Option<&Abstention> {
        self.classes.abstention()
    }

    fn columns(&self) -> &[String] {
        self.reader.columns()
    }

    fn keeps_texts(&self) -> bool {
        self.neighbourhood.as_ref().is_some_and(Neighbourhood::has_texts)
    }

    fn show_neighbours(&mut self, count: usize) -> Result<(), ClassifyError> {
        if self.neighbourhood.is_none() {
            return Err(ClassifyError::NoNeighbours);
        }
        self.shown = count;
        Ok(())
    }

    fn classify(&mut self, examples: &[Example]) -> Result<Classified, ClassifyError> {
        let readings = self.reader.read(examples, None);
        let truncated = readings.iter().filter(|reading| reading.truncated).count();
        let Judged { rows, nearest } = self.judge(&readings)?;
        let probabilities = rows.iter().flat_map(|row| self.classes.probabilities(row)).collect();
        Ok(Classified { probabilities, truncated, nearest: self.shown(&nearest) })
    }
}
