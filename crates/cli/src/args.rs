//! The command line. Long flags only; the environment is read in one place, not here, but for `TRIBUTARY_URL`.

#[cfg(test)]
mod documented;
mod look;
pub(crate) mod managed;
mod snapshot;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use look::{CheckArguments, From, LogsArguments, TailArguments, VerifyArguments};
pub(crate) use snapshot::SnapshotArguments;

/// PostgreSQL changes into Kafka, exactly once.
#[derive(Debug, Parser)]
#[command(
    name = "tributary",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 misused, 3 timed out.\n\
                  Data goes to stdout, everything else to stderr.\n\
                  DATABASE_URL and KAFKA_URL stand in for --source and --store; Heroku's KAFKA_CLIENT_CERT,\n\
                  KAFKA_CLIENT_CERT_KEY, KAFKA_TRUSTED_CERT and KAFKA_PREFIX are understood.\n\
                  RUST_LOG sets what is logged, NO_COLOR turns colours off."
)]
pub(crate) struct Arguments {
    /// Form of the data on stdout
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORM", display_order = 100)]
    pub(crate) output: Format,
    /// Form of the log on stderr
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORM", display_order = 100)]
    pub(crate) log_format: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one connector until it is told to stop
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArguments),
    /// Run connectors on a group of workers that share them, with Kafka Connect's API
    #[command(after_help = WORKER_EXAMPLES)]
    Worker(WorkerArguments),
    /// Make a connector on a worker
    #[command(after_help = managed::CREATE_EXAMPLES)]
    Create(managed::CreateArguments),
    /// List the connectors of a group of workers
    List(managed::ListArguments),
    /// Show what a connector does, why, and what it keeps at the source
    Info(managed::InfoArguments),
    /// Wait until a connector follows the log; fails with the cause if it cannot
    Wait(managed::WaitArguments),
    /// Change keys, tables and columns of a connector, all at once
    #[command(after_help = managed::UPDATE_EXAMPLES)]
    Update(managed::UpdateArguments),
    /// Show what an update would change, and what is found wrong with that; nothing is changed
    #[command(after_help = managed::PLAN_EXAMPLES)]
    Plan(managed::UpdateArguments),
    /// Make connectors what a file says, and show what that changes
    #[command(after_help = managed::APPLY_EXAMPLES)]
    Apply(managed::ApplyArguments),
    /// Let a connector rest for a while; its slot keeps the log
    Pause(managed::NameArguments),
    /// Let a connector go on that was paused or stopped
    Resume(managed::NameArguments),
    /// Stop a connector; its offsets can be changed then
    Stop(managed::NameArguments),
    /// Start a connector again
    Restart(managed::NameArguments),
    /// Change a primary key with nobody writing meanwhile
    #[command(after_help = managed::ALTER_KEY_EXAMPLES)]
    AlterKey(managed::AlterKeyArguments),
    /// Take a connector away, with its slot and its publication; its topics stay
    Destroy(managed::DestroyArguments),
    /// Show, set or forget where a connector goes on
    #[command(after_help = managed::OFFSETS_EXAMPLES)]
    Offsets(managed::OffsetsArguments),
    /// Print what a connector wrote into the log last, whichever worker it ran on
    Logs(LogsArguments),
    /// List the topics a connector has written to
    Topics(managed::NameArguments),
    /// Look at both sides and report every problem at once, each with the statement that mends it
    #[command(after_help = look::CHECK_EXAMPLES)]
    Check(CheckArguments),
    /// Hold the topics of a connector against its tables: what is missing, repeated, out of order
    #[command(after_help = look::VERIFY_EXAMPLES)]
    Verify(VerifyArguments),
    /// Ask a running connector to read tables again
    #[command(after_help = snapshot::SNAPSHOT_EXAMPLES)]
    Snapshot(SnapshotArguments),
    /// Print the events of a connector as they come, or those of a topic
    #[command(after_help = look::TAIL_EXAMPLES)]
    Tail(TailArguments),
    /// Start a PostgreSQL, a Kafka, a small shop with customers, and a connector between them
    Dev(DevArguments),
    /// Print the completions of a shell
    Completions(CompletionsArguments),
    /// Say what an error code means and how to mend it
    Explain(ExplainArguments),
}

const RUN_EXAMPLES: &str = "Examples:\n  \
    tributary run --config connector.json --store kafka://localhost:9092\n  \
    tributary run --source postgres://cdc@localhost/shop --store kafka://localhost:9092 \\\n                --table public.orders --table public.customers\n\n\
    The JSON is a Debezium connector as it is: {\"name\": …, \"config\": {…}} or the inner map.\n\
    All keys: docs/reference/settings.md.";

