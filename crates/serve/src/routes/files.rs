//! `/files`: upload, list, get, delete, content.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Multipart, Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::{listed, no_cursor};
use crate::app::App;
use crate::error::ApiError;
use crate::http::Parameters;
use crate::store::{FileRow, Page};
use crate::upload;

/// The purpose of the numbers that a job leaves.
pub const RESULTS: &str = "fine-tune-results";
/// What a form has beside its file.
const FORM_BYTES: usize = 64 << 10;

pub fn routes(app: &App) -> Router<Arc<App>> {
    let limit = DefaultBodyLimit::max(app.config.limits.file_bytes + FORM_BYTES);
    Router::new()
        .route("/files", post(create).layer(limit).get(list))
        .route("/files/{id}", get(retrieve).delete(delete))
        .route("/files/{id}/content", get(content))
}

fn shown(file: &FileRow) -> Value {
    json!({
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.filename,
        "bytes": file.bytes,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "status": file.status,
        "status_details": file.status_details,
    })
}

async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    multipart: Multipart,
) -> Result<Json<Value>, ApiError> {
    upload::check_length(&headers, app.config.limits.file_bytes + FORM_BYTES)?;
    Ok(Json(shown(&upload::receive(&app, multipart).await?)))
}

async fn list(State(app): State<Arc<App>>, parameters: Parameters) -> Result<Json<Value>, ApiError> {
    let ascending = match parameters.get("order") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => {
            return Err(ApiError::bad_request("'order' must be 'asc' or 'desc'").param("order").code("invalid_value"));
        }
    };
    let page = Page { ascending, ..Page::new(&parameters, 10_000)? };
    let found = app.store.files(parameters.get("purpose"), &page).await?;
    let (files, more) = found.ok_or_else(|| no_cursor("File", &page))?;
    Ok(Json(listed(files.iter().map(shown).collect(), more)))
}

async fn known(app: &App, id: &str) -> Result<FileRow, ApiError> {
    let missing = || ApiError::not_found(format!("No such File object: {id}")).param("id");
    app.store.file(id).await?.ok_or_else(missing)
}

async fn retrieve(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    Ok(Json(shown(&known(&app, &id).await?)))
}

async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let file = known(&app, &id).await?;
    if let Some(job) = app.store.job_that_needs(&file.id).await? {
        let message = format!("The file is used by the fine-tuning job {job}: cancel it first");
        return Err(ApiError::bad_request(message).param("id"));
    }
    app.store.delete_file(&file.id).await?;
    let place = app.folder.file(&file.id);
    upload::blocking(move || std::fs::remove_file(place)).await?;
    Ok(Json(json!({"id": file.id, "object": "file", "deleted": true})))
}

/// The bytes of a file. Results are base64 of the CSV, as programs expect that read them; `?format=csv` or `Accept: text/csv`
/// asks for the CSV.
async fn content(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let file = known(&app, &id).await?;
    let wants_csv = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/csv"));
    let is_plain = wants_csv || parameters.get("format") == Some("csv");
    let place = app.folder.file(&file.id);
    let mut response = if file.purpose == RESULTS && !is_plain {
        let bytes = upload::blocking(move || std::fs::read(place)).await?;
        STANDARD.encode(bytes).into_response()
    } else {
        let opened = tokio::fs::File::open(place).await.map_err(|error| ApiError::internal(&error))?;
        let mut response = Body::from_stream(ReaderStream::new(opened)).into_response();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(file.bytes));
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, attachment(&file.filename));
    Ok(response)
}

/// The name in ASCII for old readers, and in full as RFC 6266 has it.
fn attachment(name: &str) -> HeaderValue {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._- ".contains(c);
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let escaped: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{escaped}");
    HeaderValue::try_from(text).expect("only plain characters are left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_the_header() {
        let header = attachment("../\"a\"\r\nSet-Cookie: ü.jsonl");
        let text = header.to_str().unwrap();
        assert!(text.starts_with("attachment; filename=\".._"), "{text}");
        assert!(text.ends_with("%C3%BC.jsonl") && !text.contains('\n'), "{text}");
    }
}
