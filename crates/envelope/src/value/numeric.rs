//! `numeric`, `money` and floats. In: PostgreSQL's text. Out: unscaled bytes in base64, plain digits, or a number as Java
//! writes it. Never: rounds, except `money` to fewer digits than it has and doubles to what they can hold.
//!
//! Source: Kafka Connect, `Decimal`; Debezium documentation, "Decimal types"; Java, `Double.toString`.

use num_bigint::BigInt;

use super::base64;
use super::{Malformed, Outcome};

/// Digits of a decimal that fit an `i64` whatever they are.
const SHORT_DIGITS: usize = 18;
/// Digits of a decimal that fit an `i128` whatever they are.
const LONG_DIGITS: usize = 38;

/// A decimal taken apart: sign, digits before and after the point.
#[derive(Clone, Copy)]
struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, Malformed> {
        let (negative, digits) = match text.split_first() {
            Some((b'-', digits)) => (true, digits),
            _ => (false, text),
        };
        let (whole, fraction) = match digits.iter().position(|&byte| byte == b'.') {
            Some(point) => (&digits[..point], &digits[point + 1..]),
            None => (digits, &[][..]),
        };
        let all_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        // JSON has no number that begins with a zero and goes on.
        let begins_with_zero = whole.len() > 1 && whole[0] == b'0';
        if whole.is_empty() || begins_with_zero || !all_digits(whole) || !all_digits(fraction) {
            return Err(Malformed("expected a decimal number"));
        }
        Ok(Self { negative, whole, fraction })
    }

    /// With exactly `scale` digits after the point; drops only zeros.
    fn at_scale(self, scale: usize) -> Result<(Self, usize), Malformed> {
        if self.fraction.len() <= scale {
            return Ok((self, scale - self.fraction.len()));
        }
        let (kept, dropped) = self.fraction.split_at(scale);
        if dropped.iter().any(|&digit| digit != b'0') {
            return Err(Malformed("more fraction digits than the column's scale"));
        }
        Ok((Self { fraction: kept, ..self }, 0))
    }

    /// Without the last `places` digits before the point, as a negative scale keeps it; drops only zeros.
    fn without_zeros(self, places: usize) -> Result<Self, Malformed> {
        let (kept, dropped) = self.whole.split_at(self.whole.len().saturating_sub(places));
        if dropped.iter().chain(self.fraction).any(|&digit| digit != b'0') {
            return Err(Malformed("more digits than the column's negative scale"));
        }
        Ok(Self { whole: kept, fraction: b"", ..self })
    }

    /// Without zeros at the end of the fraction.
    fn stripped(self) -> Self {
        let zeros = self.fraction.iter().rev().take_while(|&&digit| digit == b'0').count();
        Self { fraction: &self.fraction[..self.fraction.len() - zeros], ..self }
    }

    /// Hands over the unscaled value followed by `zeros` zeros, as `BigInteger.toByteArray` gives it.
    #[inline]
    fn with_unscaled(self, zeros: usize, take: impl FnOnce(&[u8])) {
        let digits = self.whole.len() + self.fraction.len() + zeros;
        let parts = [self.whole, self.fraction];
        if digits <= SHORT_DIGITS {
            let magnitude = fold(parts, 0_i64, |sum, digit| sum * 10 + i64::from(digit));
            let magnitude = (0..zeros).fold(magnitude, |sum, _| sum * 10);
            let value = if self.negative { -magnitude } else { magnitude };
            take(twos_complement(&value.to_be_bytes()));
        } else if digits <= LONG_DIGITS {
            let magnitude = fold(parts, 0_i128, |sum, digit| sum * 10 + i128::from(digit));
            let magnitude = (0..zeros).fold(magnitude, |sum, _| sum * 10);
            let value = if self.negative { -magnitude } else { magnitude };
            take(twos_complement(&value.to_be_bytes()));
        } else {
            let text = [self.whole, self.fraction, &vec![b'0'; zeros]].concat();
            let magnitude = BigInt::parse_bytes(&text, 10).unwrap_or_default();
            let value = if self.negative { -magnitude } else { magnitude };
            take(&value.to_signed_bytes_be());
        }
    }

    /// The digits with a point, and `zeros` zeros after them.
    fn plain(self, zeros: usize, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        out.extend_from_slice(self.whole);
        if !self.fraction.is_empty() || zeros > 0 {
            out.push(b'.');
            out.extend_from_slice(self.fraction);
            out.resize(out.len() + zeros, b'0');
        }
    }
}

