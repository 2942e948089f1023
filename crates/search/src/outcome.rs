//! What a search found: its trials in order, the best of them as a recipe, and words for it.

use std::path::Path;

use finetone_evaluate::{Average, Comparison, Estimate, Metric};
use finetone_train::RunFile;
use toml::{Table, Value};

use crate::confirm::{Confirmation, best};
use crate::error::SearchError;
use crate::rungs::{Rung, rungs};
use crate::search::Plan;
use crate::space::shown;
use crate::store::{Store, Trial};

/// Settings that belong to the search or its file, and not into a recipe.
const NOT_OF_A_RECIPE: [&str; 8] = ["train", "test", "validation", "folds", "repeats", "seeds", "precision", "track"];

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// All trials by their numbers.
    pub trials: Vec<Trial>,
    /// What was searched.
    pub plan: Plan,
    /// How trials were judged on each rung.
    pub rungs: Vec<Rung>,
    /// Seconds that were searched.
    pub seconds: f64,
    /// The best score on the first rung over the seconds of the search.
    pub best_so_far: Vec<(f64, f64)>,
    /// The winner on fresh folds.
    pub confirmation: Option<Confirmation>,
}

impl Found {
    /// Reads a study of `folds` folds.
    ///
    /// # Errors
    /// A study that cannot be read; one in which nothing was judged.
    pub fn read(
        store: &Store,
        (plan, folds): (&Plan, usize),
        confirmation: Option<Confirmation>,
    ) -> Result<Self, SearchError> {
        let trials = store.trials()?;
        if best(&trials).is_none() {
            let problem = match trials.iter().find_map(|trial| trial.problem.as_ref()) {
                Some(problem) => format!("no trial came to an end; the first said: {problem}"),
                None => "no trial came to an end in the time that there was".into(),
            };
            let hint =
                "give the search more time (`--time`), fewer tokens (`--set max_tokens=128`), or a smaller model"
                    .into();
            return Err(SearchError::Nothing { problem, hint });
        }
        let mut ends: Vec<(f64, f64)> =
            trials.iter().filter_map(|trial| Some((trial.at, *trial.scores.first()?))).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut best_so_far: Vec<(f64, f64)> = Vec::new();
        for (at, score) in ends {
            let score = best_so_far.last().map_or(score, |(_, best)| best.max(score));
            best_so_far.push((store.elapsed_until(at)?, score));
        }
        let (rungs, seconds) = (rungs(folds), store.elapsed()?);
        Ok(Self { trials, plan: plan.clone(), rungs, seconds, best_so_far, confirmation })
    }

    /// The best trial.
    pub fn best(&self) -> &Trial {
        best(&self.trials).expect("something was judged")
    }

    /// The trials that were judged, the best first: those that were judged in more folds before the others.
    pub fn ranked(&self) -> Vec<&Trial> {
        let mut ranked: Vec<&Trial> = self.trials.iter().filter(|trial| !trial.scores.is_empty()).collect();
        ranked.sort_by(|a, b| {
            let (score_a, score_b) = (a.scores[a.scores.len() - 1], b.scores[b.scores.len() - 1]);
            b.scores.len().cmp(&a.scores.len()).then(score_b.total_cmp(&score_a)).then(a.number.cmp(&b.number))
        });
        ranked
    }

    /// How a trial was judged last.
    pub fn rung_of(&self, trial: &Trial) -> Rung {
        self.rungs[trial.scores.len() - 1]
    }

    /// What the search says, in sentences.
    pub fn words(&self) -> Vec<String> {
        let best = self.best();
        let judged = self.trials.iter().filter(|trial| !trial.scores.is_empty()).count();
        let (score, rung) = (best.scores[best.scores.len() - 1], self.rung_of(best));
        let all = self.rungs.last().expect("there is a rung").folds;
        let judged_in = match rung {
            Rung { folds, .. } if folds == all && !rung.is_short() => format!("all {all} folds"),
            _ => format!("{rung}, where there are {all}"),
        };
        let mut words = vec![format!(
            "Of {judged} trials the best is number {}: {} {score:.4} in {judged_in}.",
            best.number,
            self.plan.metric.title()
        )];
        if best.number == 0 {
            words.push("That is the recipe as it stands: the search found nothing better.".into());
            return words;
        }
        words.push("The best of many looks better than it is, because luck in the folds helped to choose it.".into());
        match &self.confirmation {
            None => words.push("It was not judged on fresh folds, so how much of this is luck is not known.".into()),
            Some(confirmation) => words.extend(confirmation.words(&self.plan.metric)),
        }
        words
    }

