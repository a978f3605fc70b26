//! Arrays. In: the type of their elements. Out: their forms.

use super::{Context, Form};
use crate::schema::Schema;
use crate::settings::UnmappedTypes;
use crate::table::{DataType, TypeKind};
use crate::value::array::{ArrayForm, NullElement};
use crate::value::{Writer, json};

impl Context<'_> {
    /// The form of an array of such elements; `None` leaves its columns out.
    pub(super) fn array(&self, element: &DataType, delimiter: u8, modifier: i32) -> Option<Form> {
        let (form, null_element) = match &element.kind {
            TypeKind::Base | TypeKind::Range if is_array_element(&element.name) => {
                (self.form(element, modifier)?, NullElement::Null)
            }
            // Debezium declares labels, and elements without a form of their own, not optional.
            TypeKind::Enum { labels } => {
                (super::scalars::enumeration(labels), NullElement::NoArray)
            }
            TypeKind::Domain { .. } if self.settings.include_unknown_datatypes => {
                (self.opaque(element)?, NullElement::NoArray)
            }
            _ if self.unmapped == UnmappedTypes::Omit => return None,
            _ => (self.form(element, modifier)?, NullElement::Null),
        };
        let items = match null_element {
            NullElement::Null => form.schema.clone().optional(),
            NullElement::NoArray => form.schema.clone(),
        };
        let writer = ArrayForm { element: form.writer, null_element, delimiter };
        let array = Form::new(Writer::Array(Box::new(writer)), Schema::array(items), "{}");
        Some(match self.unavailable_elements(&element.name, &form.schema) {
            Some(json) => array.with_unavailable(json),
            None => array,
        })
    }

    /// What stands for an unchanged array stored out of line: the placeholder in the element type, where it has one.
    fn unavailable_elements(&self, element: &str, schema: &Schema) -> Option<Vec<u8>> {
        let mut out = vec![b'['];
        match element {
            "text" | "varchar" | "bpchar" | "json" | "jsonb" => {
                out.extend(self.placeholder_json());
            }
            "int4" | "int8" | "date" if schema.type_name != "string" => {
                let bytes: Vec<String> = self
                    .placeholder
                    .bytes
                    .iter()
                    .map(|byte| byte.cast_signed().to_string())
                    .collect();
                out.extend_from_slice(bytes.join(",").as_bytes());
            }
            "uuid" => json::string(self.placeholder.uuid().as_bytes(), &mut out),
            "bytea" => out.extend(self.unavailable_bytes()),
            _ => return None,
        }
        out.push(b']');
        Some(out)
    }
}

/// Base types whose arrays have a form.
fn is_array_element(name: &str) -> bool {
    matches!(
        name,
        "bool"
            | "int2"
            | "int4"
            | "int8"
            | "oid"
            | "float4"
            | "float8"
            | "numeric"
            | "text"
            | "varchar"
            | "bpchar"
            | "char"
            | "citext"
            | "bytea"
            | "uuid"
            | "json"
            | "jsonb"
            | "date"
            | "time"
            | "timetz"
            | "timestamp"
            | "timestamptz"
            | "inet"
            | "cidr"
            | "macaddr"
            | "macaddr8"
            | "int4range"
            | "int8range"
            | "numrange"
            | "tsrange"
            | "tstzrange"
            | "daterange"
            | "hstore"
            | "ltree"
            | "geometry"
            | "geography"
    )
}
