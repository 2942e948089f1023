//! Pages of other sites may not ask.
//!
//! A browser sends what any page it shows tells it to send, to this machine as well, and only hides the answer. Without this a
//! site that somebody merely reads could upload files and start jobs on a server that asks for no key. Programs send no `Origin`.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;

/// Lets a request through that comes from no page, or from one of this server.
pub async fn refuse_other_sites(request: Request, next: Next) -> Result<Response, ApiError> {
    if is_of_another_site(request.headers()) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "Pages of other sites may not use this server"));
    }
    Ok(next.run(request).await)
}

/// Whether the page that asks was loaded from another host or port than the one that is asked.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let asked = headers.get(header::HOST).map(|host| host.as_bytes());
    let from = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host.as_bytes());
    from.is_none() || from != asked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::from_iter([(header::HOST, "127.0.0.1:8000".parse().unwrap())]);
        headers.extend(origin.map(|origin| (header::ORIGIN, origin.parse().unwrap())));
        is_of_another_site(&headers)
    }

    #[test]
    fn only_own_pages_and_programs_may_ask() {
        assert!(![None, Some("http://127.0.0.1:8000"), Some("https://127.0.0.1:8000")].into_iter().any(is_refused));
        let others =
            ["http://127.0.0.1:8001", "http://localhost:8000", "https://example.org", "null", "", "127.0.0.1:8000"];
        assert!(others.into_iter().map(Some).all(is_refused));
    }
}
