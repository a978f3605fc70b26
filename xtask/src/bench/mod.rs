//! `cargo xtask bench`: how fast the connector is, beside what PostgreSQL itself can do.
//!
//! In: numbers. Out: JSON on standard output, a table for people on standard error; exit 1 if memory grew where it must not. Never: the work itself, which is in
//! `testkit`.

mod arguments;

use std::fmt::Display;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use testkit::fleet::scale;
use testkit::stack::Stack;
use testkit::{Result, connector, copy_bench, cost_bench, drain, latency_bench, overload_bench};
use testkit::{soak_bench, start_bench, transactions_bench};

use crate::output::{narrate, print};
use crate::{broken_if, layers};

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Time each layer by itself, beside the same benchmarks of another commit, and fail if one is slower now
    Layers(layers::Arguments),
    #[command(flatten)]
    OnServers(OnServers),
}

/// What needs a PostgreSQL, a Kafka and our binary.
#[derive(Subcommand)]
pub(crate) enum OnServers {
    /// Read a waiting slot into Kafka, beside what PostgreSQL itself can do with the same WAL
    Drain(arguments::Drain),
    /// How rate and memory follow the size of a change, tables, partitions, transactions and schemas
    Cost(arguments::Cost),
    /// A backlog that several connectors of one worker share
    Scale(arguments::Scale),
    /// Time from the start of the process to the first event, with many tables
    Start(arguments::Start),
    /// More changes than a connector need keep up with, and how long it takes to get even
    Overload(arguments::Overload),
    /// A steady rate for long, with restarts and changes of columns, in which nothing may grow
    Soak(arguments::Soak),
    /// Time from a commit to the record, at steady rates of changes
    Latency {
        /// Changes per second, comma-separated
        #[arg(long, value_delimiter = ',', default_values_t = [200, 1_000, 5_000])]
        rates: Vec<u64>,
        /// Seconds of each measurement
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// How often each is measured, in turns
        #[arg(long, default_value_t = 1)]
        runs: u32,
        /// Who else brings the changes to Kafka
        #[arg(long)]
        vs: Option<Peer>,
        /// Settings of our connector, as `key=value`
        #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
        settings: Vec<(String, String)>,
    },
    /// Read whole tables into Kafka, beside COPY of the same tables
    Snapshot {
        /// Rows of the table of nine columns
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// Rows of the table of two columns; 0 leaves it out
        #[arg(long, default_value_t = 10_000_000)]
        narrow: u64,
        /// `snapshot.max.threads`
        #[arg(long, default_value_t = 2)]
        threads: u32,
        /// How often each is measured, in turns
        #[arg(long, default_value_t = 1)]
        runs: u32,
        /// Who else reads the table of nine columns into Kafka
        #[arg(long)]
        vs: Option<Peer>,
        /// Settings of our connector, as `key=value`
        #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
        settings: Vec<(String, String)>,
    },
    /// Commit large transactions under a running connector, with and without streaming before the commit
    Transactions {
        /// Rows of one transaction; 0 leaves it out
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// Transactions that are open at once; 0 leaves them out
        #[arg(long, default_value_t = 100)]
        open: u64,
        /// Rows of each of them
        #[arg(long, default_value_t = 100_000)]
        open_rows: u64,
        /// Bytes of one value; 0 leaves it out
        #[arg(long, default_value_t = 200_000_000)]
        wide_bytes: u64,
        /// How often each is measured
        #[arg(long, default_value_t = 1)]
        runs: u32,
        /// Connector settings, as `key=value`
        #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
        settings: Vec<(String, String)>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Debezium on Kafka Connect, tuned
    Debezium,
}

pub(crate) async fn run(bench: Bench) -> Result<()> {
    match bench {
        Bench::Layers(arguments) => layers::run(arguments).await,
        Bench::OnServers(bench) => run_on_servers(bench).await,
    }
}

async fn run_on_servers(bench: OnServers) -> Result<()> {
    connector::use_binary(connector::build(true)?)?;
    let stack = Stack::start(&postgres_settings(&bench)).await?;
    let measured = measure(&stack, bench).await?;
    narrate(&measured.table);
    print(&measured.json);
    stack.stop().await?;
    broken_if(!measured.is_kept, "memory grew, or the run was too short to tell")
}

/// What is the server's alone to make faster: only where it is not what is measured.
fn postgres_settings(bench: &OnServers) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![("max_wal_size", "4GB"), ("checkpoint_timeout", "30min")];
    if matches!(bench, OnServers::Start(_)) {
        settings.extend([("fsync", "off"), ("max_locks_per_transaction", "1024")]);
    }
    settings
}

/// What is shown.
struct Measured {
    table: String,
    json: String,
    /// What the benchmark promises holds.
    is_kept: bool,
}

impl Measured {
    fn of(report: &(impl Display + Serialize)) -> Result<Self> {
        let json = serde_json::to_string_pretty(report)?;
        Ok(Self { table: report.to_string(), json, is_kept: true })
    }
}

async fn measure(stack: &Stack, bench: OnServers) -> Result<Measured> {
    match bench {
        OnServers::Drain(arguments) => {
            Measured::of(&drain::run(stack, &arguments.plan(), &narrate).await?)
        }
        OnServers::Cost(arguments) => {
            Measured::of(&cost_bench::run(stack, &arguments.plan(), &narrate).await?)
        }
        OnServers::Scale(arguments) => {
            Measured::of(&scale::run(stack, &arguments.plan(), &narrate).await?)
        }
        OnServers::Start(arguments) => {
            Measured::of(&start_bench::run(stack, &arguments.plan(), &narrate).await?)
        }
        OnServers::Overload(arguments) => {
            Measured::of(&overload_bench::run(stack, &arguments.plan(), &narrate).await?)
        }
        OnServers::Soak(arguments) => {
            let report = soak_bench::run(stack, &arguments.plan(), &narrate).await?;
            Ok(Measured { is_kept: report.is_steady(), ..Measured::of(&report)? })
        }
        OnServers::Latency { rates, seconds, runs, vs, settings } => {
            let debezium = vs == Some(Peer::Debezium);
            let plan = latency_bench::Plan { rates, seconds, runs, debezium, settings };
            Measured::of(&latency_bench::run(stack, &plan, &narrate).await?)
        }
        OnServers::Snapshot { rows, narrow: narrow_rows, threads, runs, vs, settings } => {
            let debezium = vs == Some(Peer::Debezium);
            let plan = copy_bench::Plan { rows, narrow_rows, threads, runs, debezium, settings };
            Measured::of(&copy_bench::run(stack, &plan, &narrate).await?)
        }
        OnServers::Transactions { rows, open, open_rows, wide_bytes, runs, settings } => {
            let plan =
                transactions_bench::Plan { rows, open, open_rows, wide_bytes, runs, settings };
            Measured::of(&transactions_bench::run(stack, &plan, &narrate).await?)
        }
    }
}
