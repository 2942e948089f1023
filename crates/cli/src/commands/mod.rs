//! The commands, one file each.

mod chat;
mod compare;
mod completions;
mod doctor;
mod eval;
mod explain;
mod explore;
mod jobs;
mod man;
mod model;
mod monitor;
mod predict;
mod prepare;
mod search;
mod serve;
mod study;
mod tracked;
mod train;
mod worker;

use clap::Subcommand;

use crate::failure::Failure;

/// What can be typed after `finetone`.
#[derive(Subcommand)]
pub enum Command {
    /// Check a data file: every fault with its line and a fix
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::Args),
    /// Show what is in a file: balance, lengths, words and columns by class, copies
    #[command(after_help = explore::EXAMPLES)]
    Explore(explore::Args),
    /// Clean the texts of a file or a stream, leave out copies, balance classes
    #[command(after_help = prepare::EXAMPLES)]
    Prepare(Box<prepare::Args>),
    /// Train a model on a file of labelled texts
    #[command(after_help = train::EXAMPLES)]
    Train(Box<train::Args>),
    /// Search for good settings by cross-validation, under a time budget
    #[command(after_help = search::EXAMPLES)]
    Search(Box<search::Args>),
    /// Measure a model on a labelled file, every number with an interval
    #[command(after_help = eval::EXAMPLES)]
    Eval(eval::Args),
    /// Say which of two models is better on a labelled file, and whether that is more than chance
    #[command(after_help = compare::EXAMPLES)]
    Compare(compare::Args),
    /// Watch a model on fresh texts: accuracy, drift, history, gates, and which rows to label next
    #[command(after_help = monitor::EXAMPLES)]
    Monitor(Box<monitor::Args>),
    /// Append label, confidence and probabilities to the rows of a file
    #[command(after_help = predict::EXAMPLES)]
    Predict(predict::Args),
    /// Show which words decided about a text, and which turn of a conversation
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Args),
    /// Carry out a whole study: variants, seeds, baselines, cross-validation, one test, one report
    #[command(subcommand, after_help = study::EXAMPLES)]
    Study(study::Command),
    /// Serve OpenAI's API for files, fine-tuning jobs and models on this machine
    #[command(after_help = serve::EXAMPLES)]
    Serve(Box<serve::Args>),
    /// Work off the jobs of a server that has a PostgreSQL database, beside it and other workers
    #[command(after_help = worker::EXAMPLES)]
    Worker(worker::Args),
    /// Create, watch and steer the fine-tuning jobs of a running server
    #[command(subcommand, after_help = jobs::EXAMPLES)]
    Jobs(jobs::Command),
    /// Ask a model in the terminal, alone or beside another
    #[command(after_help = chat::EXAMPLES)]
    Chat(chat::Args),
    /// List, download, describe and export models
    #[command(subcommand, after_help = model::EXAMPLES)]
    Model(model::Command),
    /// Print the completions of a shell
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::Args),
    /// Print the manual page, or write one for each command
    #[command(after_help = man::EXAMPLES)]
    Man(man::Args),
}

impl Command {
    /// Does what was asked for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Doctor(args) => doctor::run(&args),
            Self::Explore(args) => explore::run(&args),
            Self::Prepare(args) => prepare::run(&args),
            Self::Train(args) => train::run(&args),
            Self::Search(args) => search::run(&args),
            Self::Eval(args) => eval::run(&args),
            Self::Compare(args) => compare::run(&args),
            Self::Monitor(args) => monitor::run(&args),
            Self::Predict(args) => predict::run(&args),
            Self::Explain(args) => explain::run(&args),
            Self::Study(command) => command.run(),
            Self::Serve(args) => serve::run(&args),
            Self::Worker(args) => worker::run(&args),
            Self::Jobs(command) => command.run(),
            Self::Chat(args) => chat::run(&args),
            Self::Model(command) => command.run(),
            Self::Completions(args) => completions::run(&args),
            Self::Man(args) => man::run(&args),
        }
    }
}
