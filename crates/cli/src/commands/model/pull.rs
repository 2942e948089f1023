//! `finetone model pull`.

use std::io::Write;

use finetone_classify::hub::{self, HubConfig, ModelId};
use finetone_classify::source::BUILT_IN;

use crate::failure::Failure;
use crate::progress::Download;

/// The end of the help.
pub const EXAMPLES: &str = "\
Prints the folder of the model. The cache and the variables are those of the Python library: HF_HOME, HF_HUB_CACHE, HF_TOKEN, \
HF_ENDPOINT, HF_HUB_OFFLINE.

Examples:
  finetone model pull distilbert-base-uncased
  finetone model pull FacebookAI/roberta-base@main
  HF_TOKEN=… finetone model pull my-team/private-model";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// The model's name on the Hub: `owner/name`, `name`, or either with `@revision`
    id: String,
}

/// Downloads and tells where to.
pub fn run(args: &Args) -> Result<(), Failure> {
    if BUILT_IN.iter().any(|built_in| built_in.name == args.id) {
        return Err(Failure::new(
            format!("`{}` is built in and trained from scratch: there is nothing to download", args.id),
            format!("use it directly: `finetone train FILE --model {}`", args.id),
        ));
    }
    let id = ModelId::parse(&args.id)?;
    let folder = hub::fetch(&id, &HubConfig::from_env(), &mut Download::default())?;
    Ok(writeln!(std::io::stdout(), "{}", folder.display())?)
}
