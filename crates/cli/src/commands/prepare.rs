//! `finetone prepare`.

mod plan;
mod told;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use finetone_data::Reader;
use finetone_data::reader::Format;
use finetone_data::sieve::{Outputs, Sieve, Sifted, Sinks, balanced, follow, sift};

use crate::failure::Failure;
use crate::found::ReadingArgs;
use crate::interrupt;
use crate::progress::Rows;
use plan::Plan;

/// The end of the help.
pub const EXAMPLES: &str = "\
Only texts are changed; all other columns pass through, and the extension of OUT chooses the format. Without a setting, texts \
lose markup and invisible characters and get one form for every character and every space. With --recipe or --set they get what \
`train` does with the same settings (`clean`, `conversation`, `speakers`, `stage_directions`), and with --model what that model \
does. A conversation stays one, so that the same settings can be given to `train` again, and should: then the model does the \
same to every text that it is asked about. To prepare twice is to prepare once.

Copies are texts that are equal but for case and white space. Near copies share --near of their runs of three words, estimated \
within ±0.07 (MinHash over texts of eight words and more); of pairs at 0.8 one in twenty is missed, of those at 0.9 hardly any. \
The first of each is kept.

With --follow the file is read as `tail -F` reads it: through rotation and truncation, whole rows alone. OUT grows row by row, and \
OUT.place keeps the place, so that the next call goes on where this one was stopped (Ctrl-C), even by force.

Examples:
  finetone prepare raw.csv --out clean.csv
  finetone prepare raw.csv --out clean.csv --rejected rejected.csv --contradictions decide.csv
  cat raw.jsonl | finetone prepare - --format jsonl > clean.jsonl
  finetone prepare raw.csv --out even.csv --balance undersample --set sampling_ratio=2
  finetone prepare calls.csv --out clean.parquet --model runs/calls-1
  finetone prepare --follow log.csv --out clean.csv";

/// How long the end of a followed file is left alone.
const PAUSE: Duration = Duration::from_millis(200);

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// The file: CSV, TSV, JSON lines or Parquet; `-` is standard input
    file: PathBuf,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// Write the rows that are not kept, each with its line and the reason
    #[arg(long, value_name = "OUT")]
    rejected: Option<PathBuf>,
    /// Write the copies with another label than the row they repeat: decide on one label
    #[arg(long, value_name = "OUT")]
    contradictions: Option<PathBuf>,
    /// Go on reading while FILE grows, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// The format of the input, where its name does not tell: `csv`, `tsv` or `jsonl`
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    copies: CopyArgs,
    /// Bring classes nearer to one size: `oversample` repeats rows of small ones, `undersample` leaves out rows of large ones
    #[arg(long, value_name = "RULE", value_parser = ["oversample", "undersample"])]
    balance: Option<String>,
    /// Do to texts what this trained model does (run, folder or Hugging Face id)
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["recipe", "set"])]
    model: Option<String>,
    /// A file of settings, as `train` takes it
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// A setting, as `train` takes it; can be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print what became of the rows as one JSON object
    #[arg(long, requires = "out")]
    json: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// How copies are looked for.
#[derive(clap::Args)]
struct CopyArgs {
    /// The share of their runs of words that near copies have in common, from 0.8 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.8, value_parser = share)]
    near: f64,
    /// Keep near copies
    #[arg(long)]
    keep_near: bool,
    /// Keep all copies
    #[arg(long)]
    keep_copies: bool,
    /// Look for near copies among so many of the latest different texts, a kilobyte each, and for exact ones among ten times as
    /// many
    #[arg(long, value_name = "TEXTS", default_value_t = 100_000, value_parser = window)]
    window: usize,
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "csv" => Ok(Format::Csv),
        "tsv" => Ok(Format::Tsv),
        "jsonl" => Ok(Format::Jsonl),
        _ => Err("known formats: `csv`, `tsv`, `jsonl`; Parquet is known by itself".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.8..=1.0).contains(&share) => Ok(share),
        _ => Err("a share from 0.8 to 1: below that, too many near copies would be missed".to_owned()),
    }
}

