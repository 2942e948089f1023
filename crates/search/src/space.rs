//! What is searched: settings of a run, each with a range or choices, from a TOML file.
//!
//! ```toml
//! learning_rate = { low = 1e-5, high = 1e-3, log = true }
//! batch_size = { choices = [8, 16, 32] }
//! trained = { bundles = { all = {}, top = { freeze = ["-1"], pooling = "mean" } } }
//! epochs = { low = 1, high = 6 }
//! top_rate = { setting = "learning_rate", low = 1e-4, high = 2e-3, log = true, when = { trained = "top" } }
//! ```

mod file;

use std::path::Path;

use finetone_train::RunFile;
use toml::{Table, Value};

use crate::error::SearchError;

/// Everything that is searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// Those that depend on others come behind them.
    dimensions: Vec<Dimension>,
}

/// One thing that is searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// Its name in the file and in tables.
    pub name: String,
    /// The setting that it is, unless it is a bundle of several.
    pub setting: String,
    /// Its values.
    pub values: Values,
    /// It matters only where another dimension has one of these values.
    pub when: Option<(String, Vec<Value>)>,
}

/// The values of a dimension.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers of a range, both ends included.
    Range {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
        /// Whether as much is tried between 1 and 2 as between 2 and 4.
        log: bool,
        /// Whether they are whole.
        whole: bool,
        /// How many of them a grid has.
        steps: usize,
    },
    /// Values of the setting.
    Choices(Vec<Value>),
    /// Several settings at once, under a name.
    Bundles(Vec<(String, Table)>),
}

/// Names and values of the dimensions that matter in a trial.
pub type Assignment = Table;

impl Space {
    /// Reads a space and checks each end and choice against the ranges of a run with the settings `base`.
    ///
    /// # Errors
    /// A file that cannot be read, and those of [`Space::parse`].
    pub fn read(path: &Path, base: &RunFile) -> Result<Self, SearchError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| finetone_train::TrainError::Io { path: path.to_owned(), source })?;
        Self::parse(&text, path, base)
    }

    /// The same for a text; `path` is what an error calls it.
    ///
    /// # Errors
    /// A text that is no space, an unknown key or setting, an empty range, a value out of the range of its setting, a setting
    /// that is the search's.
    pub fn parse(text: &str, path: &Path, base: &RunFile) -> Result<Self, SearchError> {
        let space = Self { dimensions: file::parse(text, path)? };
        space.check(path, base)?;
        Ok(space)
    }

    /// The dimensions, those that depend on others behind them.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The recipe with the values of a trial.
    pub fn apply(&self, base: &RunFile, assignment: &Assignment) -> RunFile {
        let mut file = base.clone();
        for dimension in &self.dimensions {
            if let Some(value) = assignment.get(&dimension.name) {
                dimension.settings(value).into_iter().for_each(|(key, value)| file.set(&key, value));
            }
        }
        file
    }

    /// The settings of a trial that the space decides.
    pub fn settings(&self, assignment: &Assignment) -> Table {
        let of = |dimension: &Dimension| assignment.get(&dimension.name).map(|value| dimension.settings(value));
        self.dimensions.iter().filter_map(of).flatten().collect()
    }

    /// The space as a file, in which what is a default of its own is written out.
    pub fn to_toml(&self) -> String {
        self.dimensions
            .iter()
            .map(|dimension| (dimension.name.clone(), dimension.written()))
            .collect::<Table>()
            .to_string()
    }

    /// The space without the values that do not fit the file or the model, with the reason for each, by what `fits` says of a
    /// recipe that has them. A dimension without anything left to choose is left out.
    ///
    /// # Errors
    /// Those of `fits` that are no reason to leave something out.
    pub fn fitted(
        self,
        base: &RunFile,
        mut fits: impl FnMut(&RunFile) -> Result<Result<(), String>, SearchError>,
    ) -> Result<(Self, Vec<String>), SearchError> {
        let (whole, mut kept, mut left_out) = (self.clone(), Vec::new(), Vec::new());
        for mut dimension in self.dimensions {
            let mut stays = Vec::new();
            for value in dimension.listed() {
                let recipe = whole.with(base, &dimension, &value);
                let reason = fits(&recipe)?.err();
                left_out.extend(reason.iter().map(|why| format!("{} = {}: {why}", dimension.name, shown(&value))));
                stays.push(reason.is_none());
            }
            dimension.keep(&stays);
            let others = |(name, values): &(String, Vec<Value>)| {
                let parent = kept.iter().find(|known: &&Dimension| known.name == *name);
                parent.is_some_and(|parent| parent.listed().iter().any(|value| values.contains(value)))
            };
            if !dimension.when.as_ref().is_none_or(others) {
                left_out.push(format!("{}: what it depends on is left out", dimension.name));
            } else if dimension.is_open(whole.dimensions.iter().any(|other| other.depends_on(&dimension))) {
                kept.push(dimension);
            } else if stays.len() > 1 {
                left_out.push(format!("{}: there is nothing left to choose", dimension.name));
            }
        }
        Ok((Self { dimensions: kept }, left_out))
    }

    /// The space without the dimensions that these settings decide, and a sentence for each of them.
    pub fn without(self, settings: &[String]) -> (Self, Vec<String>) {
        let given = |dimension: &Dimension| match &dimension.values {
            Values::Bundles(bundles) => {
                bundles.iter().flat_map(|(_, table)| table.keys()).find(|key| settings.contains(key)).cloned()
            }
            _ => Some(dimension.setting.clone()).filter(|setting| settings.contains(setting)),
        };
        let mut told = Vec::new();
        let mut kept: Vec<Dimension> = Vec::new();
        for dimension in self.dimensions {
            let parent = dimension.when.as_ref().filter(|(name, _)| kept.iter().all(|known| known.name != *name));
            match (given(&dimension), parent) {
                (Some(key), _) => told.push(format!("not searched: {}: `{key}` is given", dimension.name)),
                (None, Some((name, _))) => told.push(format!("not searched: {}: it depends on {name}", dimension.name)),
                (None, None) => kept.push(dimension),
            }
        }
        (Self { dimensions: kept }, told)
    }

    /// The recipe with one value of a dimension, and what that depends on.
    fn with(&self, base: &RunFile, dimension: &Dimension, value: &Value) -> RunFile {
        let mut assignment = Assignment::new();
        if let Some((name, values)) = &dimension.when {
            assignment.insert(name.clone(), values[0].clone());
        }
        assignment.insert(dimension.name.clone(), value.clone());
        self.apply(base, &assignment)
    }

    fn check(&self, path: &Path, base: &RunFile) -> Result<(), SearchError> {
        for dimension in &self.dimensions {
            let ends = match &dimension.values {
                Values::Range { low, high, .. } => vec![dimension.value(*low), dimension.value(*high)],
                Values::Choices(_) | Values::Bundles(_) => dimension.listed(),
            };
            for value in ends {
                self.with(base, dimension, &value).resolve().map_err(|error| SearchError::Space {
                    path: path.to_owned(),
                    problem: format!("`{}` = {}: {error}", dimension.name, shown(&value)),
                    hint: error.hint().unwrap_or_default(),
                })?;
            }
        }
        Ok(())
    }
}

