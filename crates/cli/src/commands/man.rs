//! `finetone man`.

use std::io::Write;
use std::path::PathBuf;

use clap::CommandFactory;

use crate::Cli;
use crate::failure::Failure;

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  finetone man | man -l -                     read the manual page
  finetone man ~/.local/share/man/man1        install the pages of all commands";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// Write the pages of all commands into this folder instead
    folder: Option<PathBuf>,
}

/// Prints the page or writes all of them.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    match &args.folder {
        Some(folder) => {
            let fail = |error: std::io::Error| Failure::io(folder, &error);
            std::fs::create_dir_all(folder).map_err(fail)?;
            clap_mangen::generate_to(command, folder).map_err(fail)
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            Ok(std::io::stdout().write_all(&page)?)
        }
    }
}
