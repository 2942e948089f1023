//! Where the numbers of a run are written besides its own folder: the setting `track`.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A program that shows the numbers of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tracker {
    /// Event files of TensorBoard, in the run folder.
    Tensorboard,
    /// A server of MLflow.
    Mlflow,
    /// An offline run of Weights & Biases, in the run folder.
    Wandb,
}

impl Tracker {
    /// The name that a user types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tensorboard => "tensorboard",
            Self::Mlflow => "mlflow",
            Self::Wandb => "wandb",
        }
    }
}

/// Who gets the numbers of a run, and what they call it. In a file this is a name, a list of names, or a table with the list
/// as `to`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Tracking {
    /// Who gets them.
    pub to: Vec<Tracker>,
    /// The project of Weights & Biases, the experiment of MLflow; `finetone` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// What the run is called; as its folder if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Words to find the run by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whose project it is, at Weights & Biases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// The address of the MLflow server; that of `MLFLOW_TRACKING_URI` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlflow_tracking_uri: Option<String>,
}

impl Tracking {
    /// The project's name, given or not.
    pub fn project(&self) -> &str {
        self.project.as_deref().unwrap_or("finetone")
    }

    /// Whether every name has characters, and none is given twice.
    pub(crate) fn is_sound(&self) -> bool {
        let texts = [&self.project, &self.name, &self.entity, &self.mlflow_tracking_uri];
        let named = texts.into_iter().flatten().chain(&self.tags).all(|text| !text.trim().is_empty());
        named && self.to.iter().enumerate().all(|(i, tracker)| !self.to[..i].contains(tracker))
    }
}

struct AnyForm;

impl<'de> Visitor<'de> for AnyForm {
    type Value = Tracking;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("`tensorboard`, `mlflow`, `wandb`, a list of them, or a table with such a list as `to`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Tracking, E> {
        let tracker = Tracker::deserialize(serde::de::value::StrDeserializer::new(name))?;
        Ok(Tracking { to: vec![tracker], ..Tracking::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Tracking, A::Error> {
        Ok(Tracking { to: Vec::deserialize(SeqAccessDeserializer::new(names))?, ..Tracking::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Tracking, A::Error> {
        // The form of the fields, which is derived; that of the trait is below.
        Tracking::deserialize(MapAccessDeserializer::new(table))
    }
}

impl<'de> Deserialize<'de> for Tracking {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyForm)
    }
}

impl Serialize for Tracking {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}
