//! `date`, `time`, `timestamp` and their zoned forms as the setting wants them. In: PostgreSQL's ISO text. Out: numbers
//! since 1970-01-01 UTC, or ISO text.
//!
//! Source: Debezium documentation, "Temporal types". A moment beyond a form's range is the outermost the form can tell,
//! so that order and the fact that there is a value survive; in nanoseconds Debezium has null, and so have we where it may stand.

use super::calendar::{self, Day, MICROS_PER_SECOND, Moment, SECONDS_PER_DAY};
use super::{Malformed, Outcome};
use crate::fragment::signed_digits as integer;

/// Unit of a number of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// A number since an epoch, or ISO text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeForm {
    Number(Unit),
    Iso,
}

/// Milliseconds Java's driver puts for `infinity`.
const INFINITY_MILLIS: i64 = 9_223_372_036_825_200;
/// Milliseconds Java's driver puts for `-infinity`.
const NEGATIVE_INFINITY_MILLIS: i64 = -9_223_372_036_832_400;

/// `date` as days since 1970-01-01.
#[inline]
pub(crate) fn date_days(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    integer(calendar::date(text)?, out);
    Ok(())
}

/// `date` as `"2016-11-04Z"`.
pub(crate) fn date_iso(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let day = Day::from_epoch(calendar::date(text)?);
    out.push(b'"');
    day.write(out);
    out.extend_from_slice(b"Z\"");
    Ok(())
}

/// `time` since midnight, or as `"13:51:30.123Z"`; ISO text has no 24:00, which becomes 00:00.
#[inline]
pub(crate) fn time(text: &[u8], form: TimeForm, out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    match form {
        TimeForm::Number(unit) => {
            integer(time_number(text, unit)?, out);
            Ok(Outcome::Written)
        }
        TimeForm::Iso => {
            clock_iso(calendar::time(text)? % (SECONDS_PER_DAY * MICROS_PER_SECOND), out);
            Ok(clock_outcome(text))
        }
    }
}

/// `time` since midnight.
#[inline]
pub(crate) fn time_number(text: &[u8], unit: Unit) -> Result<i64, Malformed> {
    let micros = calendar::time(text)?;
    Ok(match unit {
        Unit::Millis => micros / 1_000,
        Unit::Micros => micros,
        Unit::Nanos => micros * 1_000,
    })
}

/// `timetz` as `"11:51:30.123789Z"`, in UTC; 24:00 becomes 00:00.
pub(crate) fn time_with_zone(text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    clock_iso(calendar::time_with_offset(text)?, out);
    Ok(clock_outcome(text))
}

fn clock_outcome(text: &[u8]) -> Outcome {
    if text.starts_with(b"24:") { Outcome::Altered } else { Outcome::Written }
}

fn clock_iso(micros_of_day: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    calendar::write_clock(micros_of_day / MICROS_PER_SECOND, out);
    calendar::write_fraction(micros_of_day % MICROS_PER_SECOND, None, out);
    out.extend_from_slice(b"Z\"");
}

/// `timestamp`, read as UTC.
#[inline]
pub(crate) fn timestamp(
    text: &[u8],
    form: TimeForm,
    out: &mut Vec<u8>,
) -> Result<Outcome, Malformed> {
    match form {
        TimeForm::Number(unit) => {
            let (value, outcome) = timestamp_number(text, unit)?;
            integer(value, out);
            Ok(outcome)
        }
        TimeForm::Iso => {
            timestamp_iso(calendar::timestamp(text)?, out);
            Ok(Outcome::Written)
        }
    }
}

/// `timestamp` since 1970-01-01, read as UTC.
#[inline]
pub(crate) fn timestamp_number(text: &[u8], unit: Unit) -> Result<(i64, Outcome), Malformed> {
    let moment = calendar::timestamp(text)?;
    if let Some(value) = since_epoch(moment, unit) {
        return Ok((value, Outcome::Written));
    }
    let before = matches!(moment, Moment::Finite { seconds, .. } if seconds < 0);
    let outermost = if before { i64::MIN } else { i64::MAX };
    Ok((outermost, if unit == Unit::Nanos { Outcome::Beyond } else { Outcome::Altered }))
}

