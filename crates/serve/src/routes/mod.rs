//! What can be asked for, a file for each kind of thing.

mod chat;
mod completions;
mod embeddings;
mod explanations;
mod files;
mod jobs;
mod models;
mod openapi;
mod pages;
mod tei;
mod traffic;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::http::{Fields, admit, counted};
use crate::models::Resolved;
use crate::store::Page;

pub use files::RESULTS;

/// All routes, once below `/v1` and once at the root: clients differ in whether the base URL has a `/v1`.
pub fn all(app: &Arc<App>) -> Router<Arc<App>> {
    let (counted, admitted) = (from_fn_with_state(app.clone(), counted), from_fn_with_state(app.clone(), admit));
    let answers = chat::routes().merge(completions::routes()).merge(embeddings::routes());
    let routes = files::routes(app)
        .merge(jobs::routes())
        .merge(models::routes())
        .merge(traffic::routes())
        .merge(explanations::routes());
    let routes = routes.merge(answers.route_layer(counted.clone())).route_layer(admitted.clone());
    let of_classifiers = tei::answers().route_layer(counted).merge(tei::info()).route_layer(admitted.clone());
    let for_people = pages::reports().route_layer(admitted).merge(pages::routes());
    let open_to_all = tei::health().merge(openapi::routes());
    let twice = Router::new().nest("/v1", routes.clone()).merge(routes);
    twice.merge(of_classifiers).merge(for_people).merge(open_to_all)
}

/// The model that a request names.
///
/// # Errors
/// None, or one that there is not.
async fn named_model(app: &App, fields: &mut Fields) -> Result<Resolved, ApiError> {
    let name = fields.text("model")?.ok_or_else(|| ApiError::bad_request("you must provide a model parameter"))?;
    app.models.resolve(&name, &app.store, &app.folder).await
}

/// A page of a list, whose items have ids.
fn listed(data: Vec<Value>, more: bool) -> Value {
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let (first, last) = (id(data.first()), id(data.last()));
    json!({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more})
}

/// The error for a page that should begin behind something that is not there.
fn no_cursor(kind: &str, page: &Page) -> ApiError {
    let after = page.after.as_deref().unwrap_or_default();
    ApiError::bad_request(format!("No such {kind} object: {after}")).param("after")
}