#[inline]
fn fold<T>(parts: [&[u8]; 2], zero: T, step: impl Fn(T, u8) -> T + Copy) -> T {
    let sum = parts[0].iter().fold(zero, |sum, &digit| step(sum, digit - b'0'));
    parts[1].iter().fold(sum, |sum, &digit| step(sum, digit - b'0'))
}

/// The shortest two's complement form.
#[inline]
fn twos_complement(bytes: &[u8]) -> &[u8] {
    let sign = if bytes[0] & 0x80 == 0 { 0 } else { 0xFF };
    let mut first = 0;
    while first + 1 < bytes.len() && bytes[first] == sign && (bytes[first + 1] ^ sign) & 0x80 == 0 {
        first += 1;
    }
    &bytes[first..]
}

/// True for `NaN`, `Infinity` and `-Infinity`.
fn is_special(text: &[u8]) -> bool {
    matches!(text, b"NaN" | b"Infinity" | b"-Infinity")
}

/// A Connect `Decimal`. `NaN` and infinities have no form in it.
#[inline]
pub(crate) fn decimal(text: &[u8], scale: i32, out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    unscaled(text, scale, |bytes| {
        out.push(b'"');
        base64::encode(bytes, out);
        out.push(b'"');
    })
}

/// The unscaled value of a Connect `Decimal`, handed over unless the outcome is that there is none.
#[inline]
pub(crate) fn unscaled(
    text: &[u8],
    scale: i32,
    take: impl FnOnce(&[u8]),
) -> Result<Outcome, Malformed> {
    if is_special(text) {
        return Ok(Outcome::Inexpressible);
    }
    let decimal = Decimal::parse(text)?;
    let (decimal, zeros) = if scale < 0 {
        (decimal.without_zeros(scale.unsigned_abs() as usize)?, 0)
    } else {
        decimal.at_scale(scale.unsigned_abs() as usize)?
    };
    decimal.with_unscaled(zeros, take);
    Ok(Outcome::Written)
}

/// A `VariableScaleDecimal`: as many fraction digits as the value has, without zeros at the end.
pub(crate) fn variable_scale(text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    scale_and_unscaled(text, |scale, bytes| {
        out.extend_from_slice(b"{\"scale\":");
        out.extend_from_slice(itoa::Buffer::new().format(scale).as_bytes());
        out.extend_from_slice(b",\"value\":\"");
        base64::encode(bytes, out);
        out.extend_from_slice(b"\"}");
    })
}

/// Scale and unscaled value of a `VariableScaleDecimal`, handed over unless the outcome is that there are none.
pub(crate) fn scale_and_unscaled(
    text: &[u8],
    take: impl FnOnce(usize, &[u8]),
) -> Result<Outcome, Malformed> {
    if is_special(text) {
        return Ok(Outcome::Inexpressible);
    }
    let decimal = Decimal::parse(text)?.stripped();
    decimal.with_unscaled(0, |bytes| take(decimal.fraction.len(), bytes));
    Ok(Outcome::Written)
}

/// A Connect `Decimal` as a JSON number, with `decimal.format=NUMERIC`.
pub(crate) fn json_number(
    text: &[u8],
    scale: i32,
    out: &mut Vec<u8>,
) -> Result<Outcome, Malformed> {
    if is_special(text) {
        return Ok(Outcome::Inexpressible);
    }
    let shown = usize::try_from(scale).unwrap_or(0);
    let (decimal, zeros) = Decimal::parse(text)?.at_scale(shown)?;
    decimal.plain(zeros, out);
    Ok(Outcome::Written)
}

/// The digits as text, with `decimal.handling.mode=string`; without a scale as many as the value has.
pub(crate) fn digits(
    text: &[u8],
    scale: Option<u32>,
    out: &mut Vec<u8>,
) -> Result<Outcome, Malformed> {
    let special: &[u8] = match text {
        b"NaN" => b"\"NAN\"",
        b"Infinity" => b"\"POSITIVE_INFINITY\"",
        b"-Infinity" => b"\"NEGATIVE_INFINITY\"",
        _ => b"",
    };
    if !special.is_empty() {
        out.extend_from_slice(special);
        return Ok(Outcome::Written);
    }
    let decimal = Decimal::parse(text)?;
    let (decimal, zeros) = match scale {
        Some(scale) => decimal.at_scale(scale as usize)?,
        None => (decimal, 0),
    };
    out.push(b'"');
    decimal.plain(zeros, out);
    out.push(b'"');
    Ok(Outcome::Written)
}

