//! The texts of a run: read, checked, split, encoded.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use finetone_classify::{Encoded, Question, States};
use finetone_data::doctor::{self, DoctorOptions, Severity};
use finetone_data::features::{ALL_COLUMNS, usable_columns};
use finetone_data::split::{column_times, column_values};
use finetone_data::tokenizer::{Keep, Limit, Tokenizer};
use finetone_data::{
    Checkup, Dataset, Example, LabelSet, Preparation, ReadOptions, Role, Split, Target, chat, features, group_split,
    hash_split, stratified_split, time_split,
};
use finetone_evaluate::Predictions;

use crate::chats;
use crate::choices::{SplitRule, Task, Truncation};
use crate::earlier::{Earlier, Sides};
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::measure;
use crate::run_config::RunConfig;

/// The examples of a run before they are encoded.
#[derive(Clone)]
pub struct Texts {
    /// The classes.
    pub labels: LabelSet,
    /// What is done to an example before its text is encoded; its features are those of the training examples.
    pub preparation: Preparation,
    /// What is learnt from.
    pub train: Vec<Example>,
    /// What chooses the best checkpoint; may be empty.
    pub validation: Vec<Example>,
    /// What is measured at the end; may be empty.
    pub test: Vec<Example>,
    /// Whether a text may have several of the classes.
    pub multi_label: bool,
    /// Where the text column was found.
    pub text_column: String,
    /// Where the label column was found.
    pub label_column: Option<String>,
}

/// Encoded texts with their targets.
#[derive(Clone)]
pub struct Rows {
    /// Token ids of each text.
    pub ids: Vec<Vec<u32>>,
    /// Their numbers.
    pub lengths: Vec<usize>,
    /// The classes of each text; none of chats whose answers are no closed set.
    pub targets: Vec<Target>,
    /// Of each chat that a language model learns, the places of the tokens to learn, from 1 on; otherwise empty.
    pub learnt: Vec<Vec<u32>>,
    /// Of chats to measure it on, whose answers are a closed set, what each asks; otherwise empty.
    pub questions: Vec<Question>,
    /// Where each stands in its file.
    pub lines: Vec<u64>,
    /// How many were cut.
    pub truncated: usize,
    /// How they were cut, which says what sequences a text is.
    pub limit: Limit,
    /// Numbers beside each text that the model reads as well, row-major; empty where it reads none.
    pub features: Vec<f32>,
    /// What the frozen blocks at the bottom of the model give for them, where that is kept.
    pub states: Option<States>,
}

impl Texts {
    /// Runs the doctor's checks unless that was done, reads the files, holds rows out where no file is given, and learns from the
    /// training rows how examples are prepared.
    ///
    /// # Errors
    /// What the doctor calls an error, and a file that cannot be read.
    pub fn read(
        config: &RunConfig,
        checkup: Option<&Checkup>,
        listener: &mut dyn Listener,
    ) -> Result<Self, TrainError> {
        let preparation =
            Preparation { chat: chat::rule_of(&config.train, &config.open_options())?, ..config.preparation() };
        let options = ReadOptions {
            open: preparation.open_options(config.encoding),
            text_column: config.text_column.clone(),
            label_column: config.label_column.clone(),
            multi_label: config.multi_label,
            chats: config.task == Task::Chat,
            open_answers: config.task == Task::Chat,
            ..ReadOptions::default()
        };
        let features = feature_names(config, &options)?;
        let options = ReadOptions { columns: features::columns(&features), ..options };
        let earlier = Earlier::read(config)?;
        let known = earlier.as_ref().map(|earlier| earlier.texts.labels.clone());
        let options = ReadOptions { known, ..options };
        earlier.as_ref().map_or(Ok(()), |earlier| earlier.check(&preparation, &options.columns))?;
        examine(config, checkup, &options, listener)?;
        let mut read_one = |path: &Path, options: &ReadOptions| read_one(path, options, &preparation, listener);
        let whole = read_one(&config.train, &options)?;
        let known = ReadOptions { known: Some(whole.labels.clone()), ..options.clone() };
        let labels = whole.labels.clone();
        let (text_column, label_column) = (whole.text_column.clone(), whole.label_column.clone());
        let mut given = |path: &Option<PathBuf>| path.as_ref().map(|path| read_one(path, &known)).transpose();
        let given = (given(&config.validation)?, given(&config.test)?);
        let (old, examples) = match earlier {
            Some(earlier) => earlier.settle(whole.examples, listener),
            None => (Sides::default(), whole.examples),
        };
        let Sides { train, validation, test } = divide(config, examples, old, given)?;
        tell_giveaways(&features, &train, listener);
        let preparation = preparation.fit(&features, &train)?;
        let multi_label = config.multi_label.is_some();
        let mut texts = Self { labels, preparation, train, validation, test, multi_label, text_column, label_column };
        if config.task == Task::Chat {
            chats::settle_labels(&mut texts, listener)?;
        }
        Ok(texts)
    }

