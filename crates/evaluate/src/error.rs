//! What can be wrong with the numbers that were handed in.

use thiserror::Error;

/// Why something could not be evaluated.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// There is no row to evaluate.
    #[error("there are no rows to evaluate")]
    Empty,
    /// There are fewer than the least number of classes.
    #[error("{found} classes are too few, at least {least} are needed")]
    TooFewClasses {
        /// How many there are.
        found: usize,
        /// How many are needed: two, or one for independent labels.
        least: usize,
    },
    /// Two classes share a name, so a score by name would be ambiguous.
    #[error("two classes are called `{0}`")]
    DuplicateClass(String),
    /// The matrix of probabilities does not have one row per text and one column per class.
    #[error(
        "{found} probabilities do not fill {rows} rows of {classes} classes, which takes {}",
        rows * classes
    )]
    Shape {
        /// Numbers handed in.
        found: usize,
        /// Rows of the truth.
        rows: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A truth names a class that does not exist.
    #[error("row {row}: class {class} does not exist, there are {classes}")]
    ClassOutOfRange {
        /// Row, counted from zero.
        row: usize,
        /// The class it names.
        class: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A probability is not a number between 0 and 1.
    #[error("row {row}: {value} is not a probability")]
    NotAProbability {
        /// Row, counted from zero.
        row: usize,
        /// The number found.
        value: f32,
    },
    /// The probabilities of one row do not add up to one.
    #[error("row {row}: the probabilities add up to {sum}, not to 1")]
    NotNormalised {
        /// Row, counted from zero.
        row: usize,
        /// What they add up to.
        sum: f64,
    },
    /// No metric has this name.
    #[error("`{name}` is not a metric")]
    UnknownMetric {
        /// The name asked for.
        name: String,
        /// The known name nearest to it, if one is near.
        nearest: Option<String>,
    },
    /// A metric of one class names a class that does not exist.
    #[error("`{metric}` asks for the class `{class}`, which is not in the label set")]
    UnknownClass {
        /// The metric asked for.
        metric: String,
        /// The class it names.
        class: String,
        /// The classes there are.
        known: Vec<String>,
    },
    /// The metric has no value on these rows.
    #[error("`{metric}` is not defined here: {reason}")]
    Undefined {
        /// The metric asked for.
        metric: String,
        /// Why it has no value.
        reason: String,
    },
    /// Two models that are to be compared know different classes.
    #[error("the models know different classes: {}, and {}", quoted(first), quoted(second))]
    DifferentClasses {
        /// Classes of the first model.
        first: Vec<String>,
        /// Classes of the second model.
        second: Vec<String>,
    },
    /// Of two models that are to be compared, one gives every text one label and the other any number.
    #[error("one model gives a text one label, the other any number of labels")]
    DifferentTasks,
    /// Two sets of predictions that are to be compared are about different rows.
    #[error("the predictions are about different rows: {first} of the first model, {second} of the second")]
    DifferentRows {
        /// Rows of the first model.
        first: usize,
        /// Rows of the second model.
        second: usize,
    },
    /// An option of the evaluation is out of range.
    #[error("{0}")]
    Option(String),
    /// The page could not be rendered.
    #[error("the report could not be rendered: {0}")]
    Render(String),
}

impl EvaluateError {
    /// What the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty => Some("give a file with at least one labelled row".into()),
            Self::DuplicateClass(_) => Some("give every class a name of its own".into()),
            Self::NotAProbability { .. } => Some(
                "the model gives numbers that are not finite: it has probably diverged; train it \
                 again with a lower learning rate"
                    .into(),
            ),
            Self::NotNormalised { .. } => {
                Some("independent labels must be evaluated as multi-label, one class per text as softmax".into())
            }
            Self::UnknownMetric { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownMetric { nearest: None, .. } => {
                Some(format!("known metrics: {}", quoted(crate::Metric::NAMES)))
            }
            Self::UnknownClass { known, .. } => Some(format!("known labels: {}", quoted(known))),
            Self::DifferentClasses { .. } | Self::DifferentTasks => {
                Some("only models of the same task can be compared: train both on the same labels".into())
            }
            Self::DifferentRows { .. } => Some("let both models predict the same file".into()),
            Self::Undefined { .. } => Some("choose `f1_macro` or `accuracy`, which always have a value".into()),
            _ => None,
        }
    }
}

fn quoted<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    names.join(", ")
}
