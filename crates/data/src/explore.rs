//! What is in a file of labelled texts: how long they are, which words mark a class, which rows repeat each other, and how the
//! other columns go with the class.
//!
//! The file is read row by row. What is kept grows with the number of different things, within stated bounds, and by some
//! words for each row (to find copies), never with the texts.

mod association;
mod lengths;
mod terms;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::conversation::{Conversation, Speakers};
pub use crate::copies::{Copies, Copy};
use crate::copies::{CopyRule, Met, Search};
use crate::dataset::{Columns, ReadOptions, row_labels};
use crate::doctor::{Checkup, TokenLimit};
use crate::error::DataError;
use crate::features::{MEASURED, Origin, measurements};
use crate::labels::LabelSet;
use crate::reader::{Reader, Row};
pub use association::{CategoryCounts, ColumnPortrait, ColumnValues, NumberOfClass};
use lengths::Histogram;
pub use lengths::{Bin, Lengths};
pub use terms::{Term, words};

/// What the caller knows about the file.
#[derive(Clone)]
pub struct ExploreOptions<'a> {
    /// How the file is read.
    pub read: ReadOptions,
    /// A tokenizer and a model's limit; `None`: lengths in words alone.
    pub tokens: Option<TokenLimit<'a>>,
    /// The names of both sides of a conversation.
    pub speakers: Speakers,
}

/// What is in a file.
#[derive(Debug, Clone, Serialize)]
pub struct Exploration {
    /// The file.
    pub file: PathBuf,
    /// The column of texts.
    pub text_column: String,
    /// Rows with a text and a label.
    pub rows: usize,
    /// Rows whose text is a conversation with known speakers.
    pub conversations: usize,
    /// The limit on tokens, where a tokenizer was given.
    pub token_limit: Option<usize>,
    /// Every class, in the order of the label set.
    pub classes: Vec<ClassPortrait>,
    /// Rows that repeat others.
    pub copies: Copies,
    /// The other columns, those that go with the class most first.
    pub columns: Vec<ColumnPortrait>,
    /// What was left out or counted in part.
    pub notices: Vec<String>,
}

/// The texts of one class.
#[derive(Debug, Clone, Serialize)]
pub struct ClassPortrait {
    /// The label.
    pub label: String,
    /// Rows that have it.
    pub rows: usize,
    /// [Words](crate::words) of a text.
    pub words: Lengths,
    /// Tokens of a text, where a tokenizer was given.
    pub tokens: Option<Lengths>,
    /// Texts above the limit on tokens.
    pub truncated: usize,
    /// The mean of each measurement of [`MEASURED`] over the texts; those of conversations only where there are any.
    pub measured: Vec<(&'static str, f64)>,
    /// Words and pairs of words that mark the class, the surest first.
    pub terms: Vec<Term>,
}

/// Explores a file that the doctor has examined, with the label set that it found.
///
/// # Errors
/// Everything that [`Reader`] refuses, and a column that is not found. Single rows that cannot be read, or have no text or no
/// label, are passed over: the checkup names them.
pub fn explore(path: &Path, checkup: &Checkup, options: &ExploreOptions<'_>) -> Result<Exploration, DataError> {
    let mut reader = Reader::open(path, &options.read.open)?;
    let columns = Columns::find(&reader, &options.read)?;
    let mut survey = Survey::new(&reader, &columns, checkup.labels());
    while let Some(next) = reader.next_row() {
        match next.and_then(|row| survey.row(&row, &columns, options)) {
            Err(fault) if !fault.is_row_fault() => return Err(fault),
            _ => {}
        }
    }
    Ok(survey.finish(&reader, &columns, options))
}

/// What has been counted so far.
struct Survey {
    labels: LabelSet,
    rows: usize,
    conversations: usize,
    classes: Vec<ClassTally>,
    terms: terms::Vocabulary,
    search: Search,
    copies: Copies,
    columns: Vec<association::Tally>,
}

#[derive(Clone)]
struct ClassTally {
    rows: usize,
    conversations: usize,
    words: Histogram,
    tokens: Histogram,
    truncated: usize,
    sums: Vec<f64>,
}

impl Survey {
    fn new(reader: &Reader, columns: &Columns, labels: LabelSet) -> Survey {
        let read = |c: usize| c == columns.text || Some(c) == columns.label || reader.source().is_in_chats(c);
        let others = (0..reader.header().len()).filter(|&c| !read(c));
        let class = ClassTally {
            rows: 0,
            conversations: 0,
            words: Histogram::default(),
            tokens: Histogram::default(),
            truncated: 0,
            sums: vec![0.0; MEASURED.len()],
        };
        Survey {
            rows: 0,
            conversations: 0,
            classes: vec![class; labels.len()],
            terms: terms::Vocabulary::new(labels.len()),
            search: Search::new(CopyRule::default()),
            copies: Copies::default(),
            columns: others.map(|column| association::Tally::new(column, labels.len())).collect(),
            labels,
        }
    }

