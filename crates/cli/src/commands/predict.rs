//! `finetone predict`.

mod answer;
mod reasons;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use finetone_backend_cpu::Cpu;
use finetone_classify::Classifier;
use finetone_data::{DataError, Example, NewColumn, Reader, Role, Row, Value, Writer, columns};

use crate::device::PredictionArgs;
use crate::failure::Failure;
use crate::found::{ColumnArgs, Found};
use crate::interrupt;
use crate::progress::Rows;
use crate::tables;
use answer::Answer;
use reasons::{Reasons, listed};

/// The end of the help.
pub const EXAMPLES: &str = "\
Appended are `label`, `confidence` (the probability of the label) and `probability_<class>` for each class; a column that the \
file has already gets `_predicted` behind its name. Rows stay as they are and in order; a row with an empty text is kept and \
gets empty values. OUT appears only when it is complete; its extension chooses the format (CSV, TSV, JSON lines, Parquet).

Where the model leaves its least sure texts to a person (`train --min-precision`, `--abstain-cost`), `abstained` is `true` for \
these and `false` for the others; the label is then what the model would have said.

With `--neighbours N`, a model that keeps its training texts (`train --set neighbours=on`) shows the N nearest to each text, the \
nearest first: `neighbour_1_label`, `neighbour_1_similarity` (the cosine of both, from -1 to 1), `neighbour_1_line` (the line of its \
file) and, where the model keeps the words as well, `neighbour_1_text`; then `neighbour_2_label` and so on.

With several labels for a text, `label` joins them by `|`, and `confidence` is that of the least certain decision.

Examples:
  finetone predict runs/reviews-1 new.csv -o labelled.csv
  finetone predict runs/reviews-1 new.parquet -o labelled.jsonl --text-column body
  cat new.jsonl | finetone predict runs/reviews-1 - -o - | jq .label
  finetone predict runs/reviews-1 --text 'Arrived late and broken.' --text 'Love it'
  finetone predict runs/reviews-1 new.csv -o labelled.csv --neighbours 3";

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
    /// The model, which shows neighbours if it is to.
    fn opened(&self, found: &Found, cpu: &Cpu) -> Result<Box<dyn Classifier>, Failure> {
        let mut classifier = found.open(cpu)?;
        if let Some(count) = self.neighbours {
            classifier.show_neighbours(count.into())?;
        }
        Ok(classifier)
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

fn predict_texts(args: &Args, found: &Found) -> Result<(), Failure> {
    let cpu = args.device.open()?;
    let page = cpu.install(|| -> Result<String, Failure> {
        let mut classifier = args.opened(found, &cpu)?;
        if let Some(column) = classifier.columns().first() {
            return Err(Failure::new(
                format!("`--text` has no column `{column}`, which the model needs with each text"),
                format!("give a file with that column: `finetone predict {} FILE -o OUT`", args.run),
            ));
        }
        let texts: Vec<Example> = args.text.iter().map(|text| Example::from_text(text)).collect();
        let classified = classifier.classify(&texts)?;
        let labels = classifier.labels();
        let answers = classified.probabilities.chunks_exact(labels.len());
        let rows = answers.map(|row| {
            let answer = Answer::of(&*classifier, row);
            let numbers = [answer.confidence].into_iter().chain(row.iter().map(|&p| f64::from(p)));
            let abstained = answer.abstained.map(|abstained| abstained.to_string());
            [answer.label].into_iter().chain(numbers.map(tables::number)).chain(abstained).collect::<Vec<String>>()
        });
        let abstained = classifier.abstention().map(|_| ABSTAINED);
        let classes = labels.iter().map(String::as_str);
        let header: Vec<&str> = ["label", "confidence"].into_iter().chain(classes).chain(abstained).collect();
        let near = classified.nearest.iter().zip(&args.text).map(|(near, text)| listed(text, near, labels));
        Ok(tables::plain(&header, rows) + &near.collect::<String>())
    })?;
    Ok(anstream::stdout().write_all(page.as_bytes())?)
}

fn predict_file(args: &Args, found: &Found, file: &Path, out: &Path) -> Result<(), Failure> {
    let reader = Reader::open(file, &found.open_options()?)?;
    let given = ColumnArgs { text_column: args.text_column.clone(), label_column: None };
    let options = found.read_options(&given, Some(reader.source()))?;
    let column = columns::find(reader.source(), Role::Text, options.text_column.as_deref())?;
    let cpu = args.device.open()?;
    let stop = interrupt::watch("stopping; nothing is written")?;
    let (rows, empty) = cpu.install(|| -> Result<_, Failure> {
        let mut classifier = args.opened(found, &cpu)?;
        let columns = columns::find_all(reader.source(), classifier.columns())?;
        let reasons = args.neighbours.map(|count| Reasons::new(count, &*classifier));
        let appended = new_columns(&*classifier, reasons.as_ref());
        let writer = Writer::create(out, &reader, &appended)?;
        if !args.quiet {
            tell_renamed(&writer, appended);
        }
        let mut stream = Stream { reader, column, columns, classifier: &mut *classifier, reasons, writer, stop: &stop };
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
    /// Where the other values are that the classifier asks for.
    columns: Vec<usize>,
    classifier: &'a mut dyn Classifier,
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
                return Err(Failure::interrupted("interrupted; nothing was written", None));
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
        let chats = self.classifier.reads_chats();
        let examples = window.iter().map(|row| {
            let example = Example::from_row(row, self.column, &self.columns)?;
            if chats { example.with_chat(row) } else { Ok(example) }
        });
        let examples = examples.collect::<Result<Vec<_>, _>>()?;
        let empty: Vec<bool> = examples.iter().map(|example| example.text.is_empty()).collect();
        let there: Vec<Example> = examples.into_iter().filter(|example| !example.text.is_empty()).collect();
        let classified = self.classifier.classify(&there)?;
        let mut answers = classified.probabilities.chunks_exact(self.classifier.labels().len());
        let mut nearest = classified.nearest.iter();
        let appended = self.writer.appended().count();
        for (row, empty) in window.iter().zip(empty) {
            let answer = if empty { None } else { answers.next() };
            let values = match answer {
                Some(probabilities) => {
                    let answer = Answer::of(self.classifier, probabilities).values(probabilities);
                    let near = self.reasons.as_ref().zip(nearest.next());
                    answer.into_iter().chain(near.into_iter().flat_map(|(shown, near)| shown.values(near))).collect()
                }
                None => vec![Value::Missing; appended],
            };
            self.writer.write(row, &values)?;
        }
        Ok(window.len() - there.len())
    }
}