fn window(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|texts| *texts > 0).ok_or_else(|| "a whole number of at least 1".to_owned())
}

/// Prepares and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    refuse(args)?;
    let outputs = Outputs {
        kept: args.out.as_deref().filter(|out| *out != Path::new("-")),
        rejected: args.rejected.as_deref(),
        contradictions: args.contradictions.as_deref(),
    };
    let plan = Plan::new(args)?;
    let sifted = if args.follow { grow(args, &plan, outputs)? } else { whole(args, &plan, outputs)? };
    if args.json {
        let text = serde_json::to_string(&sifted).map_err(|error| Failure::new(error.to_string(), None))?;
        writeln!(anstream::stdout(), "{text}")?;
    }
    if !args.quiet {
        anstream::eprint!("{}", told::told(args, &plan, &sifted));
    }
    Ok(())
}

fn refuse(args: &Args) -> Result<(), Failure> {
    let standard = Path::new("-");
    if args.file == standard && args.follow {
        return Err(Failure::usage("standard input is not followed", "leave `--follow` out: it is read as it comes"));
    }
    if args.file == standard && args.balance.is_some() {
        let message = "to balance, the file is read twice, and standard input can be read only once";
        return Err(Failure::usage(message, "write it to a file first"));
    }
    if args.follow && args.balance.is_some() {
        let message = "a file that grows cannot be balanced: its rows are not counted before it ends";
        return Err(Failure::usage(message, "balance what was written: `finetone prepare OUT --balance …`"));
    }
    let others = [&args.rejected, &args.contradictions].into_iter().flatten();
    if others.clone().any(|path| path == standard) {
        return Err(Failure::usage("standard output is for the rows that are kept", "name a file for the others"));
    }
    let mut taken = vec![resolved(&args.file)];
    for path in others.chain(&args.out).filter(|path| *path != standard) {
        let path = resolved(path);
        if taken.contains(&path) {
            let message = format!("{}: a file cannot be read and written, or written twice", path.display());
            return Err(Failure::usage(message, "name another file to write"));
        }
        taken.push(path);
    }
    Ok(())
}

/// The path by which a file is one, whatever it is called.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_path_buf())
}

/// A file to its end.
fn whole(args: &Args, plan: &Plan, outputs: Outputs<'_>) -> Result<Sifted, Failure> {
    let stop = interrupt::watch("stopping; no file is written")?;
    let rows = Rows::new(args.quiet);
    let goes_on = || {
        rows.advance(1);
        !stop.load(Ordering::SeqCst)
    };
    let interrupted = || Failure::interrupted("interrupted; no file was written", None);
    let open = || Reader::open(&args.file, &plan.read.open);
    let reader = open()?;
    let options = plan.sieve(reader.source());
    let times = match plan.balance {
        Some(balance) => {
            Some(balanced(open()?, options.clone(), balance, plan.seed, goes_on)?.ok_or_else(interrupted)?)
        }
        None => None,
    };
    let sieve = Sieve::new(reader.source(), options)?;
    let sinks = Sinks::create(&sieve, &reader, &outputs)?;
    sift(reader, sieve, sinks, times.as_deref(), goes_on)?.ok_or_else(interrupted)
}

/// A file that grows, until the user has enough.
fn grow(args: &Args, plan: &Plan, outputs: Outputs<'_>) -> Result<Sifted, Failure> {
    let stop = interrupt::watch("stopping; every whole row is written")?;
    // A file that is missing from the start is a wrong name; one that is only replaced comes back.
    if !args.file.exists() {
        Reader::open(&args.file, &plan.read.open)?;
    }
    if !args.quiet {
        anstream::eprintln!("following {} (Ctrl-C stops)", args.file.display());
    }
    let stop: &AtomicBool = &stop;
    Ok(follow(&args.file, plan.sieve_of_stream(), outputs, stop, &mut || std::thread::sleep(PAUSE))?)
}
