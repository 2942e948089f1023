//! Rows through a sieve: what is kept, what is not and why, twice as once, in pieces as at once.

mod follow;
mod sift;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use finetone_data::cleaning::{Cleaning, Step};
use finetone_data::copies::CopyRule;
use finetone_data::preparation::{Beforehand, ConversationPart};
use finetone_data::sampling::Balance;
use finetone_data::sieve::{Outputs, Sieve, SieveOptions, Sifted, Sinks, balanced, sift};
use finetone_data::{DataError, Preparation, ReadOptions, Reader};

/// What `prepare` does by itself.
const STEPS: [Step; 4] = [Step::Html, Step::Unicode, Step::Control, Step::Space];

fn cleaning(steps: &[Step], conversation: ConversationPart) -> SieveOptions {
    let clean = Cleaning { steps: steps.iter().copied().collect::<BTreeSet<_>>() };
    let preparation = Preparation { clean, conversation, ..Preparation::default() };
    SieveOptions {
        read: ReadOptions { labels_required: false, ..ReadOptions::default() },
        beforehand: Beforehand::new(&preparation, &[]),
        copies: Some(CopyRule::default()),
    }
}

fn usual() -> SieveOptions {
    cleaning(&STEPS, ConversationPart::Off)
}

/// Files in a folder of their own.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Scratch {
        Scratch(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).expect("written");
        self.path(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect(name)
    }
}

fn only(kept: &Path) -> Outputs<'_> {
    Outputs { kept: Some(kept), rejected: None, contradictions: None }
}

fn prepare(
    from: &Path,
    outputs: Outputs<'_>,
    options: &SieveOptions,
    balance: Option<Balance>,
) -> Result<Sifted, DataError> {
    let open = || Reader::open(from, &options.read.open);
    let times = match balance {
        Some(balance) => balanced(open()?, options.clone(), balance, 0, || true)?,
        None => None,
    };
    let reader = open()?;
    let sieve = Sieve::new(reader.source(), options.clone())?;
    let sinks = Sinks::create(&sieve, &reader, &outputs)?;
    Ok(sift(reader, sieve, sinks, times.as_deref(), || true)?.expect("nobody stops it"))
}
