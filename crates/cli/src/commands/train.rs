//! `finetone train`.

mod plan;
pub mod settings;

use std::io::Write;
use std::path::Path;

use finetone_classify::hub::HubConfig;
use finetone_data::doctor::examine;
use finetone_data::{Checkup, DoctorOptions, ReadOptions, Severity};
use finetone_track::{JsonLines, Place, Terminal, Trackers};
use finetone_train::events::Listeners;
use finetone_train::{Control, Outcome, RunConfig, Summary, Surroundings, Task, is_finished, resume, train};

use crate::device::{DeviceArgs, of_run};
use crate::failure::Failure;
use crate::found::{Found, ReadingArgs, training_options};
use crate::progress::Download;
use crate::{interrupt, tables};
use plan::Plan;
use settings::SettingArgs;

/// The end of the help.
pub const EXAMPLES: &str = "\
The run folder holds the model (`model`, a Hugging Face folder), the report (`report.html`, `report.json`), every event \
(`events.jsonl`) and the settings (`run.toml`). Ctrl-C saves the run and says how to resume it; twice ends at once.

With `--ladder` the report holds the model against the most frequent class, a lexicon (VADER, English), words (TF-IDF and \
logistic regression), the model's embeddings before training, and a small model from scratch, with the seconds of each.

Settings come from the recipe, then the flags, then `--set`, the later over the earlier. After a run, its `run.toml` names all \
of them.

Examples:
  finetone train reviews.csv
  finetone train train.csv --test test.csv --model distilbert-base-uncased --epochs 3
  finetone train reviews.csv --out runs/try --set pooling=attention:100 --set class_weights=balanced
  finetone train reviews.csv --recipe recipe.toml
  finetone train reviews.csv --folds 5            cross-validation: every row judged unseen
  finetone train reviews.csv --seeds 3            how much of a result is luck
  finetone train reviews.csv --ladder             what training bought over simpler ways
  finetone train chat.jsonl --model llama-tiny    a language model learns to answer chats
  finetone train reviews.csv --track tensorboard  every curve in TensorBoard as well
  finetone train --resume runs/reviews-1
  finetone train new.csv --from runs/reviews-1    go on with the run's model, on old and new rows";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: SettingArgs,
    /// The run folder [default: runs/NAME-N, the first free number for the file's name]
    #[arg(long, value_name = "DIR")]
    out: Option<std::path::PathBuf>,
    /// Go on with a run that was stopped; its own settings are used
    #[arg(long, value_name = "DIR")]
    resume: Option<std::path::PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print nothing but errors and, at the end, the run folder
    #[arg(long, short)]
    quiet: bool,
}

/// Trains and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    let plan = Plan::new(args)?;
    let config = plan.config()?;
    let mut trackers = Trackers::new(&config.track, &config, plan.folder())?;
    let checkup = match &plan {
        Plan::New { config, .. } => Some(check(config, args.quiet)?),
        // Scripts resume until a run is finished; that it is already is what they want.
        Plan::Resumed { folder } if is_finished(folder) => return finished_before(folder, args.quiet),
        Plan::Resumed { .. } => None,
    };
    let cpu = args.device.open(of_run(config.precision))?;
    let stop = interrupt::watch("stopping after this step and saving the run")?;
    let outcome = cpu.install(|| {
        let (mut log, mut terminal) = (JsonLines::new(), Terminal::stderr(args.quiet));
        let mut listeners = Listeners::default();
        listeners.add(&mut log);
        listeners.add(&mut trackers);
        listeners.add(&mut terminal);
        let surroundings = Surroundings {
            hub: &HubConfig::from_env(),
            download: &mut Download::default(),
            control: &Control { stop, ..Control::default() },
            listener: &mut listeners,
            checkup: checkup.as_ref(),
        };
        match &plan {
            Plan::New { config, folder } => train(&cpu, config, folder, surroundings),
            Plan::Resumed { folder } => resume(&cpu, folder, surroundings),
        }
    });
    let places = trackers.finish();
    match outcome? {
        Outcome::Finished(summary) => finished(&summary, plan.test_file(), &places, args.quiet),
        Outcome::Interrupted { step } => Err(Failure::interrupted(
            format!("stopped after step {step}; the run is saved"),
            format!("go on with `finetone train --resume {}`", quoted(plan.folder())),
        )),
    }
}

