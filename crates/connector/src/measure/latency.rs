//! How long changes take: when source transactions committed, and a histogram of what became of that.
//!
//! Of the source transactions in one Kafka transaction there may be a hundred thousand, and their latency is only known when Kafka
//! has committed. Their times are kept on a grid of a quarter of a millisecond, which gets coarser as the times spread: what has
//! committed over minutes is minutes late, and a tenth of a second is nothing then.

use std::time::Duration;

/// Upper bounds of the histogram's buckets.
pub const BOUNDS_SECONDS: [f64; 17] = [
    0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
    7200.0,
];
/// The same in microseconds.
const BOUNDS_US: [u64; 17] = [
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    1_800_000_000,
    7_200_000_000,
];
/// Cells in use at once.
const CELLS_MAX: usize = 256;
/// A cell is 2^8 µs wide at first.
const WIDTH_LOG2_FIRST: u32 = 8;

/// Latencies, by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// As many as there are bounds, and one for what is above all.
    buckets: [u64; 18],
    sum_us: u64,
}

impl Histogram {
    fn observe(&mut self, latency_us: u64, times: u64) {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < latency_us);
        self.buckets[bucket] += times;
        self.sum_us = self.sum_us.saturating_add(latency_us.saturating_mul(times));
    }

    /// How many were at most as long as each of [`BOUNDS_SECONDS`].
    pub fn cumulative(&self) -> [u64; 17] {
        let mut sum = 0;
        let mut cumulative = [0; 17];
        for (below, count) in cumulative.iter_mut().zip(self.buckets) {
            sum += count;
            *below = sum;
        }
        cumulative
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }
}

/// When the source transactions in one Kafka transaction committed.
#[derive(Debug)]
pub(crate) struct CommitTimes {
    /// Number of a cell of the grid, and how many fall into it.
    cells: Vec<(i64, u32)>,
    width_log2: u32,
}

impl Default for CommitTimes {
    fn default() -> Self {
        Self { cells: Vec::new(), width_log2: WIDTH_LOG2_FIRST }
    }
}

impl CommitTimes {
    /// One more; microseconds since 1970.
    #[inline]
    pub(crate) fn push(&mut self, committed_at_us: i64) {
        let cell = committed_at_us >> self.width_log2;
        match self.cells.last_mut() {
            Some((last, count)) if *last == cell => *count += 1,
            _ => self.open(cell),
        }
    }

    fn open(&mut self, mut cell: i64) {
        while self.cells.len() >= CELLS_MAX {
            self.width_log2 += 1;
            cell >>= 1;
            for (cell, _) in &mut self.cells {
                *cell >>= 1;
            }
            self.cells.dedup_by(|next, kept| {
                let is_same = next.0 == kept.0;
                kept.1 += if is_same { next.1 } else { 0 };
                is_same
            });
        }
        match self.cells.last_mut() {
            Some((last, count)) if *last == cell => *count += 1,
            _ => self.cells.push((cell, 1)),
        }
    }

    /// All of them have arrived now.
    pub(crate) fn observe(&self, now_us: i64, histogram: &mut Histogram) {
        for (cell, count) in &self.cells {
            histogram.observe(self.latency_us(*cell, now_us), u64::from(*count));
        }
    }

    /// The latency of the one that was added last.
    pub(crate) fn newest_latency(&self, now_us: i64) -> Option<Duration> {
        let (cell, _) = self.cells.last()?;
        Some(Duration::from_micros(self.latency_us(*cell, now_us)))
    }

    /// From the middle of a cell. A source whose clock is ahead of ours is not early.
    fn latency_us(&self, cell: i64, now_us: i64) -> u64 {
        let middle = (cell << self.width_log2) + (1 << (self.width_log2 - 1));
        u64::try_from(now_us - middle).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn a_latency_counts_in_every_bucket_it_fits() {
        let mut histogram = Histogram::default();
        histogram.observe(2_000, 1);
        histogram.observe(2_001, 2);
        histogram.observe(u64::MAX, 1);
        assert_eq!(histogram.cumulative()[..3], [1, 3, 3]);
        assert_eq!((histogram.cumulative()[16], histogram.count()), (3, 4));
    }

    #[test]
    fn both_lists_of_bounds_are_the_same() {
        for (seconds, us) in BOUNDS_SECONDS.into_iter().zip(BOUNDS_US) {
            assert_eq!(Duration::from_secs_f64(seconds), Duration::from_micros(us));
        }
    }

    proptest! {
        #[test]
        fn none_is_lost_and_each_is_nearly_right(steps in vec(0..3_000_000_i64, 1..2_000)) {
            let mut times = CommitTimes::default();
            let (mut at, mut sum) = (1_700_000_000_000_000, 0);
            let first = at;
            for step in &steps {
                at += step;
                times.push(at);
                sum += at - first;
            }
            prop_assert!(times.cells.len() <= CELLS_MAX);
            let mut histogram = Histogram::default();
            times.observe(at + 1_000_000, &mut histogram);
            prop_assert_eq!(histogram.count(), steps.len() as u64);
            let exact = (at + 1_000_000 - first) * i64::try_from(steps.len()).unwrap() - sum;
            let told = i64::try_from(histogram.sum().as_micros()).unwrap();
            // Half a cell each, and a cell is a hundredth of what they spread over, at most.
            let error = i64::try_from(steps.len()).unwrap() * (((at - first) / 64).max(512));
            prop_assert!((told - exact).abs() <= error, "{told} for {exact}");
        }
    }
}
