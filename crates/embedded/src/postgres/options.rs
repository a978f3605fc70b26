//! What a caller may ask of PostgreSQL. In: fields. Out: fields. Never here: defaults that hide a decision of the caller.

use std::{path::PathBuf, time::Duration};

/// Which PostgreSQL to start, where, and how it is set up. [`Default`] is a temporary one.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Major version. `None`: that of an existing `data_dir`, else of an installed one that is 13 or later, else 17.
    pub version: Option<u16>,
    /// Where the programs come from.
    pub source: PostgresSource,
    /// The server's data folder; made if it is missing or empty, kept when the server ends. `None`: temporary, removed at the end.
    pub data_dir: Option<PathBuf>,
    /// Server settings, name and value as in `postgresql.conf` without quotes; they win over this crate's.
    pub settings: Vec<(String, String)>,
    /// The whole content of `pg_hba.conf`. `None`: everybody on 127.0.0.1 and on the socket is trusted.
    pub pg_hba: Option<String>,
    /// Password of the superuser `postgres`, set when the data folder is made. It is needed only if `pg_hba` asks for it.
    pub password: Option<String>,
    /// Files written into the data folder before the start, name and content, readable only for the server
    /// (certificates and keys for `ssl_cert_file` and `ssl_key_file`).
    pub files: Vec<(String, String)>,
    /// TCP port on 127.0.0.1. `None`: a free one.
    pub port: Option<u16>,
    /// How long the server may take to answer after its start.
    pub deadline: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            version: None,
            source: PostgresSource::Any,
            data_dir: None,
            settings: Vec::new(),
            pg_hba: None,
            password: None,
            files: Vec::new(),
            port: None,
            deadline: Duration::from_mins(1),
        }
    }
}

impl PostgresOptions {
    /// A temporary server of this major version.
    pub fn version(major: u16) -> Self {
        Self { version: Some(major), ..Self::default() }
    }

    /// Adds one server setting.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }
}

/// Where PostgreSQL's programs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PostgresSource {
    /// An installed one if its version fits, else the published binaries.
    #[default]
    Any,
    /// Only an installed one.
    Installed,
    /// Only the published binaries, the same minor version everywhere.
    Binaries,
}

/// How a server is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Ends sessions, writes a checkpoint, ends (SIGINT).
    Fast,
    /// Ends at once as after a crash; the next start replays the WAL (SIGQUIT).
    Immediate,
}

impl StopMode {
    pub(super) fn signal(self) -> &'static str {
        match self {
            Self::Fast => "INT",
            Self::Immediate => "QUIT",
        }
    }
}