    /// The best recipe as a file, with where it comes from; `file` is the training file and `command` what was typed.
    pub fn recipe(&self, file: &Path, command: &str) -> String {
        let best = self.best();
        let mut text = format!(
            "# Found by `finetone search` on {}: trial {} of {}, by {}, seed {}.\n#\n",
            line(&file.display().to_string()),
            best.number,
            self.trials.len(),
            best.origin,
            self.plan.seed
        );
        self.words().iter().for_each(|sentence| text += &format!("# {sentence}\n"));
        text += &format!(
            "#\n#   {}\n#   finetone train {} --recipe best.toml\n\n",
            line(command),
            line(&file.display().to_string())
        );
        text + &recipe(&self.plan.space.apply(&self.plan.base, &best.assignment)).to_string()
    }
}

impl Confirmation {
    /// What the fresh folds say of a search by this metric, in sentences.
    pub fn words(&self, metric: &Metric) -> Vec<String> {
        let (default, winner) = (self.default_folds.score, self.winner_folds.score);
        let difference = self.comparison.of(metric).map(|found| found.difference);
        let verdict = match difference {
            Some(found) if found.low > 0.0 => "more than chance",
            Some(found) if found.high < 0.0 => "worse by more than chance: keep the recipe as it stands",
            _ => "not more than chance may bring about",
        };
        let interval = difference
            .map_or_else(String::new, |found| format!(" (95 % interval {:+.4} to {:+.4})", found.low, found.high));
        let mut words = vec![format!(
            "On fresh folds it has {} {winner:.4}, the recipe as it stands {default:.4}: {:+.4}{interval}, {verdict}.",
            metric.title(),
            winner - default
        )];
        if winner > default {
            words.extend(self.fewer_right(metric));
            words.extend(self.rare_classes(metric));
        }
        words
    }

    /// A sentence where the better score is paid for with rows that are right.
    fn fewer_right(&self, metric: &Metric) -> Option<String> {
        let Comparison { n, only_first, only_second, p_value, .. } = &self.comparison;
        let (lost, won) = (only_first.len(), only_second.len());
        (lost > won && self.comparison.is_more_than_chance()).then(|| {
            let why = match metric {
                Metric::F1(Average::Macro) => {
                    " Rare classes count as much as the others in macro F1, and not in accuracy."
                }
                _ => "",
            };
            format!(
                "But fewer rows are right: of {n} it loses {lost} and wins {won} (McNemar's exact p = {p_value:.3}).{why}"
            )
        })
    }

    /// A sentence where the better score is paid for with macro F1.
    fn rare_classes(&self, metric: &Metric) -> Option<String> {
        let f1 = self.comparison.of(&Metric::F1(Average::Macro)).filter(|_| *metric != Metric::F1(Average::Macro))?;
        (f1.difference.high < 0.0).then(|| {
            let Estimate { value, low, high } = f1.difference;
            format!(
                "But macro F1, in which rare classes count as much as the others, falls from {:.4} to {:.4}: {value:+.4} (95 % \
                 interval {low:+.4} to {high:+.4}).",
                f1.first, f1.second
            )
        })
    }
}

/// The settings of a trial in one line.
pub fn told(trial: &Trial) -> String {
    if trial.number == 0 {
        return "the recipe as it stands".into();
    }
    let values = trial.assignment.iter().map(|(name, value)| format!("{name}={}", shown(value)));
    values.collect::<Vec<_>>().join(" ")
}

/// Without line breaks, which would end a comment.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn recipe(file: &RunFile) -> Table {
    file.table().iter().filter(|(key, _)| !NOT_OF_A_RECIPE.contains(&key.as_str())).map(whole_path).collect()
}

/// A model's folder as it is found from everywhere.
fn whole_path((key, value): (&String, &Value)) -> (String, Value) {
    let folder = value.as_str().map(Path::new).filter(|path| key == "model" && path.exists());
    let whole = folder.and_then(|path| std::path::absolute(path).ok());
    (key.clone(), whole.map_or_else(|| value.clone(), |path| Value::String(path.to_string_lossy().into_owned())))
}
