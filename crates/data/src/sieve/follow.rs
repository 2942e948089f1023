//! A file that grows, through a sieve, to files that grow with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::resume::{Standing, refuse_strange};
use super::{Sieve, SieveOptions, Sifted, Sinks};
use crate::error::DataError;
use crate::reader::Tail;

/// Where the rows of a followed file go.
#[derive(Debug, Clone, Copy)]
pub struct Outputs<'a> {
    /// The rows that are kept; `None`: to standard output, and from the start each time.
    pub kept: Option<&'a Path>,
    /// The rows that are not.
    pub rejected: Option<&'a Path>,
    /// Of these, the copies with another label than the row they repeat.
    pub contradictions: Option<&'a Path>,
}

impl Outputs<'_> {
    fn paths(&self) -> Vec<PathBuf> {
        [self.kept, self.rejected, self.contradictions].into_iter().flatten().map(Path::to_path_buf).collect()
    }
}

/// Follows a file until `stop` becomes true; `wait` is called whenever there is nothing new. Every row is written as soon as
/// it is complete. What the file is read to is kept beside the output (`OUT.place`), where the next following goes on, with
/// the copies of rows that are in the output known.
///
/// A file that is cut short or replaced is read from its start, a replaced one first to its end. The rows of a file that was
/// replaced while nobody followed are not found any more: a notice says so.
///
/// # Errors
/// What cannot be followed, read or written; outputs that no earlier following has left as they are.
pub fn follow(
    path: &Path,
    options: SieveOptions,
    outputs: Outputs<'_>,
    stop: &AtomicBool,
    wait: &mut dyn FnMut(),
) -> Result<Sifted, DataError> {
    let paths = outputs.paths();
    let earlier = outputs.kept.map(Standing::load).transpose()?.flatten();
    match &earlier {
        Some(standing) => standing.restore(path, &paths)?,
        None => paths.iter().try_for_each(|path| refuse_strange(path))?,
    }
    let goes_on = earlier.is_some();
    let place = earlier.map(|standing| standing.place);
    let Some(mut tail) = Tail::open(path, &options.read.open, place, stop, wait)? else {
        return Ok(Sifted::default());
    };
    let source = tail.source().clone();
    let mut sieve = Sieve::new(&source, options)?;
    if let Some(kept) = outputs.kept.filter(|_| goes_on) {
        sieve.recall(kept, &source)?;
        if tail.anew {
            sieve.sifted.notices.push("the file was replaced while nobody followed: it is read from its start".into());
        }
    }
    let mut sinks = Sinks::growing(&sieve, &source, &outputs)?;
    let note = |tail: &Tail, stopped| match outputs.kept {
        Some(kept) => Standing::note(path, tail.place(), &paths, stopped)?.save(kept),
        None => Ok(()),
    };
    sinks.flush()?;
    note(&tail, false)?;
    while let Some(rows) = tail.next(stop, wait)? {
        for row in &rows {
            sinks.take(&mut sieve, row, 1, &source)?;
        }
        sinks.flush()?;
        note(&tail, false)?;
    }
    sinks.finish()?;
    note(&tail, true)?;
    Ok(sieve.finish())
}
