//! Booleans, whole, floating and decimal numbers, money.

use rand::Rng;
use rand::rngs::StdRng;

use super::{digit, extreme_or};

pub(in super::super) fn boolean(random: &mut StdRng) -> String {
    random.random::<bool>().to_string()
}

pub(in super::super) fn int2(random: &mut StdRng) -> String {
    extreme_or(random, &["0", "-1", "32767", "-32768"], |random| random.random::<i16>().to_string())
}

pub(in super::super) fn int4(random: &mut StdRng) -> String {
    extreme_or(random, &["0", "-1", "2147483647", "-2147483648"], |random| {
        random.random::<i32>().to_string()
    })
}

pub(in super::super) fn int8(random: &mut StdRng) -> String {
    extreme_or(random, &["0", "-1", "9223372036854775807", "-9223372036854775808"], |random| {
        random.random::<i64>().to_string()
    })
}

pub(in super::super) fn oid(random: &mut StdRng) -> String {
    extreme_or(random, &["0", "1", "4294967295"], |random| random.random::<u32>().to_string())
}

pub(in super::super) fn float4(random: &mut StdRng) -> String {
    let extremes =
        ["NaN", "Infinity", "-Infinity", "-0", "0", "1e-37", "3.4028235e38", "16777217", "1e-45"];
    extreme_or(random, &extremes, |random| {
        let exponent = random.random_range(-20..20);
        format!("{:?}", random.random_range(-10.0_f32..10.0) * 10_f32.powi(exponent))
    })
}

pub(in super::super) fn float8(random: &mut StdRng) -> String {
    let extremes = [
        "NaN",
        "Infinity",
        "-Infinity",
        "-0",
        "0",
        "1e-307",
        "1.7976931348623157e308",
        "9007199254740993",
        "5e-324",
    ];
    extreme_or(random, &extremes, |random| {
        let exponent = random.random_range(-200..200);
        format!("{:?}", random.random_range(-10.0_f64..10.0) * 10_f64.powi(exponent))
    })
}

/// JSON has no word for the others.
pub(in super::super) fn finite_float8(random: &mut StdRng) -> String {
    let exponent = random.random_range(-200..200);
    format!("{:?}", random.random_range(-10.0_f64..10.0) * 10_f64.powi(exponent))
}

/// A number with at most so many digits before and exactly so many after the point.
fn decimal(random: &mut StdRng, before: usize, after: usize) -> String {
    let mut text = String::new();
    if random.random_bool(0.4) {
        text.push('-');
    }
    let before = random.random_range(1..=before);
    text.extend((0..before).map(|_| digit(random)));
    if after > 0 {
        text.push('.');
        text.extend((0..after).map(|_| digit(random)));
    }
    text
}

pub(in super::super) fn numeric_3_2(random: &mut StdRng) -> String {
    extreme_or(random, &["0", "9.99", "-9.99", "0.01", "1.1"], |random| decimal(random, 1, 2))
}

pub(in super::super) fn numeric_4(random: &mut StdRng) -> String {
    extreme_or(random, &["0", "9999", "-9999"], |random| decimal(random, 4, 0))
}

pub(in super::super) fn numeric_12_2(random: &mut StdRng) -> String {
    extreme_or(random, &["0", "9999999999.99", "-0.01"], |random| decimal(random, 10, 2))
}

pub(in super::super) fn numeric_38_10(random: &mut StdRng) -> String {
    extreme_or(
        random,
        &["0", "1234567890123456789012345678.0123456789", "-1.0000000001"],
        |random| decimal(random, 28, 10),
    )
}

pub(in super::super) fn numeric(random: &mut StdRng) -> String {
    let extremes = [
        "0",
        "0.000",
        "-0.5",
        "123456789012345678901234567890123456789012345678901234567890.000000000000000000000000000001",
        "9223372036854775808",
        "100000000000000000000",
    ];
    extreme_or(random, &extremes, |random| {
        let (before, after) = (random.random_range(1..25), random.random_range(0..12));
        decimal(random, before, after)
    })
}

pub(in super::super) fn money(random: &mut StdRng) -> String {
    let extremes = ["0", "-0.01", "-92233720368547758.08", "92233720368547758.07"];
    extreme_or(random, &extremes, |random| decimal(random, 9, 2))
}
