//! What a call found, in sentences.

use finetone_evaluate::{Estimate, FALSE_ALARMS, p_in_words};

use super::Record;

impl Record {
    /// Whether the texts have changed, in one sentence.
    pub fn headline(&self) -> String {
        let mut clear: Vec<_> = self.drift.clear().collect();
        clear.sort_by(|a, b| b.effect.total_cmp(&a.effect));
        let kinds: Vec<String> =
            clear.iter().map(|found| format!("{} ({:.2})", found.kind.name(), found.effect)).collect();
        let of = format!("the {} {}", self.reference.rows, self.reference.source);
        if kinds.is_empty() {
            let p = p_in_words(self.drift.p_value());
            return format!("No drift found: the {} fresh texts are as {of} are ({p}).", self.rows);
        }
        format!(
            "The texts have changed, {}: compared with {of}, {}.",
            p_in_words(self.drift.p_value()),
            kinds.join(", ")
        )
    }

    /// How good the model is on them, as far as that is known.
    pub fn remarks(&self) -> Vec<String> {
        let right = |share: &Estimate| {
            format!("{:.1} % ({:.1} to {:.1})", 100.0 * share.value, 100.0 * share.low, 100.0 * share.high)
        };
        let mut remarks = Vec::new();
        if let Some(accuracy) = &self.accuracy {
            let before = self.reference.accuracy.map_or_else(String::new, |share| {
                format!("; on the {} it was {:.1} %", self.reference.source, 100.0 * share)
            });
            remarks.push(format!("Right on {} of the {} labelled texts{before}.", right(accuracy), self.labelled));
        }
        remarks.extend(self.fall());
        if let Some(expected) = self.expected_accuracy.as_ref().filter(|_| self.labelled < self.rows) {
            remarks.push(format!(
                "By its confidence the model is right on about {}, provided that a confidence still means what it meant.",
                right(expected)
            ));
            if self.drift.clear().count() > 0 {
                remarks.push("The texts have changed, so that is probably too much: only labels can tell.".into());
            }
        }
        remarks
    }

    /// Whether the accuracy has fallen in the labelled rows of all calls.
    fn fall(&self) -> Option<String> {
        let stream = self.stream.as_ref().filter(|stream| stream.rows() > 0)?;
        let chance = format!("false alarms: at most {:.0} in 100 such watches", 100.0 * FALSE_ALARMS);
        Some(match stream.alarm() {
            Some(fall) => format!(
                "The accuracy has fallen, since about labelled row {}; that was certain at row {} ({chance}).",
                fall.since, fall.row
            ),
            None => format!("In {} labelled rows so far no fall of the accuracy was found.", stream.rows()),
        })
    }
}