/// The nearest 64-bit float, with `decimal.handling.mode=double`.
pub(crate) fn double(text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    java_double(number(text)?, out)
}

/// The float nearest to a number's text, which may also be `NaN` or an infinity.
pub(crate) fn number<T: std::str::FromStr>(text: &[u8]) -> Result<T, Malformed> {
    let malformed = Malformed("expected a decimal number");
    std::str::from_utf8(text).map_err(|_| malformed)?.parse().map_err(|_| malformed)
}

/// A double as Java writes it.
pub(crate) fn java_double(value: f64, out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { &b"\"Infinity\""[..] } else { b"\"-Infinity\"" });
    } else {
        java_number(zmij::Buffer::new().format_finite(value).as_bytes(), out)?;
    }
    Ok(Outcome::Written)
}

/// `real` and `double precision`: PostgreSQL's shortest text in Java's notation, special values in quotes.
pub(crate) fn float(text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    if is_special(text) {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    } else {
        java_number(text, out)?;
    }
    Ok(Outcome::Written)
}

/// Any decimal or scientific notation as `Double.toString` would write it: `0.001`, `12.0`, `1.0E7`, `1.5E-4`.
pub(crate) fn java_number(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let malformed = Malformed("expected a number");
    let (mantissa, exponent) = match text.iter().position(|&byte| matches!(byte, b'e' | b'E')) {
        Some(at) => {
            let exponent = std::str::from_utf8(&text[at + 1..]).map_err(|_| malformed)?;
            (&text[..at], exponent.parse::<i32>().map_err(|_| malformed)?)
        }
        None => (text, 0),
    };
    let Decimal { negative, whole, fraction } = Decimal::parse(mantissa)?;
    let mut digits: smallvec::SmallVec<[u8; 64]> = whole.iter().chain(fraction).copied().collect();
    let leading = digits.iter().take_while(|&&digit| digit == b'0').count();
    digits.drain(..leading);
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    if negative {
        out.push(b'-');
    }
    if digits.is_empty() {
        out.extend_from_slice(b"0.0");
        return Ok(());
    }
    let length = |count: usize| i32::try_from(count).map(i64::from).map_err(|_| malformed);
    // The value is 0.DIGITS times ten to the power of this.
    let point = length(whole.len())? - length(leading)? + i64::from(exponent);
    place_point(&digits, point, out);
    Ok(())
}

fn place_point(digits: &[u8], point: i64, out: &mut Vec<u8>) {
    let (first, others) = digits.split_at(1);
    match usize::try_from(point) {
        Ok(whole @ 1..=7) => {
            let (before, after) = digits.split_at(whole.min(digits.len()));
            out.extend_from_slice(before);
            out.resize(out.len() + whole - before.len(), b'0');
            out.push(b'.');
            out.extend_from_slice(if after.is_empty() { b"0" } else { after });
        }
        _ if (-2..=0).contains(&point) => {
            out.extend_from_slice(b"0.");
            (point..0).for_each(|_| out.push(b'0'));
            out.extend_from_slice(digits);
        }
        _ => {
            out.extend_from_slice(first);
            out.push(b'.');
            out.extend_from_slice(if others.is_empty() { b"0" } else { others });
            out.push(b'E');
            out.extend_from_slice(itoa::Buffer::new().format(point - 1).as_bytes());
        }
    }
}

