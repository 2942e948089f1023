//! What was typed, as the search takes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use finetone_backend_cpu::Cpu;
use finetone_evaluate::{EvaluateError, Metric};
use finetone_search::{Space, Trainings};
use finetone_train::{RunConfig, RunFile, Tracking};

use super::{Args, SPACE};
use crate::commands::train::quoted;
use crate::commands::train::settings::usage;
use crate::failure::Failure;

/// A time such as `90s`, `20m`, `1h30m`.
pub fn time(text: &str) -> Result<Duration, String> {
    let span: Result<jiff::SignedDuration, _> = text.parse();
    let time = span.ok().and_then(|span| Duration::try_from(span).ok()).filter(|time| !time.is_zero());
    time.ok_or_else(|| "a time is a number with `s`, `m` or `h`, such as `20m`".to_owned())
}

/// A metric by its name.
pub fn metric(name: &str) -> Result<Metric, String> {
    name.parse().map_err(|error: EvaluateError| match error.hint() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    })
}

/// The recipe that all trials start from, and the settings that were given to stay.
pub fn base(args: &Args) -> Result<(RunFile, Vec<String>), Failure> {
    let mut given = RunFile::default();
    if let Some(seed) = args.seed {
        given.set("seed", i64::from(seed));
    }
    args.reading.write_to(&mut given);
    if let Some(model) = &args.model {
        given.set("model", model.clone());
    }
    for assignment in &args.set {
        given.assign(assignment).map_err(usage)?;
    }
    if !args.track.is_empty() {
        given.track(&args.track);
    }
    let keys = given.table().keys().cloned().collect();
    let mut base = match &args.recipe {
        Some(recipe) => RunFile::read(recipe)?,
        None => RunFile::default(),
    };
    base.set("train", args.file.display().to_string());
    base.overlay(given);
    Ok((base, keys))
}

/// The space without what was given to stay, and what is to be said about that.
pub fn space(args: &Args, base: &RunFile, given: &[String]) -> Result<(Space, Vec<String>), Failure> {
    let space = match &args.space {
        Some(path) => Space::read(path, base)?,
        None => {
            // Where it does not fit the user's own settings, that is found out with what does not fit the file.
            let mut plain = RunFile::default();
            plain.set("train", args.file.display().to_string());
            Space::parse(SPACE, Path::new("the default space"), &plain)?
        }
    };
    let (space, told) = space.without(given);
    check_open(&space)?;
    Ok((space, told))
}

/// Refuses a space of which nothing is left.
pub fn check_open(space: &Space) -> Result<(), Failure> {
    if space.dimensions().is_empty() {
        return Err(Failure::new(
            "there is nothing left to search",
            "give fewer settings, or a space that fits the file and the model (`--space`)".to_owned(),
        ));
    }
    Ok(())
}

/// The folder for what comes out.
pub fn out(args: &Args) -> PathBuf {
    let name = args.file.file_stem().unwrap_or_default();
    args.out.clone().unwrap_or_else(|| Path::new("searches").join(name))
}

/// The database, in a folder that is there.
pub fn study(args: &Args) -> Result<PathBuf, Failure> {
    let out = out(args);
    fs::create_dir_all(&out).map_err(|error| Failure::io(&out, &error))?;
    Ok(args.study.clone().unwrap_or_else(|| out.join("study.db")))
}

/// What must not change while a study goes on, a line for each thing.
pub fn about((config, metric): (&RunConfig, &Metric), trainings: &Trainings<'_, Cpu>, space: &Space) -> String {
    let file = config.train.file_name().unwrap_or_default();
    let settings = RunConfig { train: file.into(), track: Tracking::default(), ..config.clone() };
    format!(
        "data and folds = {:016x}\nsearched for {metric}\n{}\n# space\n{}",
        trainings.fingerprint(),
        settings.to_toml().trim(),
        space.to_toml()
    )
}

/// A name that no other worker has.
pub fn worker_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{}-{now}", std::process::id())
}

/// The command as it was typed.
pub fn typed() -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(Path::new(&word)));
    std::iter::once("finetone".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_say_them() {
        let seconds = |text: &str| time(text).map(|time| time.as_secs());
        assert_eq!((seconds("90s"), seconds("20m"), seconds("1h30m")), (Ok(90), Ok(1200), Ok(5400)));
        for wrong in ["", "20", "soon", "-5m", "0s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
