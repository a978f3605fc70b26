//! The proleptic Gregorian calendar in PostgreSQL's ISO text. In: text of `date`, `time`, `timestamp` and their zoned
//! forms. Out: numbers. Never: a time zone database; offsets are in the text.
//!
//! Source: PostgreSQL manual, "Date/Time Output" (style ISO); year 1 BC is year 0 here, as in ISO 8601.

use super::Malformed;

pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) year: i64,
    pub(crate) month: u8,
    /// Of the month.
    pub(crate) number: u8,
}

impl Day {
    /// Days since 1970-01-01.
    pub(crate) fn since_epoch(self) -> i64 {
        // Counts from March, so that the leap day is the last of its year.
        let year = self.year - i64::from(self.month <= 2);
        let month = (i64::from(self.month) + 9) % 12;
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.number) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// The day `days` after 1970-01-01.
    pub(crate) fn from_epoch(days: i64) -> Self {
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let small = |value: i64| u8::try_from(value).unwrap_or_default();
        let month = small(if shifted < 10 { shifted + 3 } else { shifted - 9 });
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            number: small(day_of_year - (153 * shifted + 2) / 5 + 1),
        }
    }

    /// Appends `2016-11-04`, with a sign for years outside 0 to 9999.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        match self.year {
            0..=9999 => {}
            10_000.. => out.push(b'+'),
            _ => out.push(b'-'),
        }
        let mut buffer = itoa::Buffer::new();
        let year = buffer.format(self.year.unsigned_abs()).as_bytes();
        out.resize(out.len() + 4_usize.saturating_sub(year.len()), b'0');
        out.extend_from_slice(year);
        out.push(b'-');
        two_digits(self.month, out);
        out.push(b'-');
        two_digits(self.number, out);
    }
}

/// A moment without zone, or with an offset: a timestamp taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Infinity,
    NegativeInfinity,
    /// Seconds since 1970-01-01 00:00:00 UTC, and microseconds after that second.
    Finite {
        seconds: i64,
        micros: i64,
    },
}

/// Reads `2016-11-04 13:51:30.123456`, with an offset and `BC` if there.
#[inline]
pub(crate) fn timestamp(text: &[u8]) -> Result<Moment, Malformed> {
    match text {
        b"infinity" => return Ok(Moment::Infinity),
        b"-infinity" => return Ok(Moment::NegativeInfinity),
        _ => {}
    }
    let malformed = Malformed("expected a timestamp like 2016-11-04 13:51:30.123456");
    let (day, rest) = date_part(text).ok_or(malformed)?;
    let rest = rest.strip_prefix(b" ").ok_or(malformed)?;
    let (micros_of_day, rest) = time_part(rest).ok_or(malformed)?;
    let (offset, rest) = offset_part(rest).ok_or(malformed)?;
    let day = era_part(day, rest).ok_or(malformed)?;
    let seconds = day.since_epoch() * SECONDS_PER_DAY + micros_of_day / MICROS_PER_SECOND - offset;
    Ok(Moment::Finite { seconds, micros: micros_of_day % MICROS_PER_SECOND })
}

/// Reads `2016-11-04` or `4713-01-01 BC` as days since 1970-01-01. Infinities are the outermost 32-bit counts, which no day
/// of PostgreSQL reaches.
#[inline]
pub(crate) fn date(text: &[u8]) -> Result<i64, Malformed> {
    match text {
        b"infinity" => return Ok(i64::from(i32::MAX)),
        b"-infinity" => return Ok(i64::from(i32::MIN)),
        _ => {}
    }
    let malformed = Malformed("expected a date like 2016-11-04");
    let (day, rest) = date_part(text).ok_or(malformed)?;
    Ok(era_part(day, rest).ok_or(malformed)?.since_epoch())
}

/// Reads `13:51:30.123789` as microseconds of the day; `24:00:00` is the last.
#[inline]
pub(crate) fn time(text: &[u8]) -> Result<i64, Malformed> {
    match time_part(text) {
        Some((micros, [])) => Ok(micros),
        _ => Err(Malformed("expected a time like 13:51:30.123789")),
    }
}

/// Reads `13:51:30.123789+02` as microseconds of the day in UTC, 0 to the last before 24:00.
pub(crate) fn time_with_offset(text: &[u8]) -> Result<i64, Malformed> {
    let malformed = Malformed("expected a time like 13:51:30.123789+02");
    let (micros, rest) = time_part(text).ok_or(malformed)?;
    match offset_part(rest) {
        Some((offset, [])) => {
            Ok((micros - offset * MICROS_PER_SECOND)
                .rem_euclid(SECONDS_PER_DAY * MICROS_PER_SECOND))
        }
        _ => Err(malformed),
    }
}

#[inline]
fn date_part(text: &[u8]) -> Option<(Day, &[u8])> {
    let year_digits = if text.get(4) == Some(&b'-') {
        4
    } else {
        text.iter().position(|byte| !byte.is_ascii_digit()).filter(|&at| (4..=7).contains(&at))?
    };
    let year = number(&text[..year_digits])?;
    let &[b'-', m1, m2, b'-', d1, d2, ref rest @ ..] = &text[year_digits..] else {
        return None;
    };
    Some((Day { year, month: pair(m1, m2)?, number: pair(d1, d2)? }, rest))
}

