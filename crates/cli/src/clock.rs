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

/// `2026-11-26 13:05:59.123` of a time in microseconds since 1970, in UTC.
pub(crate) fn date_and_time(unix_us: i64) -> String {
    // Howard Hinnant's algorithm: years begin in March, so that a leap day is their last.
    let days = unix_us.div_euclid(86_400_000_000) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {}", time_of_day(unix_us))
}

/// `13:05:59.123` of a time in microseconds since 1970, in UTC.
pub(crate) fn time_of_day(unix_us: i64) -> String {
    let ms = unix_us.div_euclid(1000).rem_euclid(86_400_000);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(date_and_time(0), "1970-01-01 00:00:00.000");
        assert_eq!(date_and_time(951_827_696_789_000), "2000-02-29 12:34:56.789");
        assert_eq!(date_and_time(1_735_689_599_999_999), "2024-12-31 23:59:59.999");
    }
}
