//! The texts that a model gets wrong, with what others say about them: whether its mistakes are of one kind, about few texts,
//! and everybody's.

use std::collections::BTreeMap;

use serde::Serialize;

use super::html::Text;
use super::names;
use crate::Predictions;

/// Models of one kind, such as the seeds of a variant, and what each says about the same texts.
#[derive(Debug, Clone)]
pub struct Panel<'a> {
    /// What they are called together.
    pub name: String,
    /// What each says; at least one.
    pub said: Vec<&'a Predictions>,
}

/// The mistakes of one panel beside the answers of others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HardTexts {
    /// Which texts all of them were asked about, such as `test`.
    pub measured_on: String,
    /// How many texts that were.
    pub n: usize,
    /// The panel whose mistakes these are.
    pub name: String,
    /// Its models.
    pub models: usize,
    /// How many texts at least one of them gets wrong, shown or not.
    pub hard: usize,
    /// How many all of them get wrong.
    pub all_wrong: usize,
    /// Its mistakes by kind, the most frequent first.
    pub mistakes: Vec<Mistake>,
    /// How the others do on the hard texts and elsewhere.
    pub others: Vec<Other>,
    /// The texts that most of its models get wrong, then in the order of the file.
    pub texts: Vec<HardText>,
}

/// A kind of mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// The label or labels that people gave.
    pub truth: String,
    /// What was said.
    pub said: String,
    /// How often.
    pub count: usize,
}

/// Another panel beside the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Other {
    /// What it is called.
    pub name: String,
    /// Its models.
    pub models: usize,
    /// Its right answers about the texts that are hard for the first.
    pub right_on_hard: usize,
    /// Its wrong answers about all other texts.
    pub wrong_elsewhere: usize,
}

/// A text that a model of the first panel gets wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HardText {
    /// Line of the text in its file.
    pub line: u64,
    /// The text.
    pub text: String,
    /// The label or labels that people gave.
    pub truth: String,
    /// How many models of the first panel are wrong.
    pub wrong: usize,
    /// What every panel says, the first one first.
    pub panels: Vec<Said>,
}

/// What a panel says about one text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// What it is called.
    pub name: String,
    /// Its answers and how many of its models give each, the most frequent first.
    pub answers: Vec<(String, usize)>,
}

impl HardTexts {
    /// Finds the texts that `panel` gets wrong, of which at most `limit` are listed. All panels speak about the same texts in
    /// the same order; `source` gives line and text of a row.
    pub fn find(
        measured_on: impl Into<String>,
        (panel, others): (&Panel<'_>, &[Panel<'_>]),
        limit: usize,
        source: impl Fn(usize) -> (u64, String),
    ) -> Self {
        let (n, models) = (panel.said[0].rows(), panel.said.len());
        let mut hard: Vec<(usize, usize)> =
            (0..n).map(|row| (row, models - panel.right(row))).filter(|(_, wrong)| *wrong > 0).collect();
        hard.sort_by_key(|&(row, wrong)| (std::cmp::Reverse(wrong), row));
        let other = |other: &Panel<'_>| {
            let right_on_hard = hard.iter().map(|&(row, _)| other.right(row)).sum::<usize>();
            let right = (0..n).map(|row| other.right(row)).sum::<usize>();
            let elsewhere = (n - hard.len()) * other.said.len();
            Other {
                name: other.name.clone(),
                models: other.said.len(),
                right_on_hard,
                wrong_elsewhere: elsewhere - (right - right_on_hard),
            }
        };
        let text = |&(row, wrong): &(usize, usize)| {
            let (line, text) = source(row);
            let panels = std::iter::once(panel).chain(others).map(|panel| panel.say(row)).collect();
            HardText { line, text, truth: panel.truth(row), wrong, panels }
        };
        Self {
            measured_on: measured_on.into(),
            n,
            name: panel.name.clone(),
            models,
            hard: hard.len(),
            all_wrong: hard.iter().filter(|(_, wrong)| *wrong == models).count(),
            mistakes: panel.mistakes(&hard),
            others: others.iter().map(other).collect(),
            texts: hard.iter().take(limit).map(text).collect(),
        }
    }

    /// What the mistakes have in common, in sentences; one where there are none.
    pub fn sentences(&self) -> Vec<String> {
        let Self { n, models, hard, all_wrong, .. } = self;
        if self.texts.is_empty() {
            return vec![format!("There is no mistake on {n} texts.")];
        }
        let wrong: usize = self.mistakes.iter().map(|mistake| mistake.count).sum();
        let mut sentences = vec![match models {
            1 => format!("{wrong} of {n} texts are answered wrong."),
            _ => format!(
                "Of {} answers ({models} models, {n} texts) {wrong} are wrong, on {hard} texts; on {all_wrong} of them all \
                 models are wrong.",
                n * models
            ),
        }];
        let kinds = self.mistakes.iter().take(MOST_KINDS).map(|Mistake { truth, said, count }| {
            format!("{} taken for {} ({count})", super::quoted(truth), super::quoted(said))
        });
        sentences.push(format!("The mistakes: {}.", kinds.collect::<Vec<_>>().join(", ")));
        sentences
    }
}

/// More kinds of mistakes than this are not put into a sentence.
const MOST_KINDS: usize = 4;

