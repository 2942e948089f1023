//! The pages for people: files of `web`, which the binary carries, and the reports of models.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use rust_embed::Embed;

use crate::app::App;
use crate::error::ApiError;
use crate::jobs::{Tally, run_folder};

/// Nothing comes from elsewhere, and nothing that stands in a page itself is run.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A report brings its styles along and needs nothing else. It quotes texts of strangers, hence the sandbox.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";

#[derive(Embed)]
#[folder = "web/"]
struct Files;

/// The pages themselves, which tell nothing and need no key.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(front))
        .route("/ui", get(Redirect::permanent("/ui/")))
        .route("/ui/", get(async || file("index.html")))
        .route("/ui/{name}", get(async |Path(name): Path<String>| file(&name)))
        .route("/ui/pages/{name}", get(async |Path(name): Path<String>| file(&format!("pages/{name}"))))
}

/// What the pages show beside the API.
pub fn reports() -> Router<Arc<App>> {
    Router::new().route("/ui/models/{model}/report", get(report))
}

/// A browser is led to the pages; any other client learns that the server is well.
async fn front(headers: HeaderMap) -> Response {
    let wants_page = |accept: &header::HeaderValue| accept.to_str().is_ok_and(|accept| accept.contains("text/html"));
    if headers.get(header::ACCEPT).is_some_and(wants_page) {
        return Redirect::temporary("/ui/").into_response();
    }
    StatusCode::OK.into_response()
}

/// A file of the pages. Its name is looked for among the known ones and never given to the file system.
fn file(name: &str) -> Response {
    let found = Files::iter().find(|known| known == name).and_then(|known| Files::get(&known));
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    let Some(found) = found else {
        return ApiError::not_found(format!("There is no page '{name}'")).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Pages of another version would speak to this server otherwise.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, found.data).into_response()
}

/// The report of the run that made a model.
async fn report(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let model = app.store.model(&name).await?.ok_or_else(|| ApiError::no_model(&name))?;
    let page = tokio::fs::read_to_string(run_folder(&app, &model.job).join("report.html")).await;
    let page = page.map_err(|_| ApiError::not_found(format!("The model '{name}' has no report")))?;
    let page = without_paths(&app, &model.job, &page);
    let page = match Tally::of(&app, &model.job).await {
        Some(tally) => with_tally(&page, &tally)?,
        None => page,
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, REPORT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, Html(page)).into_response())
}

/// A report with the names that clients know instead of paths of this machine.
fn without_paths(app: &App, job: &str, page: &str) -> String {
    let page = page.replace(&format!("{}/", app.folder.job(job).display()), "");
    let bases = app.models.bases().iter().filter(|base| base.source.is_absolute());
    bases.fold(page, |page, base| page.replace(&base.source.display().to_string(), &base.name))
}

/// What both models answered, as a part of a report.
#[derive(Template)]
#[template(path = "tally.html")]
struct TallySection<'a> {
    tally: &'a Tally,
    noun: String,
}

/// A report with the tally at its end.
fn with_tally(page: &str, tally: &Tally) -> Result<String, ApiError> {
    let section = TallySection { tally, noun: tally.file.replace('_', " ") };
    let section = section.render().map_err(|error| ApiError::internal(&error))?;
    // The reports end with it; texts in them are escaped.
    Ok(match page.rsplit_once("</main>") {
        Some((before, after)) => format!("{before}{section}</main>{after}"),
        None => page.to_owned(),
    })
}