/// `None` for a finite moment that 64 bits of this unit cannot count.
#[inline]
fn since_epoch(moment: Moment, unit: Unit) -> Option<i64> {
    let (seconds, micros) = match (moment, unit) {
        (Moment::Infinity, Unit::Millis) => return Some(INFINITY_MILLIS),
        (Moment::Infinity, Unit::Micros) => return Some(INFINITY_MILLIS * 1_000),
        (Moment::Infinity, Unit::Nanos) => return Some(i64::MAX),
        (Moment::NegativeInfinity, Unit::Millis) => return Some(NEGATIVE_INFINITY_MILLIS),
        (Moment::NegativeInfinity, Unit::Micros) => return Some(NEGATIVE_INFINITY_MILLIS * 1_000),
        (Moment::NegativeInfinity, Unit::Nanos) => return Some(i64::MIN),
        (Moment::Finite { seconds, micros }, _) => (seconds, micros),
    };
    match unit {
        Unit::Millis => Some(seconds * 1_000 + micros / 1_000),
        Unit::Micros => seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(micros),
        Unit::Nanos => i64::try_from(
            (i128::from(seconds) * i128::from(MICROS_PER_SECOND) + i128::from(micros)) * 1_000,
        )
        .ok(),
    }
}

fn timestamp_iso(moment: Moment, out: &mut Vec<u8>) {
    let (seconds, micros) = match moment {
        Moment::Infinity => (INFINITY_MILLIS / 1_000, INFINITY_MILLIS % 1_000 * 1_000),
        Moment::NegativeInfinity => (
            NEGATIVE_INFINITY_MILLIS.div_euclid(1_000),
            NEGATIVE_INFINITY_MILLIS.rem_euclid(1_000) * 1_000,
        ),
        Moment::Finite { seconds, micros } => (seconds, micros),
    };
    write_moment(seconds, micros, None, out);
}

fn write_moment(seconds: i64, micros: i64, width: Option<usize>, out: &mut Vec<u8>) {
    out.push(b'"');
    Day::from_epoch(seconds.div_euclid(SECONDS_PER_DAY)).write(out);
    out.push(b'T');
    calendar::write_clock(seconds.rem_euclid(SECONDS_PER_DAY), out);
    calendar::write_fraction(micros, width, out);
    out.extend_from_slice(b"Z\"");
}

/// `timestamptz` as `"2016-11-04T11:51:30.123456Z"` with `width` fraction digits, in UTC.
#[inline]
pub(crate) fn timestamp_with_zone(
    text: &[u8],
    width: u8,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    if copy_utc(text, width, out) {
        return Ok(());
    }
    let width = Some(usize::from(width));
    match calendar::timestamp(text)? {
        Moment::Infinity => out.extend_from_slice(b"\"infinity\""),
        Moment::NegativeInfinity => out.extend_from_slice(b"\"-infinity\""),
        Moment::Finite { seconds, micros } => write_moment(seconds, micros, width, out),
    }
    Ok(())
}

