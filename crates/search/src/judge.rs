//! Who says how good settings are: models that are trained in folds of a file.

use finetone_backend::Backend;
use finetone_classify::hub::{HubConfig, HubProgress};
use finetone_evaluate::{Metric, Predictions};
use finetone_train::{
    Control, FoldBench, JudgedFold, Listener, Outcome, RunConfig, RunFile, Surroundings, TrainError, Unheard,
};

use crate::error::SearchError;
use crate::store::SEARCHED;

/// How far apart the seeds of two divisions are, so that runs with several seeds do not meet them.
const BETWEEN_DIVISIONS: u64 = 1_000_003;

/// Says how good recipes are in the folds of a division of the rows: 0 is that of the search, 1 a fresh one.
pub trait Judge {
    /// How many folds a division has.
    fn folds(&self) -> usize;

    /// Judges a recipe in one fold, by a share of its epochs; nothing where `control` stopped it.
    ///
    /// # Errors
    /// What a training refuses or fails with.
    fn judge(
        &mut self,
        division: u32,
        recipe: &RunFile,
        part: (usize, f64),
        control: &Control,
    ) -> Result<Option<JudgedFold>, SearchError>;

    /// What was said about some folds, with the truth beside it.
    ///
    /// # Errors
    /// Numbers that are no probabilities.
    fn together(&mut self, division: u32, judged: &[(usize, &[f32])]) -> Result<Predictions, SearchError>;

    /// A metric over all rows of some folds: with a rare class the mean of the folds would hang on a handful of rows in each.
    ///
    /// # Errors
    /// Numbers that are no probabilities; a metric that has no value on these rows.
    fn score(&mut self, metric: &Metric, division: u32, judged: &[(usize, &[f32])]) -> Result<f64, SearchError> {
        Ok(metric.compute(&self.together(division, judged)?)?)
    }
}

/// What trainings need from outside. A search tells of its trials in its own words.
struct Outside<'a> {
    hub: &'a HubConfig,
    download: &'a mut dyn HubProgress,
    unheard: Unheard,
}

impl Outside<'_> {
    fn surroundings<'s>(&'s mut self, control: &'s Control) -> Surroundings<'s> {
        let Self { hub, download, unheard } = self;
        Surroundings { hub, download: &mut **download, control, listener: unheard, checkup: None }
    }
}

/// Trains models on a backend.
pub struct Trainings<'a, B: Backend> {
    backend: &'a B,
    base: RunConfig,
    folds: usize,
    outside: Outside<'a>,
    /// The division that is in use and its folds; the other one gives way to it.
    current: (u32, FoldBench<'a, B>),
}

impl<'a, B: Backend> Trainings<'a, B> {
    /// Reads the training file of `base`; what there is to say about it is told.
    ///
    /// # Errors
    /// What a training would refuse, and a class with fewer texts than folds.
    pub fn new(
        backend: &'a B,
        base: &RunConfig,
        folds: usize,
        hub: (&'a HubConfig, &'a mut dyn HubProgress),
        listener: &mut dyn Listener,
    ) -> Result<Self, SearchError> {
        let control = Control::default();
        let mut surroundings =
            Surroundings { hub: hub.0, download: &mut *hub.1, control: &control, listener, checkup: None };
        let bench = FoldBench::new(backend, base, folds, &mut surroundings)?;
        let outside = Outside { hub: hub.0, download: hub.1, unheard: Unheard };
        Ok(Self { backend, base: base.clone(), folds, outside, current: (SEARCHED, bench) })
    }

    /// Refuses a metric that cannot be searched by: a lower value is better, or it is about a class that is not there.
    ///
    /// # Errors
    /// [`SearchError::Metric`], [`SearchError::Evaluate`].
    pub fn check_metric(&self, metric: &Metric) -> Result<(), SearchError> {
        if !metric.higher_is_better() {
            return Err(SearchError::Metric(metric.clone()));
        }
        Ok(metric.check(self.current.1.labels())?)
    }

    /// A number that changes with the texts, their labels and their folds.
    pub fn fingerprint(&self) -> u64 {
        self.current.1.fingerprint()
    }

    /// Whether a recipe fits the file and the model; the reason where it does not.
    ///
    /// # Errors
    /// What has nothing to do with the recipe.
    pub fn fits(&mut self, recipe: &RunFile) -> Result<Result<(), String>, SearchError> {
        let config = match recipe.resolve() {
            Ok(config) => config,
            Err(error) => return Ok(Err(reason(&error))),
        };
        let control = Control::default();
        let mut surroundings = self.outside.surroundings(&control);
        match self.current.1.check(&config, &mut surroundings) {
            Ok(()) => Ok(Ok(())),
            Err(error)
                if is_of_the_settings(&error) || matches!(error, TrainError::Data(_) | TrainError::Classify(_)) =>
            {
                Ok(Err(reason(&error)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The folds of a division.
    fn divided(&mut self, division: u32) -> Result<&mut FoldBench<'a, B>, SearchError> {
        if self.current.0 != division {
            let seed = self.base.seed.wrapping_add(u64::from(division) * BETWEEN_DIVISIONS);
            let base = RunConfig { seed, ..self.base.clone() };
            let control = Control::default();
            let mut surroundings = self.outside.surroundings(&control);
            self.current = (division, FoldBench::new(self.backend, &base, self.folds, &mut surroundings)?);
        }
        Ok(&mut self.current.1)
    }
}

impl<B: Backend> Judge for Trainings<'_, B> {
    fn folds(&self) -> usize {
        self.folds
    }

    fn judge(
        &mut self,
        division: u32,
        recipe: &RunFile,
        part: (usize, f64),
        control: &Control,
    ) -> Result<Option<JudgedFold>, SearchError> {
        let config = recipe.resolve()?;
        self.divided(division)?;
        let mut surroundings = self.outside.surroundings(control);
        Ok(match self.current.1.judge(&config, part, &mut surroundings)? {
            Outcome::Finished(judged) => Some(judged),
            Outcome::Interrupted { .. } => None,
        })
    }

    fn together(&mut self, division: u32, judged: &[(usize, &[f32])]) -> Result<Predictions, SearchError> {
        Ok(self.divided(division)?.together(judged)?)
    }
}

/// What is wrong; of settings the hint says what they may be.
fn reason(error: &TrainError) -> String {
    match error {
        TrainError::Setting { problem, hint } => format!("{problem}: {hint}"),
        error => error.to_string(),
    }
}

/// Whether other settings would not have this error: a trial that has it has failed, and the search goes on.
pub(crate) fn is_of_the_settings(error: &TrainError) -> bool {
    matches!(
        error,
        TrainError::Setting { .. }
            | TrainError::NotFinite { .. }
            | TrainError::Memory { .. }
            | TrainError::TooFew { .. }
    )
}
