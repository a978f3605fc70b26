//! What was measured, as a table for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Plan, Spent};
use crate::figures::{mb, median, median_of, or_dash, per_second};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// PostgreSQL's own program on the replication protocol, to nowhere.
    PgRecvlogical,
    /// The slot read by SQL, to nowhere.
    SqlRead,
    /// A producer that is not ours, with records like ours and nothing to do but send them, in transactions.
    Producer,
    /// Our binary, exactly once, into Kafka.
    Tributary,
    /// The same with `tributary.read.mode=stream`.
    TributaryStream,
    /// Debezium on Kafka Connect, tuned, at least once, into Kafka.
    Debezium,
    /// The same by its defaults.
    DebeziumDefaults,
}

impl Contender {
    /// Whether it makes a topic of all changes.
    pub(super) fn brings_changes(self) -> bool {
        !matches!(self, Self::PgRecvlogical | Self::SqlRead | Self::Producer)
    }

    /// As a part of names of slots.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PgRecvlogical => "pg_recvlogical",
            Self::SqlRead => "sql_read",
            Self::Producer => "producer",
            Self::Tributary => "tributary",
            Self::TributaryStream => "tributary_stream",
            Self::Debezium => "debezium",
            Self::DebeziumDefaults => "debezium_defaults",
        }
    }
}

/// What one contender needed.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Who.
    pub contender: Contender,
    /// Seconds from the start of the process, or from the request that creates the connector, to the last record.
    pub seconds: f64,
    /// Row changes per second of that.
    pub changes_per_second: f64,
    /// Seconds by those of `pg_recvlogical` in the same run.
    pub ratio_to_pg_recvlogical: Option<f64>,
    /// Seconds by ours in the same run.
    pub ratio_to_tributary: Option<f64>,
    /// Processor seconds of the process.
    pub processor_seconds: Option<f64>,
    /// Largest resident set of the process in its life, MB of 1,000,000 bytes.
    pub peak_rss_mb: Option<f64>,
    /// Processor seconds of PostgreSQL and its sessions meanwhile.
    pub postgresql_processor_seconds: f64,
    /// The same of the broker.
    pub broker_processor_seconds: f64,
}

/// What one contender needed once.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// Which run; 0 does not count.
    pub run: u32,
    /// What it needed.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What all measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Row changes of the work.
    pub changes: u64,
    /// WAL of the work, bytes.
    pub wal_bytes: u64,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
    /// In the order they were taken.
    pub measures: Vec<Measure>,
    /// Of the runs that count, one per contender; the peak is the largest.
    pub medians: Vec<Figures>,
}

impl Report {
    pub(super) fn new(plan: &Plan, wal_bytes: u64) -> Self {
        Self {
            changes: plan.changes,
            wal_bytes,
            settings: plan.settings.clone(),
            measures: Vec::new(),
            medians: Vec::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        run: u32,
        contender: Contender,
        spent: &Spent,
        narrate: &dyn Fn(&str),
    ) {
        let seconds = spent.elapsed.as_secs_f64();
        let ratio_to = |other: Contender| {
            let mut others = self.measures.iter();
            let same_run = |one: &&Measure| run > 0 && one.run == run;
            let found = others.find(|one| same_run(one) && one.figures.contender == other);
            found.map(|other| seconds / other.figures.seconds)
        };
        let figures = Figures {
            contender,
            seconds,
            changes_per_second: per_second(self.changes, spent.elapsed),
            ratio_to_pg_recvlogical: ratio_to(Contender::PgRecvlogical),
            ratio_to_tributary: ratio_to(Contender::Tributary),
            processor_seconds: spent.usage.map(|usage| usage.processor.as_secs_f64()),
            peak_rss_mb: spent.usage.map(|usage| mb(usage.peak_rss_bytes)),
            postgresql_processor_seconds: spent.servers.postgresql.as_secs_f64(),
            broker_processor_seconds: spent.servers.broker.as_secs_f64(),
        };
        let measure = Measure { run, figures };
        narrate(&measure.to_string());
        self.measures.push(measure);
        self.medians = self.medians();
    }

    fn medians(&self) -> Vec<Figures> {
        let counted = || self.measures.iter().filter(|one| one.run > 0).map(|one| &one.figures);
        let mut medians: Vec<Figures> = Vec::new();
        for Figures { contender, .. } in counted() {
            if medians.iter().any(|one| one.contender == *contender) {
                continue;
            }
            let of = || counted().filter(|one| one.contender == *contender);
            let middle =
                |figure: fn(&Figures) -> f64| median(&of().map(figure).collect::<Vec<_>>());
            let seconds = Duration::from_secs_f64(middle(|one| one.seconds));
            medians.push(Figures {
                contender: *contender,
                seconds: seconds.as_secs_f64(),
                changes_per_second: per_second(self.changes, seconds),
                ratio_to_pg_recvlogical: median_of(of().map(|one| one.ratio_to_pg_recvlogical)),
                ratio_to_tributary: median_of(of().map(|one| one.ratio_to_tributary)),
                processor_seconds: median_of(of().map(|one| one.processor_seconds)),
                peak_rss_mb: of().filter_map(|one| one.peak_rss_mb).reduce(f64::max),
                postgresql_processor_seconds: middle(|one| one.postgresql_processor_seconds),
                broker_processor_seconds: middle(|one| one.broker_processor_seconds),
            });
        }
        medians
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:>6}  {}", self.run, self.figures)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:<17}  {:>7.2} s  {:>9.0}  {}  {}  {}  {} MB  {:>10.2}  {:>8.2}",
            self.contender.name(),
            self.seconds,
            self.changes_per_second,
            or_dash(self.ratio_to_pg_recvlogical, 17, 2),
            or_dash(self.ratio_to_tributary, 7, 2),
            or_dash(self.processor_seconds, 6, 2),
            or_dash(self.peak_rss_mb, 5, 0),
            self.postgresql_processor_seconds,
            self.broker_processor_seconds
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = self.wal_bytes / 1_000_000;
        writeln!(formatter, "{} changes, {mb} MB of WAL; runs 0 do not count", self.changes)?;
        writeln!(
            formatter,
            "   run  contender               wall  changes/s  by pg_recvlogical  by ours   CPU-s  peak RSS  PostgreSQL    broker"
        )?;
        for measure in &self.measures {
            writeln!(formatter, "{measure}")?;
        }
        for median in &self.medians {
            writeln!(formatter, "median  {median}")?;
        }
        Ok(())
    }
}
