//! `tributary snapshot`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::managed::WorkerUrl;
use super::{duration, pair};

pub(super) const SNAPSHOT_EXAMPLES: &str = "Examples:\n  \
    tributary snapshot shop --table public.orders --wait\n  \
    tributary snapshot shop --pause\n  \
    tributary snapshot --config connector.json --table public.orders --wait\n  \
    tributary snapshot --name shop --source … --store … --table public.orders --where \"status = 'open'\"\n\n\
    With NAME a worker does it; otherwise it is for a connector of `tributary run`, and done from here.\n\
    It writes a signal into the topic of signal.kafka.topic, made if there is none, and prints its id.\n\
    Names of tables are not looked at here: the connector compares them with what it captures, and\n\
    says in its log if none fits.";

/// A signal, and which connector it is for.
#[expect(clippy::struct_excessive_bools, reason = "what is a flag on the command line is one here")]
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("connector").args(["managed", "config", "name"]).required(true).multiple(true))]
#[command(group = clap::ArgGroup::new("what").args(["tables", "pause", "resume", "stop"]).required(true).multiple(true))]
pub(crate) struct SnapshotArguments {
    /// Name of a connector on a worker
    #[arg(value_name = "NAME", conflicts_with_all = ["config", "name", "source", "store", "set"])]
    pub(crate) managed: Option<String>,
    /// Connector JSON, as Kafka Connect takes it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Name of a connector made by flags, as `tributary run` prints it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Where the source is, as for `tributary run`
    #[arg(long, value_name = "URL")]
    pub(crate) source: Option<String>,
    /// Where Kafka is: kafka://host:port,host:port or kafka+ssl://…
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Any further key of the connector; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Table to read, or with --stop to leave; may be given several times
    #[arg(long = "table", value_name = "SCHEMA.TABLE")]
    pub(crate) tables: Vec<String>,
    /// Only rows of the tables for which this holds
    #[arg(long = "where", value_name = "SQL", requires = "tables", conflicts_with_all = ["pause", "resume", "stop"])]
    pub(crate) condition: Option<String>,
    /// Read while the stream stands still, all rows as of one moment
    #[arg(long, requires = "tables", conflicts_with_all = ["pause", "resume", "stop"])]
    pub(crate) blocking: bool,
    /// Column to read in the order of, in place of the key
    #[arg(long, value_name = "COLUMN", requires = "tables", conflicts_with_all = ["blocking", "pause", "resume", "stop"])]
    pub(crate) surrogate_key: Option<String>,
    /// Let the incremental snapshot rest
    #[arg(long, conflicts_with_all = ["tables", "resume", "stop", "wait"])]
    pub(crate) pause: bool,
    /// Let it go on
    #[arg(long, conflicts_with_all = ["tables", "stop", "wait"])]
    pub(crate) resume: bool,
    /// End it for the tables given, or for all
    #[arg(long, conflicts_with = "wait")]
    pub(crate) stop: bool,
    /// Id of the signal; without it one is made
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) id: Option<String>,
    /// Wait until the snapshot is over, as the worker tells; without one, the connector's notifications
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait no longer than this (30s, 5m)
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "wait")]
    pub(crate) wait_max: Option<Duration>,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}
