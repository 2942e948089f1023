//! Tests of behaviour: short texts written to see whether a model has understood something, such as a negation.
//!
//! A file of tests is TOML, a table `[[test]]` for each, in the three kinds of
//! [CheckList (Ribeiro, Wu, Guestrin and Singh 2020)](https://aclanthology.org/2020.acl-main.442):
//!
//! | `kind` | a case | it fails if |
//! |---|---|---|
//! | `minimum` | a text | the answer is not `label` |
//! | `invariance` | a text in several versions | the versions do not all get one answer |
//! | `direction` | a text, and the same with `add` behind it | the probability of `label` falls by more than a tenth |
//!
//! A word in braces stands for each of its words in `fill`: of a minimum test every filling is a case of its own, of an
//! invariance test all fillings of a text are its versions. `typos = true` adds a version in which two letters of a word have
//! changed places.

use std::collections::BTreeMap;
use std::path::Path;

use finetone_classify::Classifier;
use finetone_data::Example;
use finetone_data::split::random::Random;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::measure;

/// What the probability may fall by where it should rise: a model that is already sure has no room.
const TOLERANCE: f32 = 0.1;
/// Failures of a test that are kept as examples.
const EXAMPLES: usize = 3;
/// More texts than this are no file that someone wrote.
const MOST_TEXTS: usize = 100_000;

/// What a test is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BehaviourKind {
    /// Something that any model should know.
    Minimum,
    /// Something that should not matter.
    Invariance,
    /// Something that should matter in one direction.
    Direction,
}

impl BehaviourKind {
    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Minimum => "minimum functionality",
            Self::Invariance => "invariance",
            Self::Direction => "direction",
        }
    }
}

/// A test as a file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    kind: BehaviourKind,
    label: Option<String>,
    texts: Vec<String>,
    #[serde(default)]
    fill: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    typos: bool,
    add: Option<String>,
}

/// Tests of a file, checked.
#[derive(Debug, Clone)]
pub struct BehaviourTests(Vec<Test>);

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    test: Vec<Test>,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BehaviourResult {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: BehaviourKind,
    /// How many cases it has.
    pub cases: usize,
    /// How many of them failed.
    pub failures: usize,
    /// Some of these, each in a sentence.
    pub examples: Vec<String>,
}

impl BehaviourTests {
    /// Reads a file of tests.
    ///
    /// # Errors
    /// A file that cannot be read or is not as the module says; the error names the test.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        let written: Written = toml::from_str(&text).map_err(|error| wrong(path, error.to_string()))?;
        let texts = written.test.iter().map(|test| test.cases().iter().map(Vec::len).sum::<usize>()).sum::<usize>();
        if texts == 0 || texts > MOST_TEXTS {
            return Err(wrong(path, format!("there are {texts} texts to ask about, and 1 to {MOST_TEXTS} can be")));
        }
        let checked = written.test.iter().try_for_each(|test| {
            test.check().map_err(|problem| wrong(path, format!("test `{}`: {problem}", test.name)))
        });
        checked.map(|()| Self(written.test))
    }

    /// Asks a classifier.
    ///
    /// # Errors
    /// A label that it does not have, columns that it reads beside a text, a model of chats, several labels for a text, a device that failed.
    pub fn run(&self, classifier: &mut dyn Classifier) -> Result<Vec<BehaviourResult>, TrainError> {
        if classifier.is_multi_label() || classifier.reads_chats() || !classifier.columns().is_empty() {
            return Err(TrainError::Setting {
                problem: "behaviour is tested where a model gives one label to a text alone".into(),
                hint: "this model gives several labels, or reads chats, or other columns beside the text".into(),
            });
        }
        self.0.iter().map(|test| test.run(classifier)).collect()
    }
}

fn wrong(path: &Path, problem: String) -> TrainError {
    let hint = "`examples/behaviour.toml` has a test of each kind".to_owned();
    TrainError::RunFile { path: path.to_owned(), problem, hint }
}

impl Test {
    fn check(&self) -> Result<(), String> {
        let (label, add) = (self.label.is_some(), self.add.is_some());
        let (wanted, fine) = match self.kind {
            BehaviourKind::Minimum => ("`label`, and neither `add` nor `typos`", label && !add && !self.typos),
            BehaviourKind::Invariance => (
                "`fill` or `typos`, and neither `label` nor `add`",
                !label && !add && (self.typos || !self.fill.is_empty()),
            ),
            BehaviourKind::Direction => ("`label` and `add`, and no `typos`", label && add && !self.typos),
        };
        if !fine {
            return Err(format!("a test of this kind has {wanted}"));
        }
        let unused = self.fill.keys().find(|name| !self.texts.iter().any(|text| text.contains(&format!("{{{name}}}"))));
        match unused {
            Some(name) => Err(format!("no text has `{{{name}}}`, which `fill` gives words for")),
            None => Ok(()),
        }
    }

