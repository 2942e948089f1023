//! What a server lets requests have.

use std::num::NonZeroU32;

use clap::value_parser;
use finetone_serve::{EngineLimits, Limits};

/// The flags of the limits.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Requests of one key in a minute [default: no limit]
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<NonZeroU32>,
    /// Connections at once; more are closed as soon as they are opened
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = value_parser!(u32).range(1..))]
    connections: u32,
    /// The largest file that can be uploaded
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = value_parser!(u32).range(1..))]
    upload_size: u32,
    /// Memory for the weights of open models; the one that was not asked for longest is closed for another
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = value_parser!(u32).range(1..))]
    model_memory: u32,
    /// Texts that may wait for a model; a request for more is answered with 429
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = value_parser!(u32).range(1..))]
    waiting_texts: u32,
    /// Tokens that are computed together
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = value_parser!(u32).range(1..=1 << 20))]
    batch_tokens: u32,
}

impl LimitArgs {
    /// The limits that were typed.
    pub fn limits(&self) -> Limits {
        Limits {
            file_bytes: (self.upload_size as usize) << 20,
            connections: self.connections as usize,
            requests_per_minute: self.requests_per_minute,
            engine: EngineLimits {
                model_bytes: (self.model_memory as usize) << 20,
                waiting_texts: self.waiting_texts as usize,
                batch_tokens: self.batch_tokens as usize,
            },
            ..Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    #[test]
    fn the_flags_show_the_limits_that_the_server_has_by_itself() {
        let typed = LimitArgs::augment_args(clap::Command::new("serve")).get_matches_from(["serve"]);
        assert_eq!(LimitArgs::from_arg_matches(&typed).unwrap().limits(), Limits::default());
    }
}
