//! The file of a space, taken apart.

use std::path::Path;

use toml::{Table, Value};

use super::{Dimension, Values};
use crate::error::SearchError;

/// What can be said about a dimension.
const KEYS: [&str; 8] = ["low", "high", "log", "steps", "choices", "bundles", "setting", "when"];
/// What the search gives to all trials alike.
const OF_THE_SEARCH: [&str; 16] = [
    "train",
    "test",
    "validation",
    "from",
    "test_fraction",
    "split",
    "text_column",
    "label_column",
    "multi_label",
    "folds",
    "repeats",
    "seeds",
    "seed",
    "precision",
    "track",
    "keep_epochs",
];
/// Values of a range in a grid unless written.
const STEPS: usize = 3;

/// Problem and hint.
type Refusal = (String, String);

/// The dimensions, those that depend on others last.
pub fn parse(text: &str, path: &Path) -> Result<Vec<Dimension>, SearchError> {
    let refused = |(problem, hint): Refusal| SearchError::Space { path: path.to_owned(), problem, hint };
    let table = text.parse::<Table>().map_err(|error| {
        refused((error.to_string(), "a space is a TOML file: see recipes/search/default.toml".into()))
    })?;
    let dimensions: Result<Vec<Dimension>, Refusal> = table.into_iter().map(|(name, said)| one(name, said)).collect();
    let (mut free, dependent): (Vec<_>, Vec<_>) =
        dimensions.map_err(refused)?.into_iter().partition(|dimension| dimension.when.is_none());
    if free.is_empty() && dependent.is_empty() {
        return Err(refused(("there is nothing to search".into(), usage())));
    }
    for dimension in &dependent {
        check_dependence(dimension, &free).map_err(refused)?;
    }
    free.extend(dependent);
    Ok(free)
}

fn usage() -> String {
    "write settings with their values, such as `learning_rate = { low = 1e-5, high = 1e-3, log = true }` or \
     `batch_size = { choices = [8, 16] }`"
        .into()
}

fn one(name: String, said: Value) -> Result<Dimension, Refusal> {
    let Value::Table(mut said) = said else {
        return Err((format!("`{name}` has a value, not a range or choices"), usage()));
    };
    if let Some(unknown) = said.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let like = |key: &&&str| (strsim::jaro_winkler(key, unknown) * 1e6) as u32;
        let nearest = KEYS.iter().max_by_key(like).expect("there are keys");
        return Err((format!("`{name}`: there is no `{unknown}`"), format!("did you mean `{nearest}`?")));
    }
    let text = |value: Value| value.as_str().map(str::to_owned);
    let setting = match said.remove("setting") {
        None => name.clone(),
        Some(value) => text(value).ok_or_else(|| (format!("`{name}`: `setting` is no text"), usage()))?,
    };
    let when = said.remove("when").map(|when| condition(&name, when)).transpose()?;
    let values = values(&name, said)?;
    let dimension = Dimension { name, setting, values, when };
    check_settings(&dimension)?;
    Ok(dimension)
}

/// `{ other = value }` or `{ other = [value, value] }`.
fn condition(name: &str, when: Value) -> Result<(String, Vec<Value>), Refusal> {
    let one = when.as_table().filter(|table| table.len() == 1).and_then(|table| table.iter().next());
    let Some((other, value)) = one else {
        return Err((
            format!("`{name}`: `when` is no condition"),
            "write `when = { way = \"top\" }`, or a list of values of that dimension".into(),
        ));
    };
    let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    Ok((other.clone(), values))
}

