//! The model that predicts, and explains where that is asked for.

use finetone_backend_cpu::Cpu;
use finetone_classify::{Classifier, TransformerClassifier};
use finetone_data::Example;

use crate::commands::explain;
use crate::failure::Failure;
use crate::found::Found;

/// A model that is open.
pub enum Model {
    /// One that predicts.
    Plain(Box<dyn Classifier>),
    /// One that says as well why.
    Explaining(Box<TransformerClassifier<Cpu>>),
}

impl Model {
    /// Opens it; explanations are those of a classifier of one label.
    pub fn open(cpu: &Cpu, found: &Found, explains: bool) -> Result<Self, Failure> {
        if !explains {
            return Ok(Self::Plain(found.open(cpu)?));
        }
        Ok(Self::Explaining(Box::new(explain::open(cpu, found)?)))
    }

    /// As a classifier.
    pub fn classifier(&mut self) -> &mut dyn Classifier {
        match self {
            Self::Plain(classifier) => classifier.as_mut(),
            Self::Explaining(classifier) => classifier.as_mut(),
        }
    }

    /// The words that decided about a text, in a line; nothing where nobody wants to know.
    pub fn why(&mut self, example: &Example) -> Result<Option<String>, Failure> {
        match self {
            Self::Plain(_) => Ok(None),
            Self::Explaining(classifier) => {
                let found = classifier.explain(example)?;
                Ok(Some(found.why(classifier.labels()).sentence()))
            }
        }
    }
}
