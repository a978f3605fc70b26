//! How fast tables are read, where the settings limit it. Pure.
//!
//! In: how many rows were read, and when. Out: how long to wait before reading on.
//! What was not used while something else was waited for is not made up for.

use std::time::{Duration, Instant};

/// A limit in rows per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    rows_per_second_max: Option<u64>,
    free_at: Option<Instant>,
}

impl Pace {
    /// `None` does not limit.
    pub(crate) fn new(rows_per_second_max: Option<u64>) -> Self {
        Self { rows_per_second_max, free_at: None }
    }

    /// Rows were read.
    pub(crate) fn spent(&mut self, rows: u64, now: Instant) {
        let Some(per_second) = self.rows_per_second_max else { return };
        let from = self.free_at.map_or(now, |free_at| free_at.max(now));
        let nanos = rows.saturating_mul(1_000_000_000) / per_second.max(1);
        self.free_at = Some(from + Duration::from_nanos(nanos));
    }

    /// When reading may go on, if not now.
    pub(crate) fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.free_at.filter(|free_at| *free_at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_take_their_time_and_idleness_saves_none() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::new(Some(1000));
        assert_eq!(pace.waits_until(start), None);
        pace.spent(500, start);
        pace.spent(500, at(100));
        assert_eq!(pace.waits_until(at(100)), Some(at(1000)));
        assert_eq!(pace.waits_until(at(1000)), None);
        pace.spent(100, at(5000));
        assert_eq!(pace.waits_until(at(5000)), Some(at(5100)));
        let mut unlimited = Pace::new(None);
        unlimited.spent(u64::MAX, start);
        assert_eq!(unlimited.waits_until(start), None);
    }
}
