//! One value: PostgreSQL's text of a type to the JSON of its event form. `avro::writer` makes its other form of it.
//!
//! In: the text slice of the frame. Out: bytes appended to the record. Never: a value tree; allocations only for decimals
//! beyond 38 digits and the rare types of [`special`] and [`hstore`].

pub(crate) mod array;
pub(crate) mod base64;
pub(crate) mod calendar;
pub(crate) mod composite;
pub(crate) mod hstore;
pub(crate) mod interval;
pub(crate) mod json;
pub(crate) mod masked;
pub(crate) mod numeric;
pub(crate) mod special;
pub(crate) mod temporal;

use array::ArrayForm;
use composite::Attribute;
use masked::Masked;
use temporal::TimeForm;

use crate::avro::writer::AvroWriter;
use crate::fragment::few;
use crate::settings::BinaryHandling;

/// The text is not of the type; says what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// What came of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is appended.
    Written,
    /// The event form cannot hold all of it; what comes nearest is appended.
    Altered,
    /// As [`Outcome::Altered`], but where null may stand it takes the place of what was appended.
    Beyond,
    /// The event form cannot hold it; what was appended must be taken back.
    Inexpressible,
}

/// What a decimal becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecimalForm {
    /// Unscaled bytes at this scale; a negative one counts zeros before the point.
    Unscaled(i32),
    /// Unscaled bytes with the scale beside them.
    VariableScale,
    /// A JSON number at this scale.
    Number(i32),
    /// A 64-bit float.
    Double,
    /// Text at this scale, or as many digits as the value has.
    Digits(Option<u32>),
}

/// Turns the text of one type into JSON, or what was compiled from such a writer into Avro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    Boolean,
    /// Digits as they are.
    Integer,
    Float,
    Text,
    /// Text in a header of Connect's `SimpleHeaderConverter`.
    HeaderText,
    Decimal(DecimalForm),
    /// Scale, and the form of the amount.
    Money(u32, DecimalForm),
    Bytea(BinaryHandling),
    DateDays,
    DateIso,
    Time(TimeForm),
    TimeWithZone,
    Timestamp(TimeForm),
    /// Fraction digits.
    TimestampWithZone(u8),
    IntervalMicros,
    IntervalIso,
    SingleBit,
    Bits,
    Point,
    Geometry,
    Vector,
    SparseVector,
    HstoreText,
    HstoreObject,
    /// The text itself as bytes: a type without a form of its own.
    Opaque(BinaryHandling),
    /// The same with the numbers of Java.
    OpaqueGeometric(BinaryHandling),
    Array(Box<ArrayForm>),
    Composite(Box<[Attribute]>),
    /// Hidden or shortened.
    Masked(Box<Masked>),
    /// Not as JSON.
    Avro(Box<AvroWriter>),
}

impl Writer {
    /// Appends `text` as JSON.
    #[inline]
    pub(crate) fn write(&self, text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
        match self {
            Self::Integer => integer(text, out),
            Self::Text => {
                json::string(text, out);
                Ok(Outcome::Written)
            }
            Self::Decimal(form) => decimal(text, *form, out),
            Self::TimestampWithZone(width) => {
                done(temporal::timestamp_with_zone(text, *width, out))
            }
            Self::Timestamp(form) => temporal::timestamp(text, *form, out),
            Self::Boolean => boolean(text, out),
            Self::Avro(writer) => writer.write(text, out),
            _ => self.write_rarer(text, out),
        }
    }

    /// The same in steps of about so many bytes of the text, and a call behind each; `None`, and nothing is done, if the form
    /// must be written at once.
    pub(crate) fn write_in_steps(
        &self,
        text: &[u8],
        step_bytes: usize,
        out: &mut Vec<u8>,
        behind: &mut impl FnMut(&mut Vec<u8>),
    ) -> Option<Result<(), Malformed>> {
        match self {
            Self::Text => {
                out.push(b'"');
                for step in text.chunks(step_bytes) {
                    json::escape(step, out);
                    behind(out);
                }
                out.push(b'"');
                Some(Ok(()))
            }
            Self::Bytea(handling) => {
                Some(base64::bytea_in_steps(text, *handling, step_bytes, out, behind))
            }
            Self::Avro(writer) => writer.write_in_steps(text, step_bytes, out, behind),
            _ => None,
        }
    }

    /// The same value as Connect's `SimpleHeaderConverter` writes it: decimals plain, text escaped only where it must be.
    pub(crate) fn for_header(&self) -> Self {
        match self {
            Self::Text => Self::HeaderText,
            Self::Decimal(DecimalForm::Unscaled(scale)) => {
                Self::Decimal(DecimalForm::Number(*scale))
            }
            Self::Money(digits, DecimalForm::Unscaled(scale)) => {
                Self::Money(*digits, DecimalForm::Number(*scale))
            }
            other => other.clone(),
        }
    }

