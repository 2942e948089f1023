//! `finetone completions`.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;
use crate::failure::Failure;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  finetone completions bash > ~/.local/share/bash-completion/completions/finetone
  finetone completions zsh > ~/.zfunc/_finetone
  finetone completions fish > ~/.config/fish/completions/finetone.fish";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "finetone", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}
