//! `finetone study`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use finetone_classify::hub::HubConfig;
use finetone_evaluate::Study;
use finetone_track::{JsonLines, Place, Terminal, Trackers};
use finetone_train::events::Listeners;
use finetone_train::{
    CandidateConfig, Control, Outcome, RunConfig, RunFile, StudyConfig, Surroundings, Tracking, WrittenCandidate,
    is_finished, parse_candidates, read_candidates, study,
};

use super::tracked;
use super::train::quoted;
use super::train::settings::usage;
use crate::device::{DeviceArgs, decide, of_run};
use crate::failure::Failure;
use crate::found::ReadingArgs;
use crate::progress::Download;
use crate::{interrupt, tables};

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  finetone study conversations train.csv --test test.csv --model models/minilm --out studies/conversations";

/// The end of the help of `conversations`.
pub const CONVERSATIONS: &str = "\
Everything is trained and chosen on TRAIN. Before that, only the header and the label names of the test file are looked at, so \
that a file that could not be measured is refused at once; it is read when nothing is left to choose, and measured once.

How the model is fine-tuned is chosen among candidates by macro F1 in folds of TRAIN; then it is trained with every seed.

DIR holds the report (`report.html`, `report.json`), the models of every seed (`finetuned/seed-0/model`, …), the folds and \
`study.toml`. Ctrl-C saves; the same command goes on, and what is finished is not done again.

Examples:
  finetone study conversations train.csv --test test.csv --model models/minilm --out studies/conversations
  finetone study conversations train.csv --test test.csv --model models/minilm --out studies/try --quick";

/// The settings of the fine-tuned variant.
const FINETUNED: &str = include_str!("../../../../recipes/conversation-best.toml");
/// What is tried of them in folds of the training file.
const CANDIDATES: &str = include_str!("../../../../recipes/candidates/conversations.toml");
/// The settings of the variant from scratch.
const SCRATCH: &str = include_str!("../../../../recipes/conversation-scratch.toml");

/// The studies.
#[derive(Subcommand)]
pub enum Command {
    /// Fine-tuned against from scratch against a ladder of baselines, on conversations with one label each
    #[command(after_help = CONVERSATIONS)]
    Conversations(Box<Args>),
}

