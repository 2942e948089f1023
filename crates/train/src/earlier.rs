//! The rows of an earlier run, for a run that goes on from it with new ones.
//!
//! Every old row stays on the side that it had there: what the old model was measured on is not learnt from now, and what it has
//! learnt from does not measure the new one. A new row with the text of an old one takes its place, so a corrected label counts.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use finetone_data::split::comparable;
use finetone_data::{Example, Preparation};

use crate::error::TrainError;
use crate::events::{Listener, TrainEvent, Unheard};
use crate::material::Texts;
use crate::run::saved_config;
use crate::run_config::RunConfig;

/// What a run learnt from and was measured on.
pub struct Earlier {
    run: PathBuf,
    pub texts: Texts,
}

/// Rows by what they are for.
#[derive(Default)]
pub struct Sides {
    pub train: Vec<Example>,
    pub validation: Vec<Example>,
    pub test: Vec<Example>,
}

impl Earlier {
    /// Reads the rows of the run that `config` goes on from, if there is one.
    pub fn read(config: &RunConfig) -> Result<Option<Self>, TrainError> {
        let Some(run) = &config.from else { return Ok(None) };
        // What there is to say about old rows was said when their run was made.
        let texts = Texts::read(&saved_config(run)?, None, &mut Unheard)?;
        Ok(Some(Self { run: run.clone(), texts }))
    }

    /// Refuses to put rows together that are read in different ways.
    pub fn check(&self, preparation: &Preparation, columns: &[String]) -> Result<(), TrainError> {
        let of_run = &self.texts.preparation;
        if of_run.columns() == columns && of_run.chat == preparation.chat {
            return Ok(());
        }
        Err(TrainError::Setting {
            problem: format!("{}: its rows are read in another way than the new ones", self.run.display()),
            hint: "both are chats or neither, and `features` is as it was in that run".into(),
        })
    }

    /// Divides the new rows into those that take the place of old ones, on their sides, and the others; and tells.
    pub fn settle(self, fresh: Vec<Example>, listener: &mut dyn Listener) -> (Sides, Vec<Example>) {
        let Texts { train, validation, test, .. } = self.texts;
        let mut sides = [train, validation, test];
        let mut places = HashMap::new();
        for (side, examples) in sides.iter().enumerate() {
            places.extend(examples.iter().map(|example| (comparable(&example.text), side)));
        }
        let (known, others): (Vec<_>, Vec<_>) =
            fresh.into_iter().partition(|example| places.contains_key(&comparable(&example.text)));
        let replaced: HashSet<String> = known.iter().map(|example| comparable(&example.text)).collect();
        for side in &mut sides {
            side.retain(|example| !replaced.contains(&comparable(&example.text)));
        }
        let count = known.len();
        for example in known {
            sides[places[&comparable(&example.text)]].push(example);
        }
        let [train, validation, test] = sides;
        listener.on(&TrainEvent::Notice { message: told(&self.run, [&train, &validation, &test], count) });
        (Sides { train, validation, test }, others)
    }
}

fn told(run: &Path, [train, validation, test]: [&[Example]; 3], replaced: usize) -> String {
    let taken = match replaced {
        0 => String::new(),
        1 => "; 1 new row takes the place of one with the same text".to_owned(),
        n => format!("; {n} new rows take the places of those with the same texts"),
    };
    format!(
        "with the rows of {}, each for what it was there: {} to train on, {} validation, {} test{taken}",
        run.display(),
        train.len(),
        validation.len(),
        test.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_file::RunFile;

    /// Twenty rows named after `name`, half good and half bad.
    fn write(path: &Path, name: &str, more: &str) {
        let row = |i: u32| format!("{name} {i},{}\n", ["good", "bad"][i as usize % 2]);
        std::fs::write(path, format!("text,label\n{}{more}", (0..20).map(row).collect::<String>())).unwrap();
    }

    fn config(settings: &[(&str, &Path)]) -> RunConfig {
        let mut file = RunFile::default();
        settings.iter().for_each(|(key, path)| file.set(key, path.to_string_lossy().into_owned()));
        file.resolve().unwrap()
    }

    #[test]
    fn old_rows_keep_their_sides_and_corrected_ones_take_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let [old_file, new_file, run] = ["old.csv", "new.csv", "run"].map(|name| folder.path().join(name));
        write(&old_file, "old", "");
        let old = config(&[("train", &old_file)]);
        std::fs::create_dir(&run).unwrap();
        std::fs::write(run.join("run.toml"), old.to_toml()).unwrap();
        let before = Texts::read(&old, None, &mut Unheard).unwrap();
        let corrected = &before.test[0];
        let other = if corrected.only_class() == Some(0) { "good" } else { "bad" };
        write(&new_file, "new", &format!("{}  ,{other}\n", corrected.text.to_uppercase()));
        let both = Texts::read(&config(&[("train", &new_file), ("from", &run)]), None, &mut Unheard).unwrap();
        let kept = |now: &[Example], then: &[Example]| {
            let now: HashSet<String> = now.iter().map(|example| comparable(&example.text)).collect();
            then.iter().all(|example| now.contains(&comparable(&example.text)))
        };
        assert!(kept(&both.train, &before.train) && kept(&both.validation, &before.validation));
        assert!(kept(&both.test, &before.test) && both.test.len() > before.test.len());
        let counts = [&both.train, &both.validation, &both.test].map(Vec::len);
        assert_eq!(counts.iter().sum::<usize>(), 40, "{counts:?}");
        let now = both.test.iter().find(|example| comparable(&example.text) == comparable(&corrected.text)).unwrap();
        assert_ne!(now.target, corrected.target);
    }

    #[test]
    fn new_labels_and_other_features_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [old_file, new_file, run] = ["old.csv", "new.csv", "run"].map(|name| folder.path().join(name));
        write(&old_file, "old", "");
        std::fs::create_dir(&run).unwrap();
        std::fs::write(run.join("run.toml"), config(&[("train", &old_file)]).to_toml()).unwrap();
        let going_on = config(&[("train", &new_file), ("from", &run)]);
        std::fs::write(&new_file, "text,label\nso so,fair\nnice,good\n").unwrap();
        let error = Texts::read(&going_on, None, &mut Unheard).err().expect("an unknown label");
        assert!(error.to_string().contains("fair"), "{error}");
        std::fs::write(&new_file, "text,label,stars\nso so,bad,2\nnice,bad,5\n").unwrap();
        assert!(Texts::read(&going_on, None, &mut Unheard).is_ok(), "one class is enough beside the old rows");
        let other = RunConfig { features: vec!["stars".into()], ..going_on };
        let error = Texts::read(&other, None, &mut Unheard).err().expect("other features");
        assert!(error.to_string().contains("in another way"), "{error}");
    }
}
