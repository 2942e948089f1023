//! The encodings of text, by the names of the [Encoding Standard](https://encoding.spec.whatwg.org/).

use std::fmt;
use std::str::FromStr;

use encoding_rs::{Encoding, UTF_8};
use serde::{Deserialize, Serialize};

use crate::error::{backticked, nearest};

/// The names that are looked through for the one that a user may have meant: those that tables come in.
const USUAL: [&str; 23] = [
    "utf-8",
    "utf-16le",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "latin1",
    "latin2",
    "iso-8859-2",
    "iso-8859-15",
    "koi8-r",
    "koi8-u",
    "macintosh",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "gbk",
    "big5",
];

/// How the letters of a file are written as bytes: UTF-8 unless somebody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TextEncoding(&'static Encoding);

/// A name that no encoding has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no encoding `{name}`: {}", self.advice())]
pub struct UnknownEncoding {
    name: String,
}

impl TextEncoding {
    /// The encoding as it decodes.
    pub(crate) fn decoder(self) -> &'static Encoding {
        self.0
    }
}

impl UnknownEncoding {
    fn advice(&self) -> String {
        let known = USUAL.map(str::to_owned);
        match nearest(&self.name, &known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known are the names of the Encoding Standard, such as {}", backticked(&known)),
        }
    }
}

impl Default for TextEncoding {
    fn default() -> Self {
        Self(UTF_8)
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.name())
    }
}

impl FromStr for TextEncoding {
    type Err = UnknownEncoding;

    /// Finds an encoding by any of its names, in capitals or not.
    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        let found = Encoding::for_label_no_replacement(name.as_bytes());
        found.map(Self).ok_or_else(|| UnknownEncoding { name: name.to_owned() })
    }
}

impl TryFrom<String> for TextEncoding {
    type Error = UnknownEncoding;

    fn try_from(name: String) -> Result<Self, UnknownEncoding> {
        name.parse()
    }
}

impl From<TextEncoding> for String {
    fn from(encoding: TextEncoding) -> Self {
        encoding.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_found_by_each_of_its_names() {
        let name = |label: &str| label.parse::<TextEncoding>().map(String::from);
        assert_eq!(TextEncoding::default().to_string(), "UTF-8");
        for (label, wanted) in
            [("cp1250", "windows-1250"), ("Latin2", "ISO-8859-2"), ("sjis", "Shift_JIS"), (" GBK ", "GBK")]
        {
            assert_eq!(name(label).as_deref(), Ok(wanted));
        }
        assert!(USUAL.iter().all(|label| name(label).is_ok()), "what is proposed is known");
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest_one() {
        let told = |label: &str| label.parse::<TextEncoding>().unwrap_err().to_string();
        assert_eq!(told("windows1250"), "there is no encoding `windows1250`: did you mean `windows-1250`?");
        assert!(told("latin-2").ends_with("did you mean `latin2`?"));
        assert!(told("klingon").contains("such as `utf-8`, `utf-16le`, `windows-1250`"));
        // A name by which the standard refuses to decode anything.
        assert!("iso-2022-kr".parse::<TextEncoding>().is_err());
    }
}
