//! The one place that asks for the wall time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01 UTC. A clock set before that is taken as that moment.
pub(crate) fn unix_ns() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "records say when they were made; nothing is decided by it"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| i64::try_from(elapsed.as_nanos()).ok())
        .unwrap_or_default()
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn unix_ms() -> i64 {
    unix_ns() / 1_000_000
}
