//! What is to be done, from flags, a recipe or a model.

use std::path::Path;

use finetone_data::copies::CopyRule;
use finetone_data::preparation::Beforehand;
use finetone_data::reader::{OpenOptions, Source};
use finetone_data::sampling::Balance;
use finetone_data::sieve::SieveOptions;
use finetone_data::{Preparation, ReadOptions, chat};
use finetone_model::checkpoint::ModelFolder;
use finetone_train::RunFile;

use super::Args;
use crate::commands::train::settings::usage;
use crate::failure::Failure;
use crate::found::Found;

/// What is cleaned where nobody says: what no reader of a text would miss.
const USUAL: [&str; 4] = ["html", "unicode", "control", "space"];

/// What is to be done with the rows.
pub struct Plan {
    /// How the file is read.
    pub read: ReadOptions,
    /// How often rows of small and large classes are written.
    pub balance: Option<Balance>,
    /// Of everything random.
    pub seed: u64,
    beforehand: Beforehand,
    /// Whether nobody said what to do to texts.
    by_custom: bool,
    copies: Option<CopyRule>,
}

impl Plan {
    /// Finds the settings.
    pub fn new(args: &Args) -> Result<Self, Failure> {
        let mut plan = match &args.model {
            Some(model) => Plan::of_model(args, model)?,
            None => Plan::of_settings(args)?,
        };
        plan.read.open.format = args.format;
        plan.read.labels_required = plan.balance.is_some();
        let near = (!args.copies.keep_near).then_some(args.copies.near);
        let rule = CopyRule { near, window: args.copies.window, seed: plan.seed };
        plan.copies = (!args.copies.keep_copies).then_some(rule);
        if plan.balance.is_some() && plan.read.multi_label.is_some() {
            let message = "texts with several labels cannot be balanced: each row counts for all of them";
            return Err(Failure::usage(message, "leave `--balance` out"));
        }
        Ok(plan)
    }

    fn of_settings(args: &Args) -> Result<Self, Failure> {
        let mut file = RunFile::default();
        if let Some(recipe) = &args.recipe {
            file.overlay(RunFile::read(recipe)?);
        }
        file.set("train", args.file.display().to_string());
        args.reading.write_to(&mut file);
        for assignment in &args.set {
            file.assign(assignment).map_err(usage)?;
        }
        if args.recipe.is_none() && !args.set.iter().any(|set| set.trim_start().starts_with("clean")) {
            file.set("clean", USUAL.map(str::to_owned).to_vec());
        }
        let config = file.resolve().map_err(usage)?;
        let chat = match args.file == Path::new("-") || args.follow || !args.file.exists() {
            true => None,
            // What is wrong with a chat is said of its row.
            false => {
                let rule = chat::rule_of(&args.file, &config.open_options());
                rule.or_else(|fault| if fault.is_row_fault() { Ok(None) } else { Err(fault) })?
            }
        };
        Ok(Self {
            read: ReadOptions {
                open: OpenOptions { chat: chat.unwrap_or_default(), ..config.open_options() },
                text_column: config.text_column.clone(),
                label_column: config.label_column.clone(),
                multi_label: config.multi_label,
                ..ReadOptions::default()
            },
            balance: balance(args, config.sampling_ratio),
            seed: config.seed,
            beforehand: Beforehand::new(&config.preparation(), &config.features),
            by_custom: args.recipe.is_none() && args.set.is_empty(),
            copies: None,
        })
    }

    fn of_model(args: &Args, model: &str) -> Result<Self, Failure> {
        let found = Found::new(model)?;
        let preparation = finetone_classify::preparation(ModelFolder::open(&found.folder)?.config())?;
        let features: Vec<String> = preparation.features.names().cloned().collect();
        let known = match args.reading.source(&args.file) {
            // A file that grows may have no row yet.
            Err(_) if args.follow => None,
            known => known?,
        };
        Ok(Self {
            read: found.read_options(&args.reading, known.as_deref())?,
            balance: balance(args, 1.0),
            seed: 0,
            beforehand: Beforehand::new(&preparation, &features),
            by_custom: false,
            copies: None,
        })
    }

    /// How the rows of a file are judged. The texts of chats are made of messages and stay as they are, unless somebody asks.
    pub fn sieve(&self, source: &Source) -> SieveOptions {
        let stays = self.by_custom && source.chat.is_some();
        let nothing = Beforehand::new(&Preparation::default(), &[]);
        SieveOptions { beforehand: if stays { nothing } else { self.beforehand.clone() }, ..self.sieve_of_stream() }
    }

    /// How rows are judged of which nothing is known yet.
    pub fn sieve_of_stream(&self) -> SieveOptions {
        SieveOptions { read: self.read.clone(), beforehand: self.beforehand.clone(), copies: self.copies }
    }
}

fn balance(args: &Args, ratio: f64) -> Option<Balance> {
    args.balance.as_deref().map(|rule| if rule == "oversample" { Balance::Over(ratio) } else { Balance::Under(ratio) })
}
