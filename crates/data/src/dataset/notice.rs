//! What is told about a file that was read.

use serde::Serialize;

use super::NAMED_LINES;

/// Something that was done to the data and that the user should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// Labels were brought to one spelling.
    LabelsNormalised {
        /// How many rows had another spelling.
        rows: usize,
        /// The changes, as (spelling in the file, spelling kept), sorted.
        changes: Vec<(String, String)>,
    },
    /// Rows with an empty text were skipped.
    EmptyTexts {
        /// How many.
        rows: usize,
        /// The first lines.
        lines: Vec<u64>,
    },
    /// Texts are conversations, and in some of them no speaker is known.
    WithoutSpeakers {
        /// How many rows.
        rows: usize,
        /// The first lines.
        lines: Vec<u64>,
    },
    /// Chats whose answer has the weight 0 were left out.
    LeftOut {
        /// How many.
        rows: usize,
        /// The first lines.
        lines: Vec<u64>,
    },
    /// The customer's turns are read, and in some texts there are none.
    SilentCustomers {
        /// How many rows.
        rows: usize,
        /// The first lines.
        lines: Vec<u64>,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Notice::LabelsNormalised { rows, changes } => {
                let shown: Vec<String> =
                    changes.iter().take(NAMED_LINES).map(|(from, to)| format!("`{from}` → `{to}`")).collect();
                write!(formatter, "labels of {} were normalised: {}", counted(*rows, "row"), shown.join(", "))
            }
            Notice::EmptyTexts { rows, lines } => {
                write!(formatter, "{} skipped for an empty text ({})", counted(*rows, "row"), line_list(lines, *rows))
            }
            Notice::LeftOut { rows, lines } => {
                let (rows, lines) = (counted(*rows, "chat"), line_list(lines, *rows));
                write!(formatter, "{rows} left out, as the weight 0 of the answer asks ({lines})")
            }
            Notice::WithoutSpeakers { rows, lines } => {
                let (rows, lines) = (counted(*rows, "row"), line_list(lines, *rows));
                write!(formatter, "{rows} without a known speaker, used as one text ({lines})")
            }
            Notice::SilentCustomers { rows, lines } => {
                let (rows, lines) = (counted(*rows, "row"), line_list(lines, *rows));
                write!(formatter, "{rows} in which the customer says nothing, read as empty texts ({lines})")
            }
        }
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `line 3` or `lines 3, 8, 12 and 4 more`.
pub(crate) fn line_list(lines: &[u64], total: usize) -> String {
    let shown: Vec<String> = lines.iter().map(u64::to_string).collect();
    let rest = total.saturating_sub(lines.len());
    let tail = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("line{} {}{tail}", if total == 1 { "" } else { "s" }, shown.join(", "))
}
