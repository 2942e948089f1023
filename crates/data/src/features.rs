//! Named numbers beside a text: measured on its words, or taken from other columns of the file.
//!
//! A name of [`MEASURED`] is measured, any other is a column; `column:words` is the column `words`. A column is numeric where
//! every value of the training rows is a number, and has categories otherwise. [`ALL_COLUMNS`] stands for every column that
//! [`usable_columns`] finds.

mod giveaway;
mod measure;
mod template;
mod usable;

use serde::{Deserialize, Serialize};

use crate::conversation::Conversation;
use crate::decimal::decimal;
use crate::error::DataError;
use crate::labels::is_missing;
pub use giveaway::giveaways;
pub(crate) use giveaway::gives_label_away;
use measure::Measured;
pub use template::{check_template, default_template};
pub use usable::{ALL_COLUMNS, usable_columns};

/// What can be measured on a text: all of it, the customer's turns or the agent's.
///
/// `words` are separated by white space, `turns` those of a conversation, `questions` and `exclamations` the marks of them, and
/// `capitals` the share of capital letters among all letters.
pub const MEASURED: [&str; 15] = [
    "words",
    "turns",
    "questions",
    "exclamations",
    "capitals",
    "customer_words",
    "customer_turns",
    "customer_questions",
    "customer_exclamations",
    "customer_capitals",
    "agent_words",
    "agent_turns",
    "agent_questions",
    "agent_exclamations",
    "agent_capitals",
];

/// The most categories of a column.
pub(crate) const MOST_CATEGORIES: usize = 1000;

/// What features are taken from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The clean text.
    pub text: &'a str,
    /// The same, taken apart, where [`needs_conversation`] holds.
    pub conversation: Option<&'a Conversation>,
    /// The values of the columns, in the order of [`columns`].
    pub columns: &'a [Option<String>],
}

/// The value of a feature as it stands in the row.
#[derive(Debug, Clone, PartialEq)]
enum Value<'a> {
    Measured(f64, Measured),
    Cell(&'a str),
    Missing,
}

/// The columns that features of these names ask for, in order.
pub fn columns<'n>(names: impl IntoIterator<Item = &'n String>) -> Vec<String> {
    names.into_iter().filter(|name| Measured::named(name).is_none()).map(|name| bare(name).to_owned()).collect()
}

/// Whether features of these names count turns or look at one side alone.
pub fn needs_conversation<'n>(names: impl IntoIterator<Item = &'n String>) -> bool {
    names.into_iter().filter_map(|name| Measured::named(name)).any(Measured::needs_conversation)
}

/// Whether any feature of these names is measured on the text.
pub(crate) fn measures_text(names: &[String]) -> bool {
    names.iter().any(|name| Measured::named(name).is_some())
}

/// Every measurement of a text, in the order of [`MEASURED`].
pub(crate) fn measurements(origin: Origin<'_>) -> impl Iterator<Item = f64> {
    MEASURED.into_iter().filter_map(Measured::named).map(move |measured| measured.of(origin))
}

fn bare(name: &str) -> &str {
    name.strip_prefix("column:").unwrap_or(name)
}

/// The values of features in a row, in order.
fn values<'a>(names: impl Iterator<Item = &'a String>, origin: Origin<'a>) -> impl Iterator<Item = Value<'a>> {
    let mut cells = origin.columns.iter();
    names.map(move |name| match Measured::named(name) {
        Some(measured) => Value::Measured(measured.of(origin), measured),
        None => match cells.next().and_then(Option::as_deref).map(str::trim) {
            Some(cell) if !is_missing(cell) => Value::Cell(cell),
            _ => Value::Missing,
        },
    })
}

/// How a feature becomes numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scale {
    /// `(x − mean) / deviation`, with the mean and the deviation of the training rows.
    Number { mean: f64, deviation: f64 },
    /// One where the row has the category, zero elsewhere; sorted.
    Categories(Vec<String>),
}

/// One feature and what the training rows say of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Feature {
    name: String,
    scale: Scale,
}

/// Features with what has to be known of the training rows to compute them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureSet {
    features: Vec<Feature>,
}

