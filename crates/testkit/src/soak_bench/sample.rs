//! One look at a connector, and how those of the last third of the time differ from those of the first.
//!
//! In: looks. Out: means. Never: I/O.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::figures::mb;

/// What one look found.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sample {
    /// Seconds since the beginning.
    pub seconds: f64,
    /// Which life of the connector, from 1.
    pub life: usize,
    /// Seconds since its process started.
    pub life_seconds: f64,
    /// Resident set.
    pub rss_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open files and sockets.
    pub open_files: usize,
    /// What the spill folder takes.
    pub spilled_bytes: u64,
    /// WAL that is not acknowledged.
    pub lag_bytes: u64,
}

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>6.0} s  life {:>2}  {:>6.1} MB  {:>3} threads  {:>4} files  {:>6.1} MB spilled  {:>7.1} MB behind",
            self.seconds,
            self.life,
            mb(self.rss_bytes),
            self.threads,
            self.open_files,
            mb(self.spilled_bytes),
            mb(self.lag_bytes)
        )
    }
}

/// Those that are compared: not of a life's first seconds.
pub(super) fn settled(samples: &[Sample], warm_up: Duration) -> Vec<Sample> {
    let settled = |sample: &&Sample| sample.life_seconds >= warm_up.as_secs_f64();
    samples.iter().filter(settled).copied().collect()
}

/// The mean of a figure in the first and in the last third of the looks; `None` where there are fewer than three.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn thirds(samples: &[Sample], figure: impl Fn(&Sample) -> u64) -> Option<(f64, f64)> {
    let third = samples.len() / 3;
    let mean = |some: &[Sample]| some.iter().map(&figure).sum::<u64>() as f64 / third as f64;
    let first = samples.get(..third).filter(|some| !some.is_empty())?;
    let last = samples.get(samples.len() - third..)?;
    Some((mean(first), mean(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(life_seconds: f64, rss_bytes: u64) -> Sample {
        Sample { life_seconds, rss_bytes, ..Sample::default() }
    }

    #[test]
    fn thirds_are_means_of_settled_looks() {
        let looks =
            [(1.0, 900), (60.0, 10), (70.0, 20), (80.0, 99), (90.0, 99), (60.0, 30), (60.0, 50)];
        let samples = looks.map(|(life_seconds, rss)| sample(life_seconds, rss));
        let settled = settled(&samples, Duration::from_mins(1));
        assert_eq!(settled.len(), 6);
        let (first, last) = thirds(&settled, |sample| sample.rss_bytes).unwrap();
        assert!((first - 15.0).abs() < 1e-9 && (last - 40.0).abs() < 1e-9, "{first} {last}");
        assert!(thirds(&settled[..2], |sample| sample.rss_bytes).is_none());
    }
}
