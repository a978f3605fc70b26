//! The check of a server's certificate, in the three strengths of `sslmode`.
//!
//! Source: PostgreSQL manual, "Client Verification of Server Certificates".

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Whom to believe.
pub(super) enum Trust {
    /// Whoever holds the key of the certificate it shows: encryption without identity.
    Anybody,
    /// Whoever one of these vouches for.
    Authorities {
        /// The certificates given as trusted.
        anchors: Vec<CertificateDer<'static>>,
        /// Whether the certificate must also carry the name we connect to.
        check_name: bool,
    },
}

/// [`Trust`] as rustls wants it.
#[derive(Debug)]
pub(super) struct Verifier {
    roots: RootCertStore,
    /// The anchors as they are: a server may show the very certificate we were given, even if that is an authority's own.
    pinned: Vec<CertificateDer<'static>>,
    check_authority: bool,
    check_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(trust: Trust, algorithms: WebPkiSupportedAlgorithms) -> Self {
        let mut roots = RootCertStore::empty();
        let (pinned, check_authority, check_name) = match trust {
            Trust::Anybody => (Vec::new(), false, false),
            Trust::Authorities { anchors, check_name } => {
                roots.add_parsable_certificates(anchors.iter().cloned());
                (anchors, true, check_name)
            }
        };
        Self { roots, pinned, check_authority, check_name, algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check_authority {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            if !self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
                let all = self.algorithms.all;
                let roots = &self.roots;
                verify_server_cert_signed_by_trust_anchor(
                    &certificate,
                    roots,
                    intermediates,
                    now,
                    all,
                )?;
            }
            if self.check_name {
                verify_server_name(&certificate, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