impl Command {
    /// Does what was asked for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Conversations(args) => run(&args),
        }
    }
}

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// The file to learn from: CSV, TSV, JSON lines or Parquet
    train: PathBuf,
    /// The file to measure on, once, at the end
    #[arg(long, value_name = "FILE")]
    test: PathBuf,
    /// The pretrained model of the fine-tuned variant: a Hugging Face id or a folder
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// The folder of the study; given again, the study goes on
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Models of each variant, with as many seeds [default: 5; quick: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seeds: Option<u32>,
    /// Folds of the cross-validation [default: 5; quick: 2]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..))]
    folds: Option<u32>,
    /// A dry run of few steps: everything is done, and no number means anything
    #[arg(long)]
    quick: bool,
    /// Settings of the fine-tuned variant [default: recipes/conversation-best.toml]
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Ways of fine-tuning, as differences from the recipe, among which folds of TRAIN choose [default:
    /// recipes/candidates/conversations.toml; with --recipe, the recipe as it is]
    #[arg(long, value_name = "FILE")]
    candidates: Option<PathBuf>,
    /// Settings of the variant from scratch [default: recipes/conversation-scratch.toml]
    #[arg(long, value_name = "FILE")]
    scratch_recipe: Option<PathBuf>,
    /// The model of the variant from scratch: a built-in name or a `config.json` [default: the configuration of MODEL, with
    /// its tokenizer, where MODEL is a folder; else `tiny`]
    #[arg(long, value_name = "MODEL")]
    scratch_model: Option<String>,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Give the numbers of every training to `tensorboard`, `mlflow` or `wandb` as well; can be given several times
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    track: Vec<String>,
    /// Print nothing but errors and, at the end, the folder
    #[arg(long, short)]
    quiet: bool,
}

impl Args {
    fn config(&self) -> Result<StudyConfig, Failure> {
        let folds = self.folds.unwrap_or(if self.quick { 2 } else { 5 });
        let scratch = self.complete(self.scratch(recipe(self.scratch_recipe.as_deref(), SCRATCH)?))?;
        let candidates = self.candidates()?;
        if candidates.iter().any(|one| one.settings.precision != scratch.precision) {
            return Err(Failure::usage("the recipes name different precisions", "both variants are computed alike"));
        }
        Ok(StudyConfig::new(self.test.clone(), folds as usize, candidates, scratch))
    }

    /// The recipe of the fine-tuned variant in all the ways that are to be tried.
    fn candidates(&self) -> Result<Vec<CandidateConfig>, Failure> {
        let mut finetuned = recipe(self.recipe.as_deref(), FINETUNED)?;
        finetuned.set("model", self.model.clone());
        let written = match (&self.candidates, &self.recipe) {
            (Some(path), _) => read_candidates(path, &finetuned)?,
            (None, None) => parse_candidates(CANDIDATES, Path::new("candidates"), &finetuned)?,
            (None, Some(_)) => {
                vec![WrittenCandidate { name: "the recipe".to_owned(), detail: String::new(), file: finetuned }]
            }
        };
        let whole = |WrittenCandidate { name, detail, file }| {
            Ok(CandidateConfig { name, detail, settings: self.complete(file)? })
        };
        written.into_iter().map(whole).collect()
    }

    /// The recipe of the variant from scratch with its model: what was asked for, else what the fine-tuned one is made of.
    fn scratch(&self, mut file: RunFile) -> RunFile {
        let folder = Path::new(&self.model);
        let config = folder.join("config.json");
        if let Some(model) = &self.scratch_model {
            file.set("model", model.clone());
        } else if config.is_file() {
            file.set("model", config.display().to_string());
            file.set("tokenizer", folder.display().to_string());
        }
        file
    }

    /// Who gets the numbers; whoever goes on with a study may choose others.
    fn tracking(&self) -> Result<Tracking, Failure> {
        let mut file = RunFile::default();
        file.set("train", self.train.display().to_string());
        if !self.track.is_empty() {
            file.track(&self.track);
        }
        Ok(file.resolve().map_err(usage)?.track)
    }

    /// A recipe with what both variants have in common.
    fn complete(&self, mut file: RunFile) -> Result<RunConfig, Failure> {
        file.set("train", self.train.display().to_string());
        file.set("seeds", i64::from(self.seeds.unwrap_or(if self.quick { 2 } else { 5 })));
        self.reading.write_to(&mut file);
        if self.quick {
            file.set("max_steps", 4);
            file.set("eval_every", 2);
        }
        let config = file.resolve().map_err(usage)?;
        Ok(RunConfig { precision: decide(config.precision)?, ..config })
    }
}

fn recipe(given: Option<&Path>, embedded: &str) -> Result<RunFile, Failure> {
    Ok(match given {
        Some(path) => RunFile::read(path)?,
        None => RunFile::parse(embedded, Path::new("recipe"))?,
    })
}

/// Carries out the study and tells.
fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config()?;
    if is_finished(&args.out) {
        let report = args.out.join("report.html");
        if !args.quiet {
            anstream::eprintln!("note: the study is finished already; its report is {}", quoted(&report));
        }
        return Ok(writeln!(anstream::stdout(), "{}", args.out.display())?);
    }
    let mut trackers = Trackers::new(&args.tracking()?, &config, &args.out)?;
    let cpu = args.device.open(of_run(config.scratch.precision))?;
    let stop = interrupt::watch("stopping after this step and saving the study")?;
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
            checkup: None,
        };
        study(&cpu, &config, &args.out, surroundings)
    });
    let places = trackers.finish();
    match outcome? {
        Outcome::Finished(study) => finished(&study, &places, args),
        Outcome::Interrupted { step } => Err(Failure::interrupted(
            format!("stopped after step {step}; the study is saved"),
            "go on with the same command".to_owned(),
        )),
    }
}

fn finished(study: &Study, tracked: &[Place], args: &Args) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    if args.quiet {
        return Ok(writeln!(out, "{}", args.out.display())?);
    }
    let verdict = study.verdict();
    writeln!(out, "\n{}\n", verdict.headline)?;
    verdict.remarks.iter().try_for_each(|remark| writeln!(out, "{remark}"))?;
    writeln!(out, "\n{}", tables::study(study))?;
    let report = ("report:", quoted(&args.out.join("report.html")));
    let tracked = tracked.iter().map(|place| tracked::of_several(place, &args.out));
    Ok(write!(out, "{}", tables::facts(std::iter::once(report).chain(tracked)))?)
}
