//! What to train and where: a new run, or one that goes on.

use std::path::{Path, PathBuf};

use finetone_classify::hub::HubConfig;
use finetone_train::{CacheUse, RunConfig, RunFile, Task, TrainingPrecision, saved_config, with_task};

use super::settings::usage;
use super::{Args, quoted};
use crate::device::decide;
use crate::failure::Failure;
use crate::progress::Download;

/// What was typed, made complete.
pub enum Plan {
    /// A run from the first step.
    New {
        /// Its settings.
        config: Box<RunConfig>,
        /// Its folder.
        folder: PathBuf,
    },
    /// A run from its last checkpoint.
    Resumed {
        /// Its folder.
        folder: PathBuf,
    },
}

impl Plan {
    /// Makes a plan.
    pub fn new(args: &Args) -> Result<Self, Failure> {
        match &args.resume {
            Some(folder) => Self::resumed(folder, args),
            None => {
                let mut file = RunFile::default();
                args.settings.lay_over(&mut file)?;
                let mut config =
                    with_task(&file.resolve().map_err(usage)?, &HubConfig::from_env(), &mut Download::default())?;
                config.precision = decide(config.precision)?;
                let folder = args.out.clone().unwrap_or_else(|| free_folder(&config.train));
                Ok(Self::New { config: Box::new(config), folder })
            }
        }
    }

    /// The whole command may be repeated with `--resume`, as scripts do; it must not ask for another run, though.
    fn resumed(folder: &Path, args: &Args) -> Result<Self, Failure> {
        if args.out.as_deref().is_some_and(|out| same_place(out) != same_place(folder)) {
            return Err(Failure::usage("`--out` and `--resume` name different folders", "leave out `--out`"));
        }
        let path = folder.join("run.toml");
        if path.is_file() {
            let mut file = RunFile::read(&path)?;
            let of_run = comparable(file.resolve()?);
            let changed = args.settings.lay_over(&mut file)?;
            let mut asked = comparable(file.resolve().map_err(usage)?);
            // What was decided when the run began holds until its end, on whatever machine.
            if asked.precision == TrainingPrecision::Auto {
                asked.precision = of_run.precision;
            }
            if asked.task == Task::Auto {
                asked.task = of_run.task;
            }
            if asked.cache == CacheUse::Auto {
                asked.cache = of_run.cache;
            }
            if changed && asked != of_run {
                return Err(Failure::usage(
                    format!("{}: the run has other settings than those given", folder.display()),
                    format!("leave them out: `finetone train --resume {}`; or start a new run", quoted(folder)),
                ));
            }
        }
        Ok(Self::Resumed { folder: folder.to_owned() })
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        match self {
            Self::New { folder, .. } | Self::Resumed { folder } => folder,
        }
    }

    /// The settings: those that were typed, or those that the run began with.
    pub fn config(&self) -> Result<RunConfig, Failure> {
        match self {
            Self::New { config, .. } => Ok((**config).clone()),
            Self::Resumed { folder } => Ok(saved_config(folder)?),
        }
    }

    /// The test file, where one was given.
    pub fn test_file(&self) -> Option<&Path> {
        match self {
            Self::New { config, .. } => config.test.as_deref(),
            Self::Resumed { .. } => None,
        }
    }
}

/// `runs/<file stem>-<n>` with the first number that is free.
fn free_folder(file: &Path) -> PathBuf {
    let stem = file.file_stem().map_or_else(|| "run".into(), |stem| stem.to_string_lossy());
    let candidate = |number: u32| Path::new("runs").join(format!("{stem}-{number}"));
    (1..).map(candidate).find(|folder| !folder.exists()).expect("numbers do not run out before the disk does")
}

/// Settings in which one file has one name.
fn comparable(mut config: RunConfig) -> RunConfig {
    config.train = same_place(&config.train);
    config.test = config.test.map(|path| same_place(&path));
    config.validation = config.validation.map(|path| same_place(&path));
    config.from = config.from.map(|path| same_place(&path));
    config.tokenizer = config.tokenizer.map(|path| same_place(&path));
    if Path::new(&config.model).exists() {
        config.model = same_place(Path::new(&config.model)).display().to_string();
    }
    config
}

fn same_place(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
