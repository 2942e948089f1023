//! `finetone model`.

mod export;
mod list;
mod pull;
mod show;

use clap::Subcommand;

use crate::failure::Failure;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  finetone model list
  finetone model pull distilbert-base-uncased
  finetone model show runs/reviews-1
  finetone model export runs/reviews-1 -o my-model";

/// What can be done with models.
#[derive(Subcommand)]
pub enum Command {
    /// Built-in models, runs and the cache of the Hugging Face Hub
    #[command(after_help = list::EXAMPLES)]
    List,
    /// Download a model from the Hugging Face Hub
    #[command(after_help = pull::EXAMPLES)]
    Pull(pull::Args),
    /// Describe a model: family, sizes, labels, limit, head
    #[command(after_help = show::EXAMPLES)]
    Show(show::Args),
    /// Write a folder that Transformers opens, with a model card
    #[command(after_help = export::EXAMPLES)]
    Export(export::Args),
}

impl Command {
    /// Does what was asked for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::List => list::run(),
            Self::Pull(args) => pull::run(&args),
            Self::Show(args) => show::run(&args),
            Self::Export(args) => export::run(&args),
        }
    }
}