fn values(name: &str, mut said: Table) -> Result<Values, Refusal> {
    match (said.remove("choices"), said.remove("bundles")) {
        (None, None) => range(name, &said),
        (Some(Value::Array(choices)), None) if said.is_empty() => Ok(Values::Choices(distinct(name, choices)?)),
        (None, Some(Value::Table(bundles))) if said.is_empty() && !bundles.is_empty() => {
            let bundle = |(bundle, settings): (String, Value)| match settings {
                Value::Table(settings) => Ok((bundle, settings)),
                _ => Err((format!("`{name}`: the bundle `{bundle}` is no table of settings"), usage())),
            };
            Ok(Values::Bundles(bundles.into_iter().map(bundle).collect::<Result<_, _>>()?))
        }
        _ => Err((
            format!("`{name}` is not understood"),
            "a dimension has either `low` and `high`, or a list of `choices`, or a table of `bundles`".into(),
        )),
    }
}

fn distinct(name: &str, choices: Vec<Value>) -> Result<Vec<Value>, Refusal> {
    if choices.is_empty() {
        return Err((format!("`{name}` has no choice"), "give at least two values".into()));
    }
    match choices.iter().enumerate().find(|(place, choice)| choices[..*place].contains(choice)) {
        Some((_, twice)) => Err((format!("`{name}` has the choice {twice} twice"), "name each value once".into())),
        None => Ok(choices),
    }
}

fn range(name: &str, said: &Table) -> Result<Values, Refusal> {
    let number = |key: &str| {
        let value = said.get(key)?;
        value.as_float().or(value.as_integer().map(|whole| whole as f64)).filter(|number| number.is_finite())
    };
    let (Some(low), Some(high)) = (number("low"), number("high")) else {
        return Err((format!("`{name}` has no range"), usage()));
    };
    if low >= high {
        return Err((format!("`{name}` has an empty range, from {low} to {high}"), "`low` is less than `high`".into()));
    }
    let log = match said.get("log") {
        None => false,
        Some(log) => log.as_bool().ok_or_else(|| (format!("`{name}`: `log` is {log}"), "`true` or `false`".into()))?,
    };
    if log && low <= 0.0 {
        return Err((format!("`{name}` starts at {low}, which has no logarithm"), "let `low` be above 0".into()));
    }
    let steps = match said.get("steps") {
        None => Some(STEPS),
        Some(steps) => steps.as_integer().and_then(|steps| usize::try_from(steps).ok()).filter(|&steps| steps >= 2),
    };
    let steps = steps.ok_or_else(|| (format!("`{name}`: `steps` is out of range"), "at least 2".to_owned()))?;
    let whole = ["low", "high"].iter().all(|key| said.get(*key).is_some_and(Value::is_integer));
    Ok(Values::Range { low, high, log, whole, steps })
}

fn check_settings(dimension: &Dimension) -> Result<(), Refusal> {
    let keys: Vec<&String> = match &dimension.values {
        Values::Bundles(bundles) => bundles.iter().flat_map(|(_, settings)| settings.keys()).collect(),
        Values::Range { .. } | Values::Choices(_) => vec![&dimension.setting],
    };
    match keys.into_iter().find(|key| OF_THE_SEARCH.contains(&key.as_str())) {
        Some(key) => Err((
            format!("`{}`: `{key}` is for the search to set, not for a trial", dimension.name),
            "leave it out of the space; what all trials have in common is given by flags, a recipe and `--set`".into(),
        )),
        None => Ok(()),
    }
}

fn check_dependence(dimension: &Dimension, free: &[Dimension]) -> Result<(), Refusal> {
    let Some((name, values)) = &dimension.when else { return Ok(()) };
    let Some(other) = free.iter().find(|other| other.name == *name) else {
        return Err((
            format!("`{}` depends on `{name}`, which is not there or depends on another itself", dimension.name),
            "`when` names a dimension of the space that has no `when`".into(),
        ));
    };
    let listed = other.listed();
    match values.iter().find(|value| !listed.contains(value)) {
        Some(value) => Err((
            format!("`{}` depends on `{name}` = {value}, which it never is", dimension.name),
            "`when` names values among the choices or bundles of that dimension".into(),
        )),
        None if values.is_empty() => {
            Err((format!("`{}` depends on nothing", dimension.name), "leave out `when`".into()))
        }
        None => Ok(()),
    }
}
