//! `interval`. In: PostgreSQL's text in style `postgres`. Out: microseconds, or ISO 8601.
//!
//! Source: PostgreSQL manual, "Interval Output"; Debezium documentation, `interval.handling.mode`.

use super::calendar::{self, MICROS_PER_SECOND};
use super::{Malformed, Outcome};

/// 365.25 days in twelve months.
const DAYS_PER_MONTH: f64 = 365.25 / 12.0;

/// `1 year 2 mons 3 days 04:05:06.78` taken apart; each part has its own sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Interval {
    years: i64,
    months: i64,
    days: i64,
    /// Hours, minutes, seconds and fraction together.
    micros: i64,
}

impl Interval {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut interval = Self::default();
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        while let Some(word) = words.next() {
            if word.contains(':') {
                interval.micros = clock(word)?;
                continue;
            }
            let count = word.parse().ok()?;
            match words.next()? {
                "year" | "years" => interval.years = count,
                "mon" | "mons" => interval.months = count,
                "day" | "days" => interval.days = count,
                _ => return None,
            }
        }
        Some(interval)
    }
}

/// `-04:05:06.78` as microseconds; hours may have any number of digits.
fn clock(word: &str) -> Option<i64> {
    let (negative, word) = match word.strip_prefix('-') {
        Some(word) => (true, word),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let mut parts = word.splitn(3, ':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let seconds = parts.next()?;
    let (seconds, fraction) = seconds.split_at(seconds.find('.').unwrap_or(seconds.len()));
    let seconds: i64 = seconds.parse().ok()?;
    let (micros, []) = calendar::fraction_part(fraction.as_bytes())? else {
        return None;
    };
    let seconds =
        hours.checked_mul(3_600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)?;
    let micros = seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(micros)?;
    Some(if negative { -micros } else { micros })
}

const MALFORMED: Malformed =
    Malformed("expected an interval like 1 year 2 mons 3 days 04:05:06.78");

/// Microseconds; a month counts 30.4375 days. Stops at the 64-bit limits, where infinities are too.
pub(crate) fn micros(text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    let (total, outcome) = micros_number(text)?;
    out.extend_from_slice(itoa::Buffer::new().format(total).as_bytes());
    Ok(outcome)
}

/// The same as a number.
pub(crate) fn micros_number(text: &[u8]) -> Result<(i64, Outcome), Malformed> {
    Ok(match text {
        b"infinity" => (i64::MAX, Outcome::Written),
        b"-infinity" => (i64::MIN, Outcome::Written),
        _ => {
            let total = total_micros(Interval::parse(text).ok_or(MALFORMED)?);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "stops at the limits, as Java's does"
            )]
            let whole = total as i64;
            let beyond = whole == i64::MAX || whole == i64::MIN;
            (whole, if beyond { Outcome::Altered } else { Outcome::Written })
        }
    })
}

/// As Debezium counts: in floating point, so that from 285 years on the last digits are those of a double.
#[expect(clippy::cast_precision_loss, reason = "what is lost here is lost there, too")]
fn total_micros(interval: Interval) -> f64 {
    let Interval { years, months, days, micros } = interval;
    let seconds = micros / MICROS_PER_SECOND;
    let fraction = (micros % MICROS_PER_SECOND) as f64 / MICROS_PER_SECOND as f64;
    let months = years as f64 * 12.0 + months as f64;
    let days = months * DAYS_PER_MONTH + days as f64;
    let minutes = (days * 24.0 + (seconds / 3_600) as f64) * 60.0 + (seconds / 60 % 60) as f64;
    (minutes * 60.0 + ((seconds % 60) as f64 + fraction)) * MICROS_PER_SECOND as f64
}

/// `"P1Y2M3DT4H5M6.78S"`: every part is there, also when it is 0. Infinities have no such form.
pub(crate) fn iso(text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    if matches!(text, b"infinity" | b"-infinity") {
        return Ok(Outcome::Inexpressible);
    }
    let interval = Interval::parse(text).ok_or(MALFORMED)?;
    let seconds = interval.micros / MICROS_PER_SECOND;
    let mut buffer = itoa::Buffer::new();
    let mut part = |prefix: &[u8], value: i64, unit: u8, out: &mut Vec<u8>| {
        out.extend_from_slice(prefix);
        out.extend_from_slice(buffer.format(value).as_bytes());
        out.push(unit);
    };
    part(b"\"P", interval.years, b'Y', out);
    part(b"", interval.months, b'M', out);
    part(b"", interval.days, b'D', out);
    part(b"T", seconds / 3_600, b'H', out);
    part(b"", seconds / 60 % 60, b'M', out);
    write_seconds(interval.micros % (60 * MICROS_PER_SECOND), out);
    out.extend_from_slice(b"S\"");
    Ok(Outcome::Written)
}

