//! An upload: its parts in any order, its file on disk before anybody knows what it is for.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use serde::de::IgnoredAny;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use crate::app::App;
use crate::error::ApiError;
use crate::ids;
use crate::store::{FileRow, now};

/// What a file can be for.
const PURPOSES: [&str; 6] = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];
/// What a training file is for.
pub const FINE_TUNE: &str = "fine-tune";
/// Bytes of a part that is no file.
const LONGEST_TEXT: usize = 1024;
/// Bytes of a line of a training file.
const LONGEST_LINE: u64 = 16 << 20;
/// Characters of a name.
const LONGEST_NAME: usize = 255;

/// What has come so far.
#[derive(Default)]
struct Parts {
    file: Option<(String, NamedTempFile, usize)>,
    purpose: Option<String>,
    anchor: Option<String>,
    seconds: Option<String>,
}

/// Refuses an upload that says itself that it is too long, before anything of it is written.
///
/// # Errors
/// 413.
pub fn check_length(headers: &HeaderMap, most: usize) -> Result<(), ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) { Err(too_large()) } else { Ok(()) }
}

/// Reads an upload, and keeps the file and its row.
///
/// # Errors
/// 400 for an upload that cannot be what it says, 413 for one that is too large.
pub async fn receive(app: &App, multipart: Multipart) -> Result<FileRow, ApiError> {
    let Parts { file, purpose, anchor, seconds } = read_parts(app, multipart).await?;
    let missing = |name: &str| {
        let message = format!("Missing required parameter: '{name}'.");
        ApiError::bad_request(message).param(name).code("missing_required_parameter")
    };
    let purpose = purpose.ok_or_else(|| missing("purpose"))?;
    if !PURPOSES.contains(&purpose.as_str()) {
        let message = format!("'{purpose}' is not one of {PURPOSES:?} - 'purpose'");
        return Err(ApiError::bad_request(message).param("purpose").code("invalid_value"));
    }
    let (filename, file, bytes) = file.ok_or_else(|| missing("file"))?;
    if bytes == 0 {
        return Err(ApiError::bad_request("The file is empty").param("file"));
    }
    if purpose == FINE_TUNE && !may_be_json_lines(&filename) {
        let message = "Invalid file format for Fine-Tuning API. Must be .jsonl";
        return Err(ApiError::bad_request(message).param("file"));
    }
    let created_at = now();
    let expires_at = expiry(anchor, seconds)?.map(|seconds| created_at + seconds);
    let id = ids::with_prefix("file-", 24);
    let (place, is_training) = (app.folder.file(&id), purpose == FINE_TUNE);
    let fault = blocking(move || keep(file, &place, is_training)).await?;
    let (status, status_details) = (if fault.is_none() { "processed" } else { "error" }, fault);
    let status = status.to_owned();
    let bytes = bytes as i64;
    let row = FileRow { id, purpose, filename, bytes, created_at, expires_at, status, status_details };
    app.store.add_file(&row).await?;
    Ok(row)
}

async fn read_parts(app: &App, mut multipart: Multipart) -> Result<Parts, ApiError> {
    let mut parts = Parts::default();
    while let Some(mut field) = multipart.next_field().await.map_err(refused)? {
        match field.name().unwrap_or_default() {
            "file" => parts.file = Some(spool(app, field).await?),
            "purpose" => parts.purpose = Some(text(field).await?),
            "expires_after[anchor]" => parts.anchor = Some(text(field).await?),
            "expires_after[seconds]" => parts.seconds = Some(text(field).await?),
            _ => while field.chunk().await.map_err(refused)?.is_some() {},
        }
    }
    Ok(parts)
}

/// Writes a part to disk while it comes.
async fn spool(app: &App, mut field: Field<'_>) -> Result<(String, NamedTempFile, usize), ApiError> {
    let filename = field.file_name().map_or_else(|| "upload".to_owned(), plain_name);
    let uploads = app.folder.uploads();
    let (file, writer) = blocking(move || {
        let file = NamedTempFile::new_in(uploads)?;
        let writer = file.reopen()?;
        Ok((file, writer))
    })
    .await?;
    let mut writer = tokio::io::BufWriter::with_capacity(1 << 20, tokio::fs::File::from_std(writer));
    let mut bytes = 0;
    while let Some(chunk) = field.chunk().await.map_err(refused)? {
        bytes += chunk.len();
        if bytes > app.config.limits.file_bytes {
            return Err(too_large());
        }
        writer.write_all(&chunk).await.map_err(|error| ApiError::internal(&error))?;
    }
    writer.flush().await.map_err(|error| ApiError::internal(&error))?;
    Ok((filename, file, bytes))
}

async fn text(mut field: Field<'_>) -> Result<String, ApiError> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(refused)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST_TEXT {
            return Err(ApiError::bad_request(format!("'{name}' is too long")).param(name));
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::bad_request(format!("'{name}' is not UTF-8")).param(name))
}

