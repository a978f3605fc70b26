//! TLS as libpq's `sslmode` means it, on rustls with ring.
//!
//! In: the TLS fields of a configuration, their files. Out: a rustls client configuration, read anew for each connection
//! so that renewed certificates are picked up. Never here: deciding whether to try again without TLS (`session`).
//! Source: PostgreSQL manual, "SSL Support" (libpq).

mod binding;
mod verify;

pub(crate) use binding::tls_server_end_point;

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{RootCertificates, SslNegotiation};
use crate::{ConnectionConfig, PostgresError, SslMode};
use verify::{Trust, Verifier};

const DECRYPT_FIX: &str = "decrypt it: openssl pkey -in encrypted.key -out plain.key (mode 0600)";

/// Builds the rustls configuration. Errors: [`PostgresError::TlsMaterial`] naming the file.
pub(crate) async fn client_config(
    config: &ConnectionConfig,
) -> Result<ClientConfig, PostgresError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Verifier::new(trust(config).await?, algorithms);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| material("sslmode", config.ssl_mode.as_str(), &error, "report this"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut client = match (&config.ssl_cert, &config.ssl_key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates("sslcert", certificate).await?;
            let secret = private_key(key).await?;
            builder.with_client_auth_cert(chain, secret).map_err(|error| {
                let fix = "give the certificate and the private key that belong together";
                material("sslkey", &key.display().to_string(), &error, fix)
            })?
        }
        (None, None) => builder.with_no_client_auth(),
        (Some(alone), None) => return Err(half("sslcert", alone, "set sslkey to its private key")),
        (None, Some(alone)) => return Err(half("sslkey", alone, "set sslcert to its certificate")),
    };
    if config.ssl_negotiation == SslNegotiation::Direct {
        client.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(client)
}

/// Whom to trust under this sslmode.
async fn trust(config: &ConnectionConfig) -> Result<Trust, PostgresError> {
    let check_name = match config.ssl_mode {
        SslMode::Disable | SslMode::Allow | SslMode::Prefer => return Ok(Trust::Anybody),
        // A given authority is meant to be used: libpq treats `require` as `verify-ca` then.
        SslMode::Require if config.ssl_root_cert.is_none() => return Ok(Trust::Anybody),
        SslMode::Require | SslMode::VerifyCa => false,
        SslMode::VerifyFull => true,
    };
    let anchors = match &config.ssl_root_cert {
        Some(RootCertificates::File(path)) => certificates("sslrootcert", path).await?,
        Some(RootCertificates::System) | None => system_roots().await?,
    };
    Ok(Trust::Authorities { anchors, check_name })
}

/// The operating system's trust store. Reads a hundred files, so away from the async threads.
async fn system_roots() -> Result<Vec<CertificateDer<'static>>, PostgresError> {
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    match loaded {
        Ok(found) if !found.certs.is_empty() => Ok(found.certs),
        Ok(_) | Err(_) => Err(PostgresError::TlsMaterial {
            setting: "sslrootcert",
            path: "system".to_owned(),
            reason: "the operating system has no trusted certificates".to_owned(),
            fix: "install ca-certificates, or give the authority's certificate as sslrootcert",
            source: None,
        }),
    }
}

/// The certificates of a PEM file, or the single one of a DER file.
async fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, PostgresError> {
    let fix = "give a file with PEM certificates (-----BEGIN CERTIFICATE-----)";
    let bytes = read(setting, path).await?;
    if bytes.first() == Some(&DER_SEQUENCE) {
        return Ok(vec![CertificateDer::from(bytes)]);
    }
    let parsed = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match parsed {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(material(setting, &path.display().to_string(), &"no certificate in it", fix)),
        Err(error) => Err(material(setting, &path.display().to_string(), &error, fix)),
    }
}

/// The private key of a PEM file, or of PKCS#8 DER as the JDBC driver wants it (`.pk8`).
async fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PostgresError> {
    let shown = path.display().to_string();
    let bytes = read("sslkey", path).await?;
    if bytes.first() == Some(&DER_SEQUENCE) {
        return PrivateKeyDer::try_from(bytes)
            .map_err(|error| material("sslkey", &shown, &error, DECRYPT_FIX));
    }
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("ENCRYPTED") {
        return Err(material("sslkey", &shown, &"the key is encrypted", DECRYPT_FIX));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let fix = "give a PEM private key (PKCS#8, PKCS#1 or SEC1) or PKCS#8 DER";
        material("sslkey", &shown, &error, fix)
    })
}

/// The first byte of every DER certificate and key; no PEM file begins with it.
const DER_SEQUENCE: u8 = 0x30;

async fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, PostgresError> {
    tokio::fs::read(path).await.map_err(|source: io::Error| PostgresError::TlsMaterial {
        setting,
        path: path.display().to_string(),
        reason: "it cannot be read".to_owned(),
        fix: "check the path and that we may read the file",
        source: Some(source),
    })
}

fn material(
    setting: &'static str,
    path: &str,
    reason: &dyn ToString,
    fix: &'static str,
) -> PostgresError {
    let reason = reason.to_string();
    PostgresError::TlsMaterial { setting, path: path.to_owned(), reason, fix, source: None }
}

fn half(setting: &'static str, path: &Path, fix: &'static str) -> PostgresError {
    material(setting, &path.display().to_string(), &"its other half is missing", fix)
}
