//! Splits that follow another column of the file: who a text is from, or when it was written.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::random::Random;
use super::{Split, take};
use crate::columns;
use crate::dataset::Example;
use crate::error::{DataError, Role};
use crate::reader::{OpenOptions, Reader};

/// What a column says about each of the examples, which come from `file` in its order; the file is read once more for it.
///
/// # Errors
/// What [`Reader`] refuses, a column that is not there, a row of an example where it is empty.
pub fn column_values(
    file: &Path,
    open: &OpenOptions,
    examples: &[Example],
    role: Role,
    column: &str,
) -> Result<Vec<String>, DataError> {
    let mut reader = Reader::open(file, open)?;
    let index = columns::find(reader.source(), role, Some(column))?;
    let mut values = Vec::with_capacity(examples.len());
    while let (Some(example), Some(row)) = (examples.get(values.len()), reader.next_row()) {
        let row = row?;
        if row.line != example.line {
            continue;
        }
        let value = row.text(index)?.trim().to_owned();
        if value.is_empty() {
            let (path, column) = (file.to_path_buf(), row.source().column(index).to_owned());
            return Err(DataError::MissingValue { path, line: row.line, column });
        }
        values.push(value);
    }
    Ok(values)
}

/// The times that a column gives for the examples, in seconds since 1970: ISO dates and times (without offset taken as UTC) or
/// numbers. Numbers may count from anywhere, as they are only put in order.
///
/// # Errors
/// As [`column_values`], and a value that is no time.
pub fn column_times(
    file: &Path,
    open: &OpenOptions,
    examples: &[Example],
    column: &str,
) -> Result<Vec<f64>, DataError> {
    let values = column_values(file, open, examples, Role::Time, column)?;
    let time = |(value, example): (&String, &Example)| {
        seconds(value).ok_or_else(|| DataError::NoTime {
            path: file.to_path_buf(),
            line: example.line,
            column: column.to_owned(),
            value: value.clone(),
        })
    };
    values.iter().zip(examples).map(time).collect()
}

fn seconds(value: &str) -> Option<f64> {
    let with_offset = value.parse::<Timestamp>();
    let time = with_offset.or_else(|_| value.parse::<DateTime>()?.to_zoned(TimeZone::UTC).map(|time| time.timestamp()));
    match time {
        Ok(time) => Some(time.as_microsecond() as f64 / 1e6),
        Err(_) => value.parse().ok().filter(|seconds: &f64| seconds.is_finite()),
    }
}

/// Holds out whole groups: rows of one value are on one side. Groups are drawn at random until `fraction` of the rows is
/// reached; one that would overshoot is passed over, unless it is the first. Equal texts of two groups may part.
///
/// Where all rows are of one group, nothing is held out.
///
/// # Panics
/// When there is not one group for each of the examples.
pub fn group_split(examples: &[Example], groups: &[String], fraction: f64, seed: u64) -> Split {
    assert_eq!(examples.len(), groups.len(), "every example has a group");
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    groups.iter().enumerate().for_each(|(index, group)| members.entry(group).or_default().push(index));
    let mut members: Vec<Vec<usize>> = members.into_values().collect();
    members.sort_unstable();
    Random::new(seed).shuffle(&mut members);
    Split::holding(examples.len(), &take(&members, fraction))
}

/// Holds out the newest rows, `fraction` of all, rounded, at least one; the oldest is always learnt from. Of rows of one time
/// those that stand later in the file count as newer.
///
/// # Panics
/// When there is not one time for each of the examples.
pub fn time_split(examples: &[Example], times: &[f64], fraction: f64) -> Split {
    assert_eq!(examples.len(), times.len(), "every example has a time");
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by(|a, b| times[*a].total_cmp(&times[*b]));
    let wanted = if fraction > 0.0 { ((times.len() as f64 * fraction).round() as usize).max(1) } else { 0 };
    let oldest_held = times.len().saturating_sub(wanted).max(1).min(times.len());
    Split::holding(examples.len(), &order[oldest_held..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(count: usize) -> Vec<Example> {
        let example = |index| Example { text: format!("text {index}"), line: index as u64 + 2, ..Example::default() };
        (0..count).map(example).collect()
    }

    #[test]
    fn a_group_is_on_one_side() {
        let groups: Vec<String> = (0..100).map(|row| format!("customer {}", row % 17)).collect();
        for seed in 0..20 {
            let split = group_split(&examples(100), &groups, 0.2, seed);
            assert_eq!(split.train.len() + split.held_out.len(), 100);
            assert!((15..=20).contains(&split.held_out.len()), "seed {seed}: {}", split.held_out.len());
            assert!(split.held_out.iter().all(|held| split.train.iter().all(|row| groups[*row] != groups[*held])));
        }
        let one = vec!["everybody".to_owned(); 5];
        assert_eq!(group_split(&examples(5), &one, 0.2, 0).held_out, [0; 0]);
    }

    #[test]
    fn the_newest_rows_are_held_out() {
        let split = time_split(&examples(5), &[3.0, 9.0, 1.0, 9.0, 5.0], 0.4);
        assert_eq!((split.train, split.held_out), (vec![0, 2, 4], vec![1, 3]));
        let split = time_split(&examples(5), &[7.0; 5], 0.2);
        assert_eq!(split.held_out, [4]);
        assert_eq!(time_split(&examples(2), &[1.0, 2.0], 0.99).held_out, [1]);
        assert_eq!(time_split(&examples(1), &[1.0], 0.5).held_out, [0; 0]);
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let same =
            ["2026-03-01", "2026-03-01T00:00:00Z", "2026-03-01 00:00:00", "2026-03-01T01:00:00+01:00", "1772323200"];
        for text in same {
            assert_eq!(seconds(text), Some(1_772_323_200.0), "{text}");
        }
        assert!(seconds("2026-03-01T00:00:00.5") > seconds("2026-03-01"));
        assert_eq!(seconds("-1.5"), Some(-1.5));
        for text in ["yesterday", "inf", "NaN", "2026-13-01", "01.03.2026"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