/// `money` in the C locale (`-$1,234.50`) as a plain decimal of `scale` fraction digits, rounded half up.
pub(crate) fn money_to_decimal(
    text: &[u8],
    scale: u32,
) -> Result<smallvec::SmallVec<[u8; 64]>, Malformed> {
    let malformed = Malformed("expected an amount like -$1,234.50");
    let mut cents: i128 = 0;
    let mut fraction_digits: Option<u32> = None;
    for &byte in text {
        match byte {
            b'0'..=b'9' => {
                cents = cents.checked_mul(10).ok_or(malformed)? + i128::from(byte - b'0');
                fraction_digits = fraction_digits.map(|digits| digits + 1);
            }
            b'.' if fraction_digits.is_none() => fraction_digits = Some(0),
            b'-' | b'(' | b')' | b'$' | b',' => {}
            _ => return Err(malformed),
        }
    }
    let negative = text.iter().any(|&byte| matches!(byte, b'-' | b'('));
    let digits = fraction_digits.unwrap_or(0);
    let scaled = if scale >= digits {
        10_i128
            .checked_pow(scale - digits)
            .and_then(|factor| cents.checked_mul(factor))
            .ok_or(malformed)?
    } else {
        let divisor = 10_i128.checked_pow(digits - scale).ok_or(malformed)?;
        cents.checked_add(divisor / 2).ok_or(malformed)? / divisor
    };
    Ok(place_decimal(scaled, negative, scale as usize))
}

