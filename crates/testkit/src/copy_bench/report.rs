//! What was measured, as a table for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Table;
use crate::process_stat::Usage;

/// Who read the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reader {
    /// `psql`, to nowhere.
    Copy,
    /// Our binary, into Kafka.
    Tributary,
    /// Debezium on Kafka Connect, into Kafka.
    Debezium,
}

/// What one reader needed for one table once.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// Which run.
    pub run: u32,
    /// Who.
    pub reader: Reader,
    /// Which table.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    /// Seconds to the last row: for a connector, until it could be read from Kafka.
    pub seconds: f64,
    /// Rows per second of that.
    pub rows_per_second: f64,
    /// Seconds by those of COPY of the same table in the same run.
    pub ratio_to_copy: Option<f64>,
    /// Processor seconds of the process.
    pub processor_seconds: Option<f64>,
    /// Largest resident set of the process, MB of 1,000,000 bytes.
    pub peak_rss_mb: Option<f64>,
}

/// What all measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `snapshot.max.threads`.
    pub threads: u32,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
    /// In the order they were taken.
    pub measures: Vec<Measure>,
}

impl Report {
    pub(super) fn new(threads: u32, settings: &[(String, String)]) -> Self {
        Self { threads, settings: settings.to_vec(), measures: Vec::new() }
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn add(
        &mut self,
        run: u32,
        (reader, table): (Reader, Table),
        elapsed: Duration,
        usage: Option<Usage>,
        narrate: &dyn Fn(&str),
    ) {
        let seconds = elapsed.as_secs_f64();
        let copied = self.measures.iter().rev();
        let mut copied = copied
            .filter(|one| one.reader == Reader::Copy && one.table == table.name)
            .map(|copy| seconds / copy.seconds);
        let ratio_to_copy = if reader == Reader::Copy { None } else { copied.next() };
        let measure = Measure {
            run,
            reader,
            table: table.name,
            rows: table.rows,
            seconds,
            rows_per_second: table.rows as f64 / seconds,
            ratio_to_copy,
            processor_seconds: usage.map(|usage| usage.processor.as_secs_f64()),
            peak_rss_mb: usage.map(|usage| usage.peak_rss_bytes as f64 / 1e6),
        };
        narrate(&measure.to_string());
        self.measures.push(measure);
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reader = match self.reader {
            Reader::Copy => "COPY",
            Reader::Tributary => "tributary",
            Reader::Debezium => "Debezium",
        };
        write!(
            formatter,
            "{:>3}  {:<7}  {reader:<9}  {:>7.2} s  {:>9.0}",
            self.run, self.table, self.seconds, self.rows_per_second
        )?;
        let used = (self.ratio_to_copy, self.processor_seconds, self.peak_rss_mb);
        if let (Some(ratio), Some(processor), Some(rss)) = used {
            write!(formatter, "  {ratio:>7.2}  {processor:>6.2}  {rss:>5.0} MB")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} readers of a connector, COPY by one", self.threads)?;
        writeln!(
            formatter,
            "run  table    reader          wall     rows/s  by COPY   CPU-s  peak RSS"
        )?;
        for measure in &self.measures {
            writeln!(formatter, "{measure}")?;
        }
        Ok(())
    }
}
