//! What was measured, as a table for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Observed, Plan};
use crate::figures::{mb, or_dash, per_second};
use crate::pace;

/// Under whom it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Contender {
    /// Our binary, exactly once.
    Tributary,
    /// Debezium on Kafka Connect, tuned, at least once.
    Debezium,
}

/// What was seen of one.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// Who.
    pub contender: Contender,
    /// Row changes that were written.
    pub changes: u64,
    /// Row changes per second that PostgreSQL wrote beside it.
    pub written_per_second: f64,
    /// Largest lag of the slot, MB of 1,000,000 bytes of WAL that were not acknowledged.
    pub lag_mb_max: f64,
    /// Largest lag of the slot in time: how long ago the WAL ended at what was acknowledged.
    pub lag_seconds_max: f64,
    /// Seconds from the end of the writing to the last row; nothing if it did not come in time.
    pub catch_up_seconds: Option<f64>,
    /// Row changes per second from the beginning to the last row.
    pub changes_per_second: Option<f64>,
    /// Processor seconds of the process.
    pub processor_seconds: f64,
    /// Largest resident set of the process, MB of 1,000,000 bytes.
    pub peak_rss_mb: f64,
}

/// What all measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Row changes per second that were wanted.
    pub rate: u64,
    /// Seconds of writing that were wanted.
    pub seconds: u64,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
    /// One per contender.
    pub measures: Vec<Measure>,
}

impl Report {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            rate: plan.rate,
            seconds: plan.seconds,
            settings: plan.settings.clone(),
            measures: Vec::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        contender: Contender,
        observed: &Observed,
        narrate: &dyn Fn(&str),
    ) {
        let (changes, _) = pace::sum(&observed.written);
        let whole = observed.catch_up.map(|catch_up| observed.writing + catch_up);
        let measure = Measure {
            contender,
            changes,
            written_per_second: per_second(changes, observed.writing),
            lag_mb_max: mb(observed.behind.bytes),
            lag_seconds_max: observed.behind.time.as_secs_f64(),
            catch_up_seconds: observed.catch_up.as_ref().map(Duration::as_secs_f64),
            changes_per_second: whole.map(|whole| per_second(changes, whole)),
            processor_seconds: observed.usage.processor.as_secs_f64(),
            peak_rss_mb: mb(observed.usage.peak_rss_bytes),
        };
        narrate(&measure.to_string());
        self.measures.push(measure);
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contender = match self.contender {
            Contender::Tributary => "tributary",
            Contender::Debezium => "Debezium",
        };
        write!(
            formatter,
            "{contender:<9}  {:>9}  {:>9.0}  {:>8.1} MB  {:>7.1} s  {} s  {}  {:>6.1}  {:>5.0} MB",
            self.changes,
            self.written_per_second,
            self.lag_mb_max,
            self.lag_seconds_max,
            or_dash(self.catch_up_seconds, 6, 2),
            or_dash(self.changes_per_second, 9, 0),
            self.processor_seconds,
            self.peak_rss_mb
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} changes/s wanted for {} s", self.rate, self.seconds)?;
        writeln!(
            formatter,
            "             changes  written/s  largest lag             catch up  changes/s   CPU-s  peak RSS"
        )?;
        for measure in &self.measures {
            writeln!(formatter, "{measure}")?;
        }
        Ok(())
    }
}
