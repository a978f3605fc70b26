//! How large the next batch is, and when batches no longer pay. Pure.
//!
//! In: what the last batch brought and cost. Out: the limits of the next, or a [`BatchesEnd`].
//! Each batch decodes again what lies between the slot's `restart_lsn` and where it begins, so few large batches cost less than
//! many small ones; but its rows wait on the server, then here, and the server keeps a snapshot meanwhile. The first is smaller,
//! so that the consumer soon has something to do. And what a batch saves is the walsender's work per message: log without
//! messages for us is read no faster in batches.
//! Source: `docs/adr/0011-batch-reading.md`, with the measurements.

use std::time::Duration;

use pgoutput::{Lsn, PgTimestamp};

/// Log that one batch decodes at most, and at the beginning.
const WINDOW_BYTES_MAX: u64 = 128 * 1024 * 1024;
const WINDOW_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// A batch that takes longer, from the question to its last row, is followed by a smaller one.
const TIME_MAX: Duration = Duration::from_millis(1500);
const TIME_SHORT: Duration = Duration::from_millis(500);

/// Windows of log that may be decoded again before a batch. A transaction that is larger keeps `restart_lsn` back, and so never
/// comes by a batch: its rows would have to be put aside on the server.
const AGAIN_WINDOWS_MAX: u64 = 4;

/// Log that the copy may have to pass over to where reading begins; 1000 MB take about a second.
const PASSED_OVER_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Bytes of log that may be decoded again for each message: that takes as long as the walsender needs to send it alone.
const AGAIN_BYTES_PER_MESSAGE: u64 = 4000;

/// The server is to log its running transactions at most once for so much new log. Less often than that it does by itself, where
/// little is written.
const LOGGED_BYTES_MIN: u64 = 32 * 1024 * 1024;

/// What a message takes until it is known better.
const MESSAGE_BYTES_GUESS: u64 = 200;
const MESSAGES_MIN: u64 = 1000;
const MESSAGES_MAX: u64 = 1_000_000;

/// The first batch is this part of the largest.
const FIRST_PART: u64 = 4;

/// And the smallest this one.
const BYTES_PART_MIN: u64 = 16;

/// The last batch has so much log at most: the server has nothing to do while the consumer works on it.
const LAST_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Near the end of the log so many more batches bring what is left, unless it is next to nothing. The walsender begins with
/// decoding again as well, takes longer for it, and has the rest wait meanwhile.
const NEAR_BATCHES_MAX: u32 = 2;
const REST_BYTES: u64 = 1024 * 1024;

/// What reading in batches may use, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// About as much as one batch brings.
    pub bytes_max: usize,
    /// Nearer to the end of the log than this nothing is read in batches.
    pub behind_bytes_min: u64,
    /// Batches end when they take longer than the stream would.
    pub ends_unless_it_pays: bool,
    /// The slot is moved on this often at most, unless much log is acknowledged: each time the server passes over what lies
    /// between.
    pub move_interval: Duration,
}

/// Why there are no more batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchesEnd {
    /// The end of the log is near.
    CaughtUp,
    /// Too much would be decoded again for each: an old transaction is open, or little of the log is for us.
    NotWorthIt {
        /// Bytes of log before the next batch that it would decode again.
        again_bytes: u64,
    },
}

/// Where the copy of the slot and the server stand, between two batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) restart: Lsn,
    pub(super) confirmed: Lsn,
    /// The end of the log.
    pub(super) flushed: Lsn,
    /// The server's clock.
    pub(super) clock: PgTimestamp,
}

/// Limits of the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portion {
    pub(super) upto: Lsn,
    pub(super) messages: u64,
}

/// What one batch brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Brought {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// From the question to the last row.
    pub(super) time: Duration,
}

/// Sizes batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    limits: BatchLimits,
    window_bytes: u64,
    batch_bytes: u64,
    message_bytes: u64,
    /// Batches since the end of the log is near.
    near_batches: u32,
    /// The end of the log when running transactions were to be logged there.
    logged_at: Option<Lsn>,
}