impl Panel<'_> {
    /// How many of its models are right about a row.
    fn right(&self, row: usize) -> usize {
        self.said.iter().filter(|said| said.is_right(row)).count()
    }

    fn truth(&self, row: usize) -> String {
        names(self.said[0], &self.said[0].true_classes(row))
    }

    fn say(&self, row: usize) -> Said {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for said in &self.said {
            *counts.entry(names(said, &said.predicted(row))).or_default() += 1;
        }
        let mut answers: Vec<(String, usize)> = counts.into_iter().collect();
        answers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Said { name: self.name.clone(), answers }
    }

    fn mistakes(&self, hard: &[(usize, usize)]) -> Vec<Mistake> {
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for &(row, _) in hard {
            let truth = self.truth(row);
            for (said, count) in self.say(row).answers.into_iter().filter(|(said, _)| *said != truth) {
                *counts.entry((truth.clone(), said)).or_default() += count;
            }
        }
        let mistake = |((truth, said), count)| Mistake { truth, said, count };
        let mut mistakes: Vec<Mistake> = counts.into_iter().map(mistake).collect();
        mistakes.sort_by_key(|mistake| std::cmp::Reverse(mistake.count));
        mistakes
    }
}

impl Said {
    /// `positive`, or with several models `3 neutral, 2 positive`.
    fn in_words(&self) -> String {
        match self.answers.as_slice() {
            [(answer, 1)] => answer.clone(),
            several => several.iter().map(|(answer, count)| format!("{count} {answer}")).collect::<Vec<_>>().join(", "),
        }
    }
}

/// What a page shows of them.
pub(super) struct View<'a> {
    pub(super) of: &'a HardTexts,
    pub(super) sentences: String,
    pub(super) others: Vec<OtherView<'a>>,
    pub(super) texts: Vec<TextView<'a>>,
}

pub(super) struct OtherView<'a> {
    pub(super) name: &'a str,
    pub(super) right_on_hard: String,
    pub(super) wrong_elsewhere: String,
}

pub(super) struct TextView<'a> {
    pub(super) of: &'a HardText,
    /// What each panel says, by its name.
    pub(super) panels: Vec<(&'a str, String)>,
    pub(super) text: Text,
}

/// The texts as a page shows them.
pub(super) fn view<'a>(found: &'a HardTexts) -> View<'a> {
    let of = |count: usize, texts: usize, models: usize| format!("{count} of {}", texts * models);
    let other = |one: &'a Other| {
        let Other { name, models, right_on_hard, wrong_elsewhere } = one;
        OtherView {
            name,
            right_on_hard: of(*right_on_hard, found.hard, *models),
            wrong_elsewhere: of(*wrong_elsewhere, found.n - found.hard, *models),
        }
    };
    let text = |of: &'a HardText| {
        let HardText { panels, text, .. } = of;
        let panels = panels.iter().map(|said| (said.name.as_str(), said.in_words())).collect();
        TextView { of, panels, text: Text::new(text) }
    };
    View {
        of: found,
        sentences: found.sentences().join(" "),
        others: found.others.iter().map(other).collect(),
        texts: found.texts.iter().map(text).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Truth;

    /// What is said about four texts, of which the first two are `bad`.
    fn said(classes: [usize; 4]) -> Predictions {
        let labels = vec!["bad".to_owned(), "good".to_owned()];
        let probabilities = classes.iter().flat_map(|&class| if class == 0 { [0.75, 0.25] } else { [0.25, 0.75] });
        Predictions::new(labels, Truth::Single(vec![0, 0, 1, 1]), probabilities.collect()).expect("valid")
    }

    fn found(limit: usize) -> HardTexts {
        let seeds = [said([0, 1, 1, 0]), said([0, 1, 1, 1]), said([0, 1, 0, 1])];
        let panel = Panel { name: "fine-tuned".into(), said: seeds.iter().collect() };
        let baseline = said([1, 0, 1, 0]);
        let others = [Panel { name: "words".into(), said: vec![&baseline] }];
        HardTexts::find("test", (&panel, &others), limit, |row| (row as u64 + 2, format!("text {row}")))
    }

    #[test]
    fn mistakes_are_counted_by_text_and_by_kind() {
        let found = found(10);
        assert_eq!((found.n, found.models, found.hard, found.all_wrong), (4, 3, 3, 1));
        let lines: Vec<(u64, usize)> = found.texts.iter().map(|text| (text.line, text.wrong)).collect();
        assert_eq!(lines, [(3, 3), (4, 1), (5, 1)], "the hardest first, then as in the file");
        let kinds: Vec<(&str, &str, usize)> =
            found.mistakes.iter().map(|one| (one.truth.as_str(), one.said.as_str(), one.count)).collect();
        assert_eq!(kinds, [("bad", "good", 3), ("good", "bad", 2)]);
        let expected = Other { name: "words".into(), models: 1, right_on_hard: 2, wrong_elsewhere: 1 };
        assert_eq!(found.others, [expected], "right on texts 1 and 2, wrong on 3 as well and on 0 alone");
        assert_eq!(
            found.sentences(),
            [
                "Of 12 answers (3 models, 4 texts) 5 are wrong, on 3 texts; on 1 of them all models are wrong.",
                "The mistakes: “bad” taken for “good” (3), “good” taken for “bad” (2)."
            ]
        );
        let said: Vec<String> = found.texts[1].panels.iter().map(Said::in_words).collect();
        assert_eq!(said, ["2 good, 1 bad", "good"]);
    }

    #[test]
    fn only_the_hardest_are_listed_and_all_are_counted() {
        let found = found(1);
        assert_eq!((found.texts.len(), found.hard), (1, 3));
        assert!(found.sentences()[0].contains("on 3 texts"));
    }

    #[test]
    fn without_a_mistake_there_is_nothing_to_list() {
        let right = said([0, 0, 1, 1]);
        let panel = Panel { name: "fine-tuned".into(), said: vec![&right] };
        let found = HardTexts::find("test", (&panel, &[]), 10, |row| (row as u64, String::new()));
        assert_eq!(found.sentences(), ["There is no mistake on 4 texts."]);
        assert!(found.texts.is_empty() && found.mistakes.is_empty());
    }
}
