//! Decides when a Kafka transaction ends. Pure: time is an argument.
//!
//! In: how much is waiting, since when, and whether a source transaction is open. Out: [`Due`].
//! A change after a moment of silence is committed at once, so that it is seen in milliseconds; those that follow share a transaction
//! every few milliseconds. A stream that is behind fills a transaction to its limits: each Kafka transaction costs the brokers markers and
//! coordinator writes whatever its size, and many small ones would take the time that is needed to catch up.
//! Never: a cut inside a source transaction, unless that transaction alone exceeds the limit.

use std::time::{Duration, Instant};

/// Limits of one Kafka transaction.
#[derive(Clone, Copy, Debug)]
pub struct BoundaryLimits {
    /// Bytes of encoded records after which it is committed at the next end of a source transaction.
    pub bytes_max: usize,
    /// Age after which it is committed although more is waiting to be read.
    pub interval_max: Duration,
    /// Least time between two commits, unless the open transaction is full; more than `interval_max` is as much as that.
    pub interval_min: Duration,
    /// Least time between two commits that carry a position only.
    pub idle_checkpoint_interval: Duration,
}

/// When the open Kafka transaction is to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing to commit, or a source transaction is open.
    Never,
    /// As soon as nothing more can be read without waiting.
    WhenIdle,
    /// As soon as nothing more can be read without waiting, but not before this time.
    At(Instant),
    /// At once.
    Now,
}

/// A commit that carried fewer records than this is a quiet stream's.
const QUIET_RECORDS_MAX: usize = 64;
/// Least distance of two commits of a busy stream that has nothing more to read for a moment.
const BUSY_INTERVAL: Duration = Duration::from_millis(20);
/// A stream whose transactions are sent so long after their commit is behind: a moment without data is no reason to commit.
const BEHIND_AFTER: Duration = Duration::from_millis(500);

/// Watches the open Kafka transaction.
#[derive(Debug)]
pub(crate) struct Boundary {
    limits: BoundaryLimits,
    opened_at: Option<Instant>,
    committed_at: Instant,
    committed_records: usize,
    position_moved: bool,
}

/// What is in the open Kafka transaction, as [`Boundary::due`] needs to know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    /// Bytes of encoded records.
    pub bytes: usize,
    /// Number of records.
    pub records: usize,
    /// A source transaction has begun and not ended.
    pub in_transaction: bool,
    /// How long after its commit the newest source transaction was sent, by the server's clock.
    pub(crate) lag: Duration,
}

impl Boundary {
    /// Starts with nothing open. `now` counts as the time of the last commit.
    pub(crate) fn new(limits: BoundaryLimits, now: Instant) -> Self {
        Self {
            limits,
            opened_at: None,
            committed_at: now,
            committed_records: 0,
            position_moved: false,
        }
    }

    /// Records were added. The time is only asked for where they are the first: a clock is not free, and this is said for each change.
    pub(crate) fn opened(&mut self, now: impl FnOnce() -> Instant) {
        self.opened_at.get_or_insert_with(now);
    }

    /// The position moved although no record was added: the database is idle, or busy with what nobody captures.
    pub(crate) fn position_moved(&mut self) {
        self.position_moved = true;
    }

    /// The open Kafka transaction was handed to the producer.
    pub(crate) fn handed_over(&mut self, records: usize, now: Instant) {
        self.opened_at = None;
        self.committed_at = now;
        self.committed_records = records;
        self.position_moved = false;
    }

    /// Says when the open Kafka transaction is to be committed.
    pub(crate) fn due(&self, filled: Filled, now: Instant) -> Due {
        if filled.in_transaction {
            return Due::Never;
        }
        let Some(opened_at) = self.opened_at else {
            return if self.position_moved {
                due_at(self.committed_at + self.limits.idle_checkpoint_interval, now)
            } else {
                Due::Never
            };
        };
        if filled.bytes >= self.limits.bytes_max || now >= opened_at + self.limits.interval_max {
            return Due::Now;
        }
        if filled.lag >= BEHIND_AFTER {
            return Due::At(opened_at + self.limits.interval_max);
        }
        let interval = if self.committed_records < QUIET_RECORDS_MAX {
            self.limits.interval_min
        } else {
            self.limits.interval_min.max(BUSY_INTERVAL)
        };
        due_at(self.committed_at + interval.min(self.limits.interval_max), now)
    }

