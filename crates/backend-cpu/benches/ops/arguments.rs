//! What was typed behind `cargo bench … --`.

use std::path::PathBuf;

/// Words that a row must have, and where its Markdown goes.
#[derive(Default)]
pub struct Arguments {
    words: Vec<String>,
    /// The file to write the tables to.
    pub markdown: Option<PathBuf>,
}

impl Arguments {
    /// Reads the arguments; `--bench` is cargo's own.
    pub fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--bench" => {}
                "--markdown" => arguments.markdown = Some(given.next().ok_or("`--markdown` needs a path")?.into()),
                flag if flag.starts_with('-') => {
                    return Err(format!("`{flag}` is unknown; there is `--markdown PATH`"));
                }
                words => arguments.words.extend(words.split_whitespace().map(str::to_lowercase)),
            }
        }
        Ok(arguments)
    }

    /// Whether a row of this title was asked for.
    pub fn wants(&self, title: &str) -> bool {
        let title = title.to_lowercase();
        self.words.iter().all(|word| title.contains(word))
    }
}
