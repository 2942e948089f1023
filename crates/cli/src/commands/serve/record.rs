//! What a server keeps of the answers it gives.

use clap::{ValueEnum, value_parser};
use finetone_serve::{RecordConfig, Recording};

/// The flags of the record.
#[derive(clap::Args)]
#[command(next_help_heading = "Record")]
pub struct RecordArgs {
    /// Keep a record of what classifiers are asked and answer: `hashed` keeps time, length, class and confidence, `texts` the text
    /// as well
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Kept::Off)]
    record: Kept,
    /// Days after which an answer is forgotten
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = value_parser!(u32).range(1..=3650))]
    record_days: u32,
    /// Answers of each model that are kept, the latest ones
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = value_parser!(u32).range(1000..=10_000_000))]
    record_answers: u32,
}

/// What can be kept.
#[derive(Clone, Copy, ValueEnum)]
enum Kept {
    Off,
    Hashed,
    Texts,
}

impl RecordArgs {
    /// The record that was asked for.
    pub fn config(&self) -> RecordConfig {
        let recording = match self.record {
            Kept::Off => Recording::Off,
            Kept::Hashed => Recording::Hashed,
            Kept::Texts => Recording::Texts,
        };
        RecordConfig { recording, days: self.record_days, answers: self.record_answers }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    #[test]
    fn the_flags_show_the_record_that_the_server_keeps_by_itself() {
        let typed = RecordArgs::augment_args(clap::Command::new("serve")).get_matches_from(["serve"]);
        assert_eq!(RecordArgs::from_arg_matches(&typed).unwrap().config(), RecordConfig::default());
    }
}