    /// The examples of a set by its name: `test`, `validation`, and otherwise what is learnt from.
    pub fn set(&self, name: &str) -> &[Example] {
        match name {
            "test" => &self.test,
            "validation" => &self.validation,
            _ => &self.train,
        }
    }

    /// What was said about `examples`, all of which have a target, with the truth beside it.
    ///
    /// # Errors
    /// Numbers that are no probabilities.
    pub fn judged(&self, examples: &[Example], probabilities: Vec<f32>) -> Result<Predictions, TrainError> {
        let targets: Vec<Target> = examples.iter().filter_map(|example| example.target.clone()).collect();
        measure::predictions((self.labels.names(), self.multi_label), &targets, probabilities)
    }

    /// A number that changes when a text, its label or its set does.
    pub fn fingerprint(&self) -> u64 {
        let sets = [&self.train, &self.validation, &self.test].into_iter();
        fnv_1a(sets.flat_map(|set| set.iter().flat_map(numbers).chain([u64::MAX - 1])))
    }

    /// How many training texts each class has; a text with several counts for each.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.labels.len()];
        let targets = self.train.iter().filter_map(|example| example.target.as_ref());
        targets.flat_map(Target::classes).for_each(|&class| counts[class] += 1);
        counts
    }
}

/// Holds rows out where no file of validation or test is given, and puts each side behind the old rows of that side.
fn divide(
    config: &RunConfig,
    examples: Vec<Example>,
    old: Sides,
    (validation, test): (Option<Dataset>, Option<Dataset>),
) -> Result<Sides, TrainError> {
    let held_out = |hold_out: HoldOut<'_>, examples, old: Vec<Example>, given: Option<Dataset>| match given {
        Some(given) => Ok((examples, given.examples)),
        None => hold_out.apply(examples).map(|(stays, held_out)| (stays, [old, held_out].concat())),
    };
    let (train, test) = held_out(HoldOut::for_test(config), examples, old.test, test)?;
    let (train, validation) = held_out(HoldOut::for_validation(config), train, old.validation, validation)?;
    Ok(Sides { train: [old.train, train].concat(), validation, test })
}

/// A notice for each feature that gives the label away.
fn tell_giveaways(features: &[String], train: &[Example], listener: &mut dyn Listener) {
    for (column, values) in features::giveaways(features, train) {
        let message = format!(
            "column `{column}` gives the label away: each of its {values} values stands beside one label alone. If it is \
             filled in after the label is known, leave it out of `features`"
        );
        listener.on(&TrainEvent::Notice { message });
    }
}

/// The features that the settings name, with the columns that they leave to the file.
fn feature_names(config: &RunConfig, options: &ReadOptions) -> Result<Vec<String>, TrainError> {
    let Some(place) = config.features.iter().position(|name| name == ALL_COLUMNS) else {
        return Ok(config.features.clone());
    };
    let mut columns = usable_columns(&config.train, options)?;
    columns.retain(|column| !config.features.contains(column));
    let mut names = config.features.clone();
    names.splice(place..=place, columns);
    Ok(names)
}

/// The same checks as `finetone doctor`: errors stop the run, warnings are told.
fn examine(
    config: &RunConfig,
    checkup: Option<&Checkup>,
    options: &ReadOptions,
    listener: &mut dyn Listener,
) -> Result<(), TrainError> {
    let options = DoctorOptions { read: options.clone(), ..DoctorOptions::default() };
    let mut faults = match checkup {
        Some(checkup) => checkup.faults.clone(),
        None => doctor::examine(&config.train, config.test.as_deref(), &options)?.faults,
    };
    if let Some(validation) = &config.validation {
        // The training file's own faults are known by now; only what the validation file adds is of interest.
        let more = doctor::examine(&config.train, Some(validation), &options)?.faults;
        faults.extend(more.into_iter().filter(|fault| fault.file == *validation));
    }
    let mut errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
    if let Some(first) = errors.next() {
        let (path, first, fix) = (first.file.clone(), first.message.clone(), first.fix.clone());
        return Err(TrainError::Faults { path, errors: 1 + errors.count(), first, fix });
    }
    for fault in faults.iter().filter(|fault| fault.severity == Severity::Warning) {
        let message = format!("{}: {} ({})", fault.file.display(), fault.message, fault.fix);
        listener.on(&TrainEvent::Notice { message });
    }
    Ok(())
}

