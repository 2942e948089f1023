//! What is done to a row before its text is tokenised: cleaning, then the part of the conversation, then the features.
//!
//! A preparation is made when a model is trained, kept with it, and done again with every row that the model is asked about.

mod beforehand;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::chat::ChatText;
use crate::cleaning::Cleaning;
use crate::conversation::{Conversation, Speaker, Speakers, Turn, speaker_like};
use crate::dataset::{Example, NAMED_LINES, Notice};
use crate::error::DataError;
use crate::features::{self, FeatureSet, Origin, default_template};
use crate::reader::{OpenOptions, TextEncoding};
pub use beforehand::Beforehand;

/// Which part of a conversation the model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConversationPart {
    /// The text as it is: it need be no conversation.
    #[default]
    Off,
    /// Both sides, each turn after a token of its side.
    Both,
    /// What the customer says, turn by turn.
    Customer,
}

/// What becomes of stage directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageDirections {
    /// They stand after the words of their turn.
    #[default]
    Keep,
    /// They are left out.
    Drop,
}

/// How features reach the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureUse {
    /// As words before the text.
    #[default]
    Prefix,
    /// As numbers beside what the model makes of the text.
    Joined,
}

/// From a row to what a model reads. The default does nothing, at no cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preparation {
    /// How the messages of a chat become the text, where the model was trained on chats. It is done where a file is read or a
    /// request comes in, before all the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatText>,
    /// The steps of cleaning.
    pub clean: Cleaning,
    /// The part of the conversation.
    pub conversation: ConversationPart,
    /// The names of its sides.
    pub speakers: Speakers,
    /// What becomes of its stage directions.
    pub stage_directions: StageDirections,
    /// Numbers beside the text.
    pub features: FeatureSet,
    /// How they reach the model.
    pub features_as: FeatureUse,
    /// The words around them in a prefix; `None`: [`default_template`].
    pub feature_template: Option<String>,
}

/// A row as a model reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared<'a> {
    /// The text to tokenise.
    pub text: Cow<'a, str>,
    /// Numbers beside it; none unless [`FeatureUse::Joined`].
    pub features: Vec<f32>,
}

impl Preparation {
    /// Learns the features of these names from the training rows, whose columns are those of [`features::columns`].
    ///
    /// # Errors
    /// As [`FeatureSet::fit`].
    pub fn fit(self, names: &[String], rows: &[Example]) -> Result<Preparation, DataError> {
        let texts: Vec<Cow<'_, str>> = rows.par_iter().map(|row| self.clean(&row.text)).collect();
        let parse = features::needs_conversation(names);
        let conversations: Vec<Option<Conversation>> =
            texts.par_iter().map(|text| parse.then(|| Conversation::parse(text, &self.speakers))).collect();
        let origins: Vec<Origin<'_>> = rows
            .iter()
            .zip(texts.iter().zip(&conversations))
            .map(|(row, (text, conversation))| Origin {
                text,
                conversation: conversation.as_ref(),
                columns: &row.columns,
            })
            .collect();
        let features = FeatureSet::fit(names, &origins)?;
        drop(origins);
        Ok(Preparation { features, ..self })
    }

    /// The same preparation with features that are learnt from other training rows.
    ///
    /// # Errors
    /// As [`FeatureSet::fit`].
    pub fn refit(&self, rows: &[Example]) -> Result<Preparation, DataError> {
        let names: Vec<String> = self.features.names().cloned().collect();
        self.clone().fit(&names, rows)
    }

    /// The same preparation without the words before the text; `None` where it writes none.
    pub fn text_alone(&self) -> Option<Preparation> {
        let writes_words = !self.features.is_empty() && self.features_as == FeatureUse::Prefix;
        writes_words.then(|| Preparation { features: FeatureSet::default(), feature_template: None, ..self.clone() })
    }

    /// Whether rows stay as they are.
    pub fn is_identity(&self) -> bool {
        self.chat.is_none()
            && self.clean.steps.is_empty()
            && self.conversation == ConversationPart::Off
            && self.features.is_empty()
    }

    /// How a file of this encoding is opened whose rows are to be prepared: chats by the rule of those that the model was trained on.
    pub fn open_options(&self, encoding: TextEncoding) -> OpenOptions {
        OpenOptions { encoding, chat: self.chat.unwrap_or_default(), ..OpenOptions::default() }
    }

