//! The one place of this crate that asks for the wall time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970-01-01 UTC. A clock set before that is taken as that moment.
pub(crate) fn unix_us() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "latency is shown to people; nothing is decided by it"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| i64::try_from(elapsed.as_micros()).ok())
        .unwrap_or_default()
}

/// `13:05:59.123` of a time in microseconds since 1970, in UTC.
pub(crate) fn time_of_day(unix_us: i64) -> String {
    let ms = unix_us.div_euclid(1000).rem_euclid(86_400_000);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