fn refused(error: MultipartError) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    // A body that ends too early, or does not go on, is no fault of the server.
    ApiError::bad_request(format!("We could not read the form of your request: {}", error.body_text()))
}

fn too_large() -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "The file is larger than the server takes").param("file")
}

/// Without what could break a line of a header or of a log.
fn plain_name(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    if name.is_empty() { "upload".into() } else { name }
}

/// Some clients send names without an extension, such as `file` or `upload`.
fn may_be_json_lines(name: &str) -> bool {
    let extension = Path::new(name).extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_none_or(|extension| extension == "jsonl")
}

fn expiry(anchor: Option<String>, seconds: Option<String>) -> Result<Option<i64>, ApiError> {
    let wrong = |name: &str, wanted: &str| {
        let name = format!("expires_after[{name}]");
        Err(ApiError::bad_request(format!("'{name}' must be {wanted}")).param(name).code("invalid_value"))
    };
    match (anchor.as_deref(), seconds) {
        (None, None) => Ok(None),
        (Some("created_at"), Some(text)) => match text.parse::<i64>() {
            Ok(seconds) if (3600..=2_592_000).contains(&seconds) => Ok(Some(seconds)),
            _ => wrong("seconds", "a whole number from 3600 to 2592000"),
        },
        (_, None) => wrong("seconds", "given beside the anchor"),
        (_, Some(_)) => wrong("anchor", "'created_at'"),
    }
}

/// Gives the file its place, safely on disk; says what is wrong with one that shall be trained on.
fn keep(file: NamedTempFile, place: &Path, is_training: bool) -> std::io::Result<Option<String>> {
    let fault = if is_training { first_fault(file.path())? } else { None };
    file.as_file().sync_all()?;
    file.persist(place).map_err(|error| error.error)?;
    Ok(fault)
}

/// The first line that is no JSON object. What the objects say is a matter of the job.
fn first_fault(path: &Path) -> std::io::Result<Option<String>> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        if reader.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        number += 1;
        let text = line.strip_prefix(b"\xEF\xBB\xBF".as_slice()).filter(|_| number == 1).unwrap_or(&line).trim_ascii();
        let wrong = if line.len() as u64 > LONGEST_LINE {
            format!("Line {number} is longer than {} MiB", LONGEST_LINE >> 20)
        } else if text.is_empty() {
            continue;
        } else if let Err(error) = serde_json::from_slice::<IgnoredAny>(text) {
            format!("Example {number} cannot be parsed. Error: line contains invalid json: {error} (line {number})")
        } else if text[0] != b'{' {
            format!(
                "Expected file to have JSONL format, where every line is a JSON dictionary. Line {number} is not a dictionary"
            )
        } else {
            continue;
        };
        return Ok(Some(format!("Invalid file format. {wrong}")));
    }
}

/// Does what blocks on a thread that may wait.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| ApiError::internal(&error)),
        Err(error) => Err(ApiError::internal(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &[u8]) -> Option<String> {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        first_fault(file.path()).unwrap()
    }

    #[test]
    fn lines_of_objects_are_fine_whatever_ends_them() {
        assert_eq!(fault(b"\xEF\xBB\xBF{\"a\": 1}\r\n\r\n{}\n\n"), None);
        assert!(fault(b"{}\n{}\n{\"a\": }\n").unwrap().contains("Example 3 cannot be parsed"));
        assert!(fault(b"{}\n[1]\n").unwrap().contains("Line 2 is not a dictionary"));
        assert!(fault(b"{}\n\xFF\xFE\n").unwrap().contains("(line 2)"));
        let deep = [vec![b'['; 1 << 20], vec![b']'; 1 << 20]].concat();
        assert!(fault(&deep).is_some());
        assert!(fault(&vec![b' '; (LONGEST_LINE + 2) as usize]).unwrap().contains("longer than 16 MiB"));
    }

    #[test]
    fn names_are_shown_and_never_obeyed() {
        assert_eq!(plain_name("../../a\r\nX-Evil: 1"), "../../aX-Evil: 1");
        assert_eq!(plain_name("\n"), "upload");
        let fine = ["a.jsonl", "A.JSONL", "file", "upload", ".jsonl", "数据.jsonl"].map(may_be_json_lines);
        assert_eq!(fine, [true; 6]);
        assert_eq!(["a.txt", "a.jsonl.csv", "b.json"].map(may_be_json_lines), [false; 3]);
    }

    #[test]
    fn an_expiry_has_an_anchor_and_a_sane_time() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(expiry(None, None).unwrap(), None);
        assert_eq!(expiry(some("created_at"), some("3600")).unwrap(), Some(3600));
        for (anchor, seconds) in
            [(some("created_at"), some("1")), (some("then"), some("3600")), (some("created_at"), None)]
        {
            assert!(expiry(anchor, seconds).is_err());
        }
    }
}