/// A connector to run.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) connector: ConnectorArguments,
    /// Where GET /metrics answers Prometheus, without a login; by default nowhere
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) metrics_listen: Option<SocketAddr>,
}

/// What describes a connector: a JSON, or flags.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConnectorArguments {
    /// Connector JSON, as Kafka Connect takes it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tables", "exclude_columns"])]
    pub(crate) config: Option<PathBuf>,
    /// Where the source is
    #[arg(
        long,
        value_name = "URL",
        help = "Where the source is: postgres://user:password@host/database or libpq keywords"
    )]
    pub(crate) source: Option<String>,
    /// Where Kafka is: kafka://host:port,host:port or kafka+ssl://…
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Table to capture; may be given several times
    #[arg(long = "table", value_name = "SCHEMA.TABLE")]
    pub(crate) tables: Vec<String>,
    /// Column not to capture; may be given several times
    #[arg(long = "exclude-column", value_name = "SCHEMA.TABLE.COLUMN")]
    pub(crate) exclude_columns: Vec<String>,
    /// Name of the connector; without it one is derived from database and tables
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Any further key; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
}

const WORKER_EXAMPLES: &str = "Examples:\n  \
    tributary worker --store kafka://localhost:9092\n  \
    tributary worker --store kafka://localhost:9092 --group shops --listen 127.0.0.1:8084\n\n\
    Workers of one group share its connectors; what one had when it died runs on another in seconds.\n\
    What is wanted lives in the topics GROUP-configs, GROUP-status and GROUP-offsets.";

/// One worker of a group.
#[derive(Debug, Args)]
pub(crate) struct WorkerArguments {
    /// Where Kafka is: kafka://host:port,host:port or kafka+ssl://…
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Workers of one group share its connectors
    #[arg(long, value_name = "NAME", default_value = "tributary")]
    pub(crate) group: String,
    /// Where the API is heard
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8083")]
    pub(crate) listen: SocketAddr,
    /// Where others reach the API; without it the address it is heard at
    #[arg(long, value_name = "URL")]
    pub(crate) advertised_url: Option<String>,
    /// Name of this worker in the group, the same after a restart; without it where its API is reached
    #[arg(long, value_name = "ID")]
    pub(crate) worker_id: Option<String>,
    /// Partitions of GROUP-configs, when it is made: no more workers than that have connectors
    #[arg(long, value_name = "COUNT", default_value_t = worker::PARTITIONS, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) partitions: i32,
    /// Replicas of the group's topics, when they are made; without it the broker's default
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i16).range(1..=32))]
    pub(crate) replication_factor: Option<i16>,
    /// How long a worker may be silent before its connectors run elsewhere
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "6s")]
    pub(crate) session_timeout: Duration,
    /// Who may use the API: lines of NAME ROLE SECRET, see docs/reference/rest.md
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_file: Option<PathBuf>,
    /// Certificate chain of the API (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Hear an address that other machines reach without TLS, because something else encrypts
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Folder whose files configurations of requests may name; may be given several times
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_path: Vec<PathBuf>,
    /// Variable of the environment that configurations of requests may refer to, * at the end for several
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_env: Vec<String>,
    /// File with the key of the group
    #[arg(
        long,
        value_name = "FILE",
        help = "File with the key that secrets are sealed with in GROUP-configs; without it TRIBUTARY_SECRET_KEY, and without that they stay in clear"
    )]
    pub(crate) secret_key_file: Option<PathBuf>,
    /// Property of the Kafka client, for example sasl.mechanism; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DevArguments {
    /// End by itself after this time and check that every change arrived exactly once (30s, 5m)
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Source transactions per second
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub(crate) rate: u32,
    /// Seed of the workload; without it another one each time
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
}

/// Which shell is to complete.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The code in brackets in front of an error, for example CF001
    pub(crate) code: String,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| "write a time such as 30s or 5m".to_owned())?;
    let seconds = match &text[digits.len()..] {
        "" | "s" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        _ => return Err("units are s, m and h".to_owned()),
    };
    if seconds == 0 {
        Err("it must be longer than nothing".to_owned())
    } else {
        Ok(Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert!(duration("0s").is_err() && duration("5d").is_err() && duration("s").is_err());
    }

    #[test]
    fn a_value_may_contain_equals_signs() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=b").is_err() && pair("a").is_err());
    }
}
