//! How to reach one database: typed, complete, and the same for SQL sessions and for the replication connection.
//!
//! In: a `postgres://` URL, a libpq keyword string, or Debezium's `database.*` values through the setters.
//! Out: [`ConnectionConfig`]. Never here: I/O, environment variables, password files.
//! Source: PostgreSQL manual, "Database Connection Control Functions" (libpq); Debezium, `database.*` properties.

mod keywords;
mod parameter;
mod url;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::PostgresError;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name or an IP address.
    Tcp(String),
    /// The directory of a Unix socket.
    Unix(PathBuf),
}

/// How much TLS, in libpq's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only when the server refuses us without.
    Allow,
    /// When the server has it. Protects from nobody who can change packets.
    Prefer,
    /// Always; the certificate is checked only if `sslrootcert` is given (then as `verify-ca`), as libpq does.
    Require,
    /// Always, with a certificate of a trusted authority.
    VerifyCa,
    /// Always, with a certificate of a trusted authority for the very name we connect to.
    VerifyFull,
}

impl SslMode {
    /// The word users write.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// How TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslNegotiation {
    /// `SSLRequest` first, as every server understands.
    Postgres,
    /// TLS from the first byte, PostgreSQL 17 and later: one round trip less.
    Direct,
}

/// Whether SCRAM must be bound to the TLS channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// When both sides can.
    Prefer,
    /// Or do not log in.
    Require,
}

/// Which of several hosts will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionAttributes {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// Whom to trust about the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootCertificates {
    /// The trust store of the operating system.
    System,
    /// A PEM file.
    File(PathBuf),
}

/// A secret that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// TCP keepalive: how a silent peer is asked whether it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keepalive {
    pub(crate) enabled: bool,
    /// Silence before the first question.
    pub(crate) idle: Duration,
    /// Between two questions.
    pub(crate) interval: Duration,
    /// Questions without an answer that end the connection.
    pub(crate) count: u32,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            enabled: true,
            idle: Duration::from_secs(30),
            interval: Duration::from_secs(5),
            count: 6,
        }
    }
}

/// How to reach one database. `Debug` hides the secrets.
///
/// Defaults: port 5432, `sslmode=prefer`, 10 s to connect on each host, 10 min for an answer, `application_name=tributary`,
/// database named as the user. A peer that vanished is noticed within about a minute: TCP keepalive after 30 s of silence, then
/// each 5 s, and `tcp_user_timeout` 60 s.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionConfig {
    pub(crate) hosts: Vec<(Host, u16)>,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) dbname: Option<String>,
    pub(crate) application_name: String,
    pub(crate) options: Option<String>,
    pub(crate) ssl_mode: SslMode,
    pub(crate) ssl_negotiation: SslNegotiation,
    pub(crate) ssl_root_cert: Option<RootCertificates>,
    pub(crate) ssl_cert: Option<PathBuf>,
    pub(crate) ssl_key: Option<PathBuf>,
    pub(crate) ssl_password: Option<Secret>,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) connect_timeout: Duration,
    pub(crate) keepalive: Keepalive,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) answer_timeout: Duration,
    pub(crate) session_attributes: SessionAttributes,
    pub(crate) initial_statements: Vec<String>,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            hosts: vec![(Host::Tcp("localhost".to_owned()), PORT_DEFAULT)],
            user: String::new(),
            password: None,
            dbname: None,
            application_name: "tributary".to_owned(),
            options: None,
            ssl_mode: SslMode::Prefer,
            ssl_negotiation: SslNegotiation::Postgres,
            ssl_root_cert: None,
            ssl_cert: None,
            ssl_key: None,
            ssl_password: None,
            channel_binding: ChannelBinding::Prefer,
            connect_timeout: Duration::from_secs(10),
            keepalive: Keepalive::default(),
            user_timeout: Some(Duration::from_mins(1)),
            answer_timeout: Duration::from_mins(10),
            session_attributes: SessionAttributes::Any,
            initial_statements: Vec::new(),
        }
    }
}

/// PostgreSQL's registered port.
pub(crate) const PORT_DEFAULT: u16 = 5432;

impl ConnectionConfig {
    /// Starts from the defaults, for the setters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads whichever form `text` has: a `postgres://` or `postgresql://` URL, or libpq keywords.
    pub fn parse(text: &str) -> Result<Self, PostgresError> {
        if url::is_url(text) { Self::from_url(text) } else { Self::from_keywords(text) }
    }

