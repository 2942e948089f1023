//! Where the numbers of runs are, besides their folders.

use std::path::Path;

use finetone_track::Place;
use finetone_train::Tracker;

use super::train::quoted;

/// How a person comes to see the numbers of a run.
pub fn of_run(place: &Place) -> (&'static str, String) {
    let found = quoted(Path::new(&place.found));
    match place.tracker {
        Tracker::Tensorboard => ("tensorboard:", format!("tensorboard --logdir {found}")),
        Tracker::Wandb => ("wandb:", format!("wandb sync {found}")),
        Tracker::Mlflow => ("mlflow:", place.found.clone()),
    }
}

/// How a person comes to see those of several runs within a folder, of which a tracker names the last.
pub fn of_several(place: &Place, folder: &Path) -> (&'static str, String) {
    let folder = quoted(folder);
    match place.tracker {
        Tracker::Tensorboard => ("tensorboard:", format!("tensorboard --logdir {folder}")),
        Tracker::Wandb => ("wandb:", format!("find {folder} -name 'offline-run-*' -exec wandb sync {{}} +")),
        Tracker::Mlflow => {
            let experiment = place.found.split("/runs/").next().unwrap_or(&place.found);
            ("mlflow:", experiment.to_owned())
        }
    }
}