    /// How many numbers a row has beside its text.
    pub fn width(&self) -> usize {
        match self.features_as {
            FeatureUse::Joined => self.features.width(),
            FeatureUse::Prefix => 0,
        }
    }

    /// The columns that every row must bring besides its text, in the order of [`Example::columns`].
    pub fn columns(&self) -> Vec<String> {
        features::columns(self.features.names())
    }

    /// The tokens that it writes into texts and that a tokenizer must not split.
    pub fn tokens(&self) -> Vec<&'static str> {
        let sides: &[Speaker] = match self.conversation {
            ConversationPart::Both => &[Speaker::Agent, Speaker::Customer],
            ConversationPart::Off | ConversationPart::Customer => &[],
        };
        sides.iter().map(|side| side.token()).chain(self.clean.tokens()).collect()
    }

    /// Prepares one row.
    pub fn prepare<'a>(&self, row: &'a Example) -> Prepared<'a> {
        let clean = self.clean(&row.text);
        let conversation = self.reads_conversation().then(|| Conversation::parse(&clean, &self.speakers));
        let origin = Origin { text: &clean, conversation: conversation.as_ref(), columns: &row.columns };
        let mut features = Vec::new();
        let mut prefix = String::new();
        match self.features_as {
            _ if self.features.is_empty() => {}
            FeatureUse::Joined => features = self.features.values(origin),
            FeatureUse::Prefix => prefix = self.prefix(origin),
        }
        let part = conversation.as_ref().and_then(|conversation| self.part(conversation));
        let text = part.map_or(clean, Cow::Owned);
        let text = if prefix.is_empty() { text } else { Cow::Owned(format!("{} {text}", prefix.trim_end())) };
        Prepared { text, features }
    }

    /// The clean text, without the white space that cleaning may leave around it: a text that was cleaned, written to a file
    /// and read again is the same.
    fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.clean.clean(text) {
            Cow::Borrowed(clean) => Cow::Borrowed(clean.trim()),
            Cow::Owned(clean) if clean.trim().len() == clean.len() => Cow::Owned(clean),
            Cow::Owned(clean) => Cow::Owned(clean.trim().to_owned()),
        }
    }

    /// Prepares many rows, on all threads of the current `rayon` pool.
    pub fn prepare_all<'a>(&self, rows: &'a [Example]) -> Vec<Prepared<'a>> {
        rows.par_iter().map(|row| self.prepare(row)).collect()
    }

    fn reads_conversation(&self) -> bool {
        self.conversation != ConversationPart::Off || features::needs_conversation(self.features.names())
    }

    fn prefix(&self, origin: Origin<'_>) -> String {
        match &self.feature_template {
            Some(template) => self.features.fill(template, origin),
            None => self.features.fill(&default_template(self.features.names()), origin),
        }
    }

    /// The part of a conversation that is read; `None` for the whole text, as where no speaker is known.
    fn part(&self, conversation: &Conversation) -> Option<String> {
        let said = |turn: &Turn| {
            let directions = turn.directions.iter().filter(|_| self.stage_directions == StageDirections::Keep);
            let words = std::iter::once(&turn.text).chain(directions).filter(|words| !words.is_empty());
            words.map(String::as_str).collect::<Vec<_>>().join(" ")
        };
        let parts: Vec<String> = match self.conversation {
            _ if conversation.turns.is_empty() => return None,
            ConversationPart::Off => return None,
            ConversationPart::Customer => conversation.turns_of(Speaker::Customer).map(said).collect(),
            ConversationPart::Both => {
                let turns = conversation.turns.iter().map(|turn| format!("{} {}", turn.speaker.token(), said(turn)));
                std::iter::once(conversation.preamble.clone()).chain(turns).collect()
            }
        };
        Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n"))
    }

    /// Looks for speakers, where the preparation needs them, and tells of rows that lack them.
    ///
    /// # Errors
    /// [`DataError::NoSpeakers`] where no row has a known speaker, [`DataError::NoCustomer`] where the customer's turns are
    /// read and no row has one.
    pub fn check_speakers(&self, file: &Path, rows: &[Example]) -> Result<Vec<Notice>, DataError> {
        if !self.reads_conversation() {
            return Ok(Vec::new());
        }
        let sides = |row: &Example| {
            let conversation = Conversation::parse(&self.clean(&row.text), &self.speakers);
            let customer = conversation.turns_of(Speaker::Customer).next().is_some();
            (!conversation.turns.is_empty(), customer)
        };
        let sides: Vec<(bool, bool)> = rows.par_iter().map(sides).collect();
        let lines = |found: fn(&(bool, bool)) -> bool| -> Vec<u64> {
            sides.iter().zip(rows).filter(|(sides, _)| found(sides)).map(|(_, row)| row.line).collect()
        };
        let nobody = lines(|(somebody, _)| !somebody);
        if nobody.len() == rows.len() && !rows.is_empty() {
            let (path, line, candidates) = (file.to_path_buf(), nobody[0], self.candidates(rows));
            return Err(DataError::NoSpeakers { path, line, candidates });
        }
        let silent = lines(|(somebody, customer)| *somebody && !customer);
        if self.conversation == ConversationPart::Customer && silent.len() == rows.len() && !rows.is_empty() {
            let mut candidates = self.candidates(rows);
            candidates.retain(|name| self.speakers.side(name).is_none());
            return Err(DataError::NoCustomer { path: file.to_path_buf(), line: silent[0], candidates });
        }
        let first = |lines: &[u64]| lines.iter().take(NAMED_LINES).copied().collect();
        let mut notices = Vec::new();
        if !nobody.is_empty() {
            notices.push(Notice::WithoutSpeakers { rows: nobody.len(), lines: first(&nobody) });
        }
        if !silent.is_empty() && self.conversation == ConversationPart::Customer {
            notices.push(Notice::SilentCustomers { rows: silent.len(), lines: first(&silent) });
        }
        Ok(notices)
    }

    /// Names that look like speakers in more than one row, the commonest first.
    fn candidates(&self, rows: &[Example]) -> Vec<String> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows {
            let text = self.clean(&row.text);
            let mut names: Vec<&str> = speaker_like(&text).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                *counts.entry(name.to_owned()).or_default() += 1;
            }
        }
        let mut names: Vec<(String, usize)> = counts.into_iter().filter(|(_, rows)| *rows > 1).collect();
        names.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        names.into_iter().map(|(name, _)| name).take(NAMED_LINES).collect()
    }
}

