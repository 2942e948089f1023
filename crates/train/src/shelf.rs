//! What many trainings of the same texts share: texts as they are read, their tokens, and what frozen blocks give for them.
//!
//! Everything here can be computed again, so of each kind only what was used last is kept, up to a number of bytes.

use std::collections::HashMap;

use finetone_backend::Backend;
use finetone_classify::States;
use finetone_data::Example;
use finetone_data::tokenizer::{Limit, Tokenizer};
use finetone_model::Model;

use crate::cache::Cache;

use crate::error::TrainError;
use crate::material::{Rows, Texts};
use crate::run_config::RunConfig;
use crate::sets::Sets;

/// Values by their names, those that were used last.
pub(crate) struct Recent<T> {
    /// Name, value and bytes, the last used at the end.
    kept: Vec<(String, T, usize)>,
    most_bytes: usize,
}

impl<T> Recent<T> {
    pub fn new(most_bytes: usize) -> Self {
        Self { kept: Vec::new(), most_bytes }
    }

    /// The value of a name. One that is not there is made, with its bytes, and the oldest give way to it. A value stays until
    /// the next one is asked for, however large it is.
    ///
    /// # Errors
    /// Those of making it.
    pub fn get(
        &mut self,
        name: &str,
        make: impl FnOnce() -> Result<(T, usize), TrainError>,
    ) -> Result<&mut T, TrainError> {
        let entry = match self.kept.iter().position(|(known, ..)| known == name) {
            Some(place) => self.kept.remove(place),
            None => {
                let (value, bytes) = make()?;
                while !self.kept.is_empty() && self.bytes() + bytes > self.most_bytes {
                    self.kept.remove(0);
                }
                (name.to_owned(), value, bytes)
            }
        };
        self.kept.push(entry);
        Ok(&mut self.kept.last_mut().expect("it was put there").1)
    }

    /// The value of a name, if it is there.
    fn find(&self, name: &str) -> Option<&T> {
        self.kept.iter().find(|(known, ..)| known == name).map(|(_, value, _)| value)
    }

    /// What all of them take.
    pub fn bytes(&self) -> usize {
        self.kept.iter().map(|(.., bytes)| bytes).sum()
    }
}

/// The tokens of all texts of a file, and where the row of each line is.
struct Encoded {
    rows: Rows,
    places: HashMap<u64, usize>,
}

impl Encoded {
    fn new(rows: Rows) -> Self {
        let places = rows.lines.iter().enumerate().map(|(place, &line)| (line, place)).collect();
        Self { rows, places }
    }

    /// The places of the rows of these texts.
    fn places_of(&self, examples: &[Example]) -> Vec<usize> {
        examples.iter().map(|example| self.places[&example.line]).collect()
    }
}

/// Tokens and states of one training file, as different settings ask for them.
pub(crate) struct Shelf {
    rows: Recent<Encoded>,
    states: Recent<States>,
}

impl Shelf {
    /// A shelf for so many bytes of tokens, and as many of states.
    pub fn new(most_bytes: usize) -> Self {
        Self { rows: Recent::new(most_bytes), states: Recent::new(most_bytes) }
    }

    /// What is on it.
    pub fn bytes(&self) -> usize {
        self.rows.bytes() + self.states.bytes()
    }
}

/// The shelf as one training sees it.
pub(crate) struct Shared<'a> {
    pub shelf: &'a mut Shelf,
    /// All texts of the file, of which the training has some.
    pub all: &'a [Example],
    /// Names everything that decides about the tokens of a text, and nothing else.
    pub name: String,
}

impl Shared<'_> {
    /// The sets of a training, whose texts are among all, but for those of a validation file.
    ///
    /// # Errors
    /// None of its own.
    pub fn sets(
        &mut self,
        (config, texts): (&RunConfig, &Texts),
        tokenizer: &Tokenizer,
        limit: &Limit,
    ) -> Result<Sets, TrainError> {
        let encode = |examples: &[Example]| Rows::encode(examples, &texts.preparation, tokenizer, limit);
        let all = self.shelf.rows.get(&self.name, || {
            let rows = encode(self.all);
            let bytes = 4 * rows.lengths.iter().sum::<usize>();
            Ok((Encoded::new(rows), bytes))
        })?;
        let pick = |examples: &[Example]| all.rows.pick(&all.places_of(examples));
        let validation = if config.validation.is_some() { encode(&texts.validation) } else { pick(&texts.validation) };
        Ok(Sets { train: pick(&texts.train), validation, test: pick(&texts.test) })
    }

    /// Gives the sets what the frozen blocks make of their texts.
    ///
    /// # Errors
    /// None of its own.
    pub fn give_states<B: Backend>(
        &mut self,
        cache: Cache,
        (backend, model): (&B, &Model<B>),
        (config, texts): (&RunConfig, &Texts),
        sets: &mut Sets,
    ) -> Result<(), TrainError> {
        let Shelf { rows, states } = &mut *self.shelf;
        let all = rows.find(&self.name).filter(|all| cache.bytes(model, &all.rows) <= states.most_bytes);
        let Some(all) = all.filter(|_| config.validation.is_none()) else {
            cache.fill(backend, config, model, [&mut sets.train, &mut sets.validation]);
            return Ok(());
        };
        let bytes = cache.bytes(model, &all.rows);
        let name = format!("{} {}", self.name, cache.kind());
        let kept = states.get(&name, || Ok((cache.states(backend, config, model, &all.rows), bytes)))?;
        for (rows, examples) in
            [(&mut sets.train, &texts.train), (&mut sets.validation, &texts.validation), (&mut sets.test, &texts.test)]
        {
            rows.states = Some(kept.pick(&all.places_of(examples)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_used_are_kept_and_no_more_than_fit() {
        let mut recent = Recent::new(100);
        let mut made = Vec::new();
        for (name, bytes) in [("a", 40), ("b", 40), ("a", 40), ("c", 40), ("b", 40), ("large", 500), ("a", 40)] {
            recent
                .get(name, || {
                    made.push(name);
                    Ok(((), bytes))
                })
                .unwrap();
            assert!(recent.bytes() <= 100 || name == "large");
        }
        // `c` took the place of `b`, which was used before `a`, and nothing fits beside the large one.
        assert_eq!(made, ["a", "b", "c", "b", "large", "a"]);
    }
}
