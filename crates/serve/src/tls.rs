//! The certificate that the server shows, where it speaks TLS.

use std::path::PathBuf;
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;

use crate::error::ServeError;

/// A certificate and its key, both as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and behind it those that vouch for it.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Reads the files.
    pub(crate) async fn open(&self) -> Result<RustlsConfig, ServeError> {
        for path in [&self.certificate, &self.key] {
            std::fs::File::open(path)
                .map_err(|source| ServeError::Certificate { path: path.clone(), problem: source.to_string() })?;
        }
        let read = RustlsConfig::from_pem_file(&self.certificate, &self.key).await;
        let read = read.map_err(|error| ServeError::Certificate {
            path: self.certificate.clone(),
            problem: format!("with {}: {error}", self.key.display()),
        })?;
        let mut offered = (*read.get_inner()).clone();
        // The only version that is spoken, see `server`.
        offered.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(RustlsConfig::from_config(Arc::new(offered)))
    }
}
