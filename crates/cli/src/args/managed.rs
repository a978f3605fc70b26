//! What is asked of a worker: Heroku's verbs, and ours.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{ConnectorArguments, duration, pair};

/// Where a worker is heard that was not told otherwise.
const LOCAL: &str = "http://127.0.0.1:8083";

/// Which worker is asked.
#[derive(Debug, Clone, Args)]
pub(crate) struct WorkerUrl {
    /// Where a worker's API is
    #[arg(
        long,
        value_name = "URL",
        env = "TRIBUTARY_URL",
        default_value = LOCAL
    )]
    pub(crate) url: String,
}

impl WorkerUrl {
    /// The one that was named, or the one on this machine.
    pub(crate) fn or_local(url: Option<&str>) -> Self {
        Self { url: url.unwrap_or(LOCAL).to_owned() }
    }
}

pub(crate) const CREATE_EXAMPLES: &str = "Examples:\n  \
    tributary create --source postgres://cdc@localhost/shop --table public.orders --exclude-column public.orders.note\n  \
    tributary create --config connector.json --wait\n\n\
    Without --name a name is made up. --store is only needed if the topics are to be in another Kafka than the group's.";

/// A connector to make.
#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    #[command(flatten)]
    pub(crate) connector: ConnectorArguments,
    /// Wait until it follows the log
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait no longer than this (30s, 5m)
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m", requires = "wait")]
    pub(crate) wait_max: Duration,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

/// A question about all connectors.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

/// A question about one connector.
#[derive(Debug, Args)]
pub(crate) struct NameArguments {
    /// Name of the connector
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

/// A look at one connector.
#[derive(Debug, Args)]
pub(crate) struct InfoArguments {
    /// Name of the connector
    pub(crate) name: String,
    /// Look again every second, until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

/// A connector to wait for.
#[derive(Debug, Args)]
pub(crate) struct WaitArguments {
    /// Name of the connector
    pub(crate) name: String,
    /// Wait no longer than this (30s, 5m)
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m")]
    pub(crate) wait_max: Duration,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

pub(crate) const UPDATE_EXAMPLES: &str = "Examples:\n  \
    tributary update gentle-connector-1234 --add-table public.invoices --exclude-column public.invoices.iban\n  \
    tributary update gentle-connector-1234 --setting tombstones.on.delete=false --unset decimal.handling.mode\n\n\
    Everything given is changed at once. A table that is added is read while the others go on.";

pub(crate) const PLAN_EXAMPLES: &str = "Examples:\n  \
    tributary plan gentle-connector-1234 --add-table public.invoices\n\n\
    It takes what `tributary update` takes; the worker looks at both sides as if it had been done. Exit code 0: it would work;\n\
    1: something is in the way. `tributary apply --dry-run` shows what a file would change.";

/// Changes of a connector's configuration.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").args(["settings", "unset", "add_tables", "remove_tables", "exclude_columns", "remove_excluded_columns"]).required(true).multiple(true))]
pub(crate) struct UpdateArguments {
    /// Name of the connector
    pub(crate) name: String,
    /// Key to set; may be given several times
    #[arg(long = "setting", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) settings: Vec<(String, String)>,
    /// Key to remove, so that its default counts; may be given several times
    #[arg(long, value_name = "KEY")]
    pub(crate) unset: Vec<String>,
    /// Table to capture as well; may be given several times
    #[arg(long = "add-table", value_name = "SCHEMA.TABLE")]
    pub(crate) add_tables: Vec<String>,
    /// Table not to capture any more; may be given several times
    #[arg(long = "remove-table", value_name = "SCHEMA.TABLE")]
    pub(crate) remove_tables: Vec<String>,
    /// Column not to capture any more; may be given several times
    #[arg(long = "exclude-column", value_name = "SCHEMA.TABLE.COLUMN")]
    pub(crate) exclude_columns: Vec<String>,
    /// Column to capture again; may be given several times
    #[arg(long = "remove-excluded-column", value_name = "SCHEMA.TABLE.COLUMN")]
    pub(crate) remove_excluded_columns: Vec<String>,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

/// A connector to take away.
#[derive(Debug, Args)]
pub(crate) struct DestroyArguments {
    /// Name of the connector
    pub(crate) name: String,
    /// The name once more; without it the question is asked
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
    /// Delete its topics, too, and what consumers have not read of them
    #[arg(long)]
    pub(crate) delete_topics: bool,
    /// Wait no longer than this (30s, 5m) until slot and publication are gone
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1m")]
    pub(crate) wait_max: Duration,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

pub(crate) const APPLY_EXAMPLES: &str = "Examples:\n  \
    tributary apply -f connectors.yaml --dry-run\n  \
    tributary apply -f connectors.yaml\n\n\
    The file has one connector per document, as {name, config, state} or as Strimzi's KafkaConnector, or a list of them below\n\
    `connectors`. What is as described already is left alone; connectors that are not in the file, too.";

/// Connectors as a file describes them.
#[derive(Debug, Args)]
pub(crate) struct ApplyArguments {
    /// YAML or JSON file, `-` for standard input
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Only show what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

pub(crate) const ALTER_KEY_EXAMPLES: &str = "Examples:\n  \
    tributary alter-key shop --source postgres://owner@localhost/shop \\\n    --sql 'ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD PRIMARY KEY (id, region)'\n\n\
    A connector needs none of this: each event has the key its table had at that point of the log. It is for consumers that must not\n\
    see both keys while rows are written. The database is read-only for applications meanwhile, and their sessions are ended.\n\
    Interrupted, it puts everything back; after SIGKILL, run it with --undo.";

/// A primary key to change.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("wish").args(["sql", "undo"]).required(true))]
pub(crate) struct AlterKeyArguments {
    /// Name of the connector
    pub(crate) name: String,
    /// Statement to run once nobody writes and everything written is in Kafka
    #[arg(long, value_name = "STATEMENT")]
    pub(crate) sql: Option<String>,
    /// Put back what an alter-key left that was killed
    #[arg(long)]
    pub(crate) undo: bool,
    /// The database
    #[arg(
        long,
        value_name = "URL",
        help = "The database, as a role that owns it; without it DATABASE_URL"
    )]
    pub(crate) source: Option<String>,
    /// Wait no longer than this (30s, 5m) for the connector, in each step
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    pub(crate) wait_max: Duration,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}

pub(crate) const OFFSETS_EXAMPLES: &str = "Examples:\n  \
    tributary offsets shop\n  \
    curl -s http://connect:8083/connectors/shop/offsets | tributary offsets shop --set -\n\n\
    --set takes what GET /connectors/NAME/offsets gives, here or on a Kafka Connect that runs Debezium: the same slot goes on\n\
    with the first change that was not sent. The connector has to be stopped.";

/// A connector's position.
#[derive(Debug, Args)]
pub(crate) struct OffsetsArguments {
    /// Name of the connector
    pub(crate) name: String,
    /// File with the offsets to set, `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "reset")]
    pub(crate) set: Option<PathBuf>,
    /// Forget the position: the next start is the first
    #[arg(long)]
    pub(crate) reset: bool,
    #[command(flatten)]
    pub(crate) worker: WorkerUrl,
}