    /// The texts of each case.
    fn cases(&self) -> Vec<Vec<String>> {
        let filled = self.texts.iter().map(|text| self.fillings(text));
        match self.kind {
            BehaviourKind::Invariance => filled.map(|versions| self.with_typos(versions)).collect(),
            BehaviourKind::Minimum => filled.flatten().map(|text| vec![text]).collect(),
            BehaviourKind::Direction => filled.flatten().map(|text| self.with_addition(text)).collect(),
        }
    }

    /// The text with every combination of words.
    fn fillings(&self, text: &str) -> Vec<String> {
        let mut texts = vec![text.to_owned()];
        for (name, words) in &self.fill {
            let place = format!("{{{name}}}");
            if text.contains(&place) && texts.len() * words.len() <= MOST_TEXTS {
                texts = texts.iter().flat_map(|text| words.iter().map(|word| text.replace(&place, word))).collect();
            }
        }
        texts
    }

    fn with_typos(&self, versions: Vec<String>) -> Vec<String> {
        let mistyped = versions.iter().filter(|_| self.typos).filter_map(|text| mistyped(text)).collect::<Vec<_>>();
        versions.into_iter().chain(mistyped).collect()
    }

    fn with_addition(&self, text: String) -> Vec<String> {
        let more = format!("{text} {}", self.add.as_deref().unwrap_or_default().trim());
        vec![text, more]
    }

    fn run(&self, classifier: &mut dyn Classifier) -> Result<BehaviourResult, TrainError> {
        let labels = classifier.labels().to_vec();
        let wanted = self.label.as_ref().map(|label| class(label, &labels, &self.name)).transpose()?;
        let cases = self.cases();
        let examples: Vec<Example> = cases.iter().flatten().map(|text| Example::from_text(text)).collect();
        let (probabilities, _) = measure::answers(classifier, &examples)?;
        let mut rows = probabilities.chunks_exact(labels.len());
        let (mut failures, mut told) = (0, Vec::new());
        for texts in &cases {
            let said: Vec<&[f32]> = rows.by_ref().take(texts.len()).collect();
            let Some(failure) = failure(texts, &said, &labels, wanted, self.kind) else { continue };
            failures += 1;
            told.extend((told.len() < EXAMPLES).then_some(failure));
        }
        Ok(BehaviourResult { name: self.name.clone(), kind: self.kind, cases: cases.len(), failures, examples: told })
    }
}

/// The text in which two neighbouring letters inside one of its longer words have changed places: always the same of the same
/// text. Nothing where there is no such word.
fn mistyped(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    let inner = |i: &usize| {
        let at = |i: usize| letters.get(i).is_some_and(|letter| letter.is_alphabetic());
        (i - 1..i + 3).all(at) && letters[*i] != letters[i + 1]
    };
    let places: Vec<usize> = (1..letters.len().saturating_sub(2)).filter(inner).collect();
    let place = *places.get(Random::of(&[letters.len() as u64, places.len() as u64]).below(places.len().max(1)))?;
    let mut letters = letters;
    letters.swap(place, place + 1);
    Some(letters.into_iter().collect())
}

