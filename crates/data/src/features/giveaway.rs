//! Columns that give the label away: they may have been filled in by somebody who knew it.

use std::collections::BTreeMap;

use super::{MOST_CATEGORIES, columns};
use crate::dataset::Example;
use crate::labels::is_missing;

/// How probable it may be that a column without any relation to the label looks as if it gave it away.
const BY_CHANCE: f64 = 1e-6;

/// Of the columns among features of these names, those whose values say the label, each with the number of its different values.
/// Examples without a label, or with several, say nothing.
pub fn giveaways(names: &[String], examples: &[Example]) -> Vec<(String, usize)> {
    let columns = columns(names);
    let tables = columns.into_iter().enumerate().map(|(column, name)| (name, table(column, examples)));
    let telling = tables.filter(|(_, table)| gives_label_away(table.values().map(Vec::as_slice)));
    telling.map(|(name, table)| (name, table.len())).collect()
}

/// How often each value stands beside each class; nothing for a column with more values than a feature may have.
fn table(column: usize, examples: &[Example]) -> BTreeMap<&str, Vec<usize>> {
    let classes = 1 + examples.iter().filter_map(Example::only_class).max().unwrap_or(0);
    let mut table: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for example in examples {
        let value = example.columns.get(column).and_then(Option::as_deref).map(str::trim);
        let (Some(value), Some(class)) = (value.filter(|value| !is_missing(value)), example.only_class()) else {
            continue;
        };
        table.entry(value).or_insert_with(|| vec![0; classes])[class] += 1;
        if table.len() > MOST_CATEGORIES {
            return BTreeMap::new();
        }
    }
    table
}

/// Whether every value that occurs more than once stands beside one class alone, which columns that know nothing of the label
/// would do with a probability below one in a million: each value of n rows with Σ pₖⁿ, where pₖ is the share of class k.
/// `counts` has the rows of each class for each value.
pub(crate) fn gives_label_away<'a>(counts: impl Iterator<Item = &'a [usize]> + Clone) -> bool {
    let classes = counts.clone().map(<[usize]>::len).max().unwrap_or(0);
    let of_class: Vec<usize> =
        (0..classes).map(|class| counts.clone().filter_map(|rows| rows.get(class)).sum()).collect();
    let all = of_class.iter().sum::<usize>() as f64;
    let mut chance = 0.0_f64;
    for rows in counts {
        let of_value: usize = rows.iter().sum();
        if rows.iter().all(|&rows| rows < of_value) {
            return false;
        }
        let alike: f64 = of_class.iter().map(|&rows| (rows as f64 / all).powf(of_value as f64)).sum();
        chance += alike.ln();
    }
    chance < BY_CHANCE.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Target;

    fn examples(rows: &[(&str, &str, usize)]) -> Vec<Example> {
        let example = |(first, second, class): &(&str, &str, usize)| Example {
            target: Some(Target::Class(*class)),
            columns: vec![Some((*first).to_owned()), Some((*second).to_owned())],
            ..Example::default()
        };
        rows.iter().map(example).collect()
    }

    #[test]
    fn a_column_that_says_the_label_is_named() {
        let names = ["words", "topic", "column:shop"].map(str::to_owned);
        let topics = ["late", "broken", "kind", "", "fast"];
        let rows: Vec<(&str, &str, usize)> =
            (0..50).map(|row| (topics[row % 5], ["a", "b"][row % 2], usize::from(row % 5 > 1))).collect();
        assert_eq!(giveaways(&names, &examples(&rows)), [("topic".to_owned(), 4)]);
        let mut spoilt = rows;
        spoilt[0].2 = 1;
        assert_eq!(giveaways(&names, &examples(&spoilt)), [], "`late` stands beside both");
    }

    #[test]
    fn what_chance_may_do_is_no_proof() {
        // Twenty values of two rows each in a file of which nineteen rows of twenty are of one class.
        let few: Vec<[usize; 2]> = (0..20).map(|value| if value == 0 { [0, 2] } else { [2, 0] }).collect();
        assert!(!gives_label_away(few.iter().map(<[usize; 2]>::as_slice)));
        let many: Vec<[usize; 2]> = (0..40).map(|value| if value % 2 == 0 { [0, 2] } else { [2, 0] }).collect();
        assert!(gives_label_away(many.iter().map(<[usize; 2]>::as_slice)));
        let once: Vec<[usize; 2]> = (0..400).map(|value| if value % 2 == 0 { [0, 1] } else { [1, 0] }).collect();
        assert!(!gives_label_away(once.iter().map(<[usize; 2]>::as_slice)), "a value that occurs once says nothing");
        assert!(!gives_label_away(std::iter::empty()));
    }
}
