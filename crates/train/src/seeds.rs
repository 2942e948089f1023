//! The same settings with several seeds: how much of a result is luck, and the model that does best on the validation texts.

use std::fs;
use std::path::Path;

use finetone_backend::Backend;
use finetone_evaluate::{Metric, Predictions, Repeats};

use crate::error::TrainError;
use crate::events::TrainEvent;
use crate::fit::Place;
use crate::material::Texts;
use crate::run::{Outcome, Surroundings};
use crate::run_config::RunConfig;
use crate::store::write_whole;
use crate::trial::{Trial, Tried};

/// Which models stay on the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Those of all seeds.
    All,
    /// The best so far.
    Best,
}

/// Models of several seeds.
pub(crate) struct Seeds {
    pub tried: Vec<Tried>,
    /// The number of the best.
    pub best: usize,
    /// The metric by which it is that.
    metric: Metric,
}

impl Seeds {
    /// Trains `config.seeds` models on the same texts, in folders within that of `place`.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn train<B: Backend>(
        backend: &B,
        config: &RunConfig,
        (texts, out_of_fold): (&Texts, Option<&Predictions>),
        (place, keep): (&Place, Keep),
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Outcome<Self>, TrainError> {
        let mut seeds = Self { tried: Vec::new(), best: 0, metric: config.chosen_metric()? };
        for seed in (0..config.seeds as u64).map(|number| config.seed.wrapping_add(number)) {
            let place = place.within(&format!("seed-{seed}"), true);
            let trial = Trial { name: format!("seed {seed}"), config: RunConfig { seed, ..config.clone() }, place };
            match trial.run(backend, (texts, out_of_fold), surroundings)? {
                Outcome::Finished(one) => seeds.tried.push(one),
                Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
            }
            seeds.best = seeds.choose();
            if keep == Keep::Best {
                seeds.forget_the_others()?;
            }
        }
        Ok(Outcome::Finished(seeds))
    }

    /// The number of the seed with the best evaluation; of equals that with the lower loss, then the first. Where there are
    /// no validation texts, nothing tells them apart: the test must not.
    fn choose(&self) -> usize {
        let evaluations = self.tried.iter().map(|one| one.fitted.best).enumerate();
        let best = evaluations.filter_map(|(number, best)| Some((number, best?))).reduce(|first, other| {
            let (value, loss) = (other.1.value, other.1.loss);
            let better = self.metric.is_better(value, first.1.value) || (value == first.1.value && loss < first.1.loss);
            if better { other } else { first }
        });
        best.map_or(0, |(number, _)| number)
    }

    fn forget_the_others(&self) -> Result<(), TrainError> {
        let others = self.tried.iter().enumerate().filter(|(number, _)| *number != self.best);
        for folder in others.flat_map(|(_, one)| ["model", "adapter"].map(|name| one.folder.join(name))) {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(TrainError::io(&folder)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What the seeds say together.
    ///
    /// # Errors
    /// None for seeds that were measured.
    pub fn repeats(&self) -> Result<Repeats, TrainError> {
        let runs: Vec<(String, &Predictions)> =
            self.tried.iter().map(|one| (one.name.clone(), &one.measured.predictions)).collect();
        Ok(Repeats::of_seeds(&runs)?)
    }

    /// Makes the best model that of the run, and writes `seeds.json`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn settle(mut self, repeats: &Repeats, folder: &Path) -> Result<Tried, TrainError> {
        let kept = self.tried.swap_remove(self.best);
        let text = serde_json::to_string_pretty(repeats).expect("numbers and names have a JSON form");
        write_whole(&folder.join("seeds.json"), &text)?;
        for name in ["model", "adapter", "events.jsonl"] {
            let (from, to) = (kept.folder.join(name), folder.join(name));
            // A run that was killed in between finds them in their places.
            if from.exists() {
                fs::rename(&from, &to).map_err(TrainError::io(&to))?;
            }
        }
        Ok(kept)
    }

    /// Which of them is kept and why.
    pub fn notice(&self) -> TrainEvent {
        let Tried { name, fitted, .. } = &self.tried[self.best];
        let message = match fitted.best {
            Some(best) => {
                format!("the model of {name} is kept: {} {:.4} on the validation texts", self.metric, best.value)
            }
            None => format!("the model of {name} is kept: without validation texts nothing else may choose"),
        };
        TrainEvent::Notice { message }
    }
}
