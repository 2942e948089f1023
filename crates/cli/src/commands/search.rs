//! `finetone search`.

mod settings;
mod told;
mod tracked;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use finetone_backend_cpu::Cpu;
use finetone_classify::hub::HubConfig;
use finetone_evaluate::Metric;
use finetone_search::{
    Confirmed, End, Found, Method, Plan, SearchEvent, Space, Store, Trainings, Worker, confirm, search,
};
use finetone_track::Place;
use finetone_train::{Control, RunConfig, RunFile};

use super::train::quoted;
use crate::device::{DeviceArgs, decide, of_run};
use crate::failure::Failure;
use crate::found::ReadingArgs;
use crate::interrupt;
use crate::output::write_whole;
use crate::progress::Download;
use told::{Notices, Progress, table};
use tracked::{TRIALS, Tracked};

/// The end of the help.
pub const EXAMPLES: &str = "\
Each trial is a set of settings, judged by a metric (macro F1, unless --metric names another) in folds of FILE: all of them in one fold by a third of their epochs, the \
best third by all epochs, the best third of those in two folds, and so on up to all folds. The recipe as it stands is the first trial. `--space` says what is tried: \
settings of a run with `low`, `high` and `log`, or with `choices` (recipes/search/default.toml is the default). Settings that are \
given by a flag or `--set` are not searched.

DIR holds the study (`study.db`), the page (`report.html`) and the best settings as a recipe (`best.toml`). Ctrl-C saves; the same \
command goes on, and started twice, two workers share the study. `--time` counts over all calls, while at least one worker is at \
work; a trial that cannot finish in it is not begun. Then the winner is judged on fresh folds, beside the recipe as it stands: \
the time for that comes on top.

Examples:
  finetone search reviews.csv --model distilbert-base-uncased --time 20m
  finetone search reviews.csv --model models/minilm --space space.toml --trials 50 --out searches/reviews
  finetone search reviews.csv --model models/minilm --set max_tokens=128 --method random
  finetone search reviews.csv --metric accuracy   where every row counts alike
  finetone search reviews.csv --track mlflow      each trial is a run there
  finetone train reviews.csv --recipe searches/reviews/best.toml";

/// What is searched unless the user says otherwise.
const SPACE: &str = include_str!("../../../../recipes/search/default.toml");
/// How long is searched unless the user says otherwise.
const USUAL_TIME: Duration = Duration::from_secs(20 * 60);

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// The file to learn from: CSV, TSV, JSON lines or Parquet
    file: PathBuf,
    /// A Hugging Face id, a model folder, or a built-in name [default: tiny]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// How settings are proposed
    #[arg(long, value_enum, default_value_t = Asked::Tpe)]
    method: Asked,
    /// What the best has most of: `f1_macro`, `accuracy`, `f1_weighted`, `mcc`, …, or of a class `recall.LABEL`
    #[arg(long, value_name = "NAME", default_value = "f1_macro", value_parser = settings::metric)]
    metric: Metric,
    /// How long to search, such as `90s`, `20m` or `2h` [default: 20m, or without end if --trials is given]
    #[arg(long, value_name = "TIME", value_parser = settings::time)]
    time: Option<Duration>,
    /// The most trials
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    trials: Option<u64>,
    /// Folds of the cross-validation
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=100))]
    folds: u32,
    /// What is tried: settings with ranges or choices [default: recipes/search/default.toml]
    #[arg(long, value_name = "FILE")]
    space: Option<PathBuf>,
    /// The folder for page and recipe [default: searches/NAME, by the file's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The database of the study; several workers may share it [default: study.db in the folder]
    #[arg(long, value_name = "FILE")]
    study: Option<PathBuf>,
    /// Do not judge the winner on fresh folds
    #[arg(long)]
    no_confirm: bool,
    /// Seed of the folds, the trainings and the proposals [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// The settings that all trials start from
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Any setting, which is not searched then; can be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Give the scores of trials to `tensorboard`, `mlflow` or `wandb` as well; can be given several times
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    track: Vec<String>,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print nothing but errors and, at the end, the recipe's path
    #[arg(long, short)]
    quiet: bool,
}

/// How settings are proposed.
#[derive(Clone, Copy, ValueEnum)]
enum Asked {
    /// Where the trials so far let expect the most (tree-structured Parzen estimators)
    Tpe,
    /// By chance
    Random,
    /// Every combination, in a scattered order
    Grid,
}

impl From<Asked> for Method {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Tpe => Self::Tpe,
            Asked::Random => Self::Random,
            Asked::Grid => Self::Grid,
        }
    }
}

/// How a search ended.
struct Ended {
    end: End,
    confirmed: Confirmed,
    found: Found,
    tracked: Vec<Place>,
}

