//! A search as trackers see it: each trial is a run, whose steps are the rungs that it reached.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use finetone_search::{Plan, SearchEvent, Trial};
use finetone_track::{Numbers, Place, TrackError, Trackers};
use finetone_train::Tracking;

/// The folder of the trials, within that of the search.
pub const TRIALS: &str = "trials";

/// Gives the scores of trials to trackers.
pub struct Tracked<'a> {
    trackers: Trackers,
    plan: &'a Plan,
    folder: PathBuf,
    /// The trial that goes on.
    trial: Option<Trial>,
}

impl<'a> Tracked<'a> {
    /// Trackers of a search in a folder.
    ///
    /// # Errors
    /// Trackers that name no server.
    pub fn new(tracking: &Tracking, plan: &'a Plan, folder: &Path) -> Result<Self, TrackError> {
        let trackers = Trackers::new(tracking, &(), folder)?;
        Ok(Self { trackers, plan, folder: folder.join(TRIALS), trial: None })
    }

    pub fn on(&mut self, event: &SearchEvent) {
        match event {
            _ if self.trackers.is_empty() => {}
            SearchEvent::Begun { trial, .. } => self.trial = Some(trial.clone()),
            SearchEvent::Judged { score, seconds, .. } => self.judged(*score, *seconds),
            SearchEvent::Failed { .. } | SearchEvent::Confirm { .. } | SearchEvent::Confirming { .. } => {}
        }
    }

    /// Tells all scores of the trial, since another process may have told the ones before.
    fn judged(&mut self, score: f64, seconds: f64) {
        let Some(trial) = &mut self.trial else { return };
        trial.scores.push(score);
        let time = SystemTime::now();
        let rung = |(rung, &score): (usize, &f64)| {
            let mut values = vec![(format!("eval/{}", self.plan.metric), score)];
            if rung + 1 == trial.scores.len() {
                values.push(("eval/runtime".to_owned(), seconds));
            }
            Numbers { step: rung as u64 + 1, time, values }
        };
        let numbers = trial.scores.iter().enumerate().map(rung).collect();
        let settings = self.plan.space.apply(&self.plan.base, &trial.assignment);
        self.trackers.tell(&self.folder.join(trial.number.to_string()), settings.table(), numbers);
    }

    /// Waits a little for what is still on its way, and says where everything is.
    pub fn finish(self) -> Vec<Place> {
        self.trackers.finish()
    }
}
