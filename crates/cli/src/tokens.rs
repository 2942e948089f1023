//! How many tokens a text has for a model.

use finetone_classify::hub::HubConfig;
use finetone_classify::source::{ModelSource, ResolvedModel};
use finetone_data::tokenizer::{Limit, Tokenizer};
use finetone_model::ModelConfig;
use finetone_model::checkpoint::ModelFolder;

use crate::failure::Failure;
use crate::progress::Download;

/// Texts longer than this are cut by default in training.
const USUAL_LIMIT: usize = 512;

/// Counts a model's tokens.
pub struct Counter {
    tokenizer: Tokenizer,
    /// What the user calls the model.
    pub model: String,
    /// What the model is.
    pub config: ModelConfig,
    /// The limit on the tokens of a text.
    pub limit: usize,
}

impl Counter {
    /// Finds the tokenizer of a model; `limit` goes over what the model allows.
    pub fn open(model: &str, limit: Option<usize>) -> Result<Self, Failure> {
        match ModelSource::resolve(model, &HubConfig::from_env(), &mut Download::default())? {
            ResolvedModel::Folder { folder, .. } => {
                let tokenizer = Tokenizer::from_folder(&folder).map_err(finetone_classify::ClassifyError::from)?;
                let config = ModelFolder::open(&folder)?.config().clone();
                let most = config.max_tokens();
                let usual = tokenizer.max_tokens_hint().unwrap_or(most).min(most).min(USUAL_LIMIT);
                Ok(Self { tokenizer, model: model.to_owned(), config, limit: limit.unwrap_or(usual) })
            }
            ResolvedModel::Scratch(_) | ResolvedModel::Config(_) => Err(Failure::usage(
                format!("`{model}` has no tokenizer before it is trained"),
                "name a run, a model folder or a Hugging Face id",
            )),
        }
    }

    /// The tokens of a text, special ones included.
    pub fn count(&self, text: &str) -> usize {
        let whole = Limit::head(usize::MAX);
        self.tokenizer.encode(text, &whole).ids.len()
    }

    /// The tokens of a text without special ones.
    pub fn own(&self, text: &str) -> usize {
        self.tokenizer.content_ids(text).len()
    }
}