impl Dimension {
    /// Whether it matters beside these values of others.
    pub fn matters(&self, assignment: &Assignment) -> bool {
        let holds = |(name, values): &(String, Vec<Value>)| assignment.get(name).is_some_and(|v| values.contains(v));
        self.when.as_ref().is_none_or(holds)
    }

    /// The numbers between which its values lie as a sampler sees them: logarithms where it says so, half a step beyond whole
    /// numbers, places in the list for choices.
    pub fn ends(&self) -> (f64, f64) {
        let scaled = |value: f64, log: bool| if log { value.ln() } else { value };
        match self.values {
            Values::Range { low, high, log, whole: true, .. } => (scaled(low - 0.5, log), scaled(high + 0.5, log)),
            Values::Range { low, high, log, whole: false, .. } => (scaled(low, log), scaled(high, log)),
            Values::Choices(_) | Values::Bundles(_) => (0.0, self.listed().len() as f64),
        }
    }

    /// The value at a place between the ends. Numbers have three digits: the others change nothing, and are hard to read.
    pub fn at(&self, place: f64) -> Value {
        match self.values {
            Values::Range { low, high, log, whole, .. } => {
                let number = if log { place.exp() } else { place };
                let rounded = if whole { number.round() } else { three_digits(number) };
                self.value(rounded.clamp(low, high))
            }
            Values::Choices(_) | Values::Bundles(_) => {
                let mut listed = self.listed();
                listed.swap_remove((place.max(0.0) as usize).min(listed.len() - 1))
            }
        }
    }

    /// The place of a value between the ends, before the upper one.
    pub fn place(&self, value: &Value) -> Option<f64> {
        let (start, end) = self.ends();
        let place = match self.values {
            Values::Range { log, .. } => {
                let number = value.as_float().or(value.as_integer().map(|whole| whole as f64))?;
                if log { number.ln() } else { number }
            }
            Values::Choices(_) | Values::Bundles(_) => self.listed().iter().position(|known| known == value)? as f64,
        };
        Some(place.clamp(start, end.next_down()))
    }

