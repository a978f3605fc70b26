//! What was seen, as a table for people and as JSON, and the verdict.

use std::fmt;

use serde::Serialize;

use super::Plan;
use super::sample::{Sample, settled, thirds};
use crate::figures::mb;

/// How much larger memory may be at the end, by the beginning.
const GROWTH_MAX: f64 = 1.10;

/// One life of the process.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Life {
    /// What had ended the one before.
    pub after: Option<&'static str>,
    /// Looks at it.
    pub samples: usize,
    /// Resident set at the first look that counts, MB of 1,000,000 bytes.
    pub rss_mb_first: f64,
    /// At the last.
    pub rss_mb_last: f64,
    /// The largest of all looks.
    pub rss_mb_max: f64,
}

impl Life {
    pub(super) fn first() -> Self {
        Self { after: None, samples: 0, rss_mb_first: 0.0, rss_mb_last: 0.0, rss_mb_max: 0.0 }
    }

    pub(super) fn after(signal: &'static str) -> Self {
        Self { after: Some(signal), ..Self::first() }
    }

    fn with(self, all: &[Sample], settled: &[Sample], number: usize) -> Self {
        let of = |some: &[Sample]| -> Vec<u64> {
            let some = some.iter().filter(|sample| sample.life == number);
            some.map(|sample| sample.rss_bytes).collect()
        };
        let (all, settled) = (of(all), of(settled));
        let in_mb = |bytes: Option<&u64>| bytes.copied().map_or(0.0, mb);
        Self {
            after: self.after,
            samples: all.len(),
            rss_mb_first: in_mb(settled.first()),
            rss_mb_last: in_mb(settled.last()),
            rss_mb_max: in_mb(all.iter().max()),
        }
    }
}

/// Means over the first and the last third of the looks that count.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Thirds {
    /// First third.
    pub first: f64,
    /// Last third.
    pub last: f64,
    /// Last by first.
    pub ratio: f64,
}

impl Thirds {
    fn of(samples: &[Sample], figure: impl Fn(&Sample) -> u64) -> Option<Self> {
        let (first, last) = thirds(samples, figure)?;
        Some(Self { first, last, ratio: last / first })
    }
}

/// What was seen.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Row changes per second that were wanted.
    pub rate: u64,
    /// Row changes that were written; each was found once.
    pub changes: u64,
    /// Resident set, bytes. Nothing where too few looks count.
    pub rss_bytes: Option<Thirds>,
    /// Threads.
    pub threads: Option<Thirds>,
    /// Open files and sockets.
    pub open_files: Option<Thirds>,
    /// Most that the spill folder took, MB of 1,000,000 bytes.
    pub spilled_mb_max: f64,
    /// Largest lag of the slot at a look, MB of 1,000,000 bytes.
    pub lag_mb_max: f64,
    /// Each life of the process.
    pub lives: Vec<Life>,
    /// In the order they were taken.
    pub samples: Vec<Sample>,
}

impl Report {
    pub(super) fn new(plan: &Plan, changes: u64, lives: Vec<Life>, samples: Vec<Sample>) -> Self {
        let settled = settled(&samples, plan.warm_up);
        let lives = (1..).zip(lives);
        let lives = lives.map(|(number, life)| life.with(&samples, &settled, number)).collect();
        let most =
            |figure: fn(&Sample) -> u64| mb(samples.iter().map(figure).max().unwrap_or_default());
        Self {
            rate: plan.rate,
            changes,
            rss_bytes: Thirds::of(&settled, |sample| sample.rss_bytes),
            threads: Thirds::of(&settled, |sample| sample.threads),
            open_files: Thirds::of(&settled, |sample| sample.open_files as u64),
            spilled_mb_max: most(|sample| sample.spilled_bytes),
            lag_mb_max: most(|sample| sample.lag_bytes),
            lives,
            samples,
        }
    }

    /// Memory has not grown. A run with too few looks proves nothing.
    pub fn is_steady(&self) -> bool {
        self.rss_bytes.is_some_and(|rss| rss.ratio <= GROWTH_MAX)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} changes at {}/s, each found once", self.changes, self.rate)?;
        writeln!(formatter, "life  begun after  looks  RSS first      last   largest")?;
        for (number, life) in (1..).zip(&self.lives) {
            writeln!(
                formatter,
                "{number:>4}  {:<11}  {:>5}  {:>6.1} MB {:>6.1} MB {:>6.1} MB",
                life.after.unwrap_or("-"),
                life.samples,
                life.rss_mb_first,
                life.rss_mb_last,
                life.rss_mb_max
            )?;
        }
        let figures = [
            ("RSS, bytes", self.rss_bytes),
            ("threads", self.threads),
            ("open files", self.open_files),
        ];
        for (name, thirds) in figures {
            match thirds {
                Some(Thirds { first, last, ratio }) => writeln!(
                    formatter,
                    "{name:<10}  first third {first:>11.0}  last third {last:>11.0}  ratio {ratio:.2}"
                )?,
                None => writeln!(formatter, "{name:<10}  too few looks")?,
            }
        }
        let (spilled, lag) = (self.spilled_mb_max, self.lag_mb_max);
        writeln!(formatter, "spill folder at most {spilled:.1} MB, slot at most {lag:.1} MB behind")
    }
}
