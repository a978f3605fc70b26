//! Which form each PostgreSQL type takes. In: a column's type and the settings. Out: its writer, its schema, and what
//! stands for values that are not there. Never: guesses; a type that Debezium has no form for gets one of ours, or none.
//!
//! Source: Debezium documentation, "Data type mappings"; the table as built is `docs/reference/types.md`.

mod arrays;
mod scalars;
pub(crate) mod source_type;
mod times;
mod unmapped;

use md5::{Digest, Md5};

use crate::EnvelopeError;
use crate::schema::Schema;
use crate::settings::{EncoderSettings, FormatSettings, UnmappedTypes};
use crate::table::{DataType, TypeKind};
use crate::value::base64;
use crate::value::{Outcome, Writer};

/// The form of one column.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) writer: Writer,
    /// Not optional and without default.
    pub(crate) schema: Schema,
    /// JSON for a value of a NOT NULL column that an old row does not carry.
    pub(crate) missing: Vec<u8>,
    /// JSON for a value stored out of line that did not change; `None` shows it like NULL.
    pub(crate) unavailable: Option<Vec<u8>>,
    /// Which default values reach the schema.
    pub(crate) defaults: Defaults,
}

/// Which default values reach the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defaults {
    /// None: the connector leaves the defaults of this type out.
    Hidden,
    /// Constants.
    Constants,
    /// Constants, and for a function this text.
    ConstantsAndFunctions(&'static str),
}

impl Form {
    /// A form whose missing value is what the writer makes of `zero`.
    fn new(writer: Writer, schema: Schema, zero: &str) -> Self {
        let mut missing = Vec::new();
        let outcome = writer.write(zero.as_bytes(), &mut missing);
        debug_assert_eq!(outcome, Ok(Outcome::Written), "zero of {writer:?}");
        Self { writer, schema, missing, unavailable: None, defaults: Defaults::Hidden }
    }

    fn with_missing(self, json: &str) -> Self {
        Self { missing: json.as_bytes().to_vec(), ..self }
    }

    fn with_unavailable(self, json: Vec<u8>) -> Self {
        Self { unavailable: Some(json), ..self }
    }

    fn with_defaults(self, defaults: Defaults) -> Self {
        Self { defaults, ..self }
    }
}

/// What stands for an unchanged value stored out of line.
#[derive(Clone, Debug)]
pub(crate) struct Placeholder {
    bytes: Vec<u8>,
    text: String,
}

impl Placeholder {
    /// Reads `unavailable.value.placeholder`.
    pub(crate) fn parse(setting: &str) -> Result<Self, EnvelopeError> {
        let bytes = match setting.strip_prefix("hex:") {
            None => setting.as_bytes().to_vec(),
            Some(digits) => {
                let mut bytes = vec![0; digits.len() / 2];
                let odd = digits.len() % 2 == 1;
                if odd || base64::decode_hex(digits.as_bytes(), &mut bytes).is_err() {
                    return Err(EnvelopeError::Placeholder { placeholder: setting.to_owned() });
                }
                bytes
            }
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Self { bytes, text })
    }

    /// As Java's `UUID.nameUUIDFromBytes` makes one: version 3, from the MD5 of the bytes.
    fn uuid(&self) -> String {
        let mut digest: [u8; 16] = Md5::digest(&self.bytes).into();
        digest[6] = digest[6] & 0x0F | 0x30;
        digest[8] = digest[8] & 0x3F | 0x80;
        let mut uuid = String::new();
        for (index, byte) in digest.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                uuid.push('-');
            }
            for digit in [byte >> 4, byte & 15] {
                uuid.extend(char::from_digit(digit.into(), 16));
            }
        }
        uuid
    }
}

/// All that decides a form beside the type itself.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a EncoderSettings,
    pub(crate) format: FormatSettings,
    pub(crate) placeholder: &'a Placeholder,
    /// What becomes of a type that Debezium has no form for.
    pub(crate) unmapped: UnmappedTypes,
}

impl Context<'_> {
    /// The same, where every type has a form: a key must not lose a column.
    pub(crate) fn capturing(&self) -> Self {
        Self { unmapped: UnmappedTypes::Capture, ..*self }
    }

    /// The form of a column of this type; `None` leaves the column out.
    pub(crate) fn form(&self, data_type: &DataType, modifier: i32) -> Option<Form> {
        match &data_type.kind {
            TypeKind::Enum { labels } => return Some(scalars::enumeration(labels)),
            // The outermost modifier that is set: a domain over a domain has none of its own.
            TypeKind::Domain { base, type_modifier } => {
                let modifier = if modifier >= 0 { modifier } else { *type_modifier };
                // Debezium looks for a reader of defaults by the name of the type, and knows no domain.
                return self.form(base, modifier).map(|form| form.with_defaults(Defaults::Hidden));
            }
            TypeKind::Array { element, delimiter } => {
                return self.array(element, *delimiter, modifier);
            }
            TypeKind::Base => self.scalar(&data_type.name, modifier),
            TypeKind::Range => scalars::range(&data_type.name),
            TypeKind::Composite { .. } | TypeKind::Multirange | TypeKind::Unknown => None,
        }
        .or_else(|| self.opaque(data_type))
        .or_else(|| self.unmapped(data_type))
    }

    /// With `include.unknown.datatypes` the text of any type as bytes.
    fn opaque(&self, data_type: &DataType) -> Option<Form> {
        if !self.settings.include_unknown_datatypes || data_type.kind == TypeKind::Unknown {
            return None;
        }
        let handling = self.settings.binary_handling;
        let writer = match data_type.name.as_str() {
            "box" | "circle" | "line" | "lseg" | "path" | "polygon" => {
                Writer::OpaqueGeometric(handling)
            }
            _ => Writer::Opaque(handling),
        };
        Some(Form::new(writer, scalars::binary_schema(handling), ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_of_uuids_is_made_from_its_bytes() {
        for (setting, uuid) in [
            ("__debezium_unavailable_value", "b68a35a7-17ad-35b3-af2a-ae46edb4545a"),
            ("N/A", "382b0f51-8577-3fa0-b67a-8ed8056c7759"),
        ] {
            assert_eq!(Placeholder::parse(setting).unwrap().uuid(), uuid);
        }
    }

    #[test]
    fn the_placeholder_may_be_bytes() {
        let placeholder = Placeholder::parse("hex:DEADBEEF").unwrap();
        assert_eq!(placeholder.bytes, [0xDE, 0xAD, 0xBE, 0xEF]);
        assert_eq!(placeholder.text, "\u{7AD}\u{FFFD}\u{FFFD}");
        for setting in ["hex:A", "hex:GG"] {
            assert_eq!(Placeholder::parse(setting).unwrap_err().code(), "EN006");
        }
    }
}