/// Searches and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (base, given) = settings::base(args)?;
    let config = base.resolve().map_err(super::train::settings::usage)?;
    let config = RunConfig { precision: decide(config.precision)?, ..config };
    let (space, fixed) = settings::space(args, &base, &given)?;
    let out = settings::out(args);
    let cpu = args.device.open(of_run(config.precision))?;
    let control = Control { stop: interrupt::watch("stopping; the search is saved")?, ..Control::default() };
    let ended = cpu.install(|| work(&cpu, args, (base, &config), (space, fixed), &control))?;
    match ended {
        Some(ended) => finished(args, &ended, &out),
        None => Err(Failure::interrupted(
            "stopped; every fold that was finished is saved",
            "go on with the same command".to_owned(),
        )),
    }
}

/// Everything that is computed; nothing where the user stopped it.
fn work(
    cpu: &Cpu,
    args: &Args,
    (base, config): (RunFile, &RunConfig),
    (space, fixed): (Space, Vec<String>),
    control: &Control,
) -> Result<Option<Ended>, Failure> {
    let (hub, mut download) = (HubConfig::from_env(), Download::default());
    let mut notices = Notices::new(args.quiet);
    let mut trainings = Trainings::new(cpu, config, args.folds as usize, (&hub, &mut download), &mut notices)?;
    trainings.check_metric(&args.metric)?;
    let path = settings::study(args)?;
    let mut store = Store::open(&path, &settings::about((config, &args.metric), &trainings, &space))?;
    let space = match store.space()? {
        Some(text) => Space::parse(&text, &path, &base)?,
        None => {
            fixed.iter().for_each(|told| notices.tell(told));
            let (space, left_out) = space.fitted(&base, |recipe| trainings.fits(recipe))?;
            left_out.iter().for_each(|told| notices.tell(&format!("not searched: {told}")));
            settings::check_open(&space)?;
            store.keep_space(&space.to_toml())?;
            // Another worker may have been faster.
            Space::parse(&store.space()?.unwrap_or_default(), &path, &base)?
        }
    };
    let time = args.time.or(args.trials.is_none().then_some(USUAL_TIME));
    let (method, metric) = (args.method.into(), args.metric.clone());
    let plan = Plan { base, space, method, metric, seed: config.seed, trials: args.trials, time };
    let mut progress = Progress::new(args.quiet, &plan.metric, (&store.trials()?, args.folds as usize));
    let mut tracked = Tracked::new(&config.track, &plan, &settings::out(args))?;
    let mut worker = Worker {
        name: settings::worker_name(),
        store: &mut store,
        judge: &mut trainings,
        user: control,
        tell: &mut |event: &SearchEvent| {
            progress.on(event);
            tracked.on(event);
        },
    };
    let end = search(&mut worker, &plan)?;
    if end == End::Interrupted {
        return Ok(None);
    }
    let confirmed = if args.no_confirm { Confirmed::NotNeeded } else { confirm(&mut worker, &plan)? };
    if matches!(confirmed, Confirmed::Interrupted) {
        return Ok(None);
    }
    let found = Found::read(&store, (&plan, args.folds as usize), confirmed.confirmation())?;
    Ok(Some(Ended { end, confirmed, found, tracked: tracked.finish() }))
}

/// Writes page and recipe, and tells.
fn finished(
    args: &Args,
    Ended { end, confirmed, found, tracked }: &Ended,
    folder: &std::path::Path,
) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    if matches!(confirmed, Confirmed::Elsewhere) {
        if !args.quiet {
            anstream::eprintln!(
                "note: another worker is still at this study; the last one judges the winner and writes the page"
            );
        }
        return Ok(());
    }
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let (page, recipe) = (folder.join("report.html"), folder.join("best.toml"));
    write_whole(&page, &found.page(&name).to_html()?)?;
    write_whole(&recipe, &found.recipe(&args.file, &settings::typed()))?;
    if args.quiet {
        return Ok(writeln!(out, "{}", recipe.display())?);
    }
    writeln!(out, "\n{}", table(found))?;
    found.words().iter().try_for_each(|sentence| writeln!(out, "{sentence}"))?;
    writeln!(out, "{}\n", told::end(*end, found))?;
    let places = [
        ("report:", quoted(&page)),
        ("recipe:", quoted(&recipe)),
        ("train:", format!("finetone train {} --recipe {}", quoted(&args.file), quoted(&recipe))),
    ];
    let trials = folder.join(TRIALS);
    let tracked = tracked.iter().map(|place| super::tracked::of_several(place, &trials));
    Ok(write!(out, "{}", crate::tables::facts(places.into_iter().chain(tracked)))?)
}