    /// Enough is waiting: nothing more is read until it is handed over.
    pub(crate) fn is_full(&self, bytes: usize) -> bool {
        bytes >= self.limits.bytes_max
    }

    /// Nothing more may be added before the open Kafka transaction is handed over: the source transaction in it is
    /// larger than the limit, since what came before it filled at most one half.
    pub(crate) fn must_slice(&self, bytes: usize) -> bool {
        bytes >= self.limits.bytes_max.saturating_mul(2)
    }
}

fn due_at(at: Instant, now: Instant) -> Due {
    if now >= at { Due::WhenIdle } else { Due::At(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> BoundaryLimits {
        BoundaryLimits {
            bytes_max: 1000,
            interval_max: Duration::from_millis(100),
            interval_min: Duration::from_millis(5),
            idle_checkpoint_interval: Duration::from_secs(5),
        }
    }

    fn filled(bytes: usize, in_transaction: bool) -> Filled {
        Filled { bytes, records: 1, in_transaction, lag: Duration::ZERO }
    }

    #[test]
    fn a_quiet_stream_commits_as_soon_as_it_is_read_empty() {
        let began = Instant::now();
        let mut boundary = Boundary::new(limits(), began);
        let now = began + Duration::from_millis(5);
        boundary.opened(|| now);
        assert_eq!(boundary.due(filled(10, false), now), Due::WhenIdle);
    }

    #[test]
    fn changes_that_follow_each_other_share_a_commit() {
        let now = Instant::now();
        let mut boundary = Boundary::new(limits(), now);
        boundary.handed_over(1, now);
        boundary.opened(|| now);
        let at = now + Duration::from_millis(5);
        assert_eq!(boundary.due(filled(10, false), now), Due::At(at));
        assert_eq!(boundary.due(filled(10, false), at), Due::WhenIdle);
    }

    #[test]
    fn a_busy_stream_gathers_for_a_moment() {
        let now = Instant::now();
        let mut boundary = Boundary::new(limits(), now);
        boundary.handed_over(5000, now);
        boundary.opened(|| now);
        assert_eq!(boundary.due(filled(10, false), now), Due::At(now + BUSY_INTERVAL));
    }

    #[test]
    fn a_stream_that_is_behind_fills_its_transactions() {
        let now = Instant::now();
        let mut boundary = Boundary::new(limits(), now);
        boundary.opened(|| now);
        let behind = Filled { lag: Duration::from_secs(3), ..filled(10, false) };
        assert_eq!(boundary.due(behind, now), Due::At(now + Duration::from_millis(100)));
        assert_eq!(boundary.due(behind, now + Duration::from_millis(100)), Due::Now);
    }

    #[test]
    fn a_source_transaction_is_never_cut_by_time() {
        let now = Instant::now();
        let mut boundary = Boundary::new(limits(), now);
        boundary.opened(|| now);
        let later = now + Duration::from_mins(1);
        assert_eq!(boundary.due(filled(1999, true), later), Due::Never);
        assert!(!boundary.must_slice(1999));
        assert!(boundary.must_slice(2000));
    }

    #[test]
    fn limits_end_a_transaction_although_more_is_waiting() {
        let now = Instant::now();
        let mut boundary = Boundary::new(limits(), now);
        boundary.opened(|| now);
        assert_eq!(boundary.due(filled(1000, false), now), Due::Now);
        assert_eq!(boundary.due(filled(1, false), now + Duration::from_millis(100)), Due::Now);
    }

    #[test]
    fn an_idle_position_is_written_now_and_then() {
        let now = Instant::now();
        let mut boundary = Boundary::new(limits(), now);
        assert_eq!(boundary.due(filled(0, false), now), Due::Never);
        boundary.position_moved();
        let at = now + Duration::from_secs(5);
        assert_eq!(boundary.due(filled(0, false), now), Due::At(at));
        assert_eq!(boundary.due(filled(0, false), at), Due::WhenIdle);
    }
}