/// The checks of the data: errors end the command with all of them, otherwise what was found is told and given.
fn check(config: &RunConfig, quiet: bool) -> Result<Checkup, Failure> {
    let reading = ReadingArgs {
        text_column: config.text_column.clone(),
        label_column: config.label_column.clone(),
        encoding: Some(config.encoding),
    };
    let read = training_options(&config.train, reading, config.multi_label)?;
    let known = config.from.as_ref().map(|run| Found::new(&run.to_string_lossy())?.labels()).transpose()?;
    let read = ReadOptions { open_answers: config.task == Task::Chat, known: known.or(read.known), ..read };
    let options = DoctorOptions { read, ..DoctorOptions::default() };
    let checkup = examine(&config.train, config.test.as_deref(), &options)?;
    if checkup.has_errors() {
        let faults = super::doctor::group(&checkup, Severity::Error);
        anstream::eprintln!("{}", faults.trim());
        return Err(Failure::new(
            format!("{}: the data must be mended before training", config.train.display()),
            format!("`finetone doctor {}` lists every fault", quoted(&config.train)),
        ));
    }
    if !quiet {
        // Warnings are told by the run itself, so that they stand in its events as well.
        anstream::eprintln!("{}", super::doctor::contents(&checkup));
    }
    Ok(checkup)
}

fn finished(summary: &Summary, test: Option<&Path>, tracked: &[Place], quiet: bool) -> Result<(), Failure> {
    let run = quoted(&summary.run);
    let mut out = anstream::stdout();
    if quiet {
        return Ok(writeln!(out, "{}", summary.run.display())?);
    }
    match summary.report.headline() {
        Some(named) => writeln!(out, "\n{}", tables::evaluation(named))?,
        None => writeln!(out, "\nthe answers are free, so there is no accuracy to tell\n")?,
    }
    // What a language model thinks of the tokens says how well it knows the answers, closed or free.
    for section in summary.report.run.iter().filter(|section| section.title.starts_with("Tokens")) {
        writeln!(out, "{}:\n{}", section.title, tables::facts(section.facts.iter().cloned()))?;
    }
    write!(out, "{}", tables::repeats(&summary.report))?;
    if let Some(ladder) = &summary.report.ladder {
        writeln!(out, "{}", tables::ladder(ladder))?;
    }
    for finding in summary.report.history.iter().flat_map(|history| &history.findings) {
        writeln!(out, "{}: {}", finding.title(), finding.sentence())?;
    }
    writeln!(out, "the model is that of step {}\n", summary.best_step)?;
    let places = [
        ("report:", quoted(&summary.run.join("report.html"))),
        ("model:", quoted(&summary.run.join("model"))),
        ("predict:", format!("finetone predict {run} FILE -o predictions.csv")),
        ("measure:", format!("finetone eval {run} {}", test.map_or_else(|| "FILE".to_owned(), quoted))),
    ];
    let tracked = tracked.iter().map(super::tracked::of_run);
    Ok(write!(out, "{}", tables::facts(places.into_iter().chain(tracked)))?)
}

fn finished_before(run: &Path, quiet: bool) -> Result<(), Failure> {
    if !quiet {
        anstream::eprintln!("note: the run is finished already; its report is {}", quoted(&run.join("report.html")));
    }
    Ok(writeln!(anstream::stdout(), "{}", run.display())?)
}

/// A path as a shell reads it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |character: char| character.is_alphanumeric() || "/._-+,:@%".contains(character);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_pasted_into_a_shell() {
        assert_eq!(quoted(Path::new("runs/reviews-1")), "runs/reviews-1");
        assert_eq!(quoted(Path::new("my runs/it's")), r"'my runs/it'\''s'");
    }
}