/// Seconds below a minute with the digits of Debezium, which adds the fraction to them in floating point and cuts the sum
/// after nine digits: a sum that is one step too small ends in `999`.
#[expect(clippy::cast_precision_loss, reason = "what is lost here is lost there, too")]
fn write_seconds(micros: i64, out: &mut Vec<u8>) {
    let (whole, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    if micros < 0 && whole == 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    let sum = whole as f64 + fraction as f64 / MICROS_PER_SECOND as f64;
    let nearest = micros as f64 / MICROS_PER_SECOND as f64;
    if sum.abs() < nearest.abs() {
        calendar::write_fraction(fraction.abs() - 1, Some(6), out);
        out.extend_from_slice(b"999");
    } else {
        calendar::write_fraction(fraction.abs(), None, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn intervals_take_both_forms() {
        for (text, expected_micros, expected_iso) in [
            ("1 year 2 mons 3 days 04:05:06.78", "37091106780000", "P1Y2M3DT4H5M6.78S"),
            ("1 year", "31557600000000", "P1Y0M0DT0H0M0S"),
            ("-1 days", "-86400000000", "P0Y0M-1DT0H0M0S"),
            ("00:00:00", "0", "P0Y0M0DT0H0M0S"),
            ("1 mon -1 days +00:00:00.000001", "2543400000001", "P0Y1M-1DT0H0M0.000001S"),
            ("100 years", "3155760000000000", "P100Y0M0DT0H0M0S"),
            ("-00:00:01.5", "-1500000", "P0Y0M0DT0H0M-1.5S"),
            ("-00:00:00.5", "-500000", "P0Y0M0DT0H0M-0.5S"),
            ("-1 years -2 mons +3 days -04:05:06", "-36572706000000", "P-1Y-2M3DT-4H-5M-6S"),
            ("178000000 years", "5617252800000000000000", "P178000000Y0M0DT0H0M0S"),
        ] {
            let (mut number, mut text_form) = (Vec::new(), Vec::new());
            micros(text.as_bytes(), &mut number).unwrap();
            iso(text.as_bytes(), &mut text_form).unwrap();
            let limited = expected_micros.parse::<i64>().unwrap_or(i64::MAX).to_string();
            assert_eq!(String::from_utf8(number).unwrap(), limited, "{text}");
            assert_eq!(
                String::from_utf8(text_form).unwrap(),
                format!("\"{expected_iso}\""),
                "{text}"
            );
        }
    }

    #[test]
    fn seconds_have_the_digits_of_a_sum_of_doubles() {
        for (text, expected) in [
            ("00:00:54.854806", "54.854805999"),
            ("-00:00:30.579167", "-30.579166999"),
            ("00:00:02.682777", "2.682776999"),
            ("00:00:03.741401", "3.741400999"),
            ("00:00:05.826336", "5.826335999"),
            ("00:00:40.123457", "40.123457"),
            ("-00:00:41.802225", "-41.802225"),
            ("00:00:01.0005", "1.0005"),
            ("00:00:00.000012", "0.000012"),
            ("-00:00:00.000001", "-0.000001"),
            ("00:00:59.5", "59.5"),
        ] {
            let mut out = Vec::new();
            iso(text.as_bytes(), &mut out).unwrap();
            let expected = format!("\"P0Y0M0DT0H0M{expected}S\"");
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn text_that_is_no_interval_is_refused() {
        for text in ["", "1", "1 week", "1 day extra", "x:y:z", "1:2", "00:00:00.1234567"] {
            assert!(micros(text.as_bytes(), &mut Vec::new()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: Vec<u8>, near in "[0-9a-z:. +-]{0,30}") {
            for text in [&text[..], near.as_bytes()] {
                let _ = (micros(text, &mut Vec::new()), iso(text, &mut Vec::new()));
            }
        }
    }
}
