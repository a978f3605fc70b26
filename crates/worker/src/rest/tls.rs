//! TLS of the API: a certificate and its key, once at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds something else.
    #[error("[WK033] `{path}` holds no {what}: name a PEM file that this process may read with {flag}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// The flag that names it.
        flag: &'static str,
        /// What was found.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not belong together, or are of a kind that cannot be used.
    #[error(
        "[WK033] the certificate of --tls-cert and the key of --tls-key cannot be used: they have to belong together"
    )]
    Pair(#[source] rustls::Error),
}

/// Reads a certificate chain and its key.
///
/// Errors: [`TlsError`].
pub fn server_config(certificates: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let of_certificates = |cause| TlsError::File {
        path: certificates.to_owned(),
        what: "certificate",
        flag: "--tls-cert",
        cause,
    };
    let of_key = |cause| TlsError::File {
        path: key.to_owned(),
        what: "private key",
        flag: "--tls-key",
        cause,
    };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(of_certificates)?;
    if chain.is_empty() {
        return Err(of_certificates(rustls::pki_types::pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(of_key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
