//! A search as a page.

use finetone_evaluate::{Axis, Cell, Chart, Page, PageSection, PageTable, ParallelAxes, Thread, standard_deviation};
use toml::Value;

use crate::importance::importance;
use crate::outcome::{Found, told};
use crate::space::{Dimension, Values, shown};
use crate::store::Trial;

/// Trials in the table of the page.
const LISTED: usize = 100;
/// Fewer trials than this have a mark each in the chart.
const MARKED: usize = 40;

impl Found {
    /// The page about the search of a file.
    pub fn page(&self, file: &str) -> Page {
        let mut words = self.words();
        let headline = words.remove(0);
        Page {
            title: format!("Search on {file}"),
            headline,
            remarks: words,
            notices: self.notices(),
            sections: vec![self.fresh(), self.picture(), self.course(), self.table(), self.shares()]
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    fn notices(&self) -> Vec<String> {
        let failed = self.trials.iter().filter(|trial| trial.problem.is_some()).count();
        let first = self.trials.iter().find_map(|trial| trial.problem.as_ref());
        first.map(|problem| format!("{failed} trials came to nothing; the first: {problem}")).into_iter().collect()
    }

    fn fresh(&self) -> Option<PageSection> {
        let confirmation = self.confirmation.as_ref()?;
        let rows = [
            ("The recipe as it stands", &confirmation.default_folds),
            ("The best of the search", &confirmation.winner_folds),
        ];
        let rows = rows.map(|(name, found)| {
            let folds = found.folds.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join("  ");
            vec![
                Cell::text(name),
                Cell::number(format!("{:.4}", found.score)),
                Cell::bar(found.score.clamp(0.0, 1.0)),
                Cell::text(folds),
                Cell::number(format!("{:.0} s", found.seconds)),
            ]
        });
        let comparison = &confirmation.comparison;
        let meaning = format!(
            "Rows divided anew, with another seed. Of {} rows {} are right by the recipe alone and {} by the best of the search \
             alone (McNemar's exact test: p = {:.3}). Nothing was chosen by these numbers.",
            comparison.n,
            comparison.only_first.len(),
            comparison.only_second.len(),
            comparison.p_value
        );
        let table = table(&["On fresh folds", &self.plan.metric.title(), "", "Each fold", "Time"], rows.to_vec());
        Some(PageSection { title: "Fresh folds".into(), meaning, tables: vec![table], ..PageSection::default() })
    }

    fn picture(&self) -> Option<PageSection> {
        let judged: Vec<&Trial> = self.trials.iter().filter(|trial| !trial.scores.is_empty()).collect();
        let first = |trial: &Trial| trial.scores[0];
        let (low, high) = judged.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), trial| {
            (low.min(first(trial)), high.max(first(trial)))
        });
        let share = |score: f64| if high > low { (score - low) / (high - low) } else { 1.0 };
        let mut axes: Vec<Axis> = self.plan.space.dimensions().iter().map(axis).collect();
        axes.push(Axis {
            name: self.plan.metric.title(),
            ticks: [0.0, 0.5, 1.0].map(|place| (place, format!("{:.3}", low + (high - low) * place))).to_vec(),
        });
        let mut threads: Vec<Thread> = judged
            .iter()
            .map(|trial| {
                let place = |dimension: &Dimension| place(dimension, trial.assignment.get(&dimension.name)?);
                let mut places: Vec<Option<f64>> = self.plan.space.dimensions().iter().map(place).collect();
                places.push(Some(share(first(trial))));
                let name = format!("trial {}: {:.4}, {}", trial.number, first(trial), told(trial));
                Thread { name, places, strength: share(first(trial)) }
            })
            .collect();
        // The best are drawn last, over the others.
        threads.sort_by(|a, b| a.strength.total_cmp(&b.strength));
        let picture = ParallelAxes { title: "Parallel coordinates".into(), axes, threads };
        let meaning = format!(
            "Each line is a trial, the darker the better by {} on the first rung (one fold, a third of the epochs), where all of \
             them were judged alike. It passes every axis at the trial's value, and leaves out what did not matter in the trial.",
            self.plan.metric.title()
        );
        Some(PageSection { title: "What was tried".into(), meaning, parallel: vec![picture], ..PageSection::default() })
    }