    fn row(&mut self, row: &Row, columns: &Columns, options: &ExploreOptions<'_>) -> Result<(), DataError> {
        let Some(label) = columns.label.filter(|_| !row.is_left_out()) else { return Ok(()) };
        let labels = row_labels(row, label, options.read.multi_label)?.unwrap_or_default();
        let classes: Vec<usize> = labels.iter().filter_map(|label| self.labels.class(label)).collect();
        let text = row.text(columns.text)?;
        let text = text.trim();
        let Some(&first) = classes.first().filter(|_| !text.is_empty()) else { return Ok(()) };
        self.rows += 1;
        let conversation = Conversation::parse(text, &options.speakers);
        self.measure(text, &conversation, &classes, options);
        if let Some(found) = self.search.meet(text, Met { line: Some(row.line), class: Some(first) }) {
            self.copies.add(row.line, &found);
        }
        match conversation.turns.is_empty() {
            true => self.terms.add(text.lines(), &classes),
            false => self.terms.add(conversation.turns.iter().map(|turn| turn.text.as_str()), &classes),
        }
        for column in &mut self.columns {
            let value = row.text(column.index)?;
            classes.iter().for_each(|&class| column.add(value.trim(), class));
        }
        Ok(())
    }

    fn measure(&mut self, text: &str, conversation: &Conversation, classes: &[usize], options: &ExploreOptions<'_>) {
        let spoken = usize::from(!conversation.turns.is_empty());
        self.conversations += spoken;
        let words = crate::words::words(text).count();
        let tokens = options.tokens.map(|tokens| ((tokens.count)(text), tokens.limit));
        for &class in classes {
            let class = &mut self.classes[class];
            class.rows += 1;
            class.conversations += spoken;
            class.words.add(words);
            if let Some((tokens, limit)) = tokens {
                class.tokens.add(tokens);
                class.truncated += usize::from(tokens > limit);
            }
            let origin = Origin { text, conversation: Some(conversation), columns: &[] };
            class.sums.iter_mut().zip(measurements(origin)).for_each(|(sum, value)| *sum += value);
        }
    }

    fn finish(self, reader: &Reader, columns: &Columns, options: &ExploreOptions<'_>) -> Exploration {
        let source = reader.source();
        let most_words = self.classes.iter().map(|class| class.words.greatest()).max().unwrap_or(0);
        let most_tokens = self.classes.iter().map(|class| class.tokens.greatest()).max().unwrap_or(0);
        let mut notices = Vec::new();
        notices.extend(self.terms.notice());
        notices.extend(self.search.notice());
        let labels = self.labels.names();
        let portraits = self.classes.iter().zip(labels).zip(self.terms.marking()).map(|((class, label), terms)| {
            let mean = |(name, sum): (&'static str, &f64)| {
                let of_conversation = name.contains('_') || name == "turns";
                let rows = if of_conversation { class.conversations } else { class.rows };
                (rows > 0).then(|| (name, sum / rows as f64))
            };
            ClassPortrait {
                label: label.clone(),
                rows: class.rows,
                words: class.words.lengths(most_words),
                tokens: options.tokens.map(|_| class.tokens.lengths(most_tokens)),
                truncated: class.truncated,
                measured: MEASURED.into_iter().zip(&class.sums).filter_map(mean).collect(),
                terms,
            }
        });
        let classes: Vec<ClassPortrait> = portraits.collect();
        let mut others: Vec<ColumnPortrait> =
            self.columns.into_iter().map(|column| column.portrait(&source.header, labels)).collect();
        others.sort_by(|a, b| b.strength.unwrap_or(-1.0).total_cmp(&a.strength.unwrap_or(-1.0)));
        Exploration {
            file: source.path.clone(),
            text_column: source.column(columns.text).to_owned(),
            rows: self.rows,
            conversations: self.conversations,
            token_limit: options.tokens.map(|tokens| tokens.limit),
            classes,
            copies: self.copies.finish(),
            columns: others,
            notices,
        }
    }
}
