//! The last words of `tributary dev`.

use std::time::Duration;

use serde::Serialize;

use super::journal::{Journal, Verdict};
use super::verify::ReadBack;
use crate::event::latency;
use crate::output::{Colour, Output};

/// Latencies kept; beyond that, later ones take the place of earlier ones.
const SAMPLES_MAX: usize = 1 << 20;

/// Time from commit to a `read_committed` reader, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    samples: Vec<i64>,
    count: usize,
}

impl Latencies {
    pub(crate) fn add(&mut self, microseconds: i64) {
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(microseconds);
        } else {
            self.samples[self.count % SAMPLES_MAX] = microseconds;
        }
        self.count += 1;
    }

    /// The value that `percent` of the samples do not exceed.
    fn percentile(&mut self, percent: usize) -> Option<i64> {
        self.samples.sort_unstable();
        let last = self.samples.len().checked_sub(1)?;
        self.samples.get((self.samples.len() * percent / 100).min(last)).copied()
    }
}

/// Everything worth saying at the end.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    seconds: u64,
    transactions: u64,
    rolled_back: u64,
    changes: u64,
    records: u64,
    snapshot_rows: u64,
    duplicates: u64,
    lost: u64,
    out_of_order: u64,
    unexpected: u64,
    latency_p50_us: Option<i64>,
    latency_p99_us: Option<i64>,
    exactly_once: bool,
    seed: u64,
}

impl Summary {
    pub(crate) fn new(
        journal: &Journal,
        read: &ReadBack,
        verdict: &Verdict,
        latencies: &mut Latencies,
        (open_for, seed): (Duration, u64),
    ) -> Self {
        Self {
            seconds: open_for.as_secs(),
            transactions: journal.transactions,
            rolled_back: journal.rolled_back,
            changes: journal.changes,
            records: read.records,
            snapshot_rows: read.snapshot_rows,
            duplicates: verdict.duplicates,
            lost: verdict.lost,
            out_of_order: verdict.out_of_order,
            unexpected: verdict.unexpected,
            latency_p50_us: latencies.percentile(50),
            latency_p99_us: latencies.percentile(99),
            exactly_once: verdict.is_clean(),
            seed,
        }
    }

    pub(crate) fn show(&self, output: Output) {
        if output.is_json() {
            output.json(self);
            return;
        }
        let shown = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), latency);
        let verdict = if self.exactly_once {
            output.paint(
                Colour::Green,
                "every change arrived exactly once, in order, and the topics fold to the tables",
            )
        } else {
            output.paint(Colour::Red, "the topics do not hold what was committed")
        };
        for line in [
            String::new(),
            format!("=== Summary of {} s", self.seconds),
            format!(
                "Changes:       {} in {} transactions ({} rolled back)",
                self.changes, self.transactions, self.rolled_back
            ),
            format!(
                "Records:       {} ({} rows of the snapshot)",
                self.records, self.snapshot_rows
            ),
            format!("Duplicates:    {}", self.duplicates),
            format!("Lost:          {}", self.lost),
            format!("Out of order:  {}", self.out_of_order),
            format!("Unexpected:    {}", self.unexpected),
            format!(
                "Latency:       p50 {}, p99 {} from commit to a read_committed reader, while streaming",
                shown(self.latency_p50_us),
                shown(self.latency_p99_us)
            ),
            format!("Verdict:       {verdict}"),
        ] {
            output.line(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_from_the_sorted_samples() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50), None);
        (1..=100).rev().for_each(|sample| latencies.add(sample));
        assert_eq!((latencies.percentile(50), latencies.percentile(99)), (Some(51), Some(100)));
    }
}
