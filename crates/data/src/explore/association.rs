//! How the other columns go with the class.
//!
//! One number for each column, between 0 (no relation) and 1 (the one gives the other): for numbers the correlation ratio
//! corrected for chance (Kelley's ε, 1935), for words Cramér's V corrected for chance (Bergsma 2013,
//! <https://doi.org/10.1016/j.jkss.2012.10.002>).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::decimal::decimal;
use crate::features::{MOST_CATEGORIES, gives_label_away};
use crate::labels::is_missing;

/// Values that are named.
const NAMED: usize = 12;
/// The middle 95 % of a normal distribution end so many standard deviations from its mean.
const REACH: f64 = 1.959_963_984_540_054;

/// A column beside the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnPortrait {
    /// Its name.
    pub name: String,
    /// Rows without a value.
    pub missing: usize,
    /// How much it goes with the class, from 0 to 1; `None` where its words are too many for that.
    pub strength: Option<f64>,
    /// Whether each of its values stands beside one class alone: it may have been filled in by somebody who knew the label.
    pub gives_label_away: bool,
    /// What it holds.
    pub values: ColumnValues,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnValues {
    /// Numbers, described for each class that has any.
    Numbers(Vec<NumberOfClass>),
    /// Words, the most frequent first, with the rows of each class.
    Categories(Vec<CategoryCounts>),
    /// Words of which more are different than a feature may have categories.
    TooMany,
}

/// The numbers of a column in one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberOfClass {
    /// The label.
    pub label: String,
    /// Rows with a number.
    pub rows: usize,
    /// Their mean.
    pub mean: f64,
    /// Ends of its 95 % interval, by the normal distribution.
    pub interval: Option<(f64, f64)>,
}

/// One value of a column of words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CategoryCounts {
    /// The value.
    pub value: String,
    /// Rows that have it, by class.
    pub rows: Vec<usize>,
}

/// Numbers of one class by Welford's recurrence.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    rows: usize,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.rows += 1;
        let distance = value - self.mean;
        self.mean += distance / self.rows as f64;
        self.squares += distance * (value - self.mean);
    }
}

/// What a column has shown so far.
pub(super) struct Tally {
    pub(super) index: usize,
    missing: usize,
    numeric: bool,
    moments: Vec<Moments>,
    categories: BTreeMap<String, Vec<usize>>,
}