fn read_one(
    path: &Path,
    options: &ReadOptions,
    preparation: &Preparation,
    listener: &mut dyn Listener,
) -> Result<Dataset, TrainError> {
    let dataset = Dataset::read(path, options)?;
    for notice in dataset.notices.iter().chain(&preparation.check_speakers(path, &dataset.examples)?) {
        let message = format!("{}: {notice}", path.display());
        listener.on(&TrainEvent::Notice { message });
    }
    Ok(dataset)
}

/// What is held out of the training file, and why.
pub(crate) struct HoldOut<'a> {
    config: &'a RunConfig,
    fraction: f64,
    seed: u64,
    /// Keeps the two divisions of a `hash` split, which knows no seed, apart.
    salt: u64,
}

impl<'a> HoldOut<'a> {
    pub fn for_test(config: &'a RunConfig) -> Self {
        Self { config, fraction: config.test_fraction, seed: config.seed, salt: 0 }
    }

    pub fn for_validation(config: &'a RunConfig) -> Self {
        Self { config, fraction: config.validation_fraction, seed: config.seed.wrapping_add(1), salt: 1 }
    }

    /// What stays and what is held out.
    pub fn apply(&self, examples: Vec<Example>) -> Result<(Vec<Example>, Vec<Example>), TrainError> {
        if self.fraction == 0.0 {
            return Ok((examples, Vec::new()));
        }
        let split = self.split(&examples)?;
        // What a stratified split cannot hold out, in a very small file, is told when it is missed.
        if self.config.split != SplitRule::Stratified && (split.held_out.is_empty() || split.train.is_empty()) {
            return Err(TrainError::TooFew {
                problem: format!("of {} rows none can be held out by `split`", examples.len()),
                hint: "give files with `--test` and `--validation`, more rows or groups, or split in another way"
                    .into(),
            });
        }
        let pick = |indices: &[usize]| indices.iter().map(|&i| examples[i].clone()).collect();
        Ok((pick(&split.train), pick(&split.held_out)))
    }

    fn split(&self, examples: &[Example]) -> Result<Split, TrainError> {
        let (file, open) = (&self.config.train, self.config.open_options());
        Ok(match self.config.split {
            SplitRule::Stratified => stratified_split(examples, self.fraction, self.seed),
            SplitRule::Hash => hash_split(examples, self.fraction, self.salt),
            SplitRule::Group => {
                let column = self.config.group_column.as_deref().unwrap_or_default();
                let groups = column_values(file, &open, examples, Role::Group, column)?;
                group_split(examples, &groups, self.fraction, self.seed)
            }
            SplitRule::Time => {
                let column = self.config.time_column.as_deref().unwrap_or_default();
                time_split(examples, &column_times(file, &open, examples, column)?, self.fraction)
            }
        })
    }
}

impl Rows {
    /// No texts.
    pub fn empty(limit: Limit) -> Self {
        Self {
            ids: Vec::new(),
            lengths: Vec::new(),
            targets: Vec::new(),
            learnt: Vec::new(),
            questions: Vec::new(),
            lines: Vec::new(),
            truncated: 0,
            limit,
            features: Vec::new(),
            states: None,
        }
    }

    /// Prepares and encodes examples, all of which have a target.
    pub fn encode(examples: &[Example], preparation: &Preparation, tokenizer: &Tokenizer, limit: &Limit) -> Self {
        let labelled = || examples.iter().filter(|example| example.target.is_some());
        let prepared = preparation.prepare_all(examples);
        let prepared = || prepared.iter().zip(examples).filter(|(_, example)| example.target.is_some());
        let texts: Vec<&str> = prepared().map(|(row, _)| &*row.text).collect();
        let encodings = tokenizer.encode_batch(&texts, limit);
        let truncated = encodings.iter().filter(|encoding| encoding.truncated).count();
        let ids: Vec<Vec<u32>> = encodings.into_iter().map(|encoding| encoding.ids).collect();
        Self {
            lengths: ids.iter().map(Vec::len).collect(),
            ids,
            targets: labelled().filter_map(|example| example.target.clone()).collect(),
            lines: labelled().map(|example| example.line).collect(),
            truncated,
            features: prepared().flat_map(|(row, _)| row.features.iter().copied()).collect(),
            ..Self::empty(*limit)
        }
    }