    /// Reads a URL: `postgres://user:password@host:port,host2:port2/dbname?sslmode=verify-full&…`.
    ///
    /// Every part may be percent-encoded; a host that begins with `/` is a socket directory; the query takes libpq's
    /// parameters. Errors: [`PostgresError::Configuration`] naming the part.
    pub fn from_url(text: &str) -> Result<Self, PostgresError> {
        url::parse(text)
    }

    /// Reads libpq keywords: `host=db port=5433 user=cdc password='a b' sslmode=require`.
    pub fn from_keywords(text: &str) -> Result<Self, PostgresError> {
        keywords::parse(text)
    }

    /// Sets one parameter by its libpq name, as in a URL's query.
    ///
    /// Errors: [`PostgresError::Configuration`] for an unknown name or a value it does not take.
    pub fn with_parameter(mut self, name: &str, value: &str) -> Result<Self, PostgresError> {
        parameter::set(&mut self, name, value)?;
        Ok(self)
    }

    /// `database.hostname`: one or more names, addresses or socket directories, comma-separated, tried in order.
    pub fn with_host(self, host: &str) -> Result<Self, PostgresError> {
        self.with_parameter("host", host)
    }

    /// `database.port`, for every host.
    pub fn with_port(mut self, port: u16) -> Self {
        for host in &mut self.hosts {
            host.1 = port;
        }
        self
    }

    /// `database.user`.
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// `database.password`.
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Secret(password.into()));
        self
    }

    /// `database.dbname`.
    pub fn with_dbname(mut self, dbname: impl Into<String>) -> Self {
        self.dbname = Some(dbname.into());
        self
    }

    /// `database.sslmode`.
    pub fn with_sslmode(self, mode: &str) -> Result<Self, PostgresError> {
        self.with_parameter("sslmode", mode)
    }

    /// `database.sslrootcert`: a PEM file, or `system`.
    pub fn with_sslrootcert(self, path: &str) -> Result<Self, PostgresError> {
        self.with_parameter("sslrootcert", path)
    }

    /// `database.sslcert`: our certificate, PEM or DER.
    pub fn with_sslcert(mut self, path: impl AsRef<Path>) -> Self {
        self.ssl_cert = Some(path.as_ref().to_owned());
        self
    }

    /// `database.sslkey`: its key, PEM or PKCS#8 DER (`.pk8`).
    pub fn with_sslkey(mut self, path: impl AsRef<Path>) -> Self {
        self.ssl_key = Some(path.as_ref().to_owned());
        self
    }

    /// `database.sslpassword`: the password of `sslkey`. Encrypted keys are refused with the command that decrypts them.
    pub fn with_sslpassword(mut self, password: impl Into<String>) -> Self {
        self.ssl_password = Some(Secret(password.into()));
        self
    }

    /// `application_name`, how `pg_stat_activity` shows us.
    pub fn with_application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self
    }

    /// How long one host may take until the session is ready.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// `database.query.timeout.ms`: how long an answer may take. What waits for other sessions, or sends rows, may take longer.
    pub fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// `database.initial.statements`, run on every SQL session after it has connected.
    pub fn with_initial_statements(mut self, statements: Vec<String>) -> Self {
        self.initial_statements = statements;
        self
    }

    /// The sslmode in force.
    pub fn ssl_mode(&self) -> SslMode {
        self.ssl_mode
    }

    /// The role we log in as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database: as configured, else named as the user.
    pub fn dbname(&self) -> &str {
        self.dbname.as_deref().unwrap_or(&self.user)
    }

    /// How `pg_stat_activity` shows us.
    pub fn application_name(&self) -> &str {
        &self.application_name
    }

    /// The hosts in the order they are tried.
    pub fn hosts(&self) -> &[(Host, u16)] {
        &self.hosts
    }

    /// The hosts for messages: `db1:5432,db2:5432`, without any secret.
    pub fn address(&self) -> String {
        let shown: Vec<String> = self.hosts.iter().map(|(host, port)| show(host, *port)).collect();
        shown.join(",")
    }
}

/// One host for messages: `db:5432`, or the socket's path.
pub(crate) fn show(host: &Host, port: u16) -> String {
    match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
        Host::Tcp(name) => format!("{name}:{port}"),
        Host::Unix(directory) => socket_path(directory, port).display().to_string(),
    }
}

/// The socket file in its directory: `.s.PGSQL.5432`.
pub(crate) fn socket_path(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}
