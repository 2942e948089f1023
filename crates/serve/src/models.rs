//! Names of models and what they mean: bases, aliases, fine-tuned models and their checkpoints.

use std::path::PathBuf;

use crate::config::{BaseModel, WELL_KNOWN, WorkplaceConfig};
use crate::data_folder::DataFolder;
use crate::error::ApiError;
use crate::store::{JobRow, Store};

/// A model that a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its own name: that of the base where the name was an alias.
    pub name: String,
    /// A model folder; of a base anything that `--model` of a run may be.
    pub source: PathBuf,
    /// Whether it is one of the bases.
    pub is_base: bool,
}

/// The bases and their aliases.
#[derive(Debug)]
pub struct Models {
    bases: Vec<BaseModel>,
    /// Alias and name of a base.
    aliases: Vec<(String, String)>,
}

impl Models {
    /// The names that `config` gives, and the well-known ones that it leaves free.
    pub fn new(config: &WorkplaceConfig) -> Self {
        let (bases, mut aliases) = (config.models.clone(), config.aliases.clone());
        for name in WELL_KNOWN {
            let is_free =
                !bases.iter().any(|base| base.name == name) && !aliases.iter().any(|(alias, _)| alias == name);
            if let Some(first) = bases.first().filter(|_| is_free) {
                aliases.push((name.to_owned(), first.name.clone()));
            }
        }
        Self { bases, aliases }
    }

    /// The bases.
    pub fn bases(&self) -> &[BaseModel] {
        &self.bases
    }

    /// Aliases and the bases that they mean.
    pub fn aliases(&self) -> &[(String, String)] {
        &self.aliases
    }

    /// The base of a name or alias.
    fn base(&self, name: &str) -> Option<&BaseModel> {
        let named = self.aliases.iter().find(|(alias, _)| alias == name).map_or(name, |(_, base)| base);
        self.bases.iter().find(|base| base.name == named)
    }

    /// What a job begins with. A worker that does not know the name of a base looks where the server found it.
    ///
    /// # Errors
    /// 404 for a model that is gone.
    pub async fn of_job(&self, job: &JobRow, store: &Store, folder: &DataFolder) -> Result<Resolved, ApiError> {
        match (self.resolve(&job.model, store, folder).await, &job.base) {
            (Err(_), Some(base)) => Ok(Resolved { name: job.model.clone(), source: base.into(), is_base: true }),
            (resolved, _) => resolved,
        }
    }

    /// What a name means.
    ///
    /// # Errors
    /// 404 for a name that means nothing.
    pub async fn resolve(&self, name: &str, store: &Store, folder: &DataFolder) -> Result<Resolved, ApiError> {
        if let Some(base) = self.base(name) {
            return Ok(Resolved { name: base.name.clone(), source: base.source.clone(), is_base: true });
        }
        match store.model(name).await? {
            Some(model) => Ok(Resolved { name: model.id, source: folder.join(&model.folder), is_base: false }),
            None => Err(ApiError::no_model(name)),
        }
    }
}