    /// The texts as the model reads them.
    pub fn encoded(&self) -> Encoded<'_, Vec<u32>> {
        Encoded { ids: &self.ids, limit: self.limit, features: &self.features, states: self.states.as_ref() }
    }

    /// What each text takes of a budget of tokens, so that together they have no more tokens, and no more logits than fit, either.
    pub fn costs(&self, budget: usize, logits: usize) -> Cow<'_, [usize]> {
        if self.learnt.is_empty() {
            return Cow::Borrowed(&self.lengths);
        }
        let most = chats::most_learnt(logits);
        let cost = |(&length, learnt): (&usize, &Vec<u32>)| length.max((learnt.len() * budget).div_ceil(most));
        self.lengths.iter().zip(&self.learnt).map(cost).collect()
    }

    /// Number of rows of logits for each text: one, or one for each token to learn.
    pub fn answers(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).map(|i| self.learnt.get(i).map_or(1, Vec::len))
    }

    /// Number of sequences of each text.
    pub fn sequences(&self) -> impl Iterator<Item = usize> {
        self.ids.iter().map(|ids| self.limit.sequences(ids).len())
    }

    /// These texts, and others behind them, which are cut in the same way.
    pub fn followed_by(&self, others: Self) -> Self {
        let mut both = self.clone();
        both.ids.extend(others.ids);
        both.lengths.extend(others.lengths);
        both.targets.extend(others.targets);
        both.lines.extend(others.lines);
        both.features.extend(others.features);
        both.truncated += others.truncated;
        both
    }

    /// Some of these texts, in this order, as a set of their own. How many of them were cut is not known any more.
    pub fn pick(&self, texts: &[usize]) -> Self {
        let width = self.features.len() / self.len().max(1);
        let features = |&text: &usize| self.features[text * width..(text + 1) * width].iter().copied();
        Self {
            ids: texts.iter().map(|&text| self.ids[text].clone()).collect(),
            lengths: texts.iter().map(|&text| self.lengths[text]).collect(),
            targets: texts.iter().map(|&text| self.targets[text].clone()).collect(),
            lines: texts.iter().map(|&text| self.lines[text]).collect(),
            features: texts.iter().flat_map(features).collect(),
            states: self.states.as_ref().map(|states| states.pick(texts)),
            ..Self::empty(self.limit)
        }
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// A number that changes when a text, its encoding, a label or a number beside it does. A checkpoint keeps it,
    /// so that a run is not resumed on other data.
    pub fn fingerprint(&self) -> u64 {
        let classes = self.targets.iter().flat_map(|t| t.classes().iter().map(|&c| c as u64).chain([u64::MAX]));
        let ids = self.ids.iter().flat_map(|ids| ids.iter().map(|&id| u64::from(id)).chain([u64::MAX]));
        let features = self.features.iter().map(|value| u64::from(value.to_bits()));
        let learnt =
            self.learnt.iter().flat_map(|places| places.iter().map(|&place| u64::from(place)).chain([u64::MAX]));
        fnv_1a(ids.chain(classes).chain(features).chain(learnt))
    }
}

/// Text and classes of an example.
fn numbers(example: &Example) -> impl Iterator<Item = u64> + '_ {
    let classes = example.target.iter().flat_map(Target::classes).map(|&class| class as u64);
    example.text.bytes().map(u64::from).chain([u64::MAX]).chain(classes).chain([u64::MAX])
}

/// A number that changes when one of the examples does.
pub fn fingerprint(examples: &[Example]) -> u64 {
    fnv_1a(examples.iter().flat_map(numbers))
}