    fn write_rarer(&self, text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
        match self {
            Self::Float => numeric::float(text, out),
            Self::HeaderText => {
                json::header_string(text, out);
                Ok(Outcome::Written)
            }
            Self::Money(scale, form) => {
                decimal(&numeric::money_to_decimal(text, *scale)?, *form, out)
            }
            Self::Bytea(handling) => done(base64::bytea(text, *handling, out)),
            Self::DateDays => done(temporal::date_days(text, out)),
            Self::DateIso => done(temporal::date_iso(text, out)),
            Self::Time(form) => temporal::time(text, *form, out),
            Self::TimeWithZone => temporal::time_with_zone(text, out),
            Self::IntervalMicros => interval::micros(text, out),
            Self::IntervalIso => interval::iso(text, out),
            Self::SingleBit => done(special::single_bit(text, out)),
            Self::Bits => done(special::bits(text, out)),
            Self::Point => done(special::point(text, out)),
            Self::Geometry => done(special::geometry(text, out)),
            Self::Vector => done(special::vector(text, out)),
            Self::SparseVector => special::sparse_vector(text, out),
            Self::HstoreText => done(hstore::object_text(text, out)),
            Self::HstoreObject => done(hstore::object(text, out)),
            Self::Opaque(handling) => {
                base64::bytes_json(text, *handling, out);
                Ok(Outcome::Written)
            }
            Self::OpaqueGeometric(handling) => {
                let mut java = Vec::with_capacity(2 * text.len());
                special::java_geometric(text, &mut java)?;
                base64::bytes_json(&java, *handling, out);
                Ok(Outcome::Written)
            }
            Self::Array(form) => array::array(text, form, out),
            Self::Composite(attributes) => composite::composite(text, attributes, out),
            Self::Masked(masked) => masked.write(text, out),
            Self::Integer
            | Self::Text
            | Self::Decimal(_)
            | Self::TimestampWithZone(_)
            | Self::Timestamp(_)
            | Self::Boolean
            | Self::Avro(_) => self.write(text, out),
        }
    }
}

#[inline]
fn done(result: Result<(), Malformed>) -> Result<Outcome, Malformed> {
    result.map(|()| Outcome::Written)
}

#[inline]
fn integer(text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    // No early exit, so that it is done eight or more bytes at a time.
    let all_digits = digits.iter().fold(true, |all, byte| all & byte.is_ascii_digit());
    // JSON has no number that begins with a zero and goes on.
    let begins_with_zero = digits.len() > 1 && digits[0] == b'0';
    if digits.is_empty() || begins_with_zero || !all_digits {
        return Err(Malformed("expected an integer"));
    }
    few(text, out);
    Ok(Outcome::Written)
}

#[inline]
fn boolean(text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    out.extend_from_slice(match text {
        b"t" | b"true" => &b"true"[..],
        b"f" | b"false" => b"false",
        _ => return Err(Malformed("expected t or f")),
    });
    Ok(Outcome::Written)
}

