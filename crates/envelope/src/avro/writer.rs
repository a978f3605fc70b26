//! One value: PostgreSQL's text of a type to Avro's binary form.
//!
//! In: the text slice of the frame. Out: bytes appended to the record, the branch of a union before them. Never: what the JSON
//! form does not say; where that is a string that is made anew, it is written as there and its quotes become its length.

use super::binary;
use super::shapes::{self, end_block};
use super::stand_in::{self, branches};
use crate::schema::{Parts, Schema};
use crate::value::array::{self, NullElement};
use crate::value::masked::{self, Masked};
use crate::value::temporal::{self, TimeForm, Unit};
use crate::value::{
    DecimalForm, Malformed, Outcome, Writer, base64, calendar, composite, hstore, interval,
    numeric, special,
};

/// Turns the text of one type into Avro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AvroWriter {
    /// Of a union with null.
    branch: Option<u8>,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Integer,
    Boolean,
    Float,
    Double,
    Decimal(DecimalForm),
    /// Fraction digits, and the form of the amount.
    Money(u32, DecimalForm),
    Days,
    Time(Unit),
    Timestamp(Unit),
    Interval,
    Bytea {
        bytes_max: usize,
    },
    Opaque,
    OpaqueGeometric,
    SingleBit,
    Bits,
    Point,
    Geometry,
    /// Of floats of 32 bits, or of 64.
    Vector {
        is_double: bool,
    },
    SparseVector,
    Hstore,
    HstoreText,
    Array(Box<Array>),
    Composite(Box<[AvroWriter]>),
    CutText {
        units_max: usize,
    },
    Constant(Box<[u8]>),
    /// What the JSON form puts in quotes.
    Quoted(Box<Writer>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Array {
    element: AvroWriter,
    null_element: NullElement,
    delimiter: u8,
}

impl AvroWriter {
    /// What writes the values that `writer` writes as JSON, where `schema` stands.
    pub(crate) fn compile(writer: &Writer, schema: &Schema) -> Result<Self, Malformed> {
        let branch = schema.optional.then(|| branches(schema).1);
        Ok(Self { branch, form: Form::compile(writer, schema)? })
    }

    /// Appends `text` as Avro.
    #[inline]
    pub(crate) fn write(&self, text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
        if let Some(branch) = self.branch {
            out.push(branch);
        }
        self.form.write(text, out)
    }

    /// The same in steps; `None`, and nothing is done, if the form must be written at once.
    pub(crate) fn write_in_steps(
        &self,
        text: &[u8],
        step_bytes: usize,
        out: &mut Vec<u8>,
        behind: &mut impl FnMut(&mut Vec<u8>),
    ) -> Option<Result<(), Malformed>> {
        let digits = match self.form {
            Form::Text => None,
            Form::Bytea { bytes_max: usize::MAX } => Some(text.get(2..).unwrap_or_default()),
            _ => return None,
        };
        if let Some(branch) = self.branch {
            out.push(branch);
        }
        let Some(digits) = digits else {
            binary::count(text.len(), out);
            for step in text.chunks(step_bytes) {
                out.extend_from_slice(step);
                behind(out);
            }
            return Some(Ok(()));
        };
        binary::count(digits.len() / 2, out);
        for step in digits.chunks((step_bytes / 2).max(1) * 2) {
            if let Err(malformed) = hexadecimal(step, out) {
                return Some(Err(malformed));
            }
            behind(out);
        }
        Some(if text.starts_with(b"\\x") { Ok(()) } else { Err(NO_BYTES) })
    }
}

const NO_BYTES: Malformed = Malformed("expected bytes in hexadecimal after \\x");

impl Form {
    fn compile(writer: &Writer, schema: &Schema) -> Result<Self, Malformed> {
        let is_string = schema.type_name == "string";
        Ok(match writer {
            Writer::Text => Self::Text,
            Writer::Masked(masked) => match &**masked {
                Masked::Constant(json) => {
                    let plain = Schema { optional: false, ..schema.clone() };
                    Self::Constant(stand_in::of_json(json, &plain)?.into())
                }
                Masked::CutText { units_max } => Self::CutText { units_max: *units_max },
                Masked::CutBytes { bytes_max } => Self::Bytea { bytes_max: *bytes_max },
                Masked::CutString { writer, .. } if !is_string => Self::compile(writer, schema)?,
                Masked::CutString { .. } | Masked::Digest(_) => {
                    Self::Quoted(Box::new(writer.clone()))
                }
            },
            Writer::HstoreText => Self::HstoreText,
            _ if is_string => Self::Quoted(Box::new(writer.clone())),
            Writer::Integer => Self::Integer,
            Writer::Boolean => Self::Boolean,
            Writer::Float if schema.type_name == "float" => Self::Float,
            Writer::Float => Self::Double,
            Writer::Decimal(form) => Self::Decimal(*form),
            Writer::Money(digits, form) => Self::Money(*digits, *form),
            Writer::DateDays => Self::Days,
            Writer::Time(TimeForm::Number(unit)) => Self::Time(*unit),
            Writer::Timestamp(TimeForm::Number(unit)) => Self::Timestamp(*unit),
            Writer::IntervalMicros => Self::Interval,
            Writer::Bytea(_) => Self::Bytea { bytes_max: usize::MAX },
            Writer::Opaque(_) => Self::Opaque,
            Writer::OpaqueGeometric(_) => Self::OpaqueGeometric,
            Writer::SingleBit => Self::SingleBit,
            Writer::Bits => Self::Bits,
            Writer::Point => Self::Point,
            Writer::Geometry => Self::Geometry,
            Writer::SparseVector => Self::SparseVector,
            Writer::HstoreObject => Self::Hstore,
            Writer::Vector | Writer::Array(_) | Writer::Composite(_) => {
                return Self::compile_parts(writer, schema);
            }
            // Strings all, or already in this form.
            Writer::HeaderText
            | Writer::DateIso
            | Writer::Time(TimeForm::Iso)
            | Writer::Timestamp(TimeForm::Iso)
            | Writer::TimeWithZone
            | Writer::TimestampWithZone(_)
            | Writer::IntervalIso
            | Writer::Avro(_) => return Err(Malformed("expected a type that its schema has")),
        })
    }

    /// Types that are made of others.
    fn compile_parts(writer: &Writer, schema: &Schema) -> Result<Self, Malformed> {
        const NO_PARTS: Malformed = Malformed("expected a type with parts");
        Ok(match (writer, &schema.parts) {
            (Writer::Vector, Parts::Items(items)) => {
                Self::Vector { is_double: items.type_name == "double" }
            }
            (Writer::Array(form), Parts::Items(items)) => Self::Array(Box::new(Array {
                element: AvroWriter::compile(&form.element, items)?,
                null_element: form.null_element,
                delimiter: form.delimiter,
            })),
            (Writer::Composite(attributes), Parts::Fields(fields)) => {
                let pairs = attributes.iter().zip(fields);
                let attributes = pairs
                    .map(|(attribute, (_, schema))| AvroWriter::compile(&attribute.writer, schema));
                Self::Composite(attributes.collect::<Result<_, Malformed>>()?)
            }
            _ => return Err(NO_PARTS),
        })
    }

    #[inline]
    fn write(&self, text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
        match self {
            Self::Integer => binary::long(integer(text)?, out),
            Self::Text => binary::bytes(text, out),
            Self::Decimal(form) => return decimal(text, *form, out),
            Self::Timestamp(unit) => {
                let (value, outcome) = temporal::timestamp_number(text, *unit)?;
                binary::long(value, out);
                return Ok(outcome);
            }
            Self::Quoted(writer) => {
                let start = out.len();
                let outcome = writer.write(text, out)?;
                if outcome != Outcome::Inexpressible {
                    binary::from_json_string(start, out);
                }
                return Ok(outcome);
            }
            Self::Boolean => out.push(match text {
                b"t" | b"true" => 1,
                b"f" | b"false" => 0,
                _ => return Err(Malformed("expected t or f")),
            }),
            _ => return self.write_rarer(text, out),
        }
        Ok(Outcome::Written)
    }

    fn write_rarer(&self, text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
        match self {
            Self::Float => binary::float(numeric::number(text)?, out),
            Self::Double => binary::double(numeric::number(text)?, out),
            Self::Money(digits, form) => {
                return decimal(&numeric::money_to_decimal(text, *digits)?, *form, out);
            }
            Self::Days => binary::long(calendar::date(text)?, out),
            Self::Time(unit) => binary::long(temporal::time_number(text, *unit)?, out),
            Self::Interval => {
                let (value, outcome) = interval::micros_number(text)?;
                binary::long(value, out);
                return Ok(outcome);
            }
            Self::Bytea { bytes_max } => bytea(text, *bytes_max, out)?,
            Self::Opaque => binary::bytes(text, out),
            Self::OpaqueGeometric => {
                let start = out.len();
                out.push(0);
                special::java_geometric(text, out)?;
                binary::put_count(start, out.len() - start - 1, out);
            }
            Self::SingleBit => out.push(match text {
                b"1" => 1,
                b"0" | b"" => 0,
                _ => return Err(Malformed("expected one bit")),
            }),
            Self::Bits => binary::bytes(&special::bits_bytes(text)?, out),
            Self::Point => shapes::point(text, out)?,
            Self::Geometry => shapes::geometry(text, out)?,
            Self::Vector { is_double } => shapes::vector(text, *is_double, out)?,
            Self::SparseVector => return shapes::sparse_vector(text, out),
            Self::Hstore => shapes::hstore(text, out)?,
            Self::HstoreText => {
                let start = out.len();
                out.push(0);
                hstore::object(text, out)?;
                binary::put_count(start, out.len() - start - 1, out);
            }
            Self::Array(array) => return array.write(text, out),
            Self::Composite(attributes) => return row(text, attributes, out),
            Self::CutText { units_max } => binary::bytes(masked::cut(text, *units_max), out),
            Self::Constant(bytes) => out.extend_from_slice(bytes),
            Self::Integer
            | Self::Text
            | Self::Decimal(_)
            | Self::Timestamp(_)
            | Self::Quoted(_)
            | Self::Boolean => return self.write(text, out),
        }
        Ok(Outcome::Written)
    }
}

#[inline]
fn integer(text: &[u8]) -> Result<i64, Malformed> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, text),
    };
    let malformed = Malformed("expected an integer");
    if digits.is_empty() {
        return Err(malformed);
    }
    // Counted below zero, where there is one number more.
    let value = digits.iter().try_fold(0_i64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        let grown = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
        (digit <= 9).then_some(grown)
    });
    let value = value.ok_or(malformed)?;
    if negative { Ok(value) } else { value.checked_neg().ok_or(malformed) }
}

