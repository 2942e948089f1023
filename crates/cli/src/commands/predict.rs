//! `finetone predict`.

mod answer;
mod model;
mod reasons;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use finetone_backend_cpu::Cpu;
use finetone_classify::Classifier;
use finetone_data::{DataError, Example, NewColumn, Reader, Role, Row, TextEncoding, Value, Writer, columns};

use crate::device::PredictionArgs;
use crate::failure::Failure;
use crate::found::{Found, ReadingArgs};
use crate::interrupt;
use crate::progress::Rows;
use crate::tables;
use answer::Answer;
use model::Model;
use reasons::{Reasons, listed};

/// The end of the help.
pub const EXAMPLES: &str = "\
Appended are `label`, `confidence` (the probability of the label) and `probability_<class>` for each class; a column that the \
file has already gets `_predicted` behind its name. Rows stay as they are and in order; a row with an empty text is kept and \
gets empty values. OUT appears only when it is complete; its extension chooses the format (CSV, TSV, JSON lines, Parquet).

Where the model leaves its least sure texts to a person (`train --min-precision`, `--abstain-cost`), `abstained` is `true` for \
these and `false` for the others; the label is then what the model would have said.

With `--explain`, the column `explanation` names the words that counted most for the label and against it, with what each added \
to the log-odds, and the turn of a conversation that decided (integrated gradients, as `finetone explain` shows them). That takes \
as long as a hundred predictions or more of each text.

With `--neighbours N`, a model that keeps its training texts (`train --set neighbours=on`) shows the N nearest to each text, the \
nearest first: `neighbour_1_label`, `neighbour_1_similarity` (the cosine of both, from -1 to 1), `neighbour_1_line` (the line of its \
file) and, where the model keeps the words as well, `neighbour_1_text`; then `neighbour_2_label` and so on.

With several labels for a text, `label` joins them by `|`, and `confidence` is that of the least certain decision.

Examples:
  finetone predict runs/reviews-1 new.csv -o labelled.csv
  finetone predict runs/reviews-1 new.parquet -o labelled.jsonl --text-column body
  cat new.jsonl | finetone predict runs/reviews-1 - -o - | jq .label
  finetone predict runs/reviews-1 few.csv -o why.csv --explain
  finetone predict runs/reviews-1 new.csv -o labelled.csv --neighbours 3
  finetone predict runs/reviews-1 --text 'Arrived late and broken.' --text 'Love it'";

/// Rows that are held at a time.
const WINDOW_ROWS: usize = 4096;
/// Bytes of text from which on a window is full, so that long texts take no more memory than short ones.
const WINDOW_BYTES: usize = 8 << 20;

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// A run, a folder with a Hugging Face classification model, or a Hugging Face id
    run: String,
    /// The file with the texts: CSV, TSV, JSON lines or Parquet; `-` is standard input
    #[arg(required_unless_present = "text", requires = "out")]
    file: Option<PathBuf>,
    /// The file to write; `-` is standard output
    #[arg(short, long, value_name = "OUT", requires = "file")]
    out: Option<PathBuf>,
    /// A text to judge instead of a file; can be given several times
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    text: Vec<String>,
    /// The column with the texts [default: the run's, or found by its name]
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    /// The encoding of the file, such as `windows-1250`, `latin2` or `shift_jis`; OUT is UTF-8 [default: utf-8; a byte-order mark
    /// goes first]
    #[arg(long, value_name = "NAME", conflicts_with = "text")]
    encoding: Option<TextEncoding>,
    /// Append the words that decided; a hundred times as slow
    #[arg(long)]
    explain: bool,
    /// Show with each answer so many of the training texts that are nearest to the text, where the model keeps them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    neighbours: Option<u8>,
    #[command(flatten)]
    device: PredictionArgs,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

impl Args {
    /// The model, which shows and explains what it is to.
    fn opened(&self, found: &Found, cpu: &Cpu) -> Result<Model, Failure> {
        let mut model = Model::open(cpu, found, self.explain)?;
        if let Some(count) = self.neighbours {
            model.classifier().show_neighbours(count.into())?;
        }
        Ok(model)
    }
}

/// Predicts and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    let found = Found::new(&args.run)?;
    match (&args.file, &args.out) {
        (Some(file), Some(out)) => predict_file(args, &found, file, out),
        _ => predict_texts(args, &found),
    }
}

