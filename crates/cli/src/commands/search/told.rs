//! A search as a person follows it, and its table.

use std::collections::BTreeMap;
use std::time::Duration;

use finetone_evaluate::{Metric, standard_deviation};
use finetone_search::{End, Found, Rung, SearchEvent, Trial, rungs, told};
use finetone_track::duration;
use finetone_train::{Listener, TrainEvent};

use crate::tables;

/// Trials in the table.
const LISTED: usize = 20;

/// Tells what there is to know about the file.
pub struct Notices {
    quiet: bool,
}

impl Notices {
    pub fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    pub fn tell(&self, message: &str) {
        if !self.quiet {
            anstream::eprintln!("note: {message}");
        }
    }
}

impl Listener for Notices {
    fn on(&mut self, event: &TrainEvent) {
        if let TrainEvent::Notice { message } = event {
            self.tell(message);
        }
    }
}

/// Tells of trials.
pub struct Progress {
    quiet: bool,
    /// What people call the metric.
    metric: String,
    /// The best score on each rung, by its name.
    best: BTreeMap<String, f64>,
    /// The trial that goes on, in words.
    settings: String,
}

impl Progress {
    /// Of a study by this metric in which these trials have been judged.
    pub fn new(quiet: bool, metric: &Metric, (trials, folds): (&[Trial], usize)) -> Self {
        let mut progress = Self { quiet, metric: metric.title(), best: BTreeMap::new(), settings: String::new() };
        for trial in trials {
            trial.scores.iter().zip(rungs(folds)).for_each(|(&score, rung)| {
                progress.is_best(rung, score);
            });
        }
        progress
    }

    /// Whether no trial was as good on this rung.
    fn is_best(&mut self, rung: Rung, score: f64) -> bool {
        let best = self.best.entry(rung.to_string()).or_insert(f64::NEG_INFINITY);
        let is_best = score > *best;
        *best = best.max(score);
        is_best
    }

    pub fn on(&mut self, event: &SearchEvent) {
        if self.quiet {
            return;
        }
        match event {
            SearchEvent::Begun { trial, .. } => self.settings = told(trial),
            SearchEvent::Judged { trial, score, rung, seconds } => {
                let mark = if self.is_best(*rung, *score) { " (best so far)" } else { "" };
                anstream::eprintln!(
                    "trial {trial}: {} {score:.4} in {rung}{mark}, {seconds:.0} s: {}",
                    self.metric,
                    self.settings
                );
            }
            SearchEvent::Failed { trial, problem } => {
                anstream::eprintln!("trial {trial} came to nothing: {problem}: {}", self.settings);
            }
            SearchEvent::Confirm { seconds } => anstream::eprintln!(
                "the search is done; now the winner and the recipe as it stands are judged on fresh folds, which takes about {} \
                 (Ctrl-C keeps what is done, --no-confirm leaves it out)",
                duration(Duration::from_secs_f64(*seconds))
            ),
            SearchEvent::Confirming { trial, fold, folds } => {
                let who = if *trial == 0 { "the recipe as it stands" } else { "the winner" };
                anstream::eprintln!("{who}: fresh fold {fold} of {folds}");
            }
        }
    }
}

/// The trials, the best first.
pub fn table(found: &Found) -> String {
    let ranked = found.ranked();
    let row = |trial: &&Trial| {
        vec![
            trial.number.to_string(),
            tables::number(trial.scores[trial.scores.len() - 1]),
            standard_deviation(&trial.folds).map_or_else(|| "–".to_owned(), tables::number),
            found.rung_of(trial).to_string(),
            format!("{:.0} s", trial.seconds),
        ]
    };
    let metric = found.plan.metric.title();
    let header = ["trial", &metric, "± of folds", "judged in", "time"];
    let numbers = tables::plain(&header, ranked.iter().take(LISTED).map(row));
    // Words behind numbers, of whatever length.
    let settings = std::iter::once("settings".to_owned()).chain(ranked.iter().map(|trial| told(trial)));
    let mut table: String =
        numbers.lines().zip(settings).map(|(numbers, settings)| format!("{numbers}  {settings}\n")).collect();
    if ranked.len() > LISTED {
        table += &format!("… and {} more in the page\n", ranked.len() - LISTED);
    }
    table
}

/// Why the search ended.
pub fn end(end: End, found: &Found) -> String {
    let minutes = found.seconds / 60.0;
    let why = match end {
        End::Time => "the time is used up",
        End::Trials => "there are as many trials as were asked for",
        End::Space => "everything in the space was tried",
        End::Interrupted => "it was stopped",
    };
    format!("Searched for {minutes:.1} minutes: {why}.")
}
