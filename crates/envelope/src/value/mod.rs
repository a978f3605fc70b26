//! One value: PostgreSQL's text of a type to the JSON of its event form.
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

/// Turns the text of one type into JSON.
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
    /// True keeps the zero bytes at the end.
    Bits(bool),
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
            _ => self.write_rarer(text, out),
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
            Self::Bits(whole) => done(special::bits(text, *whole, out)),
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
            | Self::Boolean => self.write(text, out),
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
    if digits.is_empty() || !all_digits {
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
