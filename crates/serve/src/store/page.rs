//! Lists in pages: a page ends where the next begins behind the last id.

use crate::error::ApiError;
use crate::http::Parameters;

/// Which page of a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The id that the page begins behind.
    pub after: Option<String>,
    /// The most rows.
    pub limit: i64,
    /// Whether the oldest come first.
    pub ascending: bool,
}

impl Page {
    /// What the parameters ask for, the newest first.
    ///
    /// # Errors
    /// A limit that is no number from 1 to 10000.
    pub fn new(parameters: &Parameters, usual: i64) -> Result<Self, ApiError> {
        let after = parameters.get("after").map(str::to_owned);
        Ok(Self { after, limit: parameters.integer("limit", 1..=10_000, usual)?, ascending: false })
    }

    /// The end of a query for this page: one row more than the limit, which says whether there are more. `place` is the column
    /// of the order; its value at `after` is bound as the first parameter.
    pub(super) fn sql(&self, place: &str) -> String {
        let (sign, direction) = if self.ascending { (">", "ASC") } else { ("<", "DESC") };
        let limit = self.limit + 1;
        format!("({place} {sign} $1 OR $1 IS NULL) ORDER BY {place} {direction} LIMIT {limit}")
    }

    /// Takes away the row that is one too many, and says whether there was one.
    pub(super) fn cut<T>(&self, mut rows: Vec<T>) -> (Vec<T>, bool) {
        let more = rows.len() as i64 > self.limit;
        rows.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        (rows, more)
    }
}