    /// The values of a grid.
    pub fn grid(&self) -> Vec<Value> {
        let Values::Range { low, high, log, steps, .. } = self.values else { return self.listed() };
        let (start, end) = if log { (low.ln(), high.ln()) } else { (low, high) };
        let place = |step: usize| start + (end - start) * step as f64 / (steps - 1) as f64;
        let mut values: Vec<Value> = (0..steps).map(|step| self.at(place(step))).collect();
        values.dedup();
        values
    }

    /// Whether its values are places in a list, without a distance.
    pub fn is_listed(&self) -> bool {
        !matches!(self.values, Values::Range { .. })
    }

    /// Its values where they are a list.
    fn listed(&self) -> Vec<Value> {
        match &self.values {
            Values::Range { .. } => Vec::new(),
            Values::Choices(choices) => choices.clone(),
            Values::Bundles(bundles) => bundles.iter().map(|(name, _)| Value::String(name.clone())).collect(),
        }
    }

    fn written(&self) -> Value {
        let mut table = match &self.values {
            Values::Choices(choices) => Table::from_iter([("choices".to_owned(), Value::Array(choices.clone()))]),
            Values::Bundles(bundles) => {
                let bundles = bundles.iter().map(|(name, settings)| (name.clone(), Value::Table(settings.clone())));
                Table::from_iter([("bundles".to_owned(), Value::Table(bundles.collect()))])
            }
            Values::Range { low, high, log, steps, .. } => Table::from_iter([
                ("low".to_owned(), self.value(*low)),
                ("high".to_owned(), self.value(*high)),
                ("log".to_owned(), Value::Boolean(*log)),
                ("steps".to_owned(), Value::Integer(*steps as i64)),
            ]),
        };
        if !matches!(self.values, Values::Bundles(_)) {
            table.insert("setting".into(), self.setting.clone().into());
        }
        if let Some((name, values)) = &self.when {
            table.insert("when".into(), Table::from_iter([(name.clone(), Value::Array(values.clone()))]).into());
        }
        Value::Table(table)
    }

    /// Leaves out those that do not stay.
    fn keep(&mut self, stays: &[bool]) {
        let mut stays = stays.iter();
        match &mut self.values {
            Values::Range { .. } => {}
            Values::Choices(choices) => choices.retain(|_| *stays.next().expect("one for each")),
            Values::Bundles(bundles) => bundles.retain(|_| *stays.next().expect("one for each")),
        }
    }

    fn depends_on(&self, other: &Dimension) -> bool {
        self.when.as_ref().is_some_and(|(name, _)| *name == other.name)
    }

    /// Whether there is something to choose. A single bundle is kept where it has settings, or others depend on it.
    fn is_open(&self, is_needed: bool) -> bool {
        match &self.values {
            Values::Range { .. } => true,
            Values::Choices(choices) => choices.len() > 1,
            Values::Bundles(bundles) => match bundles.as_slice() {
                [] => false,
                [(_, settings)] => is_needed || !settings.is_empty(),
                _ => true,
            },
        }
    }

    fn value(&self, number: f64) -> Value {
        match self.values {
            Values::Range { whole: true, .. } => Value::Integer(number as i64),
            _ => Value::Float(number),
        }
    }

    fn settings(&self, value: &Value) -> Table {
        if let Values::Bundles(bundles) = &self.values {
            let found = bundles.iter().find(|(name, _)| value.as_str() == Some(name));
            return found.map(|(_, settings)| settings.clone()).unwrap_or_default();
        }
        Table::from_iter([(self.setting.clone(), value.clone())])
    }
}

