//! The pages for people: what is served to whom, and under which rules.

use std::sync::Arc;

use serde_json::json;
use ureq::Agent;
use ureq::http::Response;

use super::client::{Server, chat, keys};

/// Asks for a path as a browser or as another client does.
fn ask(server: &Server, path: &str, accept: &str) -> Response<ureq::Body> {
    let agent = Agent::config_builder().http_status_as_error(false).max_redirects(0).build().new_agent();
    agent.get(format!("http://{}{path}", server.address)).header("accept", accept).call().unwrap()
}

fn header<'a>(response: &'a Response<ureq::Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn a_browser_is_led_to_the_pages_and_another_client_is_not() {
    let server = Server::start();
    let led = ask(&server, "/", "text/html,application/xhtml+xml,*/*;q=0.8");
    assert_eq!((led.status().as_u16(), header(&led, "location")), (307, "/ui/"));
    for accept in ["*/*", "application/json", ""] {
        let mut well = ask(&server, "/", accept);
        assert_eq!((well.status().as_u16(), well.body_mut().read_to_string().unwrap().as_str()), (200, ""));
    }
    assert_eq!(header(&ask(&server, "/ui", "text/html"), "location"), "/ui/");
}

#[test]
fn every_page_forbids_scripts_in_itself_and_anything_from_elsewhere() {
    let server = Server::start();
    let kinds = [
        ("/ui/", "text/html; charset=utf-8"),
        ("/ui/style.css", "text/css; charset=utf-8"),
        ("/ui/main.js", "text/javascript; charset=utf-8"),
        ("/ui/pages/data.js", "text/javascript; charset=utf-8"),
        ("/ui/icon.svg", "image/svg+xml"),
    ];
    for (path, kind) in kinds {
        let mut page = ask(&server, path, "*/*");
        assert_eq!((page.status().as_u16(), header(&page, "content-type")), (200, kind), "{path}");
        let policy = header(&page, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(header(&page, "x-content-type-options"), "nosniff");
        let text = page.body_mut().read_to_string().unwrap();
        assert!(!text.contains("https://") && !text.contains("innerHTML"), "{path}");
    }
    for unknown in ["/ui/nothing.js", "/ui/..%2FCargo.toml", "/ui/pages/..%2F..%2FCargo.toml", "/ui/%2Fetc%2Fpasswd"] {
        let page = ask(&server, unknown, "text/html");
        assert_eq!((page.status().as_u16(), header(&page, "content-type")), (404, "application/json"), "{unknown}");
    }
}

#[test]
fn the_report_of_a_model_is_shown_in_a_sandbox_to_whoever_may_ask() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let base = folder.path().join("base");
    let server = Server::with(folder, |config| config.workplace.models[0].source = base.clone());
    let file = server.uploaded(&chat(12));
    let job = server.job(&json!({"model": "small", "training_file": file}));
    let job = server.wait(&job, "succeeded");
    let name = job["fine_tuned_model"].as_str().unwrap();
    assert_eq!(server.get(&format!("/models/{name}")).json(200)["fine_tuning_job"], job["id"]);
    let path = format!("/ui/models/{}/report", name.replace(':', "%3A"));
    assert_eq!(ask(&server, &path, "text/html").status().as_u16(), 404);
    let run = server.folder.path().join("data/jobs").join(job["id"].as_str().unwrap()).join("run");
    let (data, base) = (run.with_file_name("train.jsonl"), base.display());
    std::fs::write(run.join("report.html"), format!("<p>{base} on {}</p>", data.display())).unwrap();
    let mut report = ask(&server, &path, "text/html");
    assert_eq!(report.body_mut().read_to_string().unwrap(), "<p>small on train.jsonl</p>");
    let policy = header(&report, "content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    assert_eq!(ask(&server, "/ui/models/small/report", "text/html").status().as_u16(), 404);

    finetone_serve::create_key(&keys(server.folder.path()), "laptop").unwrap();
    assert_eq!(ask(&server, &path, "text/html").status().as_u16(), 401);
    assert_eq!(ask(&server, "/ui/", "text/html").status().as_u16(), 200);
}
