//! Cross-validation: every row that is not kept for the test is judged once by a model that has not seen it.

use std::path::Path;

use finetone_backend::Backend;
use finetone_data::{Example, Split, stratified_folds};
use finetone_evaluate::{CrossValidation, Evaluation, EvaluationOptions, LabelErrors, Predictions, Repeats};

use crate::choices::{Decision, NeighbourUse, SplitRule};
use crate::decide;
use crate::error::TrainError;
use crate::events::TrainEvent;
use crate::evidence::{Evidence, as_said};
use crate::fit::Place;
use crate::label_errors;
use crate::material::{HoldOut, Texts};
use crate::run::{Outcome, Surroundings};
use crate::run_config::RunConfig;
use crate::store::write_whole;
use crate::trial::{Trial, Tried};

/// The division of the rows, once for each repeat.
#[derive(Clone)]
pub(crate) struct Folds {
    /// The rows in the order of the file.
    examples: Vec<Example>,
    /// For each repeat its seed and the folds.
    repeats: Vec<(u64, Vec<Split>)>,
}

/// What the folds found.
pub(crate) struct Found {
    /// How good the settings are. Temperature and decisions of each fold were fitted on the other folds.
    pub cross_validation: CrossValidation,
    /// What was said about each row of the first division, before anything was fitted on it.
    pub as_said: Predictions,
    /// Seconds that all trainings took.
    pub seconds: f64,
}

impl Folds {
    /// Divides all rows of the training file but those kept for the test. Each repeat divides them, and trains, by a seed
    /// of its own.
    ///
    /// # Errors
    /// A class that is too rare for so many folds; a division by group or time, which folds would not keep to.
    pub fn new(config: &RunConfig, texts: &Texts, folds: usize) -> Result<Self, TrainError> {
        if matches!(config.split, SplitRule::Group | SplitRule::Time) {
            return Err(TrainError::Setting {
                problem: "folds divide the rows by class alone, not by group or time".into(),
                hint: "leave out `folds`, or leave `split` at `stratified`".into(),
            });
        }
        let mut examples = texts.train.clone();
        if config.validation.is_none() {
            examples.extend_from_slice(&texts.validation);
            examples.sort_by_key(|example| example.line);
        }
        let seeds = (0..config.repeats as u64).map(|repeat| config.seed.wrapping_add(repeat));
        let divided = seeds.map(|seed| Ok((seed, stratified_folds(&examples, &texts.labels, folds, seed)?)));
        let repeats = divided.collect::<Result<_, TrainError>>()?;
        Ok(Self { examples, repeats })
    }

    /// Trains on all folds but one and measures on that one, for each of them. `place` is the folder of them all.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn cross_validate<B: Backend>(
        &self,
        backend: &B,
        config: &RunConfig,
        texts: &Texts,
        place: &Place,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Outcome<Found>, TrainError> {
        let mut tried = Vec::new();
        for (repeat, (seed, folds)) in self.repeats.iter().enumerate() {
            for (fold, split) in folds.iter().enumerate() {
                let config = RunConfig { seed: *seed, ..as_said(config) };
                let texts = self.texts(&config, texts, split)?;
                let (name, folder) = names((fold, folds.len()), (repeat, self.repeats.len()));
                let trial = Trial { name, config, place: place.within(&folder, false) };
                match trial.run(backend, (&texts, None), surroundings)? {
                    Outcome::Finished(one) => tried.push(one),
                    Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
                }
            }
        }
        let said: Vec<&[f32]> = tried.iter().map(|one| one.measured.predictions.probabilities()).collect();
        let as_said = self.judged(texts, 0, said.iter().copied().enumerate().take(self.splits().len()))?;
        let settled = self.settled(config, texts, &tried)?;
        let cross_validation = self.together(texts, &tried, &settled)?;
        let seconds = tried.iter().map(|one| one.fitted.seconds).sum();
        if config.decision == Decision::Fitted {
            let metric = config.chosen_metric()?;
            let (before, after) = (metric.compute(&as_said)?, metric.compute(&cross_validation.pooled)?);
            let message = format!(
                "with decisions that are fitted on the other folds {metric} over all rows is {after:.4} instead of {before:.4}"
            );
            surroundings.listener.on(&TrainEvent::Notice { message });
        }
        Ok(Outcome::Finished(Found { cross_validation, as_said, seconds }))
    }

    /// What was said about some folds of a division, with the truth beside it.
    ///
    /// # Errors
    /// Numbers that are no probabilities.
    pub fn judged<'s>(
        &self,
        texts: &Texts,
        division: usize,
        said: impl Iterator<Item = (usize, &'s [f32])>,
    ) -> Result<Predictions, TrainError> {
        let (mut examples, mut probabilities) = (Vec::new(), Vec::new());
        for (fold, said) in said {
            let rows = &self.repeats[division].1[fold].held_out;
            examples.extend(rows.iter().map(|&row| self.examples[row].clone()));
            probabilities.extend_from_slice(said);
        }
        texts.judged(&examples, probabilities)
    }

