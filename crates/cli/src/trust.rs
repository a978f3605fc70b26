//! Certificates to trust, from a file that the environment names.

use std::path::Path;

use ureq::tls::{PemItem, RootCerts};

/// The certificates of a file.
///
/// Errors: why it cannot be used.
pub(crate) fn roots(path: &Path) -> Result<RootCerts, String> {
    let pem = std::fs::read(path).map_err(|cause| cause.to_string())?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM form".to_owned());
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