#[inline]
fn time_part(text: &[u8]) -> Option<(i64, &[u8])> {
    let &[h1, h2, b':', m1, m2, b':', s1, s2, ref rest @ ..] = text else {
        return None;
    };
    let minutes = i64::from(pair(h1, h2)?) * 60 + i64::from(pair(m1, m2)?);
    let seconds = minutes * 60 + i64::from(pair(s1, s2)?);
    let (micros, rest) = fraction_part(rest)?;
    Some((seconds * MICROS_PER_SECOND + micros, rest))
}

/// `.123` as microseconds; nothing there is 0.
#[inline]
pub(crate) fn fraction_part(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let count = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    if !(1..=6).contains(&count) {
        return None;
    }
    let scaled = (count..6).fold(number(&digits[..count])?, |value, _| value * 10);
    Some((scaled, &digits[count..]))
}

/// `+02`, `-05:30` or `+00:19:32` as seconds east of UTC; nothing there is 0.
#[inline]
fn offset_part(text: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, mut rest) = match text.split_first() {
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        _ => return Some((0, text)),
    };
    let mut seconds = 0;
    for unit in [3_600, 60, 1] {
        let digits = if unit == 3_600 { rest } else { rest.strip_prefix(b":").unwrap_or_default() };
        let &[first, second, ref after @ ..] = digits else {
            break;
        };
        seconds += i64::from(pair(first, second)?) * unit;
        rest = after;
    }
    Some((sign * seconds, rest))
}

#[inline]
fn era_part(day: Day, rest: &[u8]) -> Option<Day> {
    match rest {
        b"" => Some(day),
        b" BC" => Some(Day { year: 1 - day.year, ..day }),
        _ => None,
    }
}

#[inline]
fn pair(first: u8, second: u8) -> Option<u8> {
    let (first, second) = (first.wrapping_sub(b'0'), second.wrapping_sub(b'0'));
    (first <= 9 && second <= 9).then_some(first.wrapping_mul(10).wrapping_add(second))
}

#[inline]
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then_some(value * 10 + i64::from(digit))
    })
}

/// Appends a number below 100 with two digits.
#[inline]
pub(crate) fn two_digits(value: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + value / 10 % 10, b'0' + value % 10]);
}

/// Appends `13:51:30`.
pub(crate) fn write_clock(seconds_of_day: i64, out: &mut Vec<u8>) {
    for (value, separator) in
        [(seconds_of_day / 3_600, b':'), (seconds_of_day / 60 % 60, b':'), (seconds_of_day % 60, 0)]
    {
        two_digits(u8::try_from(value).unwrap_or_default(), out);
        if separator != 0 {
            out.push(separator);
        }
    }
}

/// Appends `.123456` with `width` digits, or with none of the zeros at its end; nothing when no digit is left.
pub(crate) fn write_fraction(micros: i64, width: Option<usize>, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 7];
    digits[0] = b'.';
    let mut rest = micros;
    for digit in digits[1..].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    let shown = width.unwrap_or_else(|| {
        digits[1..].iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1)
    });
    if shown > 0 {
        out.extend_from_slice(&digits[..=shown.min(6)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_count_from_the_epoch() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2016-11-04", 17_109),
            ("0001-01-01", -719_162),
            ("1000-06-15", -354_120),
            ("5874897-12-31", 2_145_042_905),
            ("4713-01-01 BC", -2_440_550),
            ("infinity", 2_147_483_647),
            ("-infinity", -2_147_483_648),
        ] {
            assert_eq!(date(text.as_bytes()).unwrap(), days, "{text}");
        }
    }

    #[test]
    fn text_that_is_no_moment_is_refused() {
        for text in [
            "",
            "2016",
            "2016-1-1",
            "2016-11-04",
            "2016-11-04 13:51",
            "2016-11-04 13:51:30x",
            "2016-11-04 13:51:30.",
            "x",
        ] {
            assert!(timestamp(text.as_bytes()).is_err(), "{text}");
        }
        assert!(date(b"16-11-04").is_err());
        assert!(date(b"2016-11-04 AD").is_err());
        assert!(time(b"13:51:30+02").is_err());
        assert!(time_with_offset(b"13:51:30+0x").is_err());
    }

    #[test]
    fn offsets_lead_to_utc() {
        for (text, micros) in [
            ("13:51:30.123789+02", 42_690_123_789),
            ("00:00:00+14", 36_000_000_000),
            ("23:00:00-14", 46_800_000_000),
            ("24:00:00+00", 0),
            ("12:00:00+05:30", 23_400_000_000),
            ("12:00:00-00:00:30", 43_230_000_000),
        ] {
            assert_eq!(time_with_offset(text.as_bytes()).unwrap(), micros, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_day_survives_its_text(days in -2_440_550_i64..2_145_042_906) {
            let day = Day::from_epoch(days);
            prop_assert_eq!(day.since_epoch(), days);
            let text = if day.year > 0 {
                format!("{:04}-{:02}-{:02}", day.year, day.month, day.number)
            } else {
                format!("{:04}-{:02}-{:02} BC", 1 - day.year, day.month, day.number)
            };
            prop_assert_eq!(date(text.as_bytes()).unwrap(), days);
        }

        #[test]
        fn no_text_panics(text: Vec<u8>, near in "[0-9BC:. +-]{0,30}") {
            for text in [&text[..], near.as_bytes()] {
                let _ = (timestamp(text), date(text), time(text), time_with_offset(text));
            }
        }
    }
}
