//! A server that speaks TLS, with a certificate that it vouches for itself.

use std::fs;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::process::Server;
use super::workbench::{failed, run};

/// Makes `cert.pem` and `key.pem` in a folder, and gives the certificate.
fn certificate(folder: &std::path::Path) -> Vec<u8> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.pem().into_bytes()
}

#[test]
fn whoever_trusts_the_certificate_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let pem = certificate(folder.path());
    let server =
        Server::with(folder.path(), &["--model", "tiny=tiny", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    assert!(server.base.starts_with("https://127.0.0.1:"), "{}", server.base);
    let url = server.base.replace("127.0.0.1", "localhost") + "/models";
    let agent = |roots: RootCerts| -> Agent {
        let tls = TlsConfig::builder().root_certs(roots).build();
        Agent::config_builder().tls_config(tls).build().into()
    };
    let trusted = RootCerts::from(std::iter::once(Certificate::from_pem(&pem).unwrap()));
    let body = agent(trusted).get(&url).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(body.contains("\"tiny\""), "{body}");
    assert!(agent(RootCerts::from(std::iter::empty())).get(&url).call().is_err(), "nobody vouches for it");
    assert!(
        agent(RootCerts::from(std::iter::empty())).get(url.replace("https", "http")).call().is_err(),
        "it is no HTTP"
    );
}

#[test]
fn files_that_are_no_certificate_are_told() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    fs::write(folder.path().join("empty.pem"), "").unwrap();
    let start = |files: &str| failed(folder.path(), &format!("serve --port 0 --data d --model a=tiny {files}"));
    let said = start("--tls-cert none.pem --tls-key key.pem");
    assert!(said.contains("none.pem") && said.contains("--tls-cert"), "{said}");
    for files in ["--tls-cert empty.pem --tls-key key.pem", "--tls-cert cert.pem --tls-key cert.pem"] {
        let said = start(files);
        assert!(said.contains("PEM"), "{said}");
    }
    assert!(!folder.path().join("d").exists(), "nothing is made for a server that cannot start");
    assert_eq!(run(folder.path(), "serve --tls-cert cert.pem").status.code(), Some(2));
}
