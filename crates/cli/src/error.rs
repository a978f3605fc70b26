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
    #[error(
        "[CL012] connector `{connector}` reads no signals from a topic: its configuration does not enable the channel `kafka`\n  fix: add kafka to signal.enabled.channels, as in signal.enabled.channels=source,kafka, in the connector's configuration, and start the connector again"
    )]
    NoSignalTopic { connector: String },
    #[error(
        "[CL013] nobody tells when the snapshot is over: connector `{connector}` has no topic of notifications in JSON\n  fix: set notification.enabled.channels=sink and notification.sink.topic.name in the connector's configuration; with AvroConverter leave --wait out and look at the connector's log"
    )]
    NoNotifications { connector: String },
    #[error(
        "[CL014] the snapshot of signal `{id}` was not over after {waited:?}\n  fix: none if the tables are large, it goes on; otherwise look at the connector's log: it says if no captured table was meant"
    )]
    SnapshotNotOver { id: String, waited: Duration },
    #[error(
        "[CL015] the snapshot of signal `{id}` did not read everything: {what}\n  fix: look at the connector's log for the reason, and ask again"
    )]
    SnapshotIncomplete { id: String, what: String },
    #[error(
        "[CL016] the worker at {url} does not answer: {reason}\n  fix: start one with `tributary worker`, or say where it is with --url or TRIBUTARY_URL"
    )]
    WorkerAway { url: String, reason: String },
    #[error("[CL017] the worker refused ({status}): {text}{}", fix_line(fix))]
    Refused { status: u16, text: String, fix: String },
    #[error(
        "[CL018] connector `{name}` does not run, it is {phase}{}\n  fix: {}",
        because(cause),
        way_on(name, phase)
    )]
    NotRunning { name: String, phase: String, cause: String },
    #[error(
        "[CL019] connector `{name}` {goal} after {waited:?}, it is {state}\n  fix: none if its tables are large; otherwise `tributary info {name}` says what it does"
    )]
    StillWaiting { name: String, goal: &'static str, waited: Duration, state: String },
    #[error(
        "[CL020] `{name}` is not in {key} under that name: {list}\n  fix: set the whole list with --setting {key}=…"
    )]
    NotListed { key: &'static str, name: String, list: String },
    #[error(
        "[CL021] no table would be left to connector `{name}`\n  fix: add another in the same command, or take the connector away with `tributary destroy {name}`"
    )]
    LastTable { name: String },
    #[error(
        "[CL022] the confirmation `{confirmed}` is not `{name}`: nothing was changed\n  fix: pass --confirm {name}"
    )]
    NotConfirmed { name: String, confirmed: String },
    #[error("[CL023] the offsets in {} cannot be read\n  fix: give what GET /connectors/NAME/offsets gives", path.display())]
    OffsetsFile {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error(
        "[CL026] nothing says where the database is\n  fix: pass --source postgres://owner@host/database or set DATABASE_URL"
    )]
    NoSource,
    #[error("[CL027] database `{database}` cannot be used so: {what}\n  fix: {fix}")]
    UnfitDatabase { database: String, what: String, fix: String },
    #[error(
        "[CL028] {signal}: interrupted, everything was put back\n  fix: none; run the command again if it is still wanted"
    )]
    Interrupted { signal: &'static str },
    #[error("[CL025] {} cannot be applied: {reason}\n  fix: write one connector per document, as {{name, config, state}} or as Strimzi's KafkaConnector", path.display())]
    Described { path: PathBuf, reason: String },
    #[error("[CL024] TRIBUTARY_CA={} cannot be used: {reason}\n  fix: name a file with certificates in PEM form", path.display())]
    Trust { path: PathBuf, reason: String },
    /// A worker says so of a connector.
    #[error("{text}")]
    Behind { text: String },
    #[error(transparent)]
    NotCaughtUp { error: ConnectorError },
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    SealKey(#[from] ::worker::SealKeyError),
    #[error(transparent)]
    Worker(#[from] ::worker::WorkerError),
    #[error(transparent)]
    Users(#[from] ::worker::rest::UsersError),
    #[error(transparent)]
    Tls(#[from] ::worker::rest::TlsError),
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
            | Self::NoSignalTopic { .. }
            | Self::NoNotifications { .. }
            | Self::NotListed { .. }
            | Self::LastTable { .. }
            | Self::NotConfirmed { .. }
            | Self::OffsetsFile { .. }
            | Self::Trust { .. }
            | Self::NoSource
            | Self::SealKey(_)
            | Self::Described { .. }
            | Self::Users(_)
            | Self::Tls(_)
            | Self::Settings(_) => ExitCode::from(2),
            Self::StillWaiting { .. }
            | Self::TimedOut { .. }
            | Self::SnapshotNotOver { .. }
            | Self::Behind { .. }
            | Self::NotCaughtUp { .. } => ExitCode::from(3),
            Self::NotExactlyOnce { .. }
            | Self::WorkerAway { .. }
            | Self::UnfitDatabase { .. }
            | Self::Interrupted { .. }
            | Self::Refused { .. }
            | Self::NotRunning { .. }
            | Self::Runtime { .. }
            | Self::Signals { .. }
            | Self::Workload { .. }
            | Self::SnapshotIncomplete { .. }
            | Self::Connector(_)
            | Self::Postgres(_)
            | Self::Kafka(_)
            | Self::Worker(_)
            | Self::Embedded(_) => ExitCode::from(1),
        }
    }
}

/// The cause behind a state, if there is one.
fn because(cause: &str) -> String {
    if cause.is_empty() { String::new() } else { format!(": {cause}") }
}

/// What lets a connector go on that does not run.
fn way_on(name: &str, phase: &str) -> String {
    match phase {
        "paused" | "stopped" => format!("run `tributary resume {name}`"),
        "destroying" => "none; it is being taken away".to_owned(),
        "invalid" => format!("mend the configuration with `tributary update {name}`"),
        _ => format!("mend the cause, then run `tributary restart {name}`"),
    }
}

/// The last line of an error, unless its text says already what to do.
fn fix_line(fix: &str) -> String {
    if fix.is_empty() { String::new() } else { format!("\n  fix: {fix}") }
}
