//! Rows from a file through a sieve to the files they belong in.

use std::path::Path;
use std::sync::Arc;

use super::{Outputs, Reason, Sieve, SieveOptions, Sifted, Verdict};
use crate::error::DataError;
use crate::reader::{Reader, Row, Source};
use crate::sampling::{Balance, Sampling};
use crate::writer::{NewColumn, Value, Writer};

/// What is added to rows that are not kept.
fn rejected_columns() -> [NewColumn; 5] {
    [
        NewColumn::number("rejected_line"),
        NewColumn::text("rejected_because"),
        NewColumn::number("rejected_like_line"),
        NewColumn::text("rejected_like_label"),
        NewColumn::number("rejected_common"),
    ]
}

/// Where rows go.
pub struct Sinks {
    kept: Writer,
    rejected: Option<Writer>,
    contradictions: Option<Writer>,
}

impl Sinks {
    /// Files that appear when they are complete.
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub fn create(sieve: &Sieve, reader: &Reader, outputs: &Outputs<'_>) -> Result<Sinks, DataError> {
        let create = |path: &Path| Writer::create(path, reader, &rejected_columns());
        Ok(Sinks {
            kept: Writer::replacing(outputs.kept.unwrap_or(Path::new("-")), reader.source(), sieve.rewritten())?,
            rejected: outputs.rejected.map(create).transpose()?,
            contradictions: outputs.contradictions.map(create).transpose()?,
        })
    }

    /// Files that grow, of which none is ever complete.
    pub(super) fn growing(sieve: &Sieve, source: &Source, outputs: &Outputs<'_>) -> Result<Sinks, DataError> {
        let grow = |path: &Path| Writer::growing(path, source, None, &rejected_columns());
        Ok(Sinks {
            kept: Writer::growing(outputs.kept.unwrap_or(Path::new("-")), source, sieve.rewritten(), &[])?,
            rejected: outputs.rejected.map(grow).transpose()?,
            contradictions: outputs.contradictions.map(grow).transpose()?,
        })
    }

    /// Judges a row and writes it where it belongs: `times` times, if it is kept.
    pub(super) fn take(
        &mut self,
        sieve: &mut Sieve,
        row: &Result<Row, DataError>,
        times: usize,
        source: &Arc<Source>,
    ) -> Result<(), DataError> {
        match (sieve.judge(row)?, row) {
            (Verdict::Keep { .. }, Ok(row)) if times == 0 => self.reject(row, &Reason::Balance),
            (Verdict::Keep { text, class }, Ok(row)) => {
                for _ in 0..times {
                    match &text {
                        Some(text) => self.kept.write_text(row, text)?,
                        None => self.kept.write(row, &[])?,
                    }
                }
                sieve.count_written(class, text.is_some(), times);
                Ok(())
            }
            (Verdict::Reject(reason), Ok(row)) => self.reject(row, &reason),
            (Verdict::Reject(reason), Err(fault)) => {
                self.reject(&Row::blank(source, fault.line().unwrap_or(0)), &reason)
            }
            (Verdict::Keep { .. }, Err(_)) => unreachable!("a row that cannot be read is not kept"),
        }
    }

    fn reject(&mut self, row: &Row, reason: &Reason) -> Result<(), DataError> {
        let contradicts = matches!(reason, Reason::Copy(found, _) if found.contradicts);
        if self.rejected.is_none() && !(contradicts && self.contradictions.is_some()) {
            return Ok(());
        }
        let values = reason.values(row.line);
        if let Some(writer) = &mut self.rejected {
            writer.write(row, &values)?;
        }
        match &mut self.contradictions {
            Some(writer) if contradicts => writer.write(row, &values),
            _ => Ok(()),
        }
    }

    /// Sends on what was written so far.
    pub(super) fn flush(&mut self) -> Result<(), DataError> {
        let others = self.rejected.iter_mut().chain(&mut self.contradictions);
        std::iter::once(&mut self.kept).chain(others).try_for_each(Writer::flush)
    }

