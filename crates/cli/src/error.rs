//! What ends a command, and the exit code it ends with.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use connector::ConnectorError;
use connector::settings::InvalidSettings;
use embedded::EmbeddedError;
use kafka::KafkaError;
use postgres::PostgresError;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("[CL001] cannot read {}\n  fix: check the path given with --config", path.display())]
    ConfigFile {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error(
        "[CL002] nothing says what to capture\n  fix: pass --config connector.json, or --table schema.table for each table"
    )]
    NothingToCapture,
    #[error(
        "[CL003] nothing says where Kafka is\n  fix: pass --store kafka://host:9092 or set KAFKA_URL"
    )]
    NoStore,
    #[error("[CL004] no error has the code `{code}`\n  fix: {fix}")]
    UnknownCode { code: String, fix: String },
    #[error(
        "[CL005] the topics do not hold what was committed: {what}\n  fix: none; this is a defect, please report it with the seed {seed}"
    )]
    NotExactlyOnce { what: String, seed: u64 },
    #[error(
        "[CL006] {what} was not done after {waited:?}\n  fix: look at the log above for the reason; a slow machine may need a lower --rate"
    )]
    TimedOut { what: &'static str, waited: Duration },
    #[error(
        "[CL007] the asynchronous runtime cannot start\n  fix: check the limits on threads and open files"
    )]
    Runtime {
        #[source]
        cause: io::Error,
    },
    #[error(
        "[CL008] cannot listen for signals\n  fix: check that the process may handle SIGINT and SIGTERM"
    )]
    Signals {
        #[source]
        cause: io::Error,
    },
    #[error(
        "[CL009] the workload ended unexpectedly: {what}\n  fix: none; this is a defect, please report it"
    )]
    Workload { what: String },
    #[error(
        "[CL010] RUST_LOG cannot be understood: {reason}\n  fix: write for example RUST_LOG=info,connector=debug"
    )]
    LogFilter { reason: String },
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
}

impl CliError {
    /// 1 failed, 2 misused, 3 timed out.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::ConfigFile { .. }
            | Self::NothingToCapture
            | Self::NoStore
            | Self::UnknownCode { .. }
            | Self::LogFilter { .. }
            | Self::Settings(_) => ExitCode::from(2),
            Self::TimedOut { .. } => ExitCode::from(3),
            Self::NotExactlyOnce { .. }
            | Self::Runtime { .. }
            | Self::Signals { .. }
            | Self::Workload { .. }
            | Self::Connector(_)
            | Self::Postgres(_)
            | Self::Kafka(_)
            | Self::Embedded(_) => ExitCode::from(1),
        }
    }
}