/// The machine: what is explained has to add up.
fn open(args: &Args) -> Result<Cpu, Failure> {
    if args.explain { args.device.open_exact() } else { args.device.open() }
}

fn predict_texts(args: &Args, found: &Found) -> Result<(), Failure> {
    let cpu = open(args)?;
    let page = cpu.install(|| -> Result<String, Failure> {
        let mut model = args.opened(found, &cpu)?;
        if let Some(column) = model.classifier().columns().first() {
            return Err(Failure::new(
                format!("`--text` has no column `{column}`, which the model needs with each text"),
                format!("give a file with that column: `finetone predict {} FILE -o OUT`", args.run),
            ));
        }
        let texts: Vec<Example> = args.text.iter().map(|text| Example::from_text(text)).collect();
        let Table { mut header, mut rows, near } = told(model.classifier(), &texts)?;
        for (row, text) in rows.iter_mut().zip(&texts) {
            row.extend(model.why(text)?);
        }
        header.extend(args.explain.then(|| EXPLANATION.to_owned()));
        Ok(tables::plain(&header.iter().map(String::as_str).collect::<Vec<_>>(), rows) + &near)
    })?;
    Ok(anstream::stdout().write_all(page.as_bytes())?)
}

/// What a classifier says about texts.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// The neighbours of each text, where they are shown.
    near: String,
}

fn told(classifier: &mut dyn Classifier, texts: &[Example]) -> Result<Table, Failure> {
    let classified = classifier.classify(texts)?;
    let labels = classifier.labels();
    let rows = classified.probabilities.chunks_exact(labels.len()).map(|row| {
        let answer = Answer::of(classifier, row);
        let numbers = [answer.confidence].into_iter().chain(row.iter().map(|&p| f64::from(p)));
        let abstained = answer.abstained.map(|abstained| abstained.to_string());
        [answer.label].into_iter().chain(numbers.map(tables::number)).chain(abstained).collect()
    });
    let abstained = classifier.abstention().map(|_| ABSTAINED.to_owned());
    let fixed = ["label", "confidence"].map(str::to_owned);
    let near = classified.nearest.iter().zip(texts).map(|(near, example)| listed(&example.text, near, labels));
    Ok(Table {
        header: fixed.into_iter().chain(labels.iter().cloned()).chain(abstained).collect(),
        rows: rows.collect(),
        near: near.collect(),
    })
}

fn predict_file(args: &Args, found: &Found, file: &Path, out: &Path) -> Result<(), Failure> {
    let reader = Reader::open(file, &found.open_options(args.encoding)?)?;
    let given = ReadingArgs { text_column: args.text_column.clone(), label_column: None, encoding: args.encoding };
    let options = found.read_options(&given, Some(reader.source()))?;
    let column = columns::find(reader.source(), Role::Text, options.text_column.as_deref())?;
    let cpu = open(args)?;
    let stop = interrupt::watch("stopping; nothing is written")?;
    let (rows, empty) = cpu.install(|| -> Result<_, Failure> {
        let mut model = args.opened(found, &cpu)?;
        let columns = columns::find_all(reader.source(), model.classifier().columns())?;
        let reasons = args.neighbours.map(|count| Reasons::new(count, model.classifier()));
        let mut appended = new_columns(model.classifier(), reasons.as_ref());
        appended.extend(args.explain.then(|| NewColumn::text(EXPLANATION)));
        let writer = Writer::create(out, &reader, &appended)?;
        if !args.quiet {
            tell_renamed(&writer, appended);
        }
        let mut stream = Stream { reader, column, columns, model, reasons, writer, stop: &stop };
        let counts = stream.run(&Rows::new(args.quiet))?;
        stream.writer.finish()?;
        Ok(counts)
    })?;
    if !args.quiet {
        let to = if out == Path::new("-") { String::new() } else { format!(" to {}", out.display()) };
        anstream::eprintln!("{} rows{to}", finetone_track::grouped(rows as u64));
        if empty > 0 {
            anstream::eprintln!("note: {empty} of them have an empty text and got no label");
        }
    }
    Ok(())
}