    /// Completes the files, that of the kept rows last.
    ///
    /// # Errors
    /// A full disk.
    pub fn finish(self) -> Result<(), DataError> {
        let others = self.rejected.into_iter().chain(self.contradictions);
        others.chain([self.kept]).try_for_each(Writer::finish)
    }
}

impl Reason {
    fn words(&self) -> String {
        match self {
            Reason::Malformed(fault) => format!("malformed: {fault}"),
            Reason::LeftOut => "left out: the weight of the answer is 0".to_owned(),
            Reason::Empty => "empty".to_owned(),
            Reason::Balance => "balance".to_owned(),
            Reason::Copy(found, _) => {
                let kind = if found.exact { "copy" } else { "near copy" };
                let label = if found.contradicts { " with another label" } else { "" };
                format!("{kind}{label}")
            }
        }
    }

    /// The values of [`rejected_columns`].
    fn values(&self, line: u64) -> [Value; 5] {
        let (like_line, like_label, common) = match self {
            Reason::Copy(found, label) => {
                let line = found.earlier.line.map_or(Value::Missing, Value::Count);
                (line, label.clone().map_or(Value::Missing, Value::Text), Value::Number(found.common))
            }
            _ => (Value::Missing, Value::Missing, Value::Missing),
        };
        [Value::Count(line), Value::Text(self.words()), like_line, like_label, common]
    }
}

/// Reads all rows through a sieve into their files, which are complete afterwards. `times` says how often each row that is
/// kept is written ([`balanced`]); `goes_on` is asked before each row, and where it says no, nothing is written and nothing
/// returned.
///
/// # Errors
/// Everything that [`Reader`] refuses but faults of single rows; everything that [`Writer`] refuses.
pub fn sift(
    mut reader: Reader,
    mut sieve: Sieve,
    mut sinks: Sinks,
    times: Option<&[usize]>,
    mut goes_on: impl FnMut() -> bool,
) -> Result<Option<Sifted>, DataError> {
    let source = reader.source().clone();
    let is_live = source.path == Path::new("-");
    while let Some(row) = reader.next_row() {
        if !goes_on() {
            return Ok(None);
        }
        let row = passed(row)?;
        // A file that has grown since it was balanced has rows that nothing is known of.
        let number = sieve.sifted.kept;
        let times = times.map_or(1, |times| times.get(number).copied().unwrap_or(0));
        sinks.take(&mut sieve, &row, times, &source)?;
        if is_live {
            sinks.flush()?;
        }
    }
    sinks.finish()?;
    Ok(Some(sieve.finish()))
}

/// Lets faults of single rows pass, which the sieve judges.
fn passed(row: Result<Row, DataError>) -> Result<Result<Row, DataError>, DataError> {
    match row {
        Err(fault) if !fault.is_row_fault() => Err(fault),
        row => Ok(row),
    }
}

/// How often each row that a sieve keeps is written so that the classes come nearer to one size; rows without label not at
/// all. The file is read to its end.
///
/// # Errors
/// As [`sift`].
pub fn balanced(
    mut reader: Reader,
    options: SieveOptions,
    balance: Balance,
    seed: u64,
    mut goes_on: impl FnMut() -> bool,
) -> Result<Option<Vec<usize>>, DataError> {
    let mut sieve = Sieve::new(reader.source(), options)?;
    let (mut classes, mut labelled, mut order) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(row) = reader.next_row() {
        if !goes_on() {
            return Ok(None);
        }
        if let Verdict::Keep { class: Some(class), .. } = sieve.judge(&passed(row)?)? {
            labelled.push(sieve.sifted.kept - 1);
            // Classes count from the first row that is kept: what is left out must not change what is drawn.
            let known = order.iter().position(|known| *known == class);
            classes.push(known.unwrap_or(order.len()));
            order.extend(known.is_none().then_some(class));
        }
    }
    let mut times = vec![0; sieve.sifted.kept];
    Sampling::balanced(&classes, balance).draw(seed, 0).into_iter().for_each(|row| times[labelled[row]] += 1);
    Ok(Some(times))
}
