//! Dates, times, timestamps, intervals.

use rand::Rng;
use rand::rngs::StdRng;

use super::{digit, extreme_or};

fn day(random: &mut StdRng) -> String {
    let year = match random.random_range(0..10) {
        0 => random.random_range(1..1900),
        1 => random.random_range(2100..9999),
        _ => random.random_range(1900..2100),
    };
    format!("{year:04}-{:02}-{:02}", random.random_range(1..=12), random.random_range(1..=28))
}

fn time_of_day(random: &mut StdRng) -> String {
    let mut text = format!(
        "{:02}:{:02}:{:02}",
        random.random_range(0..24),
        random.random_range(0..60),
        random.random_range(0..60)
    );
    let digits = random.random_range(0..=6);
    if digits > 0 {
        text.push('.');
        text.extend((0..digits).map(|_| digit(random)));
    }
    text
}

pub(in super::super) fn date(random: &mut StdRng) -> String {
    let extremes = ["0001-01-01", "1969-12-31", "1970-01-01", "9999-12-31", "1582-10-15"];
    extreme_or(random, &extremes, day)
}

pub(in super::super) fn time(random: &mut StdRng) -> String {
    extreme_or(random, &["00:00:00", "24:00:00", "23:59:59"], time_of_day)
}

pub(in super::super) fn timetz(random: &mut StdRng) -> String {
    extreme_or(random, &["00:00:00+14", "23:00:00-14", "12:00:00+00"], |random| {
        let offset = random.random_range(-12..=14);
        format!("{}{offset:+03}", time_of_day(random).replace("23:59:59", "23:59:58"))
    })
}

pub(in super::super) fn timestamp(random: &mut StdRng) -> String {
    let extremes = [
        "infinity",
        "-infinity",
        "1969-12-31 23:59:59.999999",
        "1970-01-01 00:00:00",
        "0001-01-31 00:00:00",
        "4713-12-31 23:59:59.999999 BC",
        "294246-01-01 23:59:59.999999",
    ];
    extreme_or(random, &extremes, finite_timestamp)
}

fn finite_timestamp(random: &mut StdRng) -> String {
    format!("{} {}", day(random), time_of_day(random))
}

pub(in super::super) fn timestamptz(random: &mut StdRng) -> String {
    let extremes = [
        "infinity",
        "-infinity",
        "1900-01-01 00:00:00+00",
        "21016-11-04 13:51:30.123456+07",
        "9999-12-31 23:59:59.999999+00",
        "0001-12-31 23:59:59+00 BC",
    ];
    extreme_or(random, &extremes, |random| {
        let offset = random.random_range(-12..=14);
        format!("{}{offset:+03}", finite_timestamp(random))
    })
}

pub(in super::super) fn interval(random: &mut StdRng) -> String {
    let extremes = [
        "0",
        "1 year",
        "-1 day",
        "1 month -1 day 00:00:00.000001",
        "100 years",
        "-00:00:00.000001",
    ];
    extreme_or(random, &extremes, |random| {
        format!(
            "{} years {} mons {} days {}",
            random.random_range(-900..900),
            random.random_range(-11..=11),
            random.random_range(-400..400),
            time_of_day(random)
        )
    })
}

/// Debezium loses what is below a millisecond, and makes 24:00:00 0.
pub(in super::super) fn time_element(random: &mut StdRng) -> String {
    let mut text = time_of_day(random);
    text.truncate("00:00:00.000".len());
    text
}

/// Debezium loses the fraction of a second.
pub(in super::super) fn timetz_element(random: &mut StdRng) -> String {
    let mut text = time_of_day(random);
    text.truncate("00:00:00".len());
    let offset = random.random_range(-12..=14);
    format!("{text}{offset:+03}")
}

/// A date after the Gregorian calendar began everywhere that matters.
pub(in super::super) fn date_element(random: &mut StdRng) -> String {
    let (year, day) = (random.random_range(1_600..2_200), random.random_range(1..=28));
    format!("{year:04}-{:02}-{day:02}", random.random_range(1..=12))
}

/// Debezium moves what is before the Gregorian calendar, and makes an infinity a year.
pub(in super::super) fn timestamp_element(random: &mut StdRng) -> String {
    format!("{} {}", date_element(random), time_of_day(random))
}

/// As [`timestamp_element`].
pub(in super::super) fn timestamptz_element(random: &mut StdRng) -> String {
    let offset = random.random_range(-12..=14);
    format!("{}{offset:+03}", timestamp_element(random))
}
