//! How to reach a cluster: addresses, security and limits.
//!
//! In: a store URL, Java client properties, or Heroku's variables. Out: [`ClientConfig`] and
//! [`crate::ProducerSettings`], checked. Never here: the environment, sockets; files are read only
//! when a client connects. Source: Kafka documentation, "Producer Configs".

mod catalog;
mod heroku;
mod jaas;
mod properties;
mod security;
mod url;

use std::{fmt, time::Duration};

pub use heroku::HerokuKafka;
pub use properties::{KafkaSettings, Note, PropertyHelp, known_properties};

/// Everything a [`crate::Client`] needs to reach a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// `bootstrap.servers`: `host:port`, tried in order.
    pub bootstrap: Vec<String>,
    /// TLS, if the listener speaks it.
    pub tls: Option<TlsConfig>,
    /// The login, if the listener asks for one.
    pub sasl: Option<SaslConfig>,
    /// `client.id`: shown in the broker's logs and quotas.
    pub client_id: String,
    /// `socket.connection.setup.timeout.ms`: TCP, TLS and login together.
    pub connect_timeout: Duration,
    /// `request.timeout.ms`: patience for the answer to one request.
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`: patience for an operation that asks more than once.
    pub api_timeout: Duration,
    /// `metadata.max.age.ms`: leaders are asked again when known for longer.
    pub metadata_max_age: Duration,
    /// `fetch.max.bytes`: bytes of one answer to a reader.
    pub fetch_bytes_max: i32,
}

impl ClientConfig {
    /// Plain TCP to these `host:port`s, everything else at its default.
    pub fn plaintext<S: Into<String>>(bootstrap: impl IntoIterator<Item = S>) -> Self {
        Self {
            bootstrap: bootstrap.into_iter().map(Into::into).collect(),
            tls: None,
            sasl: None,
            client_id: "tributary".into(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_mins(1),
            metadata_max_age: Duration::from_mins(5),
            fetch_bytes_max: 8 << 20,
        }
    }

    /// `host:port,host:port`, for messages.
    pub(crate) fn bootstrap_text(&self) -> String {
        self.bootstrap.join(",")
    }
}

/// TLS to the brokers, by rustls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Who is trusted. Empty: the system's roots.
    pub trusted: Option<Pem>,
    /// Our certificate and key for mutual TLS.
    pub identity: Option<Identity>,
    /// True if the broker's certificate need not name its host: the chain alone is checked.
    /// (`ssl.endpoint.identification.algorithm` set to the empty string.)
    pub any_host_name: bool,
}

/// A client certificate chain with its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Our certificate first, then its issuers.
    pub certificates: Pem,
    /// Its private key (PKCS#8, PKCS#1 or SEC1), not encrypted.
    pub key: Pem,
}

/// PEM text, or the file that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    /// The text itself.
    Text(Secret),
    /// Path of the file.
    File(String),
}

/// How we log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslConfig {
    /// `PLAIN`: user and password as they are.
    Plain {
        /// The user.
        username: String,
        /// Its password.
        password: Secret,
    },
    /// `SCRAM-SHA-256` or `SCRAM-SHA-512`: a proof of the password, and of the broker's.
    Scram {
        /// Which hash.
        hash: ScramHash,
        /// The user.
        username: String,
        /// Its password.
        password: Secret,
    },
    /// `OAUTHBEARER`: a token.
    OauthBearer {
        /// Where the token comes from.
        token: OauthToken,
        /// SASL extensions by name.
        extensions: Vec<(String, String)>,
    },
}

/// The hash of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramHash {
    /// `SCRAM-SHA-256`.
    Sha256,
    /// `SCRAM-SHA-512`.
    Sha512,
}

/// Where an OAUTHBEARER token comes from. It is fetched anew for every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OauthToken {
    /// The token itself.
    Given(Secret),
    /// A file that someone else keeps fresh.
    File(String),
    /// An unsigned token with these string claims, as Java's unsecured login makes them. For tests:
    /// a broker in production must not accept it.
    Unsecured {
        /// Claims by name; `sub` is the principal.
        claims: Vec<(String, String)>,
        /// Seconds until it expires.
        lifetime: Duration,
    },
}

/// Text that must not be shown: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the wire.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}