impl Pace {
    pub(super) fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            window_bytes: WINDOW_BYTES_MAX,
            batch_bytes: bytes_max(limits) / FIRST_PART,
            message_bytes: MESSAGE_BYTES_GUESS,
            near_batches: 0,
            logged_at: None,
        }
    }

    /// Whether a copy of a slot gets to `start` in good time.
    pub(super) fn reach(slot: Standing, start: Lsn) -> Option<BatchesEnd> {
        let again_bytes = distance(slot.restart, start);
        (again_bytes > PASSED_OVER_BYTES_MAX).then_some(BatchesEnd::NotWorthIt { again_bytes })
    }

    /// Whether the first batch pays, as far as one can know.
    pub(super) fn begin(&self, at: Standing) -> Option<BatchesEnd> {
        let behind = distance(at.confirmed, at.flushed);
        let again_bytes = distance(at.restart, at.confirmed);
        let pays = again_bytes <= AGAIN_WINDOWS_MAX * self.window_bytes.min(behind);
        self.unless(pays, again_bytes)
    }

    fn unless(&self, pays: bool, again_bytes: u64) -> Option<BatchesEnd> {
        let ends = self.limits.ends_unless_it_pays && !pays;
        ends.then_some(BatchesEnd::NotWorthIt { again_bytes })
    }

    pub(super) fn portion(&self, at: Standing) -> Portion {
        let behind = distance(at.confirmed, at.flushed);
        let window_bytes = if behind > LAST_BYTES_MAX {
            self.window_bytes.min(behind / 3 * 2)
        } else {
            self.window_bytes
        };
        let upto = Lsn::new(at.confirmed.as_u64().saturating_add(window_bytes));
        let messages = self.batch_bytes / self.message_bytes.max(1);
        let messages = messages.clamp(MESSAGES_MIN, MESSAGES_MAX);
        Portion { upto, messages }
    }

    /// Learns from a batch between two standings. Says whether it was the last.
    pub(super) fn learn(
        &mut self,
        before: Standing,
        after: Standing,
        brought: Brought,
    ) -> Option<BatchesEnd> {
        if let Some(bytes) = brought.bytes.checked_div(brought.messages) {
            self.message_bytes = bytes.max(1);
        }
        let covered = distance(before.confirmed, after.confirmed);
        let again_before = distance(before.restart, before.confirmed);
        if brought.time <= TIME_MAX {
            self.batch_bytes = (self.batch_bytes * 2).min(bytes_max(self.limits));
        } else if again_before <= covered {
            self.window_bytes = (self.window_bytes / 2).max(WINDOW_BYTES_MIN);
            self.batch_bytes = (self.batch_bytes / 2).max(bytes_max(self.limits) / BYTES_PART_MIN);
        }
        if brought.time < TIME_SHORT {
            self.window_bytes = (self.window_bytes * 2).min(WINDOW_BYTES_MAX);
        }
        let behind = distance(after.confirmed, after.flushed);
        let is_near = behind < self.limits.behind_bytes_min;
        self.near_batches += u32::from(is_near);
        let is_last = behind <= REST_BYTES || self.near_batches > NEAR_BATCHES_MAX;
        if covered == 0 || is_near && is_last {
            return Some(BatchesEnd::CaughtUp);
        }
        let again_bytes = distance(after.restart, after.confirmed);
        let pays = again_bytes <= covered.max(AGAIN_BYTES_PER_MESSAGE * brought.messages)
            && again_bytes <= AGAIN_WINDOWS_MAX * self.window_bytes;
        self.unless(pays, again_bytes)
    }

    /// Whether running transactions should be logged now, at the end of the log: it grows, and half of the last batch's work was log that had
    /// been decoded before. Others who ask for it do it for us as well.
    pub(super) fn wants_running_logged(&mut self, before: Standing, after: Standing) -> bool {
        let again_bytes = distance(before.restart, before.confirmed);
        let logged_at = self.logged_at.get_or_insert(before.flushed);
        let wants = again_bytes >= distance(before.confirmed, after.confirmed)
            && distance(*logged_at, after.flushed) >= LOGGED_BYTES_MIN;
        if wants {
            *logged_at = after.flushed;
        }
        wants
    }
}

fn bytes_max(limits: BatchLimits) -> u64 {
    u64::try_from(limits.bytes_max).unwrap_or(u64::MAX)
}