impl FeatureSet {
    /// Learns means, deviations and categories from the training rows.
    ///
    /// # Errors
    /// [`DataError::TooManyCategories`] for a column that has more than a thousand different words.
    pub fn fit(names: &[String], rows: &[Origin<'_>]) -> Result<FeatureSet, DataError> {
        let mut gathered: Vec<Vec<Value<'_>>> = vec![Vec::with_capacity(rows.len()); names.len()];
        for row in rows {
            gathered.iter_mut().zip(values(names.iter(), *row)).for_each(|(all, value)| all.push(value));
        }
        let fit = |(name, values): (&String, &Vec<Value<'_>>)| {
            Ok(Feature { name: name.clone(), scale: Scale::fit(bare(name), values)? })
        };
        Ok(FeatureSet { features: names.iter().zip(&gathered).map(fit).collect::<Result<_, DataError>>()? })
    }

    /// The names, as they were given.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.features.iter().map(|feature| &feature.name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// How many numbers [`FeatureSet::values`] gives.
    pub fn width(&self) -> usize {
        self.features.iter().map(|feature| feature.scale.width()).sum()
    }

    /// The features as numbers: one for a number, with mean 0 and deviation 1 over the training rows, and one for each category.
    /// What is missing, or no number where numbers are wanted, counts as the mean; an unknown category as none.
    pub fn values(&self, origin: Origin<'_>) -> Vec<f32> {
        let mut numbers = Vec::with_capacity(self.width());
        for (feature, value) in self.features.iter().zip(values(self.names(), origin)) {
            feature.scale.write(&value, &mut numbers);
        }
        numbers
    }

    /// The features as words, where a template such as `"{words} words, {questions} questions. "` wants them. Shares are in per
    /// cent, and what is missing is `unknown`.
    pub fn fill(&self, template: &str, origin: Origin<'_>) -> String {
        let values: Vec<Value<'_>> = values(self.names(), origin).collect();
        template::fill(template, |name| {
            let place = self.features.iter().position(|feature| feature.name == name)?;
            Some(values[place].to_string())
        })
    }
}

impl Scale {
    fn fit(name: &str, values: &[Value<'_>]) -> Result<Scale, DataError> {
        let present = || values.iter().filter(|value| **value != Value::Missing);
        let numbers: Vec<f64> = present().filter_map(Value::number).collect();
        if numbers.len() == present().count() {
            return Ok(Scale::standard(&numbers));
        }
        let mut categories: Vec<String> = present().map(ToString::to_string).collect();
        categories.sort_unstable();
        categories.dedup();
        if categories.len() > MOST_CATEGORIES {
            return Err(DataError::TooManyCategories { column: name.to_owned(), most: MOST_CATEGORIES });
        }
        Ok(Scale::Categories(categories))
    }

    fn standard(numbers: &[f64]) -> Scale {
        let count = numbers.len().max(1) as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let deviation = (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        Scale::Number { mean, deviation }
    }

    fn width(&self) -> usize {
        match self {
            Scale::Number { .. } => 1,
            Scale::Categories(categories) => categories.len(),
        }
    }

    fn write(&self, value: &Value<'_>, numbers: &mut Vec<f32>) {
        match self {
            // Where all training rows have one value, there is nothing to learn from others.
            Scale::Number { deviation: 0.0, .. } => numbers.push(0.0),
            Scale::Number { mean, deviation } => {
                numbers.push(value.number().map_or(0.0, |x| ((x - mean) / deviation) as f32));
            }
            Scale::Categories(categories) => {
                let is = |category: &String| matches!(value, Value::Cell(cell) if *cell == category);
                numbers.extend(categories.iter().map(|category| if is(category) { 1.0 } else { 0.0 }));
            }
        }
    }
}

impl Value<'_> {
    fn number(&self) -> Option<f64> {
        match self {
            Value::Measured(number, _) => Some(*number),
            Value::Cell(cell) => decimal(cell),
            Value::Missing => None,
        }
    }
}

impl std::fmt::Display for Value<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Measured(share, measured) if measured.is_share() => write!(formatter, "{:.0} %", 100.0 * share),
            Value::Measured(count, _) => write!(formatter, "{count}"),
            Value::Cell(cell) => formatter.write_str(cell),
            Value::Missing => formatter.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn cells(rows: &[[Option<&str>; 2]]) -> Vec<Vec<Option<String>>> {
        rows.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect()
    }