#[inline]
fn decimal(text: &[u8], form: DecimalForm, out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    match form {
        DecimalForm::Unscaled(scale) | DecimalForm::Number(scale) => {
            numeric::unscaled(text, scale, |bytes| binary::bytes(bytes, out))
        }
        DecimalForm::VariableScale => numeric::scale_and_unscaled(text, |scale, bytes| {
            binary::count(scale, out);
            binary::bytes(bytes, out);
        }),
        DecimalForm::Double => {
            binary::double(numeric::number(text)?, out);
            Ok(Outcome::Written)
        }
        DecimalForm::Digits(_) => {
            let start = out.len();
            let outcome = Writer::Decimal(form).write(text, out)?;
            binary::from_json_string(start, out);
            Ok(outcome)
        }
    }
}

fn bytea(text: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let digits = text.strip_prefix(b"\\x").ok_or(NO_BYTES)?;
    let digits = &digits[..digits.len().min(bytes_max.saturating_mul(2))];
    binary::count(digits.len() / 2, out);
    hexadecimal(digits, out)
}

/// Appends the bytes that the digits are.
fn hexadecimal(digits: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if digits.len() % 2 == 1 {
        return Err(NO_BYTES);
    }
    let start = out.len();
    out.resize(start + digits.len() / 2, 0);
    base64::decode_hex(digits, &mut out[start..])
}

