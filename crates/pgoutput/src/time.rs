//! PostgreSQL's clock value. In: microseconds of the wire. Out: the same since the Unix epoch. Never: reads a clock.
//!
//! Source: PostgreSQL manual, "Logical Replication Message Formats": "the number of microseconds since PostgreSQL
//! epoch (2000-01-01)".

/// From 1970-01-01 to 2000-01-01, both UTC.
const EPOCH_DIFFERENCE_US: i64 = 946_684_800_000_000;

/// Moment in microseconds since 2000-01-01 00:00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PgTimestamp(i64);

impl PgTimestamp {
    /// The moment `micros` microseconds after 2000-01-01 UTC.
    pub const fn new(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 2000-01-01 UTC, as on the wire.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Microseconds since 1970-01-01 UTC; the largest `i64` for moments after the year 294,246, which PostgreSQL's
    /// clock cannot show.
    pub const fn unix_micros(self) -> i64 {
        self.0.saturating_add(EPOCH_DIFFERENCE_US)
    }

    /// The moment `unix_micros` microseconds after 1970-01-01 UTC; the earliest there is when that lies before it.
    pub const fn from_unix_micros(unix_micros: i64) -> Self {
        Self(unix_micros.saturating_sub(EPOCH_DIFFERENCE_US))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_differ_by_thirty_years() {
        assert_eq!(PgTimestamp::new(0).unix_micros(), 946_684_800_000_000);
        let moment = PgTimestamp::from_unix_micros(1_700_000_000_123_456);
        assert_eq!(moment.micros(), 753_315_200_123_456);
        assert_eq!(moment.unix_micros(), 1_700_000_000_123_456);
    }

    #[test]
    fn the_farthest_moments_do_not_wrap() {
        assert_eq!(PgTimestamp::new(i64::MAX).unix_micros(), i64::MAX);
        assert_eq!(PgTimestamp::from_unix_micros(i64::MIN).micros(), i64::MIN);
    }
}