    fn origins<'a>(texts: &[&'a str], cells: &'a [Vec<Option<String>>]) -> Vec<Origin<'a>> {
        let origin = |(text, columns): (&&'a str, &'a Vec<_>)| Origin { text, conversation: None, columns };
        texts.iter().zip(cells).map(origin).collect()
    }

    #[test]
    fn training_rows_have_mean_0_and_deviation_1() {
        let cells =
            cells(&[[Some("1.5"), Some("b")], [Some(" 4 "), Some("a")], [Some("-2"), Some("b")], [None, Some("")]]);
        let rows = origins(&["one", "one two", "one two three", "one"], &cells);
        let set = FeatureSet::fit(&names(&["price", "words", "kind"]), &rows).unwrap();
        assert_eq!((set.width(), set.names().count()), (4, 3));
        let values: Vec<Vec<f32>> = rows.iter().map(|row| set.values(*row)).collect();
        for (column, count) in [(0, 3), (1, 4)] {
            let present = || values[..count].iter().map(|row| f64::from(row[column]));
            assert!(present().sum::<f64>().abs() < 1e-6, "column {column}");
            assert!((present().map(|x| x * x).sum::<f64>() / count as f64 - 1.0).abs() < 1e-6, "column {column}");
        }
        assert_eq!(values[3][0], 0.0, "what is missing counts as the mean");
        let kinds: Vec<&[f32]> = values.iter().map(|row| &row[2..]).collect();
        assert_eq!(kinds, [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]);
    }

    #[test]
    fn rows_that_are_new_are_measured_by_the_old_ones() {
        let training = cells(&[[Some("0"), Some("a")], [Some("2"), Some("b")]]);
        let set = FeatureSet::fit(&names(&["price", "kind"]), &origins(&["", ""], &training)).unwrap();
        let again: FeatureSet = serde_json::from_str(&serde_json::to_string(&set).unwrap()).unwrap();
        assert_eq!(again, set);
        let new = cells(&[[Some("5"), Some("c")], [Some("dear"), Some("a")]]);
        let rows = origins(&["x", "x"], &new);
        assert_eq!(set.values(rows[0]), [4.0, 0.0, 0.0]);
        assert_eq!(set.values(rows[1]), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn one_value_is_nothing_to_learn_from() {
        let cells = cells(&[[Some("7"), None], [Some("7"), None]]);
        let set = FeatureSet::fit(&names(&["price"]), &origins(&["", ""], &cells)).unwrap();
        assert_eq!(set.values(Origin { text: "", conversation: None, columns: &[Some("8".to_owned())] }), [0.0]);
    }

    #[test]
    fn an_identifier_is_no_feature() {
        let cells: Vec<Vec<Option<String>>> = (0..=MOST_CATEGORIES).map(|i| vec![Some(format!("id-{i}"))]).collect();
        let rows = origins(&vec![""; cells.len()], &cells);
        assert!(FeatureSet::fit(&names(&["column:id"]), &rows[1..]).is_ok());
        let error = FeatureSet::fit(&names(&["column:id"]), &rows).unwrap_err();
        assert_eq!(error.to_string(), "column `id` has more than 1000 different values, too many for a feature");
    }

    #[test]
    fn words_say_the_same_as_numbers() {
        let cells = cells(&[[Some("1.50"), None], [Some("2"), Some("b")]]);
        let set =
            FeatureSet::fit(&names(&["price", "kind", "words", "capitals"]), &origins(&["", ""], &cells)).unwrap();
        let origin = Origin { text: "NO way, Ann", conversation: None, columns: &cells[0] };
        let template = default_template(set.names());
        assert_eq!(set.fill(&template, origin), "price 1.50, kind unknown, words 3, capitals 38 %. ");
    }
}