/// Whether a text is left to a person.
const ABSTAINED: &str = "abstained";
/// The words that decided.
const EXPLANATION: &str = "explanation";

fn new_columns(classifier: &dyn Classifier, reasons: Option<&Reasons>) -> Vec<NewColumn> {
    let fixed = [NewColumn::text("label"), NewColumn::number("confidence")];
    let probabilities = classifier.labels().iter().map(|label| NewColumn::number(format!("probability_{label}")));
    let abstained = classifier.abstention().map(|_| NewColumn::text(ABSTAINED));
    let reasons = reasons.map(Reasons::columns).unwrap_or_default();
    fixed.into_iter().chain(probabilities).chain(abstained).chain(reasons).collect()
}

fn tell_renamed(writer: &Writer, appended: Vec<NewColumn>) {
    for (name, column) in writer.appended().zip(appended) {
        if name != column.name {
            anstream::eprintln!("note: the file has a column `{}`, the predicted one is called `{name}`", column.name);
        }
    }
}

/// From file to file, one window of rows after the other.
struct Stream<'a> {
    reader: Reader,
    /// Where the texts are.
    column: usize,
    /// Where the other values are that the model asks for.
    columns: Vec<usize>,
    model: Model,
    /// How neighbours are shown, if they are.
    reasons: Option<Reasons>,
    writer: Writer,
    stop: &'a AtomicBool,
}

impl Stream<'_> {
    /// Gives the number of rows and of those without text.
    fn run(&mut self, progress: &Rows) -> Result<(usize, usize), Failure> {
        let (mut rows, mut empty) = (0, 0);
        loop {
            let window = self.window()?;
            if window.is_empty() {
                return Ok((rows, empty));
            }
            if self.stop.load(Ordering::SeqCst) {
                return Err(stopped());
            }
            empty += self.answer(&window)?;
            rows += window.len();
            progress.advance(window.len());
        }
    }

    /// The next rows; none at the end of the file.
    fn window(&mut self) -> Result<Vec<Row>, DataError> {
        let (mut window, mut bytes) = (Vec::new(), 0);
        while window.len() < WINDOW_ROWS && bytes < WINDOW_BYTES {
            let Some(row) = self.reader.next_row() else { break };
            let row = row?;
            bytes += row.text(self.column)?.len();
            window.push(row);
        }
        Ok(window)
    }

    /// Judges and writes the rows of a window; gives the number of those without text.
    fn answer(&mut self, window: &[Row]) -> Result<usize, Failure> {
        let classifier = self.model.classifier();
        let chats = classifier.reads_chats();
        let examples = window.iter().map(|row| {
            let example = Example::from_row(row, self.column, &self.columns)?;
            if chats { example.with_chat(row) } else { Ok(example) }
        });
        let examples = examples.collect::<Result<Vec<_>, _>>()?;
        let empty: Vec<bool> = examples.iter().map(|example| example.text.is_empty()).collect();
        let there: Vec<Example> = examples.into_iter().filter(|example| !example.text.is_empty()).collect();
        let classified = classifier.classify(&there)?;
        let mut answers = classified.probabilities.chunks_exact(classifier.labels().len()).zip(&there);
        let mut nearest = classified.nearest.iter();
        let appended = self.writer.appended().count();
        for (row, empty) in window.iter().zip(empty) {
            let answer = if empty { None } else { answers.next() };
            let values = match answer {
                Some((probabilities, example)) => {
                    let answer = Answer::of(self.model.classifier(), probabilities).values(probabilities);
                    let why = self.why(example)?;
                    let near = self.reasons.as_ref().zip(nearest.next());
                    let near = near.into_iter().flat_map(|(shown, near)| shown.values(near));
                    answer.into_iter().chain(near).chain(why).collect()
                }
                None => vec![Value::Missing; appended],
            };
            self.writer.write(row, &values)?;
        }
        Ok(window.len() - there.len())
    }

    /// The words that decided about a text. That may take a while, so the user is listened to.
    fn why(&mut self, example: &Example) -> Result<Option<Value>, Failure> {
        if self.stop.load(Ordering::SeqCst) {
            return Err(stopped());
        }
        Ok(self.model.why(example)?.map(Value::Text))
    }
}

fn stopped() -> Failure {
    Failure::interrupted("interrupted; nothing was written", None)
}
