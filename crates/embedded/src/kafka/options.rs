//! What a caller may ask of Apache Kafka. In: fields. Out: fields. Never here: names of Kafka's properties.

use std::{path::PathBuf, time::Duration};

/// Which Apache Kafka to start, where, and how it is set up. [`Default`] is one temporary broker without security.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Which version.
    pub version: KafkaVersion,
    /// Where the brokers keep their data, one folder each; kept when they end. `None`: temporary, removed at the end.
    pub data_dir: Option<PathBuf>,
    /// How many brokers, 1 or 3; each is a controller too. They are numbered from 1.
    pub brokers: usize,
    /// Properties of each broker, as in `server.properties`; they win over this crate's.
    pub settings: Vec<(String, String)>,
    /// Listeners beside the plaintext one, which is always there.
    pub listeners: Vec<Listener>,
    /// Ports of 127.0.0.1 that clients are told instead of a listener's own, by its name, when something stands before it. Only with
    /// one broker.
    pub advertised: Vec<(String, u16)>,
    /// Users that SASL listeners know.
    pub users: Vec<SaslUser>,
    /// Feature levels other than the version's own, as `("transaction.version", 1)`; used when the data folder is made.
    pub features: Vec<(String, u16)>,
    /// Heap of each broker in MiB.
    pub heap_mib: u32,
    /// How long the cluster may take to answer after its start.
    pub deadline: Duration,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            version: KafkaVersion::V4_3_1,
            data_dir: None,
            brokers: 1,
            settings: Vec::new(),
            listeners: Vec::new(),
            advertised: Vec::new(),
            users: Vec::new(),
            features: Vec::new(),
            heap_mib: 256,
            deadline: Duration::from_mins(2),
        }
    }
}

impl KafkaOptions {
    /// Temporary brokers of this version.
    pub fn version(version: KafkaVersion) -> Self {
        Self { version, ..Self::default() }
    }

    /// Adds one broker property.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }
}

/// The versions that are pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KafkaVersion {
    /// 3.9.2: the last line before 4; no `transaction.version` 2.
    V3_9_2,
    /// 4.3.1.
    #[default]
    V4_3_1,
}

impl KafkaVersion {
    /// As Kafka writes it: `4.3.1`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V3_9_2 => "3.9.2",
            Self::V4_3_1 => "4.3.1",
        }
    }
}

/// One more address each broker listens on.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Upper-case name, other than `PLAINTEXT` and `CONTROLLER`; [`crate::Kafka::bootstrap_of`] takes it.
    pub name: String,
    /// What it asks of clients.
    pub security: ListenerSecurity,
    /// Properties of this listener without their `listener.name.<name>.` prefix.
    pub settings: Vec<(String, String)>,
}

/// What a listener asks of clients.
#[derive(Debug, Clone)]
pub enum ListenerSecurity {
    /// Nothing.
    Plaintext,
    /// TLS.
    Ssl(TlsFiles),
    /// A user and a password, in clear text on the wire.
    SaslPlaintext(Vec<SaslMechanism>),
    /// A user and a password, over TLS.
    SaslSsl(Vec<SaslMechanism>, TlsFiles),
}

/// Certificates and key of the brokers, as PEM text. The certificate must name `127.0.0.1`.
#[derive(Clone)]
pub struct TlsFiles {
    /// The brokers' certificate, followed by intermediate ones.
    pub certificate_chain_pem: String,
    /// Its private key, PKCS#8, not encrypted.
    pub private_key_pem: String,
    /// The authorities whose client certificates are accepted.
    pub trusted_pem: String,
    /// Whether clients show a certificate.
    pub client_auth: TlsClientAuth,
}

impl std::fmt::Debug for TlsFiles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TlsFiles")
            .field("client_auth", &self.client_auth)
            .finish_non_exhaustive()
    }
}

/// Whether a TLS listener wants a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsClientAuth {
    /// It does not ask.
    #[default]
    None,
    /// It refuses clients without one.
    Required,
}

/// How a SASL listener checks a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// `PLAIN`
    Plain,
    /// `SCRAM-SHA-256`
    ScramSha256,
    /// `SCRAM-SHA-512`
    ScramSha512,
    /// `OAUTHBEARER`, accepting unsecured tokens (RFC 7515 appendix A.5) as Kafka does without further settings.
    OAuthBearer,
}

impl SaslMechanism {
    /// As Kafka writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }
}

/// A user of SASL listeners, known to `PLAIN` and both kinds of SCRAM.
#[derive(Clone)]
pub struct SaslUser {
    /// Letters and digits.
    pub name: String,
    /// Letters, digits and `-`, `_`, `.`.
    pub password: String,
}

impl std::fmt::Debug for SaslUser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SaslUser").field("name", &self.name).finish_non_exhaustive()
    }
}