fn distance(from: Lsn, to: Lsn) -> u64 {
    to.as_u64().saturating_sub(from.as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1024 * 1024;

    fn pace() -> Pace {
        Pace::new(BatchLimits {
            bytes_max: 32 << 20,
            behind_bytes_min: 16 * MB,
            ends_unless_it_pays: true,
            move_interval: Duration::from_secs(10),
        })
    }

    fn at(restart: u64, confirmed: u64, flushed: u64) -> Standing {
        let lsn = |megabytes: u64| Lsn::new(megabytes * MB);
        Standing {
            restart: lsn(restart),
            confirmed: lsn(confirmed),
            flushed: lsn(flushed),
            clock: PgTimestamp::new(0),
        }
    }

    fn brought(messages: u64, milliseconds: u64) -> Brought {
        Brought { messages, bytes: messages * 200, time: Duration::from_millis(milliseconds) }
    }

    #[test]
    fn batches_go_on_until_the_end_of_the_log_is_near() {
        let mut pace = pace();
        let full = brought(160_000, 700);
        assert_eq!(pace.learn(at(100, 100, 400), at(120, 140, 400), full), None);
        let mut to = |confirmed| pace.learn(at(360, 360, 400), at(370, confirmed, 400), full);
        assert_eq!(to(399), Some(BatchesEnd::CaughtUp));
        assert_eq!(to(390), None, "what is left comes by two more");
        assert_eq!(to(390), Some(BatchesEnd::CaughtUp), "and others write as fast");
    }

    #[test]
    fn a_batch_that_came_no_further_is_the_last() {
        let end = pace().learn(at(100, 100, 400), at(100, 100, 400), brought(0, 1));
        assert_eq!(end, Some(BatchesEnd::CaughtUp));
    }

    #[test]
    fn a_transaction_that_holds_the_restart_back_ends_batches() {
        let pace = pace();
        assert_eq!(pace.begin(at(100, 500, 2000)), None);
        let again_bytes = 600 * MB;
        assert_eq!(pace.begin(at(100, 700, 2000)), Some(BatchesEnd::NotWorthIt { again_bytes }));
        let end = { pace }.learn(at(100, 660, 2000), at(100, 700, 2000), brought(1_000_000, 900));
        assert_eq!(end, Some(BatchesEnd::NotWorthIt { again_bytes }));
    }

    #[test]
    fn log_of_others_is_left_to_the_stream_when_much_of_it_is_read_twice() {
        let mut pace = pace();
        assert_eq!(pace.learn(at(100, 130, 2000), at(150, 194, 2000), brought(0, 300)), None);
        let again_bytes = 94 * MB;
        let end = pace.learn(at(100, 130, 2000), at(100, 194, 2000), brought(10, 300));
        assert_eq!(end, Some(BatchesEnd::NotWorthIt { again_bytes }));
    }

    #[test]
    fn batches_become_smaller_where_they_take_long_and_not_because_much_is_read_twice() {
        let mut pace = pace();
        let first = pace.portion(at(100, 100, 900));
        assert_eq!(first.upto, Lsn::new(228 * MB));
        pace.learn(at(100, 100, 900), at(150, 228, 900), brought(200_000, 3000));
        assert_eq!(pace.portion(at(150, 228, 900)).upto, Lsn::new(292 * MB));
        pace.learn(at(100, 228, 900), at(190, 260, 900), brought(200_000, 3000));
        assert_eq!(pace.portion(at(190, 260, 900)).upto, Lsn::new(324 * MB));
        pace.learn(at(190, 260, 900), at(210, 292, 900), brought(200_000, 100));
        assert_eq!(pace.portion(at(210, 292, 900)).upto, Lsn::new(420 * MB));
    }

    #[test]
    fn the_last_batch_is_a_small_one() {
        let portion = |confirmed| pace().portion(at(1, confirmed, 900)).upto;
        assert_eq!([portion(700), portion(780)], [Lsn::new(828 * MB), Lsn::new(860 * MB)]);
        assert_eq!(portion(870), Lsn::new(998 * MB), "and what is written meanwhile");
    }

    #[test]
    fn running_transactions_are_logged_where_the_log_grows_and_much_is_read_twice() {
        let mut pace = pace();
        let mut wants = |again: u64, flushed_before: u64, flushed: u64| {
            let before = at(500 - again, 500, flushed_before);
            pace.wants_running_logged(before, at(500, 560, flushed))
        };
        assert!(!wants(60, 900, 920), "little is written");
        assert!(!wants(50, 920, 980), "little is read twice");
        assert!(wants(60, 980, 990), "90 MB since the first batch");
        assert!(!wants(60, 990, 1010), "not again so soon");
        assert!(wants(60, 1010, 1022));
    }

    #[test]
    fn as_many_messages_are_asked_for_as_may_wait_here() {
        let mut pace = pace();
        assert_eq!(pace.portion(at(1, 1, 900)).messages, (8 << 20) / 200, "the first is smaller");
        for _ in 0..3 {
            assert_eq!(pace.learn(at(1, 1, 900), at(1, 30, 900), brought(100_000, 700)), None);
        }
        assert_eq!(pace.portion(at(1, 1, 900)).messages, (32 << 20) / 200);
        let large = Brought { bytes: 1000 * MB, ..brought(1000, 700) };
        pace.learn(at(1, 1, 900), at(1, 30, 900), large);
        assert_eq!(pace.portion(at(1, 1, 900)).messages, MESSAGES_MIN);
    }
}
