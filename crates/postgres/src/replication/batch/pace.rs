//! How large the next batch is, and when batches no longer pay. Pure.
//!
//! In: what the last batch brought and cost. Out: the limits of the next, or a [`BatchesEnd`].
//! Each batch decodes again what lies between the slot's `restart_lsn` and where it begins, so few large batches cost less than
//! many small ones; but its rows wait on the server, then here, and the server keeps a snapshot meanwhile. And what a batch
//! saves is the walsender's work per message: log without messages for us is read no faster in batches.
//! Source: `docs/adr/0011-batch-reading.md`, with the measurements.

use std::time::Duration;

use pgoutput::{Lsn, PgTimestamp};

/// Log that one batch decodes at most, and at the beginning.
const WINDOW_BYTES_MAX: u64 = 64 * 1024 * 1024;
const WINDOW_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// A batch that takes longer is followed by a smaller one.
const DECODE_TIME_MAX: Duration = Duration::from_secs(2);
const DECODE_TIME_SHORT: Duration = Duration::from_millis(500);

/// Windows of log that may be decoded again before a batch. A transaction that is larger keeps `restart_lsn` back, and so never
/// comes by a batch: its rows would have to be put aside on the server.
const AGAIN_WINDOWS_MAX: u64 = 8;

/// Log that the copy may have to pass over to where reading begins; 1000 MB take about a second.
const PASSED_OVER_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Bytes of log that may be decoded again for each message, about half of what takes as long as sending it alone does.
const AGAIN_BYTES_PER_MESSAGE: u64 = 2000;

/// What a message takes until it is known better.
const MESSAGE_BYTES_GUESS: u64 = 200;
const MESSAGES_MIN: u64 = 1000;
const MESSAGES_MAX: u64 = 1_000_000;

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
    /// From the question to the first row.
    pub(super) decode_time: Duration,
}

/// Sizes batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    limits: BatchLimits,
    window_bytes: u64,
    message_bytes: u64,
}

impl Pace {
    pub(super) fn new(limits: BatchLimits) -> Self {
        let message_bytes = MESSAGE_BYTES_GUESS;
        Self { limits, window_bytes: WINDOW_BYTES_MAX, message_bytes }
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
        let upto = Lsn::new(at.confirmed.as_u64().saturating_add(self.window_bytes));
        let bytes_max = u64::try_from(self.limits.bytes_max).unwrap_or(u64::MAX);
        let messages = (bytes_max / self.message_bytes.max(1)).clamp(MESSAGES_MIN, MESSAGES_MAX);
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
        if brought.decode_time > DECODE_TIME_MAX && again_before <= covered {
            self.window_bytes = (self.window_bytes / 2).max(WINDOW_BYTES_MIN);
        } else if brought.decode_time < DECODE_TIME_SHORT {
            self.window_bytes = (self.window_bytes * 2).min(WINDOW_BYTES_MAX);
        }
        let behind = distance(after.confirmed, after.flushed);
        if covered == 0 || behind < self.limits.behind_bytes_min {
            return Some(BatchesEnd::CaughtUp);
        }
        let again_bytes = distance(after.restart, after.confirmed);
        let pays = again_bytes <= covered.max(AGAIN_BYTES_PER_MESSAGE * brought.messages)
            && again_bytes <= AGAIN_WINDOWS_MAX * self.window_bytes;
        self.unless(pays, again_bytes)
    }
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

    fn brought(messages: u64, decode_ms: u64) -> Brought {
        let decode_time = Duration::from_millis(decode_ms);
        Brought { messages, bytes: messages * 200, decode_time }
    }

    #[test]
    fn batches_go_on_until_the_end_of_the_log_is_near() {
        let mut pace = pace();
        let full = brought(160_000, 700);
        assert_eq!(pace.learn(at(100, 100, 400), at(120, 140, 400), full), None);
        let end = pace.learn(at(360, 360, 400), at(370, 390, 400), full);
        assert_eq!(end, Some(BatchesEnd::CaughtUp));
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
        assert_eq!(first.upto, Lsn::new(164 * MB));
        pace.learn(at(100, 100, 900), at(150, 164, 900), brought(200_000, 3000));
        assert_eq!(pace.portion(at(150, 164, 900)).upto, Lsn::new(196 * MB));
        pace.learn(at(100, 164, 900), at(190, 196, 900), brought(200_000, 3000));
        assert_eq!(pace.portion(at(190, 196, 900)).upto, Lsn::new(228 * MB));
        pace.learn(at(190, 196, 900), at(210, 228, 900), brought(200_000, 100));
        assert_eq!(pace.portion(at(210, 228, 900)).upto, Lsn::new(292 * MB));
    }

    #[test]
    fn as_many_messages_are_asked_for_as_may_wait_here() {
        let mut pace = pace();
        assert_eq!(pace.portion(at(1, 1, 900)).messages, (32 << 20) / 200);
        let large = Brought { bytes: 1000 * MB, ..brought(1000, 700) };
        pace.learn(at(1, 1, 900), at(1, 30, 900), large);
        assert_eq!(pace.portion(at(1, 1, 900)).messages, MESSAGES_MIN);
    }
}