    /// The answers of all folds, with the temperature and the rule for decisions that the other folds of their division give:
    /// what is said about a row had no part in how it is read.
    fn settled(&self, config: &RunConfig, texts: &Texts, tried: &[Tried]) -> Result<Vec<Predictions>, TrainError> {
        let mut settled = Vec::with_capacity(tried.len());
        for (division, tried) in tried.chunks(self.splits().len()).enumerate() {
            for (fold, one) in tried.iter().enumerate() {
                let others = tried.iter().enumerate().filter(|(other, _)| *other != fold);
                let others = others.map(|(other, one)| (other, one.measured.predictions.probabilities()));
                let mut evidence = Evidence::out_of_fold(self.judged(texts, division, others)?);
                let mut own = one.measured.predictions.clone();
                if config.neighbours == NeighbourUse::Off
                    && let Some(found) = evidence.cool(config)?
                {
                    own = found.temperature.applied(&own);
                }
                let rule = decide::rule(config, texts, &one.fitted.seen, Some(&evidence))?;
                settled.push(match rule {
                    Some((rule, _)) => rule.applied(&own),
                    None => own,
                });
            }
        }
        Ok(settled)
    }

    /// Writes `folds.json`, `out_of_fold.csv` and, where a text has one label, `label-errors.csv` into a folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, found: &CrossValidation, folder: &Path) -> Result<(), TrainError> {
        let path = folder.join("out_of_fold.csv");
        let table = self.table(&found.pooled).map_err(|error| TrainError::io(&path)(error.into()))?;
        write_whole(&path, &table)?;
        if !found.pooled.is_multi_label() {
            let suspects = LabelErrors::find(&found.pooled)?;
            let text = label_errors::table(&suspects, &found.pooled, &self.examples);
            write_whole(&folder.join("label-errors.csv"), &text)?;
        }
        let text = serde_json::to_string_pretty(found).expect("numbers and names have a JSON form");
        write_whole(&folder.join("folds.json"), &text)
    }

    /// Each row's line, its label, what it was taken for, and the probabilities.
    fn table(&self, pooled: &Predictions) -> Result<String, csv::Error> {
        let named = |classes: Vec<usize>| {
            classes.iter().map(|&class| pooled.labels()[class].as_str()).collect::<Vec<_>>().join("|")
        };
        let mut table = csv::Writer::from_writer(Vec::new());
        let header = pooled.labels().iter().map(|label| format!("probability_{label}"));
        table.write_record(["line", "label", "predicted"].map(String::from).into_iter().chain(header))?;
        for (row, example) in self.examples.iter().enumerate() {
            let classes = [named(pooled.true_classes(row)), named(pooled.predicted(row))];
            let numbers = pooled.row(row).iter().map(f32::to_string);
            table.write_record([example.line.to_string()].into_iter().chain(classes).chain(numbers))?;
        }
        let bytes = table.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
        Ok(String::from_utf8(bytes).expect("labels and numbers are text"))
    }

    /// The rows in the order of the file.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// The folds of the first division.
    pub fn splits(&self) -> &[Split] {
        &self.repeats[0].1
    }

    /// The texts of one fold. The rows that choose its checkpoint are taken from those it is trained on.
    pub fn texts(&self, config: &RunConfig, texts: &Texts, split: &Split) -> Result<Texts, TrainError> {
        let pick = |indices: &[usize]| indices.iter().map(|&index| self.examples[index].clone()).collect::<Vec<_>>();
        let (train, validation) = match config.validation {
            Some(_) => (pick(&split.train), texts.validation.clone()),
            None => HoldOut::for_validation(config).apply(pick(&split.train))?,
        };
        // Means and categories of features are learnt from the rows of the other folds alone.
        let preparation = texts.preparation.refit(&train)?;
        Ok(Texts { train, validation, test: pick(&split.held_out), preparation, ..texts.clone() })
    }

    /// What the folds say together, and what each row was taken for by the models that had not seen it.
    fn together(&self, texts: &Texts, tried: &[Tried], settled: &[Predictions]) -> Result<CrossValidation, TrainError> {
        let runs: Vec<(String, &Predictions)> = tried.iter().map(|one| one.name.clone()).zip(settled).collect();
        let folds = self.repeats[0].1.len();
        let repeats = Repeats::of_folds(&runs, 1.0 / (folds - 1) as f64)?;
        let pooled = self.pooled(texts, settled)?;
        let evaluation = Evaluation::new(&pooled, &EvaluationOptions::default())?;
        Ok(CrossValidation { folds, divisions: self.repeats.len(), repeats, pooled, evaluation })
    }

    /// What was said about each row, in the order of the file: the mean of the repeats. `said` has an entry for each fold.
    ///
    /// # Errors
    /// Numbers that are no probabilities.
    pub fn pooled(&self, texts: &Texts, said: &[Predictions]) -> Result<Predictions, TrainError> {
        let classes = texts.labels.len();
        let mut sums = vec![0.0_f64; self.examples.len() * classes];
        let splits = self.repeats.iter().flat_map(|(_, folds)| folds);
        for (split, one) in splits.zip(said) {
            for (row, &index) in split.held_out.iter().enumerate() {
                let probabilities = one.row(row);
                let places = &mut sums[index * classes..(index + 1) * classes];
                places.iter_mut().zip(probabilities).for_each(|(sum, &p)| *sum += f64::from(p));
            }
        }
        let means = sums.into_iter().map(|sum| (sum / self.repeats.len() as f64) as f32).collect();
        texts.judged(&self.examples, means)
    }
}

/// What a fold is called by people, and its folder.
fn names((fold, folds): (usize, usize), (repeat, repeats): (usize, usize)) -> (String, String) {
    let name = format!("fold {} of {folds}", fold + 1);
    if repeats == 1 {
        return (name, format!("fold-{}", fold + 1));
    }
    (format!("{name}, repeat {} of {repeats}", repeat + 1), format!("repeat-{}-fold-{}", repeat + 1, fold + 1))
}