fn place_decimal(unscaled: i128, negative: bool, scale: usize) -> smallvec::SmallVec<[u8; 64]> {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled).as_bytes();
    let mut text = smallvec::SmallVec::new();
    if negative && unscaled != 0 {
        text.push(b'-');
    }
    let zeros = (scale + 1).saturating_sub(digits.len());
    let whole = digits.len().saturating_sub(scale);
    text.resize(text.len() + usize::from(zeros > 0), b'0');
    text.extend_from_slice(&digits[..whole]);
    if scale > 0 {
        text.push(b'.');
        text.resize(text.len() + zeros.saturating_sub(1), b'0');
        text.extend_from_slice(&digits[whole..]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::{Engine, prelude::BASE64_STANDARD};
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>) -> Result<Outcome, Malformed>) -> String {
        let mut out = Vec::new();
        match write(&mut out).unwrap() {
            Outcome::Written => String::from_utf8(out).unwrap(),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    #[test]
    fn decimals_are_unscaled_bytes() {
        for (value, scale, expected) in [
            ("1.10", 2, "bg=="),
            ("-1.10", 2, "kg=="),
            ("0.00", 2, "AA=="),
            ("9.99", 2, "A+c="),
            ("-9.99", 2, "/Bk="),
            ("0.01", 2, "AQ=="),
            ("-9999", 0, "2PE="),
            ("-0.0001", 4, "/w=="),
            ("0.0", 0, "AA=="),
            ("1234567890123456789012345678.0123456789", 10, "CUmw9vACMxPESZBOzGdFFQ=="),
            ("12345678901234567890", 0, "AKtUqYzrHwrS"),
            ("1234567890123456.78", 2, "AbabS6Yw804="),
            ("-99999999999999999999", 0, "+pQ4odKc8AAB"),
            ("-92233720368547758.08", 2, "gAAAAAAAAAA="),
            ("92233720368547758.07", 2, "f/////////8="),
        ] {
            assert_eq!(
                text(|out| decimal(value.as_bytes(), scale, out)),
                format!("\"{expected}\""),
                "{value}"
            );
        }
        for special in ["NaN", "Infinity", "-Infinity"] {
            assert_eq!(text(|out| decimal(special.as_bytes(), 2, out)), "inexpressible");
            assert_eq!(text(|out| variable_scale(special.as_bytes(), out)), "inexpressible");
            assert_eq!(text(|out| json_number(special.as_bytes(), 2, out)), "inexpressible");
        }
        assert_eq!(
            decimal(b"1.234", 2, &mut Vec::new()).unwrap_err().0,
            "more fraction digits than the column's scale"
        );
        assert!(decimal(b"1e5", 2, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_negative_scale_counts_zeros_before_the_point() {
        for (value, scale, expected) in
            [("12300", -2, "ew=="), ("-99900", -2, "/Bk="), ("0", -2, "AA=="), ("100", -2, "AQ==")]
        {
            let bytes = text(|out| decimal(value.as_bytes(), scale, out));
            assert_eq!(bytes, format!("\"{expected}\""), "{value}");
            assert_eq!(text(|out| json_number(value.as_bytes(), scale, out)), value);
        }
        assert!(decimal(b"12345", -2, &mut Vec::new()).is_err());
    }

    #[test]
    fn decimals_without_scale_carry_their_own() {
        for (value, scale, expected) in [
            ("10.1111", 4, "AYr3"),
            ("1.50", 1, "Dw=="),
            ("100", 0, "ZA=="),
            ("-123456789.987654321", 9, "/klktB+tBU8="),
            ("0", 0, "AA=="),
            (
                "123456789012345678901234567890123456789012345678901234567890.000000000000000000000000000001",
                30,
                "APg+F9cNWV3nWGqWw4+kCxiezdcIIUDD6YFYkuFU6VwQqIAAAAE=",
            ),
        ] {
            let json = format!("{{\"scale\":{scale},\"value\":\"{expected}\"}}");
            assert_eq!(text(|out| variable_scale(value.as_bytes(), out)), json);
        }
    }

    #[test]
    fn decimals_as_text_keep_their_digits() {
        for (value, expected) in [
            ("1.10", "1.10"),
            ("-0.5", "-0.5"),
            ("NaN", "NAN"),
            ("Infinity", "POSITIVE_INFINITY"),
            ("-Infinity", "NEGATIVE_INFINITY"),
        ] {
            assert_eq!(text(|out| digits(value.as_bytes(), None, out)), format!("\"{expected}\""));
        }
        assert_eq!(text(|out| digits(b"0.0", Some(0), out)), "\"0\"");
        assert_eq!(text(|out| json_number(b"1.5", 2, out)), "1.50");
    }

    #[test]
    fn floats_are_written_as_java_writes_them() {
        for (value, expected) in [
            ("3.3", "3.3"),
            ("1", "1.0"),
            ("0", "0.0"),
            ("-0", "-0.0"),
            ("1e-37", "1.0E-37"),
            ("3.4028235e+38", "3.4028235E38"),
            ("1.6777216e+07", "1.6777216E7"),
            ("9999999", "9999999.0"),
            ("10000000", "1.0E7"),
            ("1e+06", "1000000.0"),
            ("0.001", "0.001"),
            ("0.0001", "1.0E-4"),
            ("0.00012", "1.2E-4"),
            ("123456.789", "123456.789"),
            ("NaN", "\"NaN\""),
            ("-Infinity", "\"-Infinity\""),
        ] {
            assert_eq!(text(|out| float(value.as_bytes(), out)), expected, "{value}");
        }
        assert_eq!(text(|out| double(b"-123456789.987654321", out)), "-1.2345678998765433E8");
        assert_eq!(text(|out| double(b"10", out)), "10.0");
    }

    #[test]
    fn money_loses_its_ornaments() {
        for (value, scale, expected) in [
            ("$1,234.11", 2, "1234.11"),
            ("-$1,234.11", 2, "-1234.11"),
            ("$0.00", 2, "0.00"),
            ("-$0.01", 2, "-0.01"),
            ("$0.05", 3, "0.050"),
            ("$1.25", 1, "1.3"),
            ("-$92,233,720,368,547,758.08", 2, "-92233720368547758.08"),
            ("$12.00", 0, "12"),
        ] {
            assert_eq!(
                money_to_decimal(value.as_bytes(), scale).unwrap().as_slice(),
                expected.as_bytes()
            );
        }
    }

    proptest! {
        #[test]
        fn unscaled_bytes_are_those_of_the_big_integer(
            negative: bool, whole in "[1-9][0-9]{0,45}", fraction in "[0-9]{0,20}",
        ) {
            let sign = if negative { "-" } else { "" };
            let value = format!("{sign}{whole}.{fraction}");
            let json = text(|out| decimal(value.as_bytes(), i32::try_from(fraction.len()).unwrap(), out));
            let bytes = BASE64_STANDARD.decode(json.trim_matches('"')).unwrap();
            let expected: BigInt = format!("{sign}{whole}{fraction}").parse().unwrap();
            prop_assert_eq!(bytes, expected.to_signed_bytes_be());
        }

        #[test]
        fn every_double_keeps_its_value(value: f64) {
            let json = text(|out| java_double(value, out));
            if value.is_finite() {
                prop_assert_eq!(json.parse::<f64>().unwrap().to_bits(), value.to_bits());
            }
        }

        #[test]
        fn money_of_every_amount_keeps_its_cents(cents: i64) {
            let plain = place_decimal(i128::from(cents).abs(), cents < 0, 2);
            let plain = std::str::from_utf8(&plain).unwrap();
            let money = plain.strip_prefix('-').map_or_else(|| format!("${plain}"), |rest| format!("-${rest}"));
            let text = money_to_decimal(money.as_bytes(), 2).unwrap();
            prop_assert_eq!(std::str::from_utf8(&text).unwrap(), plain);
        }
    }
}
