//! Commands that look and change nothing: `check`, `verify`, `tail`.

use std::time::Duration;

use clap::Args;

use super::managed::WorkerUrl;
use super::{ConnectorArguments, duration, pair};

pub(super) const CHECK_EXAMPLES: &str = "Examples:\n  \
    tributary check shop\n  \
    tributary check --config connector.json --store kafka://localhost:9092\n  \
    tributary check --config connector.json --source postgres://admin@localhost/shop --sql --role cdc";

/// A connector to look at.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Name of a connector on a worker, which looks
    #[arg(value_name = "NAME", conflicts_with_all = ["config", "source", "store", "tables", "exclude_columns", "name", "set", "sql"])]
    pub(crate) managed: Option<String>,
    #[command(flatten)]
    pub(crate) connector: ConnectorArguments,
    /// Print what the connector's role needs, as SQL for an administrator; nothing is run or checked
    #[arg(long)]
    pub(crate) sql: bool,
    /// The role that --sql is for; without it the one that connects
    #[arg(long, value_name = "ROLE", requires = "sql")]
    pub(crate) role: Option<String>,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

pub(super) const VERIFY_EXAMPLES: &str = "Examples:\n  \
    tributary verify shop\n  \
    tributary verify --config connector.json --store kafka://localhost:9092\n\n\
    The connector may run meanwhile, and tables may be written to. Exit code 0: equal; 1: something differs;\n\
    3: the connector is behind. docs/guides/verify.md says what is compared.";

/// A connector to verify.
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Name of a connector on a worker, which compares
    #[arg(value_name = "NAME", conflicts_with_all = ["config", "source", "store", "tables", "exclude_columns", "name", "set"])]
    pub(crate) managed: Option<String>,
    #[command(flatten)]
    pub(crate) connector: ConnectorArguments,
    /// Longest time to wait for the connector to come as far as the tables are
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub(crate) wait_max: Duration,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

pub(super) const TAIL_EXAMPLES: &str = "Examples:\n  \
    tributary tail shop --table public.orders\n  \
    tributary tail shop.public.orders --store kafka://localhost:9092 --follow\n\n\
    It is a topic where --store, --set or --from is given, or KAFKA_URL is set and TRIBUTARY_URL is not; otherwise a\n\
    connector, whose events a worker tells from now on.";

/// Events to print.
#[derive(Debug, Args)]
pub(crate) struct TailArguments {
    /// Name of a connector on a worker; or a topic, to be read from here
    #[arg(value_name = "NAME|TOPIC")]
    pub(crate) of: String,
    /// Table of the connector whose events are wanted, without it all; may be given several times
    #[arg(long = "table", value_name = "SCHEMA.TABLE", conflicts_with_all = ["store", "set", "from"])]
    pub(crate) tables: Vec<String>,
    /// Where a worker's API is; without it the variable `TRIBUTARY_URL`, and without that 127.0.0.1:8083
    #[arg(long, value_name = "URL", env = "TRIBUTARY_URL", hide_env = true)]
    pub(crate) url: Option<String>,
    /// Where Kafka is: kafka://host:port,host:port or kafka+ssl://…
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Property of the Kafka client, for example sasl.mechanism; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Where to begin: beginning, end or an offset. Without it: beginning, with --follow end
    #[arg(long, value_name = "WHERE", value_parser = start)]
    pub(crate) from: Option<From>,
    /// Stop after this many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Wait for more at the end of the topic
    #[arg(long)]
    pub(crate) follow: bool,
}

/// Where `tail` begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Beginning,
    End,
    Offset(i64),
}

/// A log to print.
#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    /// Name of the connector
    pub(crate) name: String,
    /// So many lines, or fewer if there are not so many
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) lines: u16,
    /// Wait for those that come
    #[arg(long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

fn start(text: &str) -> Result<From, String> {
    match text {
        "beginning" => Ok(From::Beginning),
        "end" => Ok(From::End),
        number => match number.parse::<i64>() {
            Ok(offset) if offset >= 0 => Ok(From::Offset(offset)),
            _ => Err("write beginning, end or an offset".to_owned()),
        },
    }
}
