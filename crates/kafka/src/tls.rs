//! TLS as configured -> a rustls client.
//!
//! In: a [`TlsConfig`]; PEM files are read here. Out: `rustls::ClientConfig`, made once per client.
//! Never here: sockets. A certificate that is trusted by name (in the trust store itself) is accepted
//! even if it is the broker's own, as Java does. Source: RFC 5280, RFC 6125, KIP-651 (PEM).

use std::{fmt::Display, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    server::ParsedCertificate,
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, ServerName, UnixTime,
    pem::{self, PemObject},
};

use crate::{
    KafkaError,
    config::{Identity, Pem, TlsConfig},
};

/// Reads the files and builds the client.
///
/// Errors: [`KafkaError::Certificate`], naming the setting's content that cannot be used.
pub(crate) async fn client(config: &TlsConfig) -> Result<Arc<rustls::ClientConfig>, KafkaError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trusted = match &config.trusted {
        Some(pem) => trusted_certificates(pem).await?,
        None => system_roots()?,
    };
    let verifier = Verifier::new(trusted, config.any_host_name, &provider)?;
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS", &error, "report this"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let client = match &config.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = load(identity).await?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                unusable("the client certificate", &error, "use the key that belongs to it")
            })?
        }
    };
    Ok(Arc::new(client))
}

/// The name a broker's certificate must carry: `host:port` -> host.
pub(crate) fn host_of(broker: &str) -> Result<ServerName<'static>, KafkaError> {
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| KafkaError::InvalidUrl {
        reason: format!("`{host}` is neither a DNS name nor an IP address"),
    })
}

async fn trusted_certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, KafkaError> {
    let what = describe("the trusted certificates", pem);
    certificates(&text(pem, &what).await?, &what)
}

fn system_roots() -> Result<Vec<CertificateDer<'static>>, KafkaError> {
    let loaded = rustls_native_certs::load_native_certs();
    if loaded.certs.is_empty() {
        let reasons: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
        let reason =
            if reasons.is_empty() { "none are installed".into() } else { reasons.join("; ") };
        let fix =
            "install ca-certificates, or name the issuer by ssl.truststore.location (type PEM)";
        return Err(unusable("the system's root certificates", &reason, fix));
    }
    Ok(loaded.certs)
}

async fn load(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), KafkaError> {
    let what = describe("the client certificate", &identity.certificates);
    let chain = certificates(&text(&identity.certificates, &what).await?, &what)?;
    let what = describe("the client key", &identity.key);
    let key_text = text(&identity.key, &what).await?;
    if key_text.contains("ENCRYPTED") {
        let fix = "decrypt it: openssl pkey -in encrypted.pem -out key.pem";
        return Err(unusable(&what, "it is encrypted", fix));
    }
    let key = PrivateKeyDer::from_pem_slice(key_text.as_bytes())
        .map_err(|error| unusable(&what, &error, "give a PEM key: PKCS#8, PKCS#1 or SEC1"))?;
    Ok((chain, key))
}

fn describe(what: &str, pem: &Pem) -> String {
    match pem {
        Pem::Text(_) => format!("{what} given as text"),
        Pem::File(path) => format!("{what} in {path}"),
    }
}

async fn text(pem: &Pem, what: &str) -> Result<String, KafkaError> {
    match pem {
        Pem::Text(text) => Ok(text.reveal().to_owned()),
        Pem::File(path) => tokio::fs::read_to_string(path)
            .await
            .map_err(|error| unusable(what, &error, "check the path and its permissions")),
    }
}

fn certificates(text: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, KafkaError> {
    let fix = "give PEM text with -----BEGIN CERTIFICATE-----";
    let read: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let certificates = read.map_err(|error| unusable(what, &error, fix))?;
    if certificates.is_empty() {
        return Err(unusable(what, "there is no certificate in it", fix));
    }
    Ok(certificates)
}

fn unusable(what: &str, reason: impl Display, fix: &str) -> KafkaError {
    KafkaError::Certificate { what: what.into(), reason: reason.to_string(), fix: fix.into() }
}

/// Checks a broker's certificate: its chain, and its host name unless that is switched off.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    trusted: Vec<CertificateDer<'static>>,
    any_host_name: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(
        trusted: Vec<CertificateDer<'static>>,
        any_host_name: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, KafkaError> {
        let mut roots = RootCertStore::empty();
        // What is no usable root may still be the broker's own certificate.
        roots.add_parsable_certificates(trusted.iter().cloned());
        let chain = if roots.is_empty() {
            None
        } else {
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            let fix = "give the issuer's certificate";
            let built = builder.build();
            Some(built.map_err(|error| unusable("the trusted certificates", &error, fix))?)
        };
        Ok(Self { chain, trusted, any_host_name, provider: Arc::clone(provider) })
    }

    /// The broker's own certificate is in the trust store: only its name is left to check.
    fn verify_trusted(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if !self.any_host_name {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.trusted.iter().any(|trusted| trusted == end_entity) {
            return self.verify_trusted(end_entity, server_name);
        }
        let Some(chain) = &self.chain else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is compared after the chain, so this means that the chain is good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_host_name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