#[inline]
fn decimal(text: &[u8], form: DecimalForm, out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    match form {
        DecimalForm::Unscaled(scale) => numeric::decimal(text, scale, out),
        DecimalForm::VariableScale => numeric::variable_scale(text, out),
        DecimalForm::Number(scale) => numeric::json_number(text, scale, out),
        DecimalForm::Double => numeric::double(text, out),
        DecimalForm::Digits(scale) => numeric::digits(text, scale, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use array::NullElement;
    use proptest::prelude::*;
    use temporal::Unit;

    /// Each writer in each of its modes, with an array and a row of it.
    fn writers() -> Vec<Writer> {
        let decimals = [-3, 0, 2, 40].into_iter().flat_map(|scale| {
            let digits = DecimalForm::Digits(u32::try_from(scale).ok());
            [DecimalForm::Unscaled(scale), DecimalForm::Number(scale), digits]
        });
        let decimals = decimals.chain([DecimalForm::VariableScale, DecimalForm::Double]);
        let binaries = [
            BinaryHandling::Bytes,
            BinaryHandling::Base64,
            BinaryHandling::Base64UrlSafe,
            BinaryHandling::Hex,
        ];
        let times = [
            TimeForm::Number(Unit::Millis),
            TimeForm::Number(Unit::Micros),
            TimeForm::Number(Unit::Nanos),
            TimeForm::Iso,
        ];
        let mut all = vec![
            Writer::Boolean,
            Writer::Integer,
            Writer::Float,
            Writer::Text,
            Writer::DateDays,
            Writer::DateIso,
            Writer::TimeWithZone,
            Writer::IntervalMicros,
            Writer::IntervalIso,
            Writer::SingleBit,
            Writer::Bits,
            Writer::Point,
            Writer::Geometry,
            Writer::Vector,
            Writer::SparseVector,
            Writer::HstoreText,
            Writer::HstoreObject,
        ];
        all.extend(decimals.flat_map(|form| {
            [Writer::Decimal(form), Writer::Money(0, form), Writer::Money(18, form)]
        }));
        all.extend(binaries.into_iter().flat_map(|handling| {
            [Writer::Bytea(handling), Writer::Opaque(handling), Writer::OpaqueGeometric(handling)]
        }));
        all.extend(
            times.into_iter().flat_map(|form| [Writer::Time(form), Writer::Timestamp(form)]),
        );
        all.extend((0..=6).map(Writer::TimestampWithZone));
        let nested: Vec<Writer> = all.iter().flat_map(nested).collect();
        all.extend(nested);
        all
    }

    fn nested(element: &Writer) -> [Writer; 2] {
        let array = ArrayForm {
            element: element.clone(),
            null_element: NullElement::Null,
            delimiter: b',',
        };
        let attribute = Attribute { member: (*b"\"a\":").into(), writer: element.clone() };
        [Writer::Array(Box::new(array)), Writer::Composite(Box::new([attribute]))]
    }

    /// What is written is JSON.
    fn check(text: &str) {
        for writer in writers() {
            let mut out = Vec::new();
            let outcome = writer.write(text.as_bytes(), &mut out);
            if matches!(outcome, Ok(Outcome::Written | Outcome::Altered | Outcome::Beyond)) {
                let json = serde_json::from_slice::<serde::de::IgnoredAny>(&out);
                assert!(json.is_ok(), "{writer:?} {text:?}: {json:?}");
            }
        }
    }

    #[test]
    fn texts_at_the_limits_of_numbers_are_written_or_refused() {
        for text in [
            "1e2147483647",
            "1e-2147483648",
            "0e99999999999",
            "-",
            ".",
            "-.5",
            "99999999999999999999999999999999999999999999999999999999999999999999.5",
            "$0.0000000000000000000000000000000000000000000000000000000000000001",
            "$999999999999999999999999999999999999999999999999999999",
            "2147483647 years 2147483647 mons 2147483647 days 2562047788:00:54.775807",
            "-178956970 years -8 mons -2147483648 days -2562047788:00:54.775808",
            "9223372036854775807 years",
            "999999999999999999:00:00",
            "9999999-99-99 99:99:99.999999+99:99:99 BC",
            "5874897-12-31",
            "24:00:00-15:59:59",
            "[1:2147483647]={1}",
            "{{{{{{{{{{",
            "{1:1}/32767",
            "{99999:1}/5",
            "{1:1}/+5",
            "{1:1}/007",
            "007",
            "-00.5",
            "{+1:1}/1",
            "(1e400,-1e400)",
            "0101000020",
        ] {
            check(text);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_writer_panic_or_write_what_is_no_json(text in "\\PC{0,40}") {
            check(&text);
        }

        #[test]
        fn no_text_near_a_value_does_either(text in "[-+0-9eE.:,;{}()<>\\[\\]\"\\\\ $/xBCNULaftr]{0,40}") {
            check(&text);
        }

        #[test]
        fn steps_of_any_length_write_the_same(text in "[\\PC\n\t\"\\\\]{0,40}", bytes: Vec<u8>, step in 1_usize..20) {
            let mut hex = "\\x".to_owned();
            hex.extend(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| {
                char::from_digit(digit.into(), 16)
            }));
            for (writer, text) in writers().iter().flat_map(|writer| [(writer, &text), (writer, &hex)]) {
                let (mut whole, mut stepped, mut steps) = (Vec::new(), Vec::new(), 0);
                let mut behind = |_: &mut Vec<u8>| steps += 1;
                if let Some(result) = writer.write_in_steps(text.as_bytes(), step, &mut stepped, &mut behind) {
                    prop_assert_eq!(result.map(|()| Outcome::Written), writer.write(text.as_bytes(), &mut whole));
                    prop_assert!(result.is_err() || stepped == whole, "{writer:?} {text:?}");
                    prop_assert!(result.is_err() || steps * step.max(6) + 8 >= text.len());
                }
            }
        }

        #[test]
        fn no_bytes_make_a_writer_panic(bytes: Vec<u8>) {
            for writer in writers() {
                let _ = writer.write(&bytes, &mut Vec::new());
            }
        }
    }
}
