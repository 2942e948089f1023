//! What is proposed: deterministic, complete where it is a grid, and better than chance where it is TPE.

use std::path::Path;

use finetone_search::{Assignment, Known, Method, Space, propose};
use finetone_train::RunFile;

const SPACE: &str = "learning_rate = { low = 1e-6, high = 1e-1, log = true }\n\
    weight_decay = { low = 0.0, high = 0.3 }\n\
    batch_size = { low = 4, high = 64, log = true }\n\
    way = { bundles = { all = {}, top = { freeze = [\"-1\"] }, some = { freeze = [\"-2\"] } } }\n\
    head_rate = { low = 1.0, high = 100.0, log = true, when = { way = \"top\" } }";

fn space(text: &str) -> Space {
    let mut base = RunFile::default();
    base.set("train", "a.csv");
    Space::parse(text, Path::new("space.toml"), &base).unwrap()
}

fn number(values: &Assignment, name: &str) -> Option<f64> {
    let value = values.get(name)?;
    value.as_float().or(value.as_integer().map(|whole| whole as f64))
}

/// The best, 0, is at a rate of 1e-3, a decay of 0.1, batches of 16 and the way `top` with a head's rate of 10.
fn objective(values: &Assignment) -> f64 {
    let of = |name, best: f64| number(values, name).map_or(1.0, |value| (value / best).ln().powi(2) / 10.0);
    let decay = (number(values, "weight_decay").unwrap() - 0.1).abs();
    -(of("learning_rate", 1e-3) + decay + of("batch_size", 16.0) + of("head_rate", 10.0))
}

/// The best of so many trials.
fn best(space: &Space, method: Method, seed: u64, trials: u64) -> f64 {
    let mut done: Vec<(Assignment, f64)> = Vec::new();
    for number in 0..trials {
        let known: Vec<Known<'_>> =
            done.iter().map(|(values, score)| Known { values, standing: Some((1, *score)) }).collect();
        let values = propose(space, (method, seed, number), &known, |_| true).unwrap();
        let score = objective(&values);
        done.push((values, score));
    }
    done.iter().map(|(_, score)| *score).fold(f64::NEG_INFINITY, f64::max)
}

#[test]
fn tpe_finds_more_than_chance() {
    let space = space(SPACE);
    let seeds = 0..20;
    let pairs: Vec<(f64, f64)> =
        seeds.map(|seed| (best(&space, Method::Tpe, seed, 60), best(&space, Method::Random, seed, 60))).collect();
    let wins = pairs.iter().filter(|(tpe, random)| tpe > random).count();
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    let (tpe, random) = (mean(|pair| pair.0), mean(|pair| pair.1));
    assert!(wins >= 15 && tpe > random / 2.0, "{wins} of 20 wins; mean {tpe:.4} against {random:.4}");
}

#[test]
fn a_proposal_is_a_function_of_seed_number_and_what_is_known() {
    let space = space(SPACE);
    let mut done: Vec<(Assignment, f64)> = Vec::new();
    for number in 0..15 {
        let values = propose(&space, (Method::Random, 1, number), &[], |_| true).unwrap();
        let score = objective(&values);
        done.push((values, score));
    }
    let known = |done: &[(Assignment, f64)]| {
        let one = |(values, score): &(Assignment, f64)| (values.to_string().parse::<Assignment>().unwrap(), *score);
        done.iter().map(one).collect::<Vec<_>>()
    };
    let next = |done: &[(Assignment, f64)], seed, number| {
        // As they are read from the database.
        let read = known(done);
        let known: Vec<_> = read.iter().map(|(values, score)| Known { values, standing: Some((1, *score)) }).collect();
        propose(&space, (Method::Tpe, seed, number), &known, |_| true).unwrap()
    };
    let first = next(&done, 1, 15);
    assert_eq!(first, next(&done, 1, 15));
    assert_ne!(first, next(&done, 2, 15));
    assert_ne!(first, next(&done, 1, 16), "another worker asks with the same trials done");
    let mut better = done.clone();
    better[3].1 = 10.0;
    assert_ne!(first, next(&better, 1, 15));
}

#[test]
fn a_trial_that_came_further_ranks_before_one_that_was_lucky_early() {
    let space = space("learning_rate = { low = 1e-6, high = 1e-1, log = true }");
    let at = |rate: f64| Assignment::from_iter([("learning_rate".to_owned(), toml::Value::Float(rate))]);
    // Nineteen early ones around 1e-2, two of which scored best; one that went on, at 1e-5.
    let mut known: Vec<(Assignment, (usize, f64))> =
        (0..19).map(|n| (at(1e-2 + 1e-4 * f64::from(n)), (1, f64::from(n)))).collect();
    known.push((at(1e-5), (3, 0.1)));
    let known: Vec<_> = known.iter().map(|(values, standing)| Known { values, standing: Some(*standing) }).collect();
    let rates = (0..40).map(|number| {
        let values = propose(&space, (Method::Tpe, 0, number), &known, |_| true).unwrap();
        values["learning_rate"].as_float().unwrap()
    });
    assert!(rates.filter(|rate| *rate < 1e-3).count() > 30);
}

#[test]
fn a_grid_has_every_combination_once() {
    let space = space(
        "learning_rate = { low = 1e-5, high = 1e-3, log = true }\n\
         batch_size = { choices = [8, 16] }\n\
         way = { bundles = { all = {}, top = { freeze = [\"-1\"] } } }\n\
         head_rate = { low = 1.0, high = 9.0, steps = 2, when = { way = \"top\" } }",
    );
    let mut seen: Vec<Assignment> = Vec::new();
    loop {
        let known: Vec<_> = seen.iter().map(|values| Known { values, standing: None }).collect();
        match propose(&space, (Method::Grid, 5, seen.len() as u64), &known, |_| true) {
            Some(values) => seen.push(values),
            None => break,
        }
    }
    // Three rates and two batches, with `all` alone or with `top` and two rates of the head.
    assert_eq!(seen.len(), 3 * 2 * (1 + 2));
    assert!(seen.iter().all(|values| values.contains_key("head_rate") == (values["way"].as_str() == Some("top"))));
    // A space that is used up has no more trials by chance either.
    let small = self::space("batch_size = { choices = [8, 16] }");
    let all: Vec<Assignment> = (0..2)
        .map(|place| Assignment::from_iter([("batch_size".to_owned(), toml::Value::Integer([8, 16][place]))]))
        .collect();
    let known: Vec<_> = all.iter().map(|values| Known { values, standing: Some((1, 0.5)) }).collect();
    assert_eq!(propose(&small, (Method::Random, 0, 2), &known, |_| true), None);
    assert_eq!(propose(&small, (Method::Tpe, 0, 2), &known[..1], |_| false), None);
}

#[test]
fn whatever_the_default_space_proposes_can_be_trained() {
    let space = space(include_str!("../../../recipes/search/default.toml"));
    assert!(space.dimensions().len() > 10);
    let mut base = RunFile::default();
    base.set("train", "a.csv");
    for number in 0..300 {
        let values = propose(&space, (Method::Random, 0, number), &[], |_| true).unwrap();
        let config = space.apply(&base, &values).resolve().unwrap_or_else(|error| panic!("{values}: {error}"));
        let is_top = config.freeze == ["-1"];
        assert_eq!(is_top, values.contains_key("rate_of_last_block"), "{values}");
        assert!(config.learning_rate >= if is_top { 1e-4 } else { 2e-5 } && config.epochs.is_some(), "{values}");
    }
}
