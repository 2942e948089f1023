//! The files of a tokenizer in a Hugging Face folder.

use std::path::{Path, PathBuf};
use std::{fs, io, panic};

use super::settings::Settings;
use super::{Tokenizer, TokenizerError, bertweet, legacy};

/// The file with the chat template.
pub(super) const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// Every file that belongs to a tokenizer; those that are there travel with it when it is saved.
const NAMES: [&str; 11] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    CHAT_TEMPLATE,
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "bpe.codes",
    "sentencepiece.bpe.model",
    "spiece.model",
];

/// One file of a tokenizer, as it lies on disk.
#[derive(Clone)]
pub(super) struct Companion {
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// Opens the tokenizer of a folder.
pub(super) fn open(folder: &Path) -> Result<Tokenizer, TokenizerError> {
    let mut companions = Vec::new();
    for name in NAMES {
        if let Some(bytes) = read_optional(&folder.join(name))? {
            companions.push(Companion { name, bytes });
        }
    }
    let settings = Settings::read(folder, &companions)?;
    let has = |name: &str| companions.iter().any(|companion| companion.name == name);
    if has("tokenizer.json") {
        return from_document(folder, settings, companions);
    }
    if has("vocab.json") && has("merges.txt") {
        let bytes = legacy::byte_level(folder, &settings, &companions)?;
        companions.insert(0, Companion { name: "tokenizer.json", bytes });
        return from_document(folder, settings, companions);
    }
    if has("vocab.txt") && has("bpe.codes") {
        return bertweet::open(folder, settings, companions);
    }
    if has("vocab.txt") {
        let bytes = legacy::word_piece(folder, &settings, &companions)?;
        companions.insert(0, Companion { name: "tokenizer.json", bytes });
        return from_document(folder, settings, companions);
    }
    let folder = folder.to_path_buf();
    match ["sentencepiece.bpe.model", "spiece.model"].into_iter().find(|name| has(name)) {
        Some(found) => Err(TokenizerError::NeedsConversion { folder, found }),
        None => Err(TokenizerError::Missing { folder }),
    }
}

/// Makes the tokenizer that the `tokenizer.json` among the companions describes.
pub(super) fn from_document(
    folder: &Path,
    settings: Settings,
    companions: Vec<Companion>,
) -> Result<Tokenizer, TokenizerError> {
    let path = folder.join("tokenizer.json");
    let document = companions.iter().find(|companion| companion.name == "tokenizer.json");
    let bytes = document.map_or(&[][..], |companion| &companion.bytes);
    // The library indexes by what the file says in a few places; a lying file must be an error, not the end of the program.
    let inner = panic::catch_unwind(|| tokenizers::Tokenizer::from_bytes(bytes))
        .map_err(|_| TokenizerError::invalid(&path, "its merges do not fit its vocabulary"))?
        .map_err(|error| TokenizerError::invalid(&path, error))?;
    Tokenizer::assemble(inner, settings, companions, None).map_err(|reason| TokenizerError::invalid(&path, reason))
}

/// Writes all companions into a folder.
pub(super) fn save(tokenizer: &Tokenizer, folder: &Path) -> Result<(), TokenizerError> {
    for companion in &tokenizer.companions {
        let path: PathBuf = folder.join(companion.name);
        fs::write(&path, &companion.bytes).map_err(|source| TokenizerError::Write { path, source })?;
    }
    Ok(())
}

/// The bytes of a file, or `None` where there is no such file.
pub(crate) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, TokenizerError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerError::Read { path: path.to_path_buf(), source }),
    }
}