/// The hash FNV-1a of the numbers' bytes.
pub fn fnv_1a(numbers: impl Iterator<Item = u64>) -> u64 {
    let bytes = numbers.flat_map(u64::to_le_bytes);
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

/// The limit on tokens: as set, else what tokenizer and model allow, at most 512.
///
/// # Errors
/// Windows that would mostly repeat each other.
pub fn text_limit(config: &RunConfig, tokenizer: &Tokenizer, model_max: usize) -> Result<Limit, TrainError> {
    let usual = tokenizer.max_tokens_hint().unwrap_or(model_max).min(512);
    let keep = match config.truncation {
        Truncation::Windows => Keep::Windows { overlap: config.window_overlap },
        Truncation::Head => Keep::Head,
        Truncation::Tail => Keep::Tail,
        Truncation::HeadTail => Keep::HeadTail,
    };
    let (max_tokens, overlap) = (config.max_tokens.unwrap_or(usual).min(model_max), config.window_overlap);
    if overlap > max_tokens / 2 {
        return Err(TrainError::Setting {
            problem: format!("`window_overlap` is {overlap}, and a window has {max_tokens} tokens"),
            hint: "it can be half of a window at most; a tenth is usual".into(),
        });
    }
    Ok(Limit { max_tokens, keep })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_file::RunFile;

    /// Sixty rows of twenty customers over sixty days, the newest first, split as `settings` say.
    fn texts(settings: &[&str], damage: impl Fn(String) -> String) -> Result<Texts, TrainError> {
        let folder = tempfile::tempdir().unwrap();
        let row = |i: u32| {
            let (day, label) = (59 - i, ["good", "bad"][i as usize % 2]);
            format!("text {i},{label},customer {},2026-{:02}-{:02}\n", i / 3, 1 + day / 28, 1 + day % 28)
        };
        let rows: String = (0..60).map(row).collect();
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, damage(format!("text,label,customer,day\n{rows}"))).unwrap();
        let mut file = RunFile::default();
        file.set("train", path.to_string_lossy().into_owned());
        settings.iter().for_each(|setting| file.assign(setting).unwrap());
        Texts::read(&file.resolve().unwrap(), None, &mut crate::events::Unheard)
    }

    fn lines(examples: &[Example]) -> Vec<u64> {
        examples.iter().map(|example| example.line).collect()
    }

    #[test]
    fn test_and_validation_are_the_newest_rows() {
        let texts = texts(&["split=time", "time_column=Day"], |file| file).unwrap();
        // The newest row is the first, on line 2.
        assert_eq!(lines(&texts.test), [2, 3, 4, 5, 6, 7]);
        assert_eq!(lines(&texts.validation), [8, 9, 10, 11, 12]);
    }

    #[test]
    fn no_customer_is_on_two_sides() {
        let texts = texts(&["split=group", "group_column=customer", "test_fraction=0.2"], |file| file).unwrap();
        let customers = |examples: &[Example]| examples.iter().map(|e| (e.line - 2) / 3).collect::<Vec<u64>>();
        let [train, validation, test] = [&texts.train, &texts.validation, &texts.test].map(|set| customers(set));
        assert_eq!((test.len(), train.len() + validation.len()), (12, 48));
        let apart =
            |one: &[u64], other: &[u64]| !one.is_empty() && one.iter().all(|customer| !other.contains(customer));
        assert!(apart(&test, &train) && apart(&test, &validation) && apart(&validation, &train));
    }

    #[test]
    fn a_row_stays_in_the_test_when_the_file_grows() {
        let settings = ["split=hash", "test_fraction=0.3"];
        let few = lines(&texts(&settings, |file| file).unwrap().test);
        let more =
            |file: String| (60..90).fold(file, |file, i| file + &format!("text {i},good,customer 1,2026-01-01\n"));
        let many = lines(&texts(&settings, more).unwrap().test);
        assert!(few.len() > 8 && many.len() > few.len());
        assert_eq!(many[..few.len()], few);
        let other_seed = lines(&texts(&[settings[0], settings[1], "seed=7"], |file| file).unwrap().test);
        assert_eq!(other_seed, few);
    }

    #[test]
    fn what_cannot_be_split_by_is_told_with_its_line() {
        let by_time = ["split=time", "time_column=day"];
        let said = |settings: &[&str], from: &str, to: &str| {
            let error = texts(settings, |file| file.replace(from, to)).err().expect("an error");
            (error.to_string(), error.hint().unwrap_or_default())
        };
        let (error, hint) = said(&by_time, "2026-02-01", "last week");
        assert!(
            error.contains("rows.csv:33: `last week` in column `day` is no time") && hint.contains("2026-03-01"),
            "{error}"
        );
        let (error, _) = said(&by_time, "2026-02-01", "");
        assert!(error.contains("rows.csv:33: column `day` is empty"), "{error}");
        let (error, hint) = said(&["split=time", "time_column=date"], "x", "x");
        assert!(error.contains("no column `date`") && hint.contains("`--set time_column=NAME`"), "{error} {hint}");
        let one_group = |file: String| {
            file.lines()
                .map(|line| line.to_owned() + if line.ends_with("day") { ",shop\n" } else { ",main\n" })
                .collect()
        };
        let error = texts(&["split=group", "group_column=shop"], one_group).err().expect("an error");
        assert_eq!(error.to_string(), "of 60 rows none can be held out by `split`");
    }
}