/// What is done, in one line: `the customer's turns; cleaned: html, urls; with words, tier before the text`.
impl std::fmt::Display for Preparation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said: Vec<String> = self.chat.iter().map(ToString::to_string).collect();
        let directions = match self.stage_directions {
            StageDirections::Keep => "",
            StageDirections::Drop => ", without stage directions",
        };
        match self.conversation {
            ConversationPart::Off => {}
            ConversationPart::Both => said.push(format!("the turns of both sides{directions}")),
            ConversationPart::Customer => said.push(format!("the customer's turns{directions}")),
        }
        if !self.clean.steps.is_empty() {
            let steps: Vec<&str> = self.clean.steps.iter().map(|step| step.name()).collect();
            said.push(format!("cleaned: {}", steps.join(", ")));
        }
        if !self.features.is_empty() {
            let place = match self.features_as {
                FeatureUse::Prefix => "before the text",
                FeatureUse::Joined => "beside the text",
            };
            let names: Vec<&str> = self.features.names().map(String::as_str).collect();
            said.push(format!("with {} {place}", names.join(", ")));
        }
        formatter.write_str(&if said.is_empty() { "as they are".to_owned() } else { said.join("; ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cleaning::Step;

    const TALK: &str = "Call 7\n\nAgent: Hello. (He waits.) Still there?\n\nCustomer: Yes.\nMail a@b.org\n\nAgent: Done.\n\nCustomer: Good!";

    fn example(text: &str, line: u64) -> Example {
        Example { line, ..Example::from_text(text) }
    }

    fn text(preparation: &Preparation) -> String {
        preparation.prepare(&example(TALK, 2)).text.into_owned()
    }

    fn reading(conversation: ConversationPart) -> Preparation {
        Preparation { conversation, ..Preparation::default() }
    }

    #[test]
    fn the_default_leaves_rows_alone() {
        let row = example("  <b>Agent: a</b> ", 2);
        let prepared = Preparation::default().prepare(&row);
        assert!(matches!(prepared.text, Cow::Borrowed("<b>Agent: a</b>")));
        assert!(prepared.features.is_empty() && Preparation::default().is_identity());
        assert_eq!(Preparation::default().to_string(), "as they are");
    }

    #[test]
    fn each_part_of_a_conversation() {
        let mut both = reading(ConversationPart::Both);
        assert_eq!(
            text(&both),
            "Call 7\n[AGENT] Hello. Still there? (He waits.)\n[CUSTOMER] Yes.\nMail a@b.org\n[AGENT] Done.\n[CUSTOMER] Good!"
        );
        assert_eq!(both.tokens(), ["[AGENT]", "[CUSTOMER]"]);
        both.stage_directions = StageDirections::Drop;
        both.clean.steps.insert(Step::Emails);
        assert!(text(&both).starts_with("Call 7\n[AGENT] Hello. Still there?\n[CUSTOMER] Yes.\nMail [EMAIL]\n"));
        assert_eq!(both.tokens(), ["[AGENT]", "[CUSTOMER]", "[EMAIL]"]);
        let customer = reading(ConversationPart::Customer);
        assert_eq!((text(&customer).as_str(), customer.tokens().len()), ("Yes.\nMail a@b.org\nGood!", 0));
        assert_eq!(customer.prepare(&example("Agent: Hello?", 1)).text, "");
        assert_eq!(customer.prepare(&example("Nobody speaks.", 1)).text, "Nobody speaks.");
    }

    #[test]
    fn features_come_before_the_text_or_beside_it() {
        let row = |text: &str, tier: &str| Example { columns: vec![Some(tier.to_owned())], ..example(text, 1) };
        let rows = [row(TALK, "gold"), row("Customer: Why?", "")];
        let names = ["customer_words".to_owned(), "tier".to_owned()];
        let mut preparation = reading(ConversationPart::Customer).fit(&names, &rows).unwrap();
        assert_eq!(preparation.columns(), ["tier"]);
        assert_eq!(preparation.prepare(&rows[1]).text, "customer words 1, tier unknown. Why?");
        preparation.feature_template = Some("{tier}:".to_owned());
        assert!(preparation.prepare(&rows[0]).text.starts_with("gold: Yes."));
        let alone = preparation.text_alone().expect("there are words before the text");
        assert_eq!((alone.prepare(&rows[1]).text.as_ref(), alone.columns().len()), ("Why?", 0));
        assert_eq!(alone.text_alone(), None);
        preparation.features_as = FeatureUse::Joined;
        assert_eq!(preparation.text_alone(), None);
        let prepared = preparation.prepare(&rows[0]);
        assert_eq!(preparation.to_string(), "the customer's turns; with customer_words, tier beside the text");
        assert_eq!((prepared.features.as_slice(), prepared.text.starts_with("Yes.")), (&[1.0, 1.0][..], true));
        let again: Preparation = serde_json::from_str(&serde_json::to_string(&preparation).unwrap()).unwrap();
        assert_eq!(again, preparation);
    }

    #[test]
    fn speakers_are_looked_for_where_they_are_needed() {
        let rows =
            [example("Ana: hello\nBen: hi", 2), example("Ana: no\nBen: yes\nAna: well", 5), example("Note: x", 9)];
        let file = Path::new("calls.csv");
        assert_eq!(Preparation::default().check_speakers(file, &rows).unwrap(), []);
        let error = reading(ConversationPart::Customer).check_speakers(file, &rows).unwrap_err();
        assert_eq!(error.to_string(), "calls.csv:2: no speaker is known in this text, nor in any other of the file");
        let hint = error.hint().unwrap();
        assert!(hint.contains("speakers={ agent = [\"Ana\"] }") && hint.ends_with("`Ana`, `Ben`"), "{hint}");
        let mut named = reading(ConversationPart::Customer);
        named.speakers.agent.push("Ana".to_owned());
        let told = |preparation: &Preparation| -> Vec<String> {
            preparation.check_speakers(file, &rows).unwrap().iter().map(ToString::to_string).collect()
        };
        let unknown = "1 row without a known speaker, used as one text (line 9)";
        let silent = "2 rows in which the customer says nothing, read as empty texts (lines 2, 5)";
        assert_eq!(told(&named), [unknown, silent]);
        let error = named.check_speakers(file, &rows[..2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "calls.csv:2: no turn of this text is the customer's, nor of any other of the file"
        );
        assert!(error.hint().unwrap().contains("speakers={ customer = [\"Ben\"] }"), "{:?}", error.hint());
        named.conversation = ConversationPart::Both;
        assert_eq!(told(&named), [unknown]);
        named.speakers.customer.push("Ben".to_owned());
        assert_eq!(told(&Preparation { conversation: ConversationPart::Customer, ..named }), [unknown]);
    }
}