/// A value as people read it.
pub fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn three_digits(number: f64) -> f64 {
    format!("{number:.2e}").parse().expect("it was a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> RunFile {
        let mut base = RunFile::default();
        base.set("train", "a.csv");
        base
    }

    fn space(text: &str) -> Result<Space, SearchError> {
        Space::parse(text, Path::new("space.toml"), &base())
    }

    const SOUND: &str = "learning_rate = { low = 1e-5, high = 1e-3, log = true }\n\
        batch_size = { low = 8, high = 32, log = true }\n\
        a_rate = { setting = \"head_rate\", low = 1, high = 5.0, when = { way = [\"top\", \"head\"] } }\n\
        class_weights = { choices = [\"none\", \"balanced\"] }\n\
        way = { bundles = { all = {}, top = { freeze = [\"-1\"] }, head = { freeze = [\"-0\"], pooling = \"mean\" } } }";

    #[test]
    fn values_and_places_are_each_others_inverse() {
        let space = space(SOUND).unwrap();
        for dimension in space.dimensions() {
            let (start, end) = dimension.ends();
            for step in 0..50 {
                let value = dimension.at(start + (end - start) * f64::from(step) / 50.0);
                let place = dimension.place(&value).unwrap();
                assert!((start..end).contains(&place), "{}: {value}", dimension.name);
                assert_eq!(dimension.at(place), value, "{}", dimension.name);
            }
        }
        let rate = &space.dimensions()[2];
        assert_eq!((rate.name.as_str(), rate.at(1e-4_f64.ln())), ("learning_rate", Value::Float(1e-4)));
        let batch = &space.dimensions()[0];
        assert_eq!((batch.at(batch.ends().0), batch.at(batch.ends().1)), (Value::Integer(8), Value::Integer(32)));
        assert_eq!(rate.grid(), [1e-5, 1e-4, 1e-3].map(Value::Float));
    }

    #[test]
    fn what_depends_comes_last_and_is_set_only_where_it_matters() {
        let space = space(SOUND).unwrap();
        let last = space.dimensions().last().unwrap();
        assert_eq!(last.name, "a_rate");
        let with = |way: &str| Assignment::from_iter([("way".to_owned(), Value::String(way.into()))]);
        assert!(last.matters(&with("head")) && !last.matters(&with("all")));
        let settings = space.settings(&with("head"));
        assert_eq!(settings.to_string().replace('\n', " ").trim(), "freeze = [\"-0\"] pooling = \"mean\"");
        let config = space.apply(&base(), &with("top")).resolve().unwrap();
        assert_eq!(config.freeze, ["-1"]);
    }

    #[test]
    fn a_space_is_read_as_it_was_written() {
        let space = space(SOUND).unwrap();
        let again = Space::parse(&space.to_toml(), Path::new("again.toml"), &base()).unwrap();
        assert_eq!(again, space);
    }

    #[test]
    fn what_cannot_be_searched_is_refused_with_a_reason() {
        for (text, told, hint) in [
            ("", "nothing to search", "low"),
            ("[a\n", "space.toml", "TOML"),
            ("learning_rate = 3", "`learning_rate`", "low"),
            ("learning_rat = { low = 1e-5, high = 1e-3 }", "no setting `learning_rat`", "`learning_rate`"),
            ("learning_rate = { low = 1e-5, hihg = 1e-3 }", "`hihg`", "`high`"),
            ("learning_rate = { low = 1e-3, high = 1e-5 }", "empty range", "low"),
            ("learning_rate = { low = 0.0, high = 1e-5, log = true }", "logarithm", "above 0"),
            ("dropout = { low = 0.0, high = 1.5 }", "`dropout` = 1.5", "below 1"),
            ("batch_size = { choices = [] }", "no choice", "two"),
            ("batch_size = { choices = [8, 8] }", "twice", "once"),
            ("class_weights = { choices = [\"none\", \"blanced\"] }", "blanced", "written"),
            ("seed = { low = 1, high = 5 }", "`seed` is for the search to set", "leave"),
            ("way = { bundles = { a = { folds = 3 } } }", "`folds` is for the search to set", "leave"),
            ("dropout = { low = 0.0, high = 0.5, when = { way = 1 } }", "`way`", "dimension"),
            ("sampling_power = { low = 0.1, high = 0.5 }", "sampling_power", "weighted"),
            ("dropout = { low = 0.0, high = 0.5, steps = 1 }", "steps", "2"),
            ("dropout = { low = 0.0, high = 0.5, choices = [0.1] }", "`dropout`", "either"),
        ] {
            let error = space(text).unwrap_err();
            let said = error.hint().unwrap_or_default();
            assert!(error.to_string().contains(told) && said.contains(hint), "{text}\n{error}\n{said}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_with_its_reason() {
        let fits = |recipe: &RunFile| {
            let config = recipe.resolve()?;
            Ok(if config.freeze.is_empty() { Ok(()) } else { Err("it has one block".to_owned()) })
        };
        let (space, told) = space(SOUND).unwrap().fitted(&base(), fits).unwrap();
        let names: Vec<&str> = space.dimensions().iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["batch_size", "class_weights", "learning_rate", "way"]);
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!((told[0].as_str(), &told[2][..6]), ("way = head: it has one block", "a_rate"));
    }
}