impl Array {
    fn write(&self, text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
        let start = out.len();
        out.push(0);
        let mut count = 0;
        let outcome = array::elements(text, self.delimiter, &mut |item| {
            count += 1;
            self.write_element(item, out)
        })?;
        end_block(start, count, out);
        Ok(outcome)
    }

    /// One element; one that has no form is null where that may stand.
    fn write_element(&self, item: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
        let start = out.len();
        let Some(text) = item else {
            if self.null_element == NullElement::NoArray {
                return Ok(Outcome::Inexpressible);
            }
            out.push(binary::FIRST);
            return Ok(Outcome::Written);
        };
        let outcome = self.element.write(text, out)?;
        match (outcome, self.null_element) {
            (Outcome::Inexpressible | Outcome::Beyond, NullElement::Null) => {
                out.truncate(start);
                out.push(binary::FIRST);
                Ok(Outcome::Altered)
            }
            _ => Ok(outcome),
        }
    }
}

fn row(text: &[u8], attributes: &[AvroWriter], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    composite::fields(text, attributes.len(), &mut |index, field| {
        let start = out.len();
        let outcome = match field {
            Some(text) => attributes[index].write(text, out)?,
            None => Outcome::Inexpressible,
        };
        if matches!(outcome, Outcome::Written | Outcome::Altered) {
            return Ok(outcome);
        }
        out.truncate(start);
        out.push(binary::FIRST);
        Ok(if field.is_some() { Outcome::Altered } else { Outcome::Written })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::{
        BinaryHandling, DecimalHandling, EncoderSettings, HstoreHandling, IntervalHandling,
        TimePrecision, UnmappedTypes,
    };
    use crate::table::{Attribute, DataType, TypeKind};
    use crate::types::{Context, Form, Placeholder};
    use pgoutput::Oid;

    /// Each base type, with texts that are of it.
    const TYPES: [(&str, i32, &[&str]); 36] = [
        ("bool", -1, &["t", "f"]),
        ("int2", -1, &["0", "-32768", "32767"]),
        ("int4", -1, &["-2147483648", "63", "64", "-64", "-65"]),
        ("int8", -1, &["-9223372036854775808", "9223372036854775807"]),
        ("oid", -1, &["4294967295"]),
        ("float4", -1, &["1.5", "-0", "1e+20", "3.4028235e+38", "NaN", "Infinity", "-Infinity"]),
        ("float8", -1, &["0.1", "1e-300", "-1.7976931348623157e+308", "NaN", "-Infinity"]),
        ("numeric", -1, &["0", "-12.3400", "1e5", "NaN", "123456789012345678901234567890.5"]),
        ("numeric", (12 << 16 | 2) + 4, &["0.00", "-9.99", "1234567890.12", "NaN"]),
        ("numeric", (60 << 16 | 2) + 4, &["123456789012345678901234567890123456789012345.12"]),
        ("money", -1, &["$1,234.50", "-$0.01"]),
        ("bytea", -1, &["\\x", "\\x00ff", "\\x0"]),
        ("text", -1, &["", "a\"b\\c\n\u{1}é"]),
        ("varchar", -1, &["abc"]),
        ("char", -1, &["c"]),
        ("json", -1, &["{\"a\": [1, \"x\\n\"]}"]),
        ("xml", -1, &["<a b=\"c\"/>"]),
        ("uuid", -1, &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        ("date", -1, &["2016-11-04", "4713-01-01 BC", "infinity", "-infinity"]),
        ("time", -1, &["13:51:30.123789", "24:00:00"]),
        ("timetz", -1, &["13:51:30.123789+02", "24:00:00-15:59"]),
        ("timestamp", -1, &["2016-11-04 13:51:30.123456", "infinity", "294276-12-31 23:59:59"]),
        ("timestamp", 3, &["2016-11-04 13:51:30.123", "4713-01-01 00:00:00 BC"]),
        (
            "timestamptz",
            -1,
            &["2016-11-04 13:51:30.123456+00", "infinity", "0044-03-15 00:00:00+00 BC"],
        ),
        ("interval", -1, &["1 year 2 mons 3 days 04:05:06.78", "infinity", "-00:00:01"]),
        ("bit", 1, &["1", "0"]),
        ("varbit", 12, &["101", "000000000000"]),
        ("point", -1, &["(1,-2.5)", "(1e+300,0)"]),
        (
            "geometry",
            -1,
            &["0101000020E6100000000000000000F03F0000000000000040", "010700000000000000"],
        ),
        ("vector", -1, &["[1,2.5,-3]"]),
        ("halfvec", -1, &["[1,2.5,-3]"]),
        ("sparsevec", -1, &["{1:201,9:209.5}/3000", "{}/7", "{}/40000"]),
        ("hstore", -1, &["", "\"a\"=>\"1\", \"b\"=>NULL, \"c\\\"d\"=>\"e\\\\f\""]),
        ("ltree", -1, &["a.b.c"]),
        ("inet", -1, &["10.0.0.1/8"]),
        ("int4range", -1, &["[1,5)"]),
    ];

    fn settings() -> Vec<EncoderSettings> {
        let base = || EncoderSettings {
            include_unknown_datatypes: true,
            ..EncoderSettings::new("p", "d", "1")
        };
        vec![
            base(),
            EncoderSettings {
                decimal_handling: DecimalHandling::String,
                time_precision: TimePrecision::IsoString,
                interval_handling: IntervalHandling::String,
                binary_handling: BinaryHandling::Base64UrlSafe,
                hstore_handling: HstoreHandling::Map,
                ..base()
            },
            EncoderSettings {
                decimal_handling: DecimalHandling::Double,
                time_precision: TimePrecision::Connect,
                binary_handling: BinaryHandling::Hex,
                unmapped_types: UnmappedTypes::Capture,
                include_unknown_datatypes: false,
                ..base()
            },
            EncoderSettings { time_precision: TimePrecision::Nanoseconds, ..base() },
        ]
    }

    fn of(name: &str, kind: TypeKind) -> DataType {
        DataType { oid: Oid(0), name: name.to_owned(), kind }
    }

    fn forms(data_type: &DataType, modifier: i32) -> Vec<Form> {
        let all = settings();
        let forms = all.iter().filter_map(|settings| {
            let placeholder = Placeholder::parse("N/A").unwrap();
            let (format, unmapped) = (settings.value, settings.unmapped_types);
            let context = Context { settings, format, placeholder: &placeholder, unmapped };
            context.form(data_type, modifier)
        });
        forms.collect()
    }

    /// What the JSON form says is what the Avro form says, or neither says anything.
    fn check(form: &Form, text: &[u8]) {
        for schema in [form.schema.clone(), form.schema.clone().optional()] {
            let writer = AvroWriter::compile(&form.writer, &schema).unwrap();
            let (mut json, mut avro) = (Vec::new(), Vec::new());
            let expected = form.writer.write(text, &mut json);
            let found = writer.write(text, &mut avro);
            let shown = String::from_utf8_lossy(text);
            match (expected, found) {
                (Ok(Outcome::Inexpressible), found) => assert_eq!(found, expected, "{shown}"),
                (Ok(_), found) => {
                    assert_eq!(found, expected, "{:?} {shown}", form.writer);
                    let expected = stand_in::of_json(&json, &schema).unwrap();
                    assert_eq!(avro, expected, "{:?} {shown}", form.writer);
                }
                // Some texts are no JSON and yet numbers.
                (Err(_), _) => {}
            }
            for (stand_in, what) in
                [(Some(&form.missing), "missing"), (form.unavailable.as_ref(), "unavailable")]
            {
                let Some(stand_in) = stand_in else { continue };
                assert!(stand_in::of_json(stand_in, &schema).is_ok(), "{what} {:?}", form.writer);
            }
        }
    }

    fn check_in_all_shapes(name: &str, modifier: i32, text: &str) {
        let base = of(name, TypeKind::Base);
        for form in forms(&base, modifier) {
            check(&form, text.as_bytes());
        }
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let many = vec![format!("\"{quoted}\""); 70].join(",");
        let array = of("_a", TypeKind::Array { element: Box::new(base.clone()), delimiter: b',' });
        for form in forms(&array, modifier) {
            for text in [format!("{{\"{quoted}\",NULL}}"), "{}".to_owned(), format!("{{{many}}}")] {
                check(&form, text.as_bytes());
            }
        }
        let attribute = |name: &str| Attribute {
            name: name.to_owned(),
            data_type: base.clone(),
            type_modifier: modifier,
        };
        let attributes = vec![attribute("one"), attribute("two")];
        let row = of("r", TypeKind::Composite { schema: "s".to_owned(), attributes });
        for form in forms(&row, -1) {
            for text in [format!("(\"{quoted}\",)"), "()".to_owned(), "(,,)".to_owned()] {
                check(&form, text.as_bytes());
            }
        }
    }

    #[test]
    fn every_type_in_every_mode_says_in_avro_what_it_says_in_json() {
        for (name, modifier, texts) in TYPES {
            assert!(!forms(&of(name, TypeKind::Base), modifier).is_empty(), "{name}");
            for text in texts {
                check_in_all_shapes(name, modifier, text);
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_says_something_else_in_avro(
            index in 0..TYPES.len(),
            text in prop_oneof!["\\PC{0,80}", "[-+0-9eE.:,;{}()<>\\[\\]\"\\\\ $/xBCNULaftr=]{0,40}"],
        ) {
            let (name, modifier, _) = TYPES[index];
            for form in forms(&of(name, TypeKind::Base), modifier) {
                check(&form, text.as_bytes());
            }
        }

        #[test]
        fn steps_of_any_length_write_the_same(bytes: Vec<u8>, text in "\\PC{0,80}", step in 1_usize..20) {
            let mut hex = "\\x".to_owned();
            hex.extend(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| {
                char::from_digit(digit.into(), 16)
            }));
            for (name, text) in [("bytea", hex), ("text", text)] {
                for form in forms(&of(name, TypeKind::Base), -1) {
                    let writer = AvroWriter::compile(&form.writer, &form.schema.optional()).unwrap();
                    let (mut whole, mut stepped) = (Vec::new(), Vec::new());
                    writer.write(text.as_bytes(), &mut whole).unwrap();
                    if let Some(result) = writer.write_in_steps(text.as_bytes(), step, &mut stepped, &mut |_| {}) {
                        prop_assert_eq!(result, Ok(()));
                        prop_assert_eq!(stepped, whole);
                    }
                }
            }
        }
    }
}
