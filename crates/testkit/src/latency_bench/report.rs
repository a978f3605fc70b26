//! What was measured, as a table for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::process_stat::Usage;
use crate::{Failure, Result};

/// Who brought the changes to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// Our binary.
    ExactlyOnce,
    /// Our binary, without transactions.
    AtLeastOnce,
    /// Debezium on Kafka Connect.
    DebeziumDefault,
    /// Debezium on Kafka Connect with `poll.interval.ms=1`.
    DebeziumPolling,
}

impl Reader {
    pub(super) const OURS: [Self; 2] = [Self::ExactlyOnce, Self::AtLeastOnce];
    pub(super) const ALL: [Self; 4] =
        [Self::ExactlyOnce, Self::AtLeastOnce, Self::DebeziumDefault, Self::DebeziumPolling];

    /// As a part of names of slots.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly_once",
            Self::AtLeastOnce => "at_least_once",
            Self::DebeziumDefault => "debezium",
            Self::DebeziumPolling => "debezium_polling",
        }
    }

    /// `tributary.delivery.guarantee`.
    pub(super) fn guarantee(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly_once",
            _ => "at_least_once",
        }
    }
}

/// The latency of one reader at one rate.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// Which run.
    pub run: u32,
    /// Who.
    pub reader: Reader,
    /// Changes per second.
    pub rate: u64,
    /// Changes that were measured.
    pub changes: usize,
    /// Milliseconds that half of them took at most.
    pub p50_ms: f64,
    /// Milliseconds that 99 of 100 took at most.
    pub p99_ms: f64,
    /// Milliseconds of the latest.
    pub max_ms: f64,
    /// Processor seconds of the process.
    pub processor_seconds: f64,
    /// Largest resident set of the process, MB of 1,000,000 bytes.
    pub peak_rss_mb: f64,
}

impl Measure {
    /// `latencies` are sorted.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn of(
        run: u32,
        reader: Reader,
        rate: u64,
        latencies: &[Duration],
        usage: Usage,
    ) -> Result<Self> {
        let ms = |percent: usize| {
            let index = (latencies.len() * percent).div_ceil(100).max(1) - 1;
            let latency =
                latencies.get(index).ok_or_else(|| Failure::new("nothing was measured"))?;
            Ok::<_, Failure>(latency.as_secs_f64() * 1e3)
        };
        Ok(Self {
            run,
            reader,
            rate,
            changes: latencies.len(),
            p50_ms: ms(50)?,
            p99_ms: ms(99)?,
            max_ms: ms(100)?,
            processor_seconds: usage.processor.as_secs_f64(),
            peak_rss_mb: usage.peak_rss_bytes as f64 / 1e6,
        })
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>3}  {:<16}  {:>6}/s  {:>8.1} ms  {:>8.1} ms  {:>8.1} ms  {:>6.2}  {:>5.0} MB",
            self.run,
            self.reader.name(),
            self.rate,
            self.p50_ms,
            self.p99_ms,
            self.max_ms,
            self.processor_seconds,
            self.peak_rss_mb
        )
    }
}

/// What all measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
    /// In the order they were taken.
    pub measures: Vec<Measure>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "run  reader              rate          p50          p99          max   CPU-s  peak RSS"
        )?;
        for measure in &self.measures {
            writeln!(formatter, "{measure}")?;
        }
        Ok(())
    }
}
