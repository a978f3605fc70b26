//! What was measured, as a table for people and as JSON.

use std::fmt;

use serde::Serialize;

use super::point::Point;
use super::{Dimension, Plan};
use crate::backlog::Drained;
use crate::figures::{mb, per_second};

/// What one point took once.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// Which run; 0 does not count.
    pub run: u32,
    /// What was varied; nothing at the base.
    pub dimension: Option<Dimension>,
    /// Its value, in words.
    pub value: String,
    /// Row changes.
    pub changes: u64,
    /// Seconds from the start of the process to the last record.
    pub seconds: f64,
    /// Row changes per second of that.
    pub changes_per_second: f64,
    /// Payloads per second, MB of 1,000,000 bytes.
    pub mb_per_second: f64,
    /// Processor seconds of our process.
    pub processor_seconds: f64,
    /// Largest resident set of our process, MB of 1,000,000 bytes.
    pub peak_rss_mb: f64,
}

impl Measure {
    pub(super) fn of(run: u32, point: &Point, drained: Drained) -> Self {
        let (rows, elapsed) = (point.rows, drained.elapsed);
        Self {
            run,
            dimension: point.dimension,
            value: point.value.clone(),
            changes: rows.count,
            seconds: elapsed.as_secs_f64(),
            changes_per_second: per_second(rows.count, elapsed),
            mb_per_second: mb(rows.count * rows.payload_bytes) / elapsed.as_secs_f64(),
            processor_seconds: drained.usage.processor.as_secs_f64(),
            peak_rss_mb: mb(drained.usage.peak_rss_bytes),
        }
    }
}

/// What all points took.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What amounts were multiplied by.
    pub scale: f64,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
    /// In the order they were taken.
    pub measures: Vec<Measure>,
}

impl Report {
    pub(super) fn new(plan: &Plan) -> Self {
        Self { scale: plan.scale, settings: plan.settings.clone(), measures: Vec::new() }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>3}  {:<12}  {:<23}  {:>9}  {:>7.2} s  {:>9.0}  {:>6.1}  {:>6.2}  {:>5.0} MB",
            self.run,
            self.dimension.map_or("", Dimension::name),
            self.value,
            self.changes,
            self.seconds,
            self.changes_per_second,
            self.mb_per_second,
            self.processor_seconds,
            self.peak_rss_mb
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "run  dimension     value                      changes       wall  changes/s    MB/s   CPU-s  peak RSS"
        )?;
        for measure in &self.measures {
            writeln!(formatter, "{measure}")?;
        }
        Ok(())
    }
}