/// The usual case: four digits of year and a session in UTC, so that the text can be copied.
#[inline]
fn copy_utc(text: &[u8], width: u8, out: &mut Vec<u8>) -> bool {
    let Some((day, rest)) = text.split_first_chunk::<10>() else {
        return false;
    };
    let Some(rest) = rest.strip_prefix(b" ") else {
        return false;
    };
    let Some((clock, rest)) = rest.split_first_chunk::<8>() else {
        return false;
    };
    let Some(fraction) = rest.strip_suffix(b"+00") else {
        return false;
    };
    let width = usize::from(width);
    if day[4] != b'-' || fraction.len() > width + 1 || fraction.len() == 1 {
        return false;
    }
    // Everything is checked as a whole: only digits and the marks of a timestamp can be in it.
    // No early exit, so that it is done many bytes at a time. Between `-` and `:` are `.`, `/` and the digits.
    let clean = |bytes: &[u8]| {
        let strange = |byte: u8| u8::from(byte.wrapping_sub(b'-') > 13) | u8::from(byte == b'/');
        bytes.iter().fold(0, |found, &byte| found | strange(byte)) == 0
    };
    if !clean(day) || !clean(clock) || !clean(fraction) {
        return false;
    }
    let mut written = *b"\"0000-00-00T00:00:00.000000Z\"";
    written[1..11].copy_from_slice(day);
    written[12..20].copy_from_slice(clock);
    written[20..20 + fraction.len()].copy_from_slice(fraction);
    let end = if width == 0 { 20 } else { 21 + width };
    written[end] = b'Z';
    written[end + 1] = b'"';
    if !fraction.is_empty() {
        written[20] = b'.';
    }
    let length = out.len() + end + 2;
    out.extend_from_slice(&written);
    out.truncate(length);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<Outcome, Malformed>) -> String {
        let mut out = Vec::new();
        let outcome = write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        match outcome {
            Outcome::Written => text,
            Outcome::Altered => format!("altered {text}"),
            Outcome::Beyond => format!("beyond {text}"),
            Outcome::Inexpressible => "inexpressible".to_owned(),
        }
    }

    fn stamp(text: &str, form: TimeForm) -> String {
        written(|out| timestamp(text.as_bytes(), form, out))
    }

    #[test]
    fn timestamps_take_every_form() {
        let [millis, micros, nanos] =
            [Unit::Millis, Unit::Micros, Unit::Nanos].map(TimeForm::Number);
        for (text, form, expected) in [
            ("2016-11-04 13:51:30.123456", micros, "1478267490123456"),
            ("2016-11-04 13:51:30.123456", millis, "1478267490123"),
            ("2016-11-04 13:51:30.123456", nanos, "1478267490123456000"),
            ("2016-11-04 13:51:30.123456", TimeForm::Iso, "\"2016-11-04T13:51:30.123456Z\""),
            ("1936-10-25 22:10:12.608", micros, "-1047174587392000"),
            ("1936-10-25 22:10:12.608", TimeForm::Iso, "\"1936-10-25T22:10:12.608Z\""),
            ("1936-10-25 22:10:12", millis, "-1047174588000"),
            ("1969-12-31 23:59:59.999999", micros, "-1"),
            ("1969-12-31 23:59:59.999999", millis, "-1"),
            ("1969-12-31 23:59:59.999999", nanos, "-1000"),
            ("1970-01-01 00:00:00", TimeForm::Iso, "\"1970-01-01T00:00:00Z\""),
            ("0001-01-31 00:00:00", micros, "-62133004800000000"),
            ("1000-06-15 12:30:45.123456", micros, "-30595922954876544"),
            ("4713-12-31 23:59:59.999999 BC", micros, "-210831897600000001"),
            ("4713-12-31 23:59:59.999999 BC", millis, "-210831897600001"),
            ("4713-12-31 23:59:59.999999 BC", TimeForm::Iso, "\"-4712-12-31T23:59:59.999999Z\""),
            ("0001-01-01 00:00:00 BC", micros, "-62167219200000000"),
            ("294246-01-01 23:59:59.999999", micros, "9223339795199999999"),
            ("294247-01-01 23:59:59.999999", micros, "9223371331199999999"),
            ("294247-01-10 04:00:54.775807", micros, "9223372036854775807"),
            ("294247-01-10 04:00:54.775808", micros, "altered 9223372036854775807"),
            ("294276-12-31 23:59:59.999999", micros, "altered 9223372036854775807"),
            ("294276-12-31 23:59:59.999999", TimeForm::Iso, "\"+294276-12-31T23:59:59.999999Z\""),
            ("294276-12-31 23:59:59.999999", millis, "9224318015999999"),
            ("294276-12-31 23:59:59.999999", nanos, "beyond 9223372036854775807"),
            ("9999-12-31 00:00:00", nanos, "beyond 9223372036854775807"),
            ("2262-04-11 23:47:16.854775", nanos, "9223372036854775000"),
            ("2262-04-11 23:47:16.854776", nanos, "beyond 9223372036854775807"),
            ("1677-09-21 00:12:43.145225", nanos, "-9223372036854775000"),
            ("1677-09-21 00:12:43.145224", nanos, "beyond -9223372036854775808"),
            ("4713-01-01 00:00:00 BC", nanos, "beyond -9223372036854775808"),
            ("infinity", micros, "9223372036825200000"),
            ("-infinity", micros, "-9223372036832400000"),
            ("infinity", millis, "9223372036825200"),
            ("infinity", nanos, "9223372036854775807"),
            ("-infinity", nanos, "-9223372036854775808"),
            ("infinity", TimeForm::Iso, "\"+294247-01-10T04:00:25.2Z\""),
            ("-infinity", TimeForm::Iso, "\"-290308-12-21T19:59:27.6Z\""),
        ] {
            assert_eq!(stamp(text, form), expected, "{text} {form:?}");
        }
    }

    #[test]
    fn zoned_timestamps_are_utc_with_the_columns_digits() {
        for (text, width, expected) in [
            ("2016-11-04 11:51:30.123456+00", 6, "2016-11-04T11:51:30.123456Z"),
            ("2016-11-05 00:51:30+00", 6, "2016-11-05T00:51:30.000000Z"),
            ("2016-11-05 00:51:30.5+00", 6, "2016-11-05T00:51:30.500000Z"),
            ("2016-11-04 11:51:30.123+00", 3, "2016-11-04T11:51:30.123Z"),
            ("1900-01-01 00:00:00+00", 3, "1900-01-01T00:00:00.000Z"),
            ("1900-01-01 00:00:00+00", 0, "1900-01-01T00:00:00Z"),
            ("2016-11-04 13:51:30.123456+02", 6, "2016-11-04T11:51:30.123456Z"),
            ("2016-11-04 13:51:30+05:30", 6, "2016-11-04T08:21:30.000000Z"),
            ("21016-11-04 06:51:30+00", 6, "+21016-11-04T06:51:30.000000Z"),
            ("9999-12-31 23:59:59.999999+00", 6, "9999-12-31T23:59:59.999999Z"),
            ("294247-01-01 23:59:59.999999+00", 6, "+294247-01-01T23:59:59.999999Z"),
            ("4713-12-31 23:59:59.999999+00 BC", 6, "-4712-12-31T23:59:59.999999Z"),
            ("4714-12-31 23:59:59.999999+00 BC", 6, "-4713-12-31T23:59:59.999999Z"),
            ("0001-12-31 23:59:59+00 BC", 6, "0000-12-31T23:59:59.000000Z"),
            ("infinity", 6, "infinity"),
            ("-infinity", 6, "-infinity"),
        ] {
            let json = written(|out| {
                timestamp_with_zone(text.as_bytes(), width, out).map(|()| Outcome::Written)
            });
            assert_eq!(json, format!("\"{expected}\""), "{text}");
        }
        for text in ["2016-11-04 11:51:30.+00", "2016-11-04 \"1:51:30+00", "now"] {
            assert!(timestamp_with_zone(text.as_bytes(), 6, &mut Vec::new()).is_err(), "{text}");
        }
    }

    #[test]
    fn times_and_dates_take_every_form() {
        let [millis, micros, nanos] =
            [Unit::Millis, Unit::Micros, Unit::Nanos].map(TimeForm::Number);
        for (text, form, expected) in [
            ("13:51:30", micros, "49890000000"),
            ("13:51:30.123", millis, "49890123"),
            ("13:51:30.123789", nanos, "49890123789000"),
            ("24:00:00", micros, "86400000000"),
            ("24:00:00", millis, "86400000"),
            ("24:00:00", nanos, "86400000000000"),
            ("24:00:00", TimeForm::Iso, "altered \"00:00:00Z\""),
            ("23:59:59.999999", nanos, "86399999999000"),
            ("00:00:00.000001", TimeForm::Iso, "\"00:00:00.000001Z\""),
            ("13:51:30.120", TimeForm::Iso, "\"13:51:30.12Z\""),
        ] {
            assert_eq!(written(|out| time(text.as_bytes(), form, out)), expected);
        }
        for (text, expected) in [
            ("2016-11-04", "\"2016-11-04Z\""),
            ("0001-01-01", "\"0001-01-01Z\""),
            ("5874897-12-31", "\"+5874897-12-31Z\""),
            ("4713-01-01 BC", "\"-4712-01-01Z\""),
            ("infinity", "\"+5881580-07-11Z\""),
            ("-infinity", "\"-5877641-06-23Z\""),
        ] {
            assert_eq!(
                written(|out| date_iso(text.as_bytes(), out).map(|()| Outcome::Written)),
                expected
            );
        }
        assert_eq!(
            written(|out| date_days(b"2016-11-04", out).map(|()| Outcome::Written)),
            "17109"
        );
        for (text, expected) in [
            ("13:51:30.123+02", "\"11:51:30.123Z\""),
            ("24:00:00+00", "altered \"00:00:00Z\""),
            ("24:00:00-15:59:59", "altered \"15:59:59Z\""),
            ("00:00:00+15:59:59", "\"08:00:01Z\""),
        ] {
            assert_eq!(written(|out| time_with_zone(text.as_bytes(), out)), expected, "{text}");
        }
    }
}
