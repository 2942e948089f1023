//! Runs contenders in turn: A B C, A B C, …

use std::collections::HashSet;

use anyhow::Result;

use super::contender::{Contender, Sample};
use super::results::Results;

/// Every round runs every contender once. One that fails is named in the results and not tried again: a peer that this
/// machine cannot run is no reason to lose what the others gave.
pub fn interleave(
    contenders: &[Contender],
    rounds: usize,
    mut execute: impl FnMut(&Contender, usize) -> Result<Vec<Sample>>,
) -> Results {
    let mut results = Results::default();
    let mut failed = HashSet::new();
    for round in 0..rounds {
        for contender in contenders {
            if failed.contains(&contender.name) {
                continue;
            }
            match execute(contender, round) {
                Ok(samples) => samples.into_iter().for_each(|sample| results.add(contender.side, sample)),
                Err(error) => {
                    eprintln!("warning: {}: {error:#}", contender.name);
                    results.failures.push(format!("{}: {error:#}", contender.name));
                    failed.insert(contender.name.clone());
                }
            }
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::super::contender::{Reading, Side};
    use super::super::results::Metric;
    use super::*;

    fn contender(name: &str) -> Contender {
        Contender::new(name, Side::Peer, "program".as_ref(), Reading::Step)
    }

    #[test]
    fn rounds_are_interleaved_and_a_failure_ends_only_its_own_row() {
        let contenders = ["a", "b", "c"].map(contender);
        let mut order = String::new();
        let results = interleave(&contenders, 3, |contender, round| {
            order += &format!("{}{round} ", contender.name);
            if contender.name == "b" && round == 1 {
                bail!("no more");
            }
            Ok(vec![Sample { name: contender.name.clone(), values: vec![(Metric::WholeSeconds, round as f64)] }])
        });
        assert_eq!(order, "a0 b0 c0 a1 b1 c1 a2 c2 ");
        assert_eq!(results.failures, ["b: no more"]);
        let counts: Vec<_> = results.rows.iter().map(|row| row.values(Metric::WholeSeconds).len()).collect();
        assert_eq!(counts, [3, 1, 3]);
    }
}
