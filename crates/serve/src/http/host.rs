//! Who is only reached from this machine answers to its names alone.
//!
//! The name of a foreign site may be made to lead here (DNS rebinding). A browser then takes the server for that site and lets
//! its pages read the answers; but it says in `Host` whom it means to ask.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::config::ServeConfig;
use crate::error::ApiError;

/// Lets a request through that means this server. Programs that say no name at all do not come from a browser.
pub async fn refuse_other_names(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(host) = request.headers().get(header::HOST) else { return Ok(next.run(request).await) };
    let name = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    if name.is_some_and(|name| is_ours(&app.config, name.host())) {
        return Ok(next.run(request).await);
    }
    let problem =
        "This server does not go by the name in the header 'Host'; whoever runs it can add it with '--allow-host'";
    Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, problem))
}

/// Whether a name, without its port, is one of this server. Where others may connect any name may be.
fn is_ours(config: &ServeConfig, name: &str) -> bool {
    if !config.address.ip().is_loopback() {
        return true;
    }
    let name = name.trim_end_matches('.');
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_local =
        |name: &str| name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    is_local(name)
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || config.names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Limits, WorkplaceConfig};
    use crate::traffic::RecordConfig;

    fn config(address: &str) -> ServeConfig {
        ServeConfig {
            address: address.parse().unwrap(),
            workplace: WorkplaceConfig::new("data".into(), Vec::new()),
            names: vec!["mood.example".into()],
            tls: None,
            without_keys: false,
            record: RecordConfig::default(),
            limits: Limits::default(),
        }
    }

    #[test]
    fn the_names_of_this_machine_and_those_that_were_given_are_ours() {
        let here = config("127.0.0.1:8000");
        for name in
            ["localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.1.2.3", "[::1]", "mood.EXAMPLE"]
        {
            assert!(is_ours(&here, name), "{name}");
        }
        for name in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "xlocalhost", ""]
        {
            assert!(!is_ours(&here, name), "{name}");
        }
        assert!(is_ours(&config("0.0.0.0:8000"), "anything.example"));
    }
}