    fn course(&self) -> Option<PageSection> {
        let points: Vec<(f64, f64)> = self.best_so_far.iter().map(|(at, best)| (at / 60.0, *best)).collect();
        let chart = Chart {
            title: "Best so far".into(),
            x: "minutes".into(),
            y: self.plan.metric.title(),
            marked: points.len() <= MARKED,
            points,
            meaning: format!("The best {} on the first rung.", self.plan.metric.title()),
            ..Chart::default()
        };
        Some(PageSection { title: "Course".into(), charts: vec![chart], ..PageSection::default() })
    }

    fn table(&self) -> Option<PageSection> {
        let row = |trial: &&Trial| {
            vec![
                Cell::text(trial.number.to_string()),
                Cell::number(format!("{:.4}", trial.scores[trial.scores.len() - 1])),
                Cell::number(
                    standard_deviation(&trial.folds).map_or_else(|| "–".to_owned(), |found| format!("{found:.4}")),
                ),
                Cell::text(self.rung_of(trial).to_string()),
                Cell::number(format!("{:.0} s", trial.seconds)),
                Cell::text(&trial.origin),
                Cell::text(told(trial)),
            ]
        };
        let ranked = self.ranked();
        let metric = self.plan.metric.title();
        let header = ["Trial", &metric, "± of folds", "Judged in", "Time", "By", "Settings"];
        let table = table(&header, ranked.iter().take(LISTED).map(row).collect());
        let more = ranked.len().saturating_sub(LISTED);
        let meaning = format!(
            "The best first: those that were judged further before the others.{}",
            if more > 0 { format!(" {more} more are in the study.") } else { String::new() }
        );
        Some(PageSection { title: "Trials".into(), meaning, tables: vec![table], ..PageSection::default() })
    }

    fn shares(&self) -> Option<PageSection> {
        let shares = importance(&self.plan.space, &self.trials);
        if shares.is_empty() {
            return None;
        }
        let row = |(name, share): (String, f64)| {
            vec![Cell::text(name), Cell::number(format!("{:.0} %", 100.0 * share)), Cell::bar(share)]
        };
        let meaning = "The share of the variance of the first rung's scores that goes with each setting alone (ε²: less what chance \
                       would give so many groups; numbers in four groups). What settings do only together is in none of them, and a \
                       search that has settled on good values says little about bad ones."
            .into();
        let tables = vec![table(&["Setting", "Share", ""], shares.into_iter().map(row).collect())];
        Some(PageSection { title: "What mattered".into(), meaning, tables, ..PageSection::default() })
    }
}

fn table(header: &[&str], rows: Vec<Vec<Cell>>) -> PageTable {
    PageTable { header: header.iter().map(|name| (*name).to_owned()).collect(), rows, ..PageTable::default() }
}

fn axis(dimension: &Dimension) -> Axis {
    let ticks = match dimension.values {
        Values::Range { low, high, .. } => {
            let ends = dimension.ends();
            let middle = dimension.at((ends.0 + ends.1) / 2.0);
            let number =
                |value: f64| if value.abs() >= 1e-3 || value == 0.0 { value.to_string() } else { format!("{value:e}") };
            let middle_place = place(dimension, &middle).unwrap_or(0.5);
            let middle = middle.as_float().map_or_else(|| middle.to_string(), number);
            vec![(0.0, number(low)), (middle_place, middle), (1.0, number(high))]
        }
        Values::Choices(_) | Values::Bundles(_) => {
            dimension.grid().iter().map(|value| (place(dimension, value).unwrap_or(0.0), shown(value))).collect()
        }
    };
    Axis { name: dimension.name.clone(), ticks }
}

/// Where a value is on its axis, from 0 to 1.
fn place(dimension: &Dimension, value: &Value) -> Option<f64> {
    let place = dimension.place(value)?;
    let (low, high) = match dimension.values {
        Values::Range { low, high, .. } => {
            let end = |number: f64| dimension.place(&Value::Float(number));
            (end(low)?, end(high)?)
        }
        Values::Choices(_) | Values::Bundles(_) => (0.0, dimension.ends().1 - 1.0),
    };
    Some(if high > low { ((place - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 })
}
