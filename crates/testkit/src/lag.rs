//! How far a slot is behind, in bytes and in time.
//!
//! In: a slot, looked at again and again. Out: bytes between the end of the flushed WAL and what the slot's reader has acknowledged, and how
//! long ago the WAL ended there. Never: an estimate from a rate.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::session::Session;
use crate::{Failure, Result};

/// The looks so far that still count.
pub(crate) struct Lag {
    slot: String,
    /// When the WAL ended where, oldest first; nothing that is acknowledged but the last.
    ends: VecDeque<(Instant, u64)>,
}

/// What one look found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

impl Behind {
    /// The larger of each.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { bytes: self.bytes.max(other.bytes), time: self.time.max(other.time) }
    }
}

impl Lag {
    pub(crate) fn of(slot: &str) -> Self {
        Self { slot: slot.to_owned(), ends: VecDeque::new() }
    }

    pub(crate) async fn look(&mut self, session: &Session) -> Result<Behind> {
        let query = format!(
            "select (pg_current_wal_flush_lsn() - '0/0')::bigint, (confirmed_flush_lsn - '0/0')::bigint
             from pg_replication_slots where slot_name = '{}'",
            self.slot
        );
        let rows = session.rows(&query).await?;
        let numbers = rows.first().map_or(&[][..], Vec::as_slice).iter().map(|text| text.parse());
        let numbers: Vec<u64> = numbers.collect::<std::result::Result<_, _>>()?;
        let [end, acknowledged] = numbers[..] else {
            return Err(Failure::new(format!("no slot `{}`", self.slot)));
        };
        Ok(self.found(Instant::now(), end, acknowledged))
    }

    fn found(&mut self, now: Instant, end: u64, acknowledged: u64) -> Behind {
        self.ends.push_back((now, end));
        // The WAL grew past what is acknowledged between the last end at or before it and the next.
        while self.ends.get(1).is_some_and(|(_, end)| *end <= acknowledged) {
            self.ends.pop_front();
        }
        let bytes = end.saturating_sub(acknowledged);
        let since = self.ends.front().map_or(now, |(at, _)| *at);
        let time = if bytes == 0 { Duration::ZERO } else { now.duration_since(since) };
        Behind { bytes, time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_behind_runs_from_when_the_wal_ended_at_what_is_acknowledged() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut lag = Lag::of("slot");
        assert_eq!(lag.found(at(0), 100, 100), Behind::default());
        let behind = |bytes, seconds| Behind { bytes, time: Duration::from_secs(seconds) };
        assert_eq!(lag.found(at(1), 200, 100), behind(100, 1));
        assert_eq!(lag.found(at(2), 300, 200), behind(100, 1));
        assert_eq!(lag.found(at(3), 300, 200), behind(100, 2));
        assert_eq!(lag.found(at(4), 300, 300), Behind::default());
    }
}
