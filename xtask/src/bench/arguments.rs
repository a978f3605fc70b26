//! What is typed after `cargo xtask bench NAME`, for the benchmarks that have a plan of several numbers.
//!
//! In: words. Out: plans. Never: a default that differs from the one the help shows.

use std::time::Duration;

use clap::{Args, ValueEnum};
use testkit::cost_bench::Dimension;
use testkit::fleet::scale;
use testkit::{cost_bench, drain, overload_bench, soak_bench, start_bench};

use super::Peer;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DrainPeer {
    /// Debezium on Kafka Connect, tuned
    Debezium,
    /// The same by its defaults
    DebeziumDefaults,
}

#[derive(Args)]
pub(crate) struct Drain {
    /// Row changes, in transactions of ten
    #[arg(long, default_value_t = 1_000_000)]
    changes: u64,
    /// Runs over the same WAL, after one that does not count
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Measure us with `tributary.read.mode=stream` too
    #[arg(long)]
    stream: bool,
    /// Who else reads the same WAL into Kafka, comma-separated
    #[arg(long, value_delimiter = ',')]
    vs: Vec<DrainPeer>,
    /// Settings of our connector, as `key=value`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
    settings: Vec<(String, String)>,
}

impl Drain {
    pub(super) fn plan(self) -> drain::Plan {
        drain::Plan {
            changes: self.changes,
            runs: self.runs,
            stream: self.stream,
            debezium: self.vs.contains(&DrainPeer::Debezium),
            debezium_defaults: self.vs.contains(&DrainPeer::DebeziumDefaults),
            settings: self.settings,
        }
    }
}

#[derive(Args)]
pub(crate) struct Cost {
    /// What is varied, comma-separated: size, tables, partitions, transactions, schemas; all without it
    #[arg(long, value_delimiter = ',')]
    only: Vec<Dimension>,
    /// Multiplies the amounts: 1 is 500 MB or 1,000,000 changes for each point, whatever is less
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// How often each point is measured, in turns
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Settings of our connector, as `key=value`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
    settings: Vec<(String, String)>,
}

impl Cost {
    pub(super) fn plan(self) -> cost_bench::Plan {
        let only = if self.only.is_empty() { Dimension::ALL.to_vec() } else { self.only };
        cost_bench::Plan { only, scale: self.scale, runs: self.runs, settings: self.settings }
    }
}

#[derive(Args)]
pub(crate) struct Scale {
    /// Numbers of connectors, comma-separated
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8])]
    connectors: Vec<usize>,
    /// Row changes of all tables together
    #[arg(long, default_value_t = 1_000_000)]
    changes: u64,
    /// How often each is measured, in turns
    #[arg(long, default_value_t = 1)]
    runs: u32,
}

impl Scale {
    pub(super) fn plan(self) -> scale::Plan {
        scale::Plan { connectors: self.connectors, changes: self.changes, runs: self.runs }
    }
}

#[derive(Args)]
pub(crate) struct Start {
    /// Tables that are captured in the first case
    #[arg(long, default_value_t = 1_000)]
    tables: u64,
    /// Tables beside the captured one in the second; 0 leaves it out
    #[arg(long, default_value_t = 50_000)]
    other_tables: u64,
    /// Starts of each
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Settings of our connector, as `key=value`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
    settings: Vec<(String, String)>,
}

impl Start {
    pub(super) fn plan(self) -> start_bench::Plan {
        start_bench::Plan {
            tables: self.tables,
            other_tables: self.other_tables,
            runs: self.runs,
            settings: self.settings,
        }
    }
}

#[derive(Args)]
pub(crate) struct Overload {
    /// Row changes per second, in transactions of ten
    #[arg(long, default_value_t = 150_000)]
    rate: u64,
    /// Seconds of writing
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Who else is measured, afterwards
    #[arg(long)]
    vs: Option<Peer>,
    /// Settings of our connector, as `key=value`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
    settings: Vec<(String, String)>,
}

impl Overload {
    pub(super) fn plan(self) -> overload_bench::Plan {
        overload_bench::Plan {
            rate: self.rate,
            seconds: self.seconds,
            debezium: self.vs == Some(Peer::Debezium),
            settings: self.settings,
        }
    }
}

#[derive(Args)]
pub(crate) struct Soak {
    /// How long it runs
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Row changes per second, in transactions of ten
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Seconds between two looks
    #[arg(long, default_value_t = 10)]
    sample_seconds: u64,
    /// Seconds between two changes of the table's columns
    #[arg(long, default_value_t = 30)]
    ddl_seconds: u64,
    /// Seconds between two ends of the process
    #[arg(long, default_value_t = 300)]
    restart_seconds: u64,
    /// Seconds of each life that are not compared
    #[arg(long, default_value_t = 60)]
    warm_up_seconds: u64,
    /// Settings of our connector, as `key=value`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
    settings: Vec<(String, String)>,
}

impl Soak {
    pub(super) fn plan(self) -> soak_bench::Plan {
        soak_bench::Plan {
            time: Duration::from_mins(self.minutes),
            rate: self.rate,
            sample_every: Duration::from_secs(self.sample_seconds),
            ddl_every: Duration::from_secs(self.ddl_seconds),
            restart_every: Duration::from_secs(self.restart_seconds),
            warm_up: Duration::from_secs(self.warm_up_seconds),
            settings: self.settings,
        }
    }
}