fn class(label: &str, labels: &[String], test: &str) -> Result<usize, TrainError> {
    labels.iter().position(|known| known == label).ok_or_else(|| TrainError::Setting {
        problem: format!("test `{test}`: the model has no label `{label}`"),
        hint: format!("its labels: {}", labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")),
    })
}

fn failure(
    texts: &[String],
    said: &[&[f32]],
    labels: &[String],
    wanted: Option<usize>,
    kind: BehaviourKind,
) -> Option<String> {
    let best = |p: &[f32]| (1..p.len()).fold(0, |best, class| if p[class] > p[best] { class } else { best });
    let told = |i: usize| format!("“{}” is {} ({:.2})", texts[i], labels[best(said[i])], said[i][best(said[i])]);
    match (kind, wanted) {
        (BehaviourKind::Direction, Some(class)) => {
            let (before, after) = (said[0][class], said[1][class]);
            let label = &labels[class];
            (after < before - TOLERANCE)
                .then(|| format!("{label} falls from {before:.2} to {after:.2}: “{}”", texts[1]))
        }
        (_, Some(class)) => (best(said[0]) != class).then(|| told(0)),
        (_, None) => {
            let other = (1..texts.len()).find(|&i| best(said[i]) != best(said[0]))?;
            Some(format!("{}, and {}", told(0), told(other)))
        }
    }
}

#[cfg(test)]
mod tests {
    use finetone_classify::{Classified, ClassifyError};

    use super::*;

    /// Says `bad` where the word is in a text, and is 0.7 sure of whatever it says.
    struct Naive(Vec<String>);

    impl Classifier for Naive {
        fn labels(&self) -> &[String] {
            &self.0
        }

        fn is_multi_label(&self) -> bool {
            false
        }

        fn classify(&mut self, examples: &[Example]) -> Result<Classified, ClassifyError> {
            let row = |example: &Example| if example.text.contains("bad") { [0.7, 0.3] } else { [0.3, 0.7] };
            Ok(Classified {
                probabilities: examples.iter().flat_map(row).collect(),
                truncated: 0,
                ..Classified::default()
            })
        }
    }

    fn read(text: &str) -> Result<BehaviourTests, TrainError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        BehaviourTests::read(file.path())
    }

    fn run(text: &str) -> Vec<BehaviourResult> {
        read(text).unwrap().run(&mut Naive(vec!["bad".into(), "good".into()])).unwrap()
    }

    #[test]
    fn each_kind_counts_its_cases_and_tells_its_failures() {
        let results = run("[[test]]\nname = \"negation\"\nkind = \"minimum\"\nlabel = \"good\"\n\
             texts = [\"{it} is not bad\", \"fine\"]\nfill = { it = [\"This\", \"That\"] }\n\
             [[test]]\nname = \"names\"\nkind = \"invariance\"\ntexts = [\"{who} is here\"]\n\
             fill = { who = [\"Ann\", \"Sinbad\", \"Bo\"] }\n\
             [[test]]\nname = \"complaint\"\nkind = \"direction\"\nlabel = \"good\"\ntexts = [\"Hm.\", \"bad\"]\n\
             add = \"Not bad.\"");
        let counted: Vec<_> = results.iter().map(|result| (result.cases, result.failures)).collect();
        assert_eq!(counted, [(3, 2), (1, 1), (2, 1)]);
        assert_eq!(results[0].examples[0], "“This is not bad” is bad (0.70)");
        assert_eq!(results[1].examples, ["“Ann is here” is good (0.70), and “Sinbad is here” is bad (0.70)"]);
        assert_eq!(results[2].examples, ["good falls from 0.70 to 0.30: “Hm. Not bad.”"]);
    }

    #[test]
    fn the_example_file_has_every_kind() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/behaviour.toml");
        let tests = BehaviourTests::read(&path).unwrap();
        let results = tests.run(&mut Naive(vec!["negative".into(), "positive".into()])).unwrap();
        for kind in [BehaviourKind::Minimum, BehaviourKind::Invariance, BehaviourKind::Direction] {
            assert!(results.iter().any(|result| result.kind == kind && result.cases > 1), "{kind:?}");
        }
    }

    #[test]
    fn a_typo_swaps_two_letters_inside_a_word() {
        let typo = mistyped("it was dreadful").unwrap();
        let mut letters: [Vec<char>; 2] = ["it was dreadful", typo.as_str()].map(|text| text.chars().collect());
        assert_ne!(letters[0], letters[1]);
        assert!(typo.starts_with("it was d") && typo.ends_with('l'), "{typo}");
        letters.iter_mut().for_each(|letters| letters.sort_unstable());
        assert_eq!(letters[0], letters[1]);
        assert_eq!((mistyped("it is so"), mistyped("aaaa")), (None, None));
    }

    #[test]
    fn what_is_no_test_is_refused_by_name() {
        let head = "[[test]]\nname = \"x\"\ntexts = [\"a\"]\n";
        let refused = |rest: &str| read(&format!("{head}{rest}")).unwrap_err().to_string();
        assert!(refused("kind = \"minimum\"").contains("test `x`: a test of this kind has `label`"));
        assert!(refused("kind = \"invariance\"").contains("`fill` or `typos`"));
        assert!(refused("kind = \"invariance\"\nfill = { name = [\"b\"] }").contains("no text has `{name}`"));
        assert!(refused("kind = \"minimal\"").contains("unknown variant"));
        assert!(refused("kind = \"minimum\"\nlable = \"a\"").contains("unknown field"));
        let unknown = read(&format!("{head}kind = \"minimum\"\nlabel = \"meh\"")).unwrap();
        let error = unknown.run(&mut Naive(vec!["bad".into(), "good".into()])).unwrap_err();
        assert_eq!(error.to_string(), "test `x`: the model has no label `meh`");
    }
}