impl Tally {
    pub(super) fn new(index: usize, classes: usize) -> Tally {
        let moments = vec![Moments::default(); classes];
        Tally { index, missing: 0, numeric: true, moments, categories: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, value: &str, class: usize) {
        if is_missing(value) {
            self.missing += 1;
            return;
        }
        match decimal(value) {
            Some(number) => self.moments[class].add(number),
            None => self.numeric = false,
        }
        // One more than are described shows that there are too many.
        if self.categories.len() <= MOST_CATEGORIES || self.categories.contains_key(value) {
            let classes = self.moments.len();
            self.categories.entry(value.to_owned()).or_insert_with(|| vec![0; classes])[class] += 1;
        }
    }

    pub(super) fn portrait(self, header: &[String], labels: &[String]) -> ColumnPortrait {
        let (name, missing) = (header[self.index].clone(), self.missing);
        let counts = || self.categories.values().map(Vec::as_slice).collect::<Vec<_>>();
        let gives_label_away = self.categories.len() <= MOST_CATEGORIES && gives_label_away(counts().into_iter());
        let (strength, values) = if self.numeric && !self.categories.is_empty() {
            (Some(correlation_ratio(&self.moments)), ColumnValues::Numbers(numbers(&self.moments, labels)))
        } else if self.categories.len() > MOST_CATEGORIES {
            (None, ColumnValues::TooMany)
        } else {
            (Some(cramers_v(&counts())), ColumnValues::Categories(most_frequent(&self.categories)))
        };
        ColumnPortrait { name, missing, strength, gives_label_away, values }
    }
}

fn numbers(moments: &[Moments], labels: &[String]) -> Vec<NumberOfClass> {
    let of_class = |(moments, label): (&Moments, &String)| {
        let rows = moments.rows as f64;
        let interval = (moments.rows > 1).then(|| {
            let reach = REACH * (moments.squares / (rows - 1.0) / rows).sqrt();
            (moments.mean - reach, moments.mean + reach)
        });
        NumberOfClass { label: label.clone(), rows: moments.rows, mean: moments.mean, interval }
    };
    moments.iter().zip(labels).filter(|(moments, _)| moments.rows > 0).map(of_class).collect()
}

fn most_frequent(categories: &BTreeMap<String, Vec<usize>>) -> Vec<CategoryCounts> {
    let counts = |(value, rows): (&String, &Vec<usize>)| CategoryCounts { value: value.clone(), rows: rows.clone() };
    let mut all: Vec<CategoryCounts> = categories.iter().map(counts).collect();
    all.sort_by_key(|category| std::cmp::Reverse(category.rows.iter().sum::<usize>()));
    all.truncate(NAMED);
    all
}

/// Kelley's ε: the square root of the share of the variance that lies between the classes, less what chance puts there.
fn correlation_ratio(moments: &[Moments]) -> f64 {
    let classes: Vec<&Moments> = moments.iter().filter(|moments| moments.rows > 0).collect();
    let rows: f64 = classes.iter().map(|class| class.rows as f64).sum();
    let mean = classes.iter().map(|class| class.rows as f64 * class.mean).sum::<f64>() / rows;
    let within: f64 = classes.iter().map(|class| class.squares).sum();
    let between: f64 = classes.iter().map(|class| class.rows as f64 * (class.mean - mean).powi(2)).sum();
    let freedom = rows - classes.len() as f64;
    if within + between <= 0.0 || freedom <= 0.0 {
        return 0.0;
    }
    (1.0 - within / freedom * (rows - 1.0) / (within + between)).max(0.0).sqrt()
}

/// Cramér's V of a table, corrected as Bergsma has it; empty rows and columns do not count.
fn cramers_v(table: &[&[usize]]) -> f64 {
    let classes = table.first().map_or(0, |row| row.len());
    let of_class: Vec<f64> = (0..classes).map(|class| table.iter().map(|row| row[class] as f64).sum()).collect();
    let of_class: Vec<(usize, f64)> = of_class.into_iter().enumerate().filter(|(_, rows)| *rows > 0.0).collect();
    let rows: f64 = of_class.iter().map(|(_, rows)| rows).sum();
    let mut squares = 0.0;
    for row in table {
        let of_value: f64 = row.iter().map(|count| *count as f64).sum();
        for (class, of_class) in &of_class {
            let expected = of_value * of_class / rows;
            squares += (row[*class] as f64 - expected).powi(2) / expected;
        }
    }
    let (r, k) = (table.len() as f64, of_class.len() as f64);
    if r < 2.0 || k < 2.0 || rows < 2.0 {
        return 0.0;
    }
    let corrected = |count: f64| count - (count - 1.0).powi(2) / (rows - 1.0);
    let least = corrected(r).min(corrected(k)) - 1.0;
    let phi = (squares / rows - (r - 1.0) * (k - 1.0) / (rows - 1.0)).max(0.0);
    if least > 0.0 { (phi / least).sqrt().min(1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(ours: f64, theirs: f64) {
        assert!((ours - theirs).abs() < 1e-9, "{ours}, not {theirs}");
    }

    /// Values of SciPy's `contingency.association(table, method="cramer")` and `f_oneway`, with the corrections' formulas.
    #[test]
    fn measures_are_those_of_scipy_with_their_corrections() {
        close(cramers_v(&[&[30, 10, 5], &[10, 40, 5], &[2, 3, 20], &[8, 9, 7]]), 0.5195463755761836);
        close(cramers_v(&[&[10, 20], &[20, 40]]), 0.0);
        close(cramers_v(&[&[50, 0], &[0, 50]]), 1.0);
        close(cramers_v(&[&[7, 0]]), 0.0);
        let groups: [&[f64]; 3] = [&[1.0, 2.5, 3.0, 2.0], &[4.0, 5.5, 3.5], &[2.0, 2.2, 1.1, 0.5, 3.0]];
        let mut moments = [Moments::default(); 4];
        groups.iter().zip(&mut moments).for_each(|(group, moments)| group.iter().for_each(|value| moments.add(*value)));
        close(correlation_ratio(&moments), 0.7325908256611269);
        close(correlation_ratio(&[Moments::default(); 2]), 0.0);
    }

    #[test]
    fn a_column_is_numbers_words_or_too_much() {
        let labels = ["bad".to_owned(), "good".to_owned()];
        let portrait = |values: &[String]| {
            let mut tally = Tally::new(0, 2);
            values.iter().enumerate().for_each(|(row, value)| tally.add(value, row % 2));
            tally.portrait(&["column".to_owned()], &labels)
        };
        let numbers: Vec<String> = (0..300).map(|row| (row % 2 * 10).to_string()).chain([String::new()]).collect();
        let found = portrait(&numbers);
        assert!(
            found.missing == 1 && found.strength.is_some_and(|strength| (strength - 1.0).abs() < 1e-9),
            "{found:?}"
        );
        assert!(matches!(&found.values, ColumnValues::Numbers(of) if of[1].mean == 10.0 && of[0].rows == 150));
        let words: Vec<String> = (0..300).map(|row| format!("shop {}", row % 4 / 2)).collect();
        assert!(matches!(&portrait(&words).values, ColumnValues::Categories(of) if of[0].rows == [75, 75]));
        let names: Vec<String> = (0..=MOST_CATEGORIES).map(|row| format!("name {row}")).collect();
        assert_eq!((portrait(&names).values, portrait(&names).strength), (ColumnValues::TooMany, None));
    }
}
